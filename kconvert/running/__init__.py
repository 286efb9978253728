"""The runs of a network: each takes a network and settings, and gives a result back."""
