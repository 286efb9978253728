"""The event simulator: time is spent on spikes only, and float64 gives Nengo's spikes exactly.

``compiler`` writes a graph as a program, ``machine`` steps it, and ``runner`` hands samples to
threads. Only ``machine`` and ``runner`` import Numba.
"""
