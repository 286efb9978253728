"""Where data enters, and ops that only rearrange it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from ..ir import Shape, product


@dataclass(frozen=True, slots=True)
class Input:
    """A value from outside.

    Args:
        shape: Shape of one sample.
    """

    shape: Shape

    def out_shape(self) -> Shape:
        return self.shape

    def evaluate(self) -> np.ndarray:
        raise GraphError("an input has no value of its own: feed it to Graph.evaluate")


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same values in C order under another shape (also Flatten).

    Args:
        shape: Shape of one sample afterwards.
    """

    shape: Shape

    def out_shape(self, x: Shape) -> Shape:
        if product(x) != product(self.shape):
            raise GraphError(f"the shape {x} does not reshape to {self.shape}")
        return self.shape

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), *self.shape)
