"""The event-driven simulator: cost that follows the spikes.

``runner`` hands samples to threads, ``machine`` steps a program (``kconvert/targets/events``), and
the kernels are in ``neurons`` (dynamics), ``pushes`` (spikes through weights) and ``signals``
(everything else); ``vectors`` has the few pieces that are written in LLVM's own terms.
"""

from .runner import EventRunner

__all__ = ["EventRunner"]
