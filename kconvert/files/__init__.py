"""``.kconvert`` files."""
