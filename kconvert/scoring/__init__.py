"""What outputs are for, and the figures that judge them."""
