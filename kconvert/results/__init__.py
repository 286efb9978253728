"""What runs give back, and how it is printed."""
