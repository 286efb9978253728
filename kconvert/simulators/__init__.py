"""Run a network. Every simulator is a :class:`Runner`; heavy imports stay inside."""

from __future__ import annotations

from .base import DEFAULT_DT, Chunk, EarlyExit, Job, Runner, RunSpec, Simulator
from .table import SIMULATORS, choose, make_runner, require_room

__all__ = [
    "DEFAULT_DT",
    "SIMULATORS",
    "Chunk",
    "EarlyExit",
    "Job",
    "RunSpec",
    "Runner",
    "Simulator",
    "choose",
    "make_runner",
    "require_room",
]
