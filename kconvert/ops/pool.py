"""Pooling over windows of the spatial axes, channels last; padded cells do not count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from ..ir import Shape
from .window import Pads, window_counts, windows


@dataclass(frozen=True, slots=True)
class Pool:
    """What average and max pooling have in common.

    Args:
        pool: Window size for each spatial axis.
        strides: One for each spatial axis.
        pads: Cells around each spatial axis that do not count.
    """

    pool: Shape
    strides: Shape
    pads: Pads

    @property
    def ones(self) -> Shape:
        """The dilation."""
        return (1,) * len(self.pool)

    def out_shape(self, x: Shape) -> Shape:
        if len(x) != len(self.pool) + 1:
            raise GraphError(f"a pool over {self.pool} cannot read the shape {x}")
        counts = window_counts(x[:-1], self.pool, self.strides, self.ones, self.pads)
        return (*counts, x[-1])


@dataclass(frozen=True, slots=True)
class AvgPool(Pool):
    """Mean over windows."""

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        def total(values: np.ndarray) -> np.ndarray:
            seen = windows(values, self.pool, self.strides, self.ones, self.pads)
            return np.add.reduce([value for _, value in seen])

        return total(x) / total(np.ones((1, *x.shape[1:])))


@dataclass(frozen=True, slots=True)
class MaxPool(Pool):
    """Largest value of windows.

    Args:
        over: What the network takes the maximum of at every step: "sums" of all input so far, or
            the input's "values" at that step. The same for an input that does not change.
    """

    over: str = "sums"

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        seen = windows(x, self.pool, self.strides, self.ones, self.pads, fill=-np.inf)
        return np.maximum.reduce([value for _, value in seen])
