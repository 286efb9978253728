"""Graph -> a Keras layer that spikes forward and has the gradient of rates."""
