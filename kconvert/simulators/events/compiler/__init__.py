"""Graph -> a program of the event simulator: what is pushed where in every step, in what order.

``plan`` builds it, ``program`` holds it, ``instructions`` is what it is made of, ``values`` writes
values as sparse maps of what spikes, and ``geometry`` says which windows an input cell is in. NumPy
and SciPy only: what runs the program is in ``machine``.
"""

from .plan import plan
from .program import Program

__all__ = ["Program", "plan"]
