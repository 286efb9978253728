"""Nengo's synapses as the recurrences that its reference simulator steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .instructions import Filter as FilterStep
from .instructions import State
from .program import Assembler, Section

MAX_ORDER = 8


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    """A linear filter in discrete time.

    One without a direct way through gives ``C x`` after ``x = A x + B u``, any other ``C x + D u``
    before it (``nengo.synapses.LinearFilter``).

    Args:
        a: Shape (order, order).
        b: Shape (order,).
        c: Shape (order,).
        d: The direct way through.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: float

    @classmethod
    def of(cls, synapse: Any, dt: float) -> Filter:
        """The filter of a ``nengo.LinearFilter``; of None the identity."""
        if synapse is None:
            return cls(np.zeros((0, 0)), np.zeros(0), np.zeros(0), 1.0)
        shape = (2,)
        step = synapse.make_step(shape, shape, dt, None, synapse.make_state(shape, shape, dt))
        if hasattr(step, "d"):  # without memory
            return cls(np.zeros((0, 0)), np.zeros(0), np.zeros(0), float(step.d))
        return cls(np.asarray(step.A), np.ravel(step.B), np.ravel(step.C), float(step.D.item()))

    @property
    def is_simple(self) -> bool:
        """Whether it is ``y = decay * y + input_factor * u``."""
        return len(self.a) == 0 or (len(self.a) == 1 and self.d == 0)

    @property
    def decay(self) -> float:
        return float(self.a[0, 0]) if len(self.a) else 0.0

    @property
    def input_factor(self) -> float:
        """What a spike is multiplied by where it is sent, so that the filter only adds it."""
        if not self.is_simple:
            return 1.0
        return float(self.b[0] * self.c[0]) if len(self.a) else self.d

    def emit(
        self, section: Section, out: Assembler, source: State, target: State, size: int
    ) -> None:
        """Write the instruction that filters one buffer into another."""
        order = len(self.a)
        matrices = np.concatenate([self.a.ravel(), self.b, self.c, [self.d]])
        section.add(
            FilterStep(
                source=source,
                target=target,
                size=size,
                order=order,
                memory=out.buffer(order * size),
                matrices=out.weights(matrices),
            )
        )
