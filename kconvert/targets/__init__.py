"""Graph -> something that runs or is stored. Heavy imports stay inside functions."""
