"""Layers that read several values."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.src.ops import numpy as numpy_operations

from ...errors import Unsupported
from ...ir import Shape, product
from ...ops import Concat, MaxPool
from ..builder import Builder
from ..registry import LAYERS

L = keras.layers


@LAYERS.register(L.Add, timewise=True)
def add(layer: Any, b: Builder, *xs: str) -> str:
    return b.sum([(x, 1.0) for x in alike(b, xs)])


@LAYERS.register(L.Average, timewise=True)
def average(layer: Any, b: Builder, *xs: str) -> str:
    return b.sum([(x, 1.0 / len(xs)) for x in alike(b, xs)])


@LAYERS.register(L.Subtract, timewise=True)
def subtract(layer: Any, b: Builder, x: str, y: str) -> str:
    return b.sum(list(zip(alike(b, (x, y)), (1.0, -1.0), strict=True)))


@LAYERS.register(L.Maximum)
def maximum(layer: Any, b: Builder, *xs: str) -> str:
    return largest(b, alike(b, xs))


@LAYERS.register(L.Minimum)
def minimum(layer: Any, b: Builder, *xs: str) -> str:
    return smallest(b, alike(b, xs))


@LAYERS.register(L.Concatenate, numpy_operations.Concatenate, timewise=True)
def concatenate(layer: Any, b: Builder, *xs: str) -> str:
    if layer.axis is None:
        raise Unsupported(
            "axis=None joins the samples of a batch", "set an axis from 1 on", final=True
        )
    return b.add(Concat(b.axis(layer.axis)), *xs)


@LAYERS.register(numpy_operations.Hstack)
def hstack(operation: Any, b: Builder, *xs: str) -> str:
    return b.add(Concat(0), *xs)


@LAYERS.register(numpy_operations.Stack)
def stack(operation: Any, b: Builder, *xs: str) -> str:
    axis, rank = operation.axis, len(b.shape(xs[0]))
    place = axis - 1 if axis > 0 else axis + rank + 1
    if axis == 0 or not 0 <= place <= rank:
        raise Unsupported(f"axis={axis} is the batch axis", "use another axis", final=True)
    shape = b.shape(xs[0])
    parts = [b.reshape(x, (*shape[:place], 1, *shape[place:])) for x in xs]
    return b.add(Concat(place), *parts)


def alike(b: Builder, xs: tuple[str, ...]) -> list[str]:
    """The values in the shape that they broadcast to."""
    shape: Shape = np.broadcast_shapes(*(b.shape(x) for x in xs))
    ranks = {len(b.shape(x)) for x in xs}
    if len(ranks) > 1:
        xs = tuple(
            b.reshape(x, (1,) * (len(shape) - len(b.shape(x))) + b.shape(x))
            if len(b.shape(x)) < len(shape)
            else x
            for x in xs
        )
    return [b.broadcast(x, shape) for x in xs]


def largest(b: Builder, xs: list[str]) -> str:
    """The largest of values of one shape: max pooling over the axis along which they are stacked.

    So the one choice of how a maximum spikes covers them all.
    """
    shape = b.shape(xs[0])
    rows = [b.reshape(x, (1, product(shape))) for x in xs]
    pool = MaxPool((len(xs),), (len(xs),), ((0, 0),))
    return b.reshape(b.add(pool, b.add(Concat(0), *rows)), shape)


def smallest(b: Builder, xs: list[str]) -> str:
    """The smallest of values of one shape."""
    return b.affine(largest(b, [b.affine(x, -1.0) for x in xs]), -1.0)


PRODUCT = "it multiplies two signals, which neither a connection nor these neurons can do"
LAYERS.refuse(
    L.Multiply,
    L.Dot,
    reason=PRODUCT,
    fix="replace the product by a sum (a residual connection) and train again",
)
LAYERS.refuse(
    L.Attention,
    L.AdditiveAttention,
    L.MultiHeadAttention,
    L.GroupQueryAttention,
    reason=PRODUCT,
    fix="use convolutions or dense layers",
)
