"""``keras.ops`` nodes that compute: sums, products with constants, means, maxima."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.src.ops import core as core_operations
from keras.src.ops import numpy as numpy_operations

from ...errors import Unsupported
from ...ir import product
from ...ops import AxisMap, Dense, MaxPool
from ..builder import Builder
from ..registry import LAYERS
from .activations import clip, piecewise_linear
from .merging import PRODUCT, alike, largest, smallest

N = numpy_operations


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
    return clip(b, x, float(operation.x_min), float(operation.x_max))


@LAYERS.register(N.Maximum)
def maximum(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        return largest(b, same_rank(b, left, right))
    x, bound = value_first(left, right)
    # max(x, c) = c + relu(x - c)
    return piecewise_linear(b, x, [(1.0, 1.0, -_number(bound))], _number(bound))


@LAYERS.register(N.Minimum)
def minimum(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        return smallest(b, same_rank(b, left, right))
    x, bound = value_first(left, right)
    return piecewise_linear(b, x, [(-1.0, -1.0, _number(bound))], _number(bound))


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
    rank, lead = len(b.shape(x)), 2 if b.in_time else 1
    constants = []
    for value in (scale, shift):
        array = np.asarray(value, dtype=np.float64)
        extra = array.ndim - rank
        if extra > 0:
            if array.shape[:extra] != (1,) * extra or extra > lead:
                raise Unsupported(
                    f"a constant of shape {array.shape} has an axis for the batch",
                    "use a constant that is the same for every sample",
                )
            array = array.reshape(array.shape[extra:])
        constants.append(array)
    shape = np.broadcast_shapes(b.shape(x), *(array.shape for array in constants))
    return b.affine(b.broadcast(x, shape), *constants)


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


def _number(value: Any) -> float:
    if np.ndim(value):
        raise Unsupported("a bound must be a number, not an array")
    return float(value)


def _axes(operation: Any, b: Builder, x: str) -> list[int]:
    axes = operation.axis
    if axes is None:
        raise Unsupported("axis=None goes across the batch", "name the axes, from 1 on")
    return sorted(b.axis(axis) for axis in ((axes,) if isinstance(axes, int) else axes))


def _reduced(operation: Any, b: Builder, x: str) -> str:
    """The value without the axes of size 1 that a reduction leaves behind."""
    if operation.keepdims:
        return x
    gone = {
        b.axis(a) for a in ([operation.axis] if isinstance(operation.axis, int) else operation.axis)
    }
    return b.reshape(x, tuple(n for i, n in enumerate(b.shape(x)) if i not in gone))
