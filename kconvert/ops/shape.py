"""Where data enters, and ops that only rearrange it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from ..ir import Shape, product
from .window import Pads


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


@dataclass(frozen=True, slots=True)
class Pad:
    """Zeros around every axis.

    Args:
        pads: One ``(before, after)`` for each axis of one sample.
    """

    pads: Pads

    def out_shape(self, x: Shape) -> Shape:
        if len(x) != len(self.pads):
            raise GraphError(f"zeros around {len(self.pads)} axes cannot be put around {x}")
        return tuple(n + before + after for n, (before, after) in zip(x, self.pads, strict=True))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return np.pad(x, ((0, 0), *self.pads))


@dataclass(frozen=True, slots=True, eq=False)
class Gather:
    """Values picked by their place: permuting, cropping, repeating, slicing, broadcasting.

    Args:
        index: Of the shape of one sample afterwards: for each value its place in the flat input
            (C order), or -1 for a zero.
    """

    index: np.ndarray

    def out_shape(self, x: Shape) -> Shape:
        if self.index.size and (self.index.max() >= product(x) or self.index.min() < -1):
            raise GraphError(f"an index up to {self.index.max()} does not fit the shape {x}")
        return tuple(self.index.shape)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        y = x.reshape(len(x), -1)[:, self.index]
        if self.index.size and self.index.min() < 0:
            y[:, self.index < 0] = 0.0
        return y
