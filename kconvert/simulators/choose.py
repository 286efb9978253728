"""Simulators by name."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..targets.nengo_net import NengoModel
from .base import Runner

SIMULATORS = ("auto", "nengo_dl", "nengo")


def resolve(simulator: str) -> str:
    """The simulator's name, with "auto" resolved.

    Raises:
        InputError: There is no such simulator.
    """
    if simulator not in SIMULATORS:
        raise InputError(
            f"simulator must be one of {', '.join(map(repr, SIMULATORS))}. Received: {simulator!r}"
        )
    return "nengo_dl" if simulator == "auto" else simulator


def make_runner(simulator: str, model: NengoModel, **settings: Any) -> Runner:
    """Build a runner.

    Args:
        simulator: A name that :func:`resolve` returned.
        model: What to run.
        **settings: ``batch_size``, ``dt`` and ``spikes``.
    """
    if simulator == "nengo":
        from .nengo import NengoRunner

        return NengoRunner(model, **settings)
    from .nengo_dl import NengoDlRunner

    return NengoDlRunner(model, **settings)
