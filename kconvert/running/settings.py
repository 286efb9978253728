"""How a run is done: the arguments that all runs share, checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..arguments import count, flag, is_word, nearest, seconds_of_a_step
from ..errors import InputError
from ..simulators import EarlyExit

DTYPES = ("float32", "float64")
INTERRUPTS = ("raise", "return")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run is done; the arguments of :meth:`SpikingNetwork.simulate`, checked.

    Raises:
        InputError: One of them does not fit.
    """

    dt: float
    batch_size: int | None
    dtype: str | None
    early_exit: EarlyExit | None
    on_interrupt: str
    progress: bool | None

    def __post_init__(self) -> None:
        seconds_of_a_step("dt", self.dt)
        if self.batch_size is not None:
            count("batch_size", self.batch_size)
        if self.dtype is not None and not is_word(self.dtype, DTYPES):
            raise InputError(
                f"dtype must be None or one of the strings {DTYPES}. Received: {self.dtype!r}"
                f"{nearest(self.dtype, DTYPES)}"
            )
        if not is_word(self.on_interrupt, INTERRUPTS):
            raise InputError(
                f"on_interrupt must be 'raise' or 'return'. Received: {self.on_interrupt!r}"
                f"{nearest(self.on_interrupt, INTERRUPTS)}"
            )
        flag("progress", self.progress, None)
        if self.early_exit is not None and not isinstance(self.early_exit, EarlyExit):
            raise InputError(
                f"early_exit must be a kconvert.EarlyExit or None. Received: {self.early_exit!r}"
            )

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments again, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def asked_of(settings: Settings, n_steps: int | None, simulator: str) -> dict[str, Any]:
    """The settings that the result of a share depends on, as plain data."""
    exit = settings.early_exit
    return {
        "n_steps": n_steps,
        "dt": settings.dt,
        "dtype": settings.dtype,
        "simulator": simulator,
        "batch_size": settings.batch_size,
        "early_exit": None if exit is None else [exit.stable, exit.confidence],
    }
