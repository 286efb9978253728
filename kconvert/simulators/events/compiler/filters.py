"""Synapses as the recurrences that Nengo's reference simulator steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ....errors import GraphError
from ....ops import Lowpass, Synapse
from ....ops.synapse import transfer_function
from .instructions import Filter as FilterStep
from .instructions import State
from .program import Assembler, Section


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
    def of(cls, synapse: Synapse | None, dt: float) -> Filter:
        """The filter of a synapse at a step of ``dt`` seconds; of None the identity."""
        if synapse is None or (isinstance(synapse, Lowpass) and synapse.tau == 0):
            return cls.without_memory(1.0)
        if isinstance(synapse, Lowpass):
            decay = math.exp(-dt / synapse.tau)
            return cls(np.array([[decay]]), np.array([1.0]), np.array([1.0 - decay]), 0.0)
        found = transfer_function(synapse)
        if found is None:
            raise GraphError(f"{synapse} is not a linear filter")
        from scipy.signal import cont2discrete, tf2ss  # takes half a second to import

        a, b, c, d = tf2ss(found.num, found.den)
        if found.analog and len(a):
            a, b, c, d, _ = cont2discrete((a, b, c, d), dt, method=found.method)
        if not len(a):
            return cls.without_memory(float(np.ravel(d)[0]))
        return cls(np.asarray(a), np.ravel(b), np.ravel(c), float(np.ravel(d)[0]))

    @classmethod
    def without_memory(cls, factor: float) -> Filter:
        """A factor on the signal."""
        return cls(np.zeros((0, 0)), np.zeros(0), np.zeros(0), factor)

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
