"""Pooling over windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from ..ir import Shape
from .window import window_geometry, windows


@dataclass(frozen=True, slots=True)
class AvgPool:
    """Mean over windows of the spatial axes, channels last; padded cells do not count.

    Args:
        pool: Window size for each spatial axis.
        strides: One for each spatial axis.
        padding: "valid" or "same".
    """

    pool: Shape
    strides: Shape
    padding: str

    def out_shape(self, x: Shape) -> Shape:
        if len(x) != len(self.pool) + 1:
            raise GraphError(f"a pool over {self.pool} cannot read the shape {x}")
        ones = (1,) * len(self.pool)
        sizes, _ = window_geometry(x[:-1], self.pool, self.strides, ones, self.padding)
        return (*sizes, x[-1])

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        ones = (1,) * len(self.pool)

        def total(values: np.ndarray) -> np.ndarray:
            seen = windows(values, self.pool, self.strides, ones, self.padding)
            return np.add.reduce([value for _, value in seen])

        return total(x) / total(np.ones((1, *x.shape[1:])))
