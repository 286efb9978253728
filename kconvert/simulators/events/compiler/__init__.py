"""Graph -> a program of the event simulator: what is pushed where in every step, in what order.

``plan`` builds it, ``program`` holds it, ``values`` writes values as sparse maps of what spikes,
and ``geometry`` says which windows an input cell is in. NumPy and SciPy only:
what runs the program is in ``machine``.
"""

from .plan import plan
from .program import Code, Program

__all__ = ["Code", "Program", "plan"]
