"""What runs a program: Numba kernels, one for each instruction, and the loop over steps."""
