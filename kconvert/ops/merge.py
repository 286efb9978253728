"""Ops that read several values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from ..ir import Shape


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of values of one shape, each times a number.

    Args:
        coefficients: One for each input.
    """

    coefficients: tuple[float, ...]

    def out_shape(self, *xs: Shape) -> Shape:
        if len(xs) != len(self.coefficients) or len(set(xs)) != 1:
            raise GraphError(f"a sum of {len(self.coefficients)} values cannot read {xs}")
        return xs[0]

    def evaluate(self, *xs: np.ndarray) -> np.ndarray:
        y = np.zeros(xs[0].shape)
        for c, x in zip(self.coefficients, xs, strict=True):
            y += c * x
        return y


@dataclass(frozen=True, slots=True)
class Concat:
    """Values side by side.

    Args:
        axis: Axis of one sample, from 0.
    """

    axis: int

    def out_shape(self, *xs: Shape) -> Shape:
        rests = {(*x[: self.axis], *x[self.axis + 1 :]) for x in xs}
        if len(rests) != 1 or not 0 <= self.axis < len(xs[0]):
            raise GraphError(f"{xs} cannot be concatenated along axis {self.axis}")
        return (
            *xs[0][: self.axis],
            sum(x[self.axis] for x in xs),
            *xs[0][self.axis + 1 :],
        )

    def evaluate(self, *xs: np.ndarray) -> np.ndarray:
        return np.concatenate(xs, axis=self.axis + 1)
