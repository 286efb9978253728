"""Run a converted model. Every simulator is a :class:`Runner`; heavy imports stay inside."""

from __future__ import annotations

from .base import Chunk, EarlyExit, Job, Runner
from .choose import SIMULATORS, make_runner
from .rates import rate_runner, rate_values

__all__ = [
    "SIMULATORS",
    "Chunk",
    "EarlyExit",
    "Job",
    "Runner",
    "make_runner",
    "rate_runner",
    "rate_values",
]
