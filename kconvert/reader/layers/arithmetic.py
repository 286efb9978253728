"""``keras.ops`` nodes that compute: sums, products with constants, means, maxima."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.src.ops import core as core_operations
from keras.src.ops import image as image_operations
from keras.src.ops import nn as nn_operations
from keras.src.ops import numpy as numpy_operations

from ...errors import Unsupported
from ...ir import product
from ...ops import AxisMap, Dense, MaxPool
from ..builder import Builder
from ..registry import LAYERS
from .activations import clip, piecewise_linear
from .merging import PRODUCT, alike, largest, smallest

L, N = keras.layers, numpy_operations


@LAYERS.register(N.Add, timewise=True)
def add(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        return b.sum([(x, 1.0) for x in same_rank(b, left, right)])
    x, constant = value_first(left, right)
    if isinstance(left, str) and constant.ndim > 1:
        constant = _as_keras_adds(b, x, constant)
    return scaled(b, x, shift=constant)


@LAYERS.register(N.Subtract, timewise=True)
def subtract(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        return b.sum(list(zip(same_rank(b, left, right), (1.0, -1.0), strict=True)))
    if isinstance(left, str):
        return scaled(b, left, shift=-right)
    return scaled(b, right, scale=-1.0, shift=left)


@LAYERS.register(N.Multiply, timewise=True)
def multiply(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        raise Unsupported(PRODUCT, "replace the product by a sum and train again")
    x, constant = value_first(left, right)
    return scaled(b, x, scale=constant)


@LAYERS.register(N.Divide, N.TrueDivide, timewise=True)
def divide(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(right, str):
        raise Unsupported("it divides by a signal (only by a constant is supported)")
    with np.errstate(divide="ignore"):
        return scaled(b, left, scale=1.0 / np.asarray(right, np.float64))


@LAYERS.register(core_operations.StopGradient, timewise=True)
def stop_gradient(operation: Any, b: Builder, x: str) -> str:
    return x


@LAYERS.register(core_operations.Cast, timewise=True)
def cast(operation: Any, b: Builder, x: str) -> str:
    if not keras.backend.is_float_dtype(operation.dtype):
        raise Unsupported(
            f"dtype={operation.dtype!r} is not supported (only floating point is)", "use 'float32'"
        )
    return x


@LAYERS.register(N.Negative, timewise=True)
def negative(operation: Any, b: Builder, x: str) -> str:
    return b.affine(x, -1.0)


@LAYERS.register(N.Absolute, timewise=True)
def absolute(operation: Any, b: Builder, x: str) -> str:
    return piecewise_linear(b, x, [(1.0, 1.0, 0.0), (1.0, -1.0, 0.0)])


@LAYERS.register(N.Clip, timewise=True)
def ops_clip(operation: Any, b: Builder, x: str) -> str:
    return clip(b, x, _bound(b, x, operation.x_min), _bound(b, x, operation.x_max))


@LAYERS.register(N.Maximum)
def maximum(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        return largest(b, same_rank(b, left, right))
    x, bound = value_first(left, right)
    return clip(b, x, _bound(b, x, bound), np.inf)


@LAYERS.register(N.Minimum)
def minimum(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        return smallest(b, same_rank(b, left, right))
    x, bound = value_first(left, right)
    return clip(b, x, -np.inf, _bound(b, x, bound))


@LAYERS.register(N.Mean)
def mean(operation: Any, b: Builder, x: str) -> str:
    for axis in _axes(operation, b, x):
        n = b.shape(x)[axis]
        x = b.add(AxisMap(axis, np.full((1, n), 1.0 / n)), x)
    return _reduced(operation, b, x)


@LAYERS.register(N.Sum)
def total(operation: Any, b: Builder, x: str) -> str:
    for axis in _axes(operation, b, x):
        x = b.add(AxisMap(axis, np.ones((1, b.shape(x)[axis]))), x)
    return _reduced(operation, b, x)


@LAYERS.register(N.Min, N.Amin)
def minimum_over(operation: Any, b: Builder, x: str) -> str:
    return b.affine(maximum_over(operation, b, b.affine(x, -1.0)), -1.0)


@LAYERS.register(N.Max, N.Amax)
def maximum_over(operation: Any, b: Builder, x: str) -> str:
    if getattr(operation, "initial", None) is not None:
        raise Unsupported(f"initial={operation.initial!r} is not supported (only None is)")
    for axis in _axes(operation, b, x):
        shape = b.shape(x)
        before, n = product(shape[:axis]), shape[axis]
        x = b.reshape(x, (before, n, product(shape[axis + 1 :])))
        x = b.add(MaxPool((1, n), (1, n), ((0, 0), (0, 0))), x)
        x = b.reshape(x, (*shape[:axis], 1, *shape[axis + 1 :]))
    return _reduced(operation, b, x)


@LAYERS.register(N.Matmul, N.Dot, timewise=True)
def matmul(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        raise Unsupported(PRODUCT, "multiply by a constant matrix, with Dense")
    if not isinstance(left, str) or np.ndim(right) != 2:
        raise Unsupported(
            "a constant matrix is supported on the right only, with two axes", "use Dense"
        )
    return b.add(Dense(np.asarray(right, np.float64)), left)


def operands(b: Builder) -> list[Any]:
    """The two operands: the name of a value, or a constant as an array."""
    given = [*b.arguments[0], *b.arguments[1].values()][:2]
    return [
        value if isinstance(value, str) else np.asarray(keras.ops.convert_to_numpy(value), float)
        for value in given
    ]


def value_first(left: Any, right: Any) -> tuple[str, np.ndarray]:
    """A value and a constant, whichever was given first."""
    return (left, right) if isinstance(left, str) else (right, left)


def same_rank(b: Builder, left: str, right: str) -> list[str]:
    """The values in the shape that they broadcast to, the batch axis counted in."""
    if len(b.shape(left)) != len(b.shape(right)):
        raise Unsupported(
            f"its inputs have different ranks, {b.shape(left)} and {b.shape(right)}, so that the "
            "batch axis of one would meet another axis of the other",
            "reshape one of them first",
        )
    return alike(b, (left, right))


def scaled(b: Builder, x: str, scale: Any = 1.0, shift: Any = 0.0) -> str:
    """``x * scale + shift``; the constants broadcast as in Keras, the batch axis counted in."""
    constants = [of_a_sample(b, x, value) for value in (scale, shift)]
    shape = np.broadcast_shapes(b.shape(x), *(array.shape for array in constants))
    return b.affine(b.broadcast(x, shape), *constants)


def of_a_sample(b: Builder, x: str, value: Any) -> np.ndarray:
    """A constant that meets a value, without its axes of the batch and of time."""
    rank, lead = len(b.shape(x)), 2 if b.in_time else 1
    array = np.asarray(value, dtype=np.float64)
    extra = array.ndim - rank
    if extra <= 0:
        return array
    if array.shape[:extra] != (1,) * extra or extra > lead:
        raise Unsupported(
            f"a constant of shape {array.shape} has an axis for the batch",
            "use a constant that is the same for every sample",
            final=True,
        )
    return array.reshape(array.shape[extra:])


def _as_keras_adds(b: Builder, x: str, constant: np.ndarray) -> np.ndarray:
    """The constant along the axis where Keras adds it.

    On TensorFlow one that squeezes to a vector is taken for a bias of the last axis, if it has as
    many entries, even where broadcasting would put it elsewhere.
    """
    zeros = np.zeros((1,) * (2 if b.in_time else 1) + b.shape(x), np.float32)
    try:
        added = keras.ops.add(zeros, constant.astype(np.float32))
    except (ValueError, TypeError):
        return constant  # it does not fit a single sample: the caller says why
    added = np.asarray(keras.ops.convert_to_numpy(added), np.float64)
    plain = np.broadcast_to(constant, added.shape)
    return constant if np.array_equal(added, plain.astype(np.float32)) else added


def _bound(b: Builder, x: str, value: Any) -> np.ndarray:
    """A bound as an array that broadcasts to the value."""
    if value is None or isinstance(value, str):
        raise Unsupported(
            f"the bound {value!r} is not supported (only numbers and arrays are)",
            "give -np.inf or np.inf for no bound" if value is None else "give a constant",
        )
    array = of_a_sample(b, x, keras.ops.convert_to_numpy(value))
    shape = b.shape(x)
    if np.broadcast_shapes(shape, array.shape) != shape:
        raise Unsupported(
            f"a bound of the shape {array.shape} is larger than the value, of {shape}",
            "repeat the value first",
        )
    return array


def _axes(operation: Any, b: Builder, x: str) -> list[int]:
    axes = operation.axis
    if axes is None:
        raise Unsupported("axis=None goes across the batch", "name the axes, from 1 on", final=True)
    return sorted({b.axis(int(axis)) for axis in np.atleast_1d(axes)})


def _reduced(operation: Any, b: Builder, x: str) -> str:
    """The value without the axes of size 1 that a reduction leaves behind."""
    if operation.keepdims:
        return x
    gone = _axes(operation, b, x)
    return b.reshape(x, tuple(n for i, n in enumerate(b.shape(x)) if i not in gone))


for _classes, _instead in {
    (N.Average,): "keras.ops.mean, or multiply by the weights and use keras.ops.sum",
    (N.Einsum, N.Tensordot): "keras.ops.matmul by a matrix, or Dense or EinsumDense",
    (N.Power, N.Square): "a layer with an activation that has neurons, and train again",
    (N.BroadcastTo,): "keras.ops.repeat along each axis, or add zeros of the shape",
    (N.Where,): "keras.ops.maximum, keras.ops.minimum or keras.ops.clip",
    (image_operations.Resize,): "the layer Resizing",
    (image_operations.PadImages,): "keras.ops.pad, or the layer ZeroPadding2D",
    (image_operations.CropImages, L.CenterCrop): "the layer Cropping2D, or a slice x[:, a:b, c:d]",
    (nn_operations.Conv, nn_operations.DepthwiseConv, nn_operations.SeparableConv): (
        "the layer of the same name, such as Conv2D"
    ),
}.items():
    LAYERS.refuse(*_classes, reason="it is not supported in this form", fix=f"use {_instead}")
