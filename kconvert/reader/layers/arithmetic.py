"""``keras.ops`` nodes that compute: sums, products with constants, means, maxima."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras.src.ops import core as core_operations
from keras.src.ops import nn as nn_operations
from keras.src.ops import numpy as numpy_operations

from ...errors import Unsupported
from ...ir import product
from ...ops import AxisMap, Dense, MaxPool
from ..builder import HALF, Builder
from ..registry import LAYERS
from .activations import clip, piecewise_linear
from .core import dense_map
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


@LAYERS.register(core_operations.Cast, core_operations.SaturateCast, timewise=True)
def cast(operation: Any, b: Builder, x: str) -> str:
    dtype = keras.backend.standardize_dtype(operation.dtype)
    if not keras.backend.is_float_dtype(dtype) or dtype.startswith("float8"):
        raise Unsupported(
            f"dtype={dtype!r} is not supported (only floating point of 16 bits and more is)",
            "use 'float32'",
        )
    if dtype in HALF:
        b.decide("precision", f"Keras rounds to {dtype}, kconvert does not")
    return x


@LAYERS.register(core_operations.ConvertToTensor, timewise=True)
def convert_to_tensor(operation: Any, b: Builder, x: str) -> str:
    return x if operation.dtype is None else cast(operation, b, x)


@LAYERS.register(N.Negative, timewise=True)
def negative(operation: Any, b: Builder, x: str) -> str:
    return b.affine(x, -1.0)


@LAYERS.register(N.Absolute, timewise=True)
def absolute(operation: Any, b: Builder, x: str) -> str:
    return piecewise_linear(b, x, [(1.0, 1.0, 0.0), (1.0, -1.0, 0.0)])


@LAYERS.register(N.Clip, timewise=True)
def ops_clip(operation: Any, b: Builder, x: str) -> str:
    return clip(b, x, _bound(b, x, operation.x_min), _bound(b, x, operation.x_max))


@LAYERS.register(N.Maximum, N.Fmax)
def maximum(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        return largest(b, same_rank(b, left, right))
    x, bound = value_first(left, right)
    return clip(b, x, _bound(b, x, bound), np.inf)


@LAYERS.register(N.Minimum, N.Fmin)
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


@LAYERS.register(N.Cumsum)
def cumsum(operation: Any, b: Builder, x: str) -> str:
    if operation.axis is None:
        raise Unsupported(
            "axis=None includes the batch axis", "name the axis, from 1 on", final=True
        )
    axis = b.axis(operation.axis)
    return b.add(AxisMap(axis, np.tril(np.ones((b.shape(x)[axis],) * 2))), x)


@LAYERS.register(N.Diff)
def diff(operation: Any, b: Builder, x: str) -> str:
    axis = b.axis(operation.axis)
    matrix = np.diff(np.eye(b.shape(x)[axis]), n=operation.n, axis=0)
    if not len(matrix):
        raise Unsupported(f"n={operation.n!r} leaves no value", "take fewer differences")
    return b.add(AxisMap(axis, matrix), x)


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


@LAYERS.register(N.Average)
def average(operation: Any, b: Builder, *xs: str) -> str:
    x, given = [*b.arguments[0], *b.arguments[1].values(), None][:2]
    if not isinstance(x, str):
        raise Unsupported(PRODUCT, "average by constant weights")
    if given is None:
        return _weighted(operation, b, x, lambda n: np.full(n, 1.0 / n))
    weights = _constant(given, PRODUCT, "average by constant weights")
    if weights.ndim != 1:
        raise Unsupported(
            f"weights of the shape {weights.shape} are not supported (only a vector is)",
            "give one weight for each place of the axis",
        )
    if weights.sum() == 0:
        raise Unsupported("its weights sum to 0, and it divides by their sum", "give others")
    return _weighted(operation, b, x, lambda n: weights / weights.sum())


def _weighted(operation: Any, b: Builder, x: str, weights: Callable[[int], np.ndarray]) -> str:
    """The value without an axis, over which it is summed with weights."""
    for axis in _axes(operation, b, x):
        x = b.add(AxisMap(axis, weights(b.shape(x)[axis])[None]), x)
    gone = _axes(operation, b, x)
    return b.reshape(x, tuple(n for i, n in enumerate(b.shape(x)) if i not in gone))


@LAYERS.register(N.Power)
def power(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and not isinstance(right, str) and np.all(right == 1):
        return scaled(b, left, scale=right)
    raise Unsupported(
        "it is a power, which no neuron computes (only x ** 1 is supported)",
        "use a layer with an activation that has neurons, and train again",
    )


@LAYERS.register(N.Matmul, N.Dot, timewise=True)
def matmul(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        raise Unsupported(PRODUCT, "multiply by a constant matrix, with Dense")
    if isinstance(left, str) and right.ndim == 2:
        return b.add(Dense(right), left)
    if isinstance(left, str) and right.ndim == 1:
        return b.reshape(b.add(Dense(right[:, None]), left), b.shape(left)[:-1])
    is_stack = isinstance(operation, N.Matmul) and not b.in_time
    if isinstance(left, str) or left.ndim != 2 or len(b.shape(right)) < 2 or not is_stack:
        raise Unsupported(
            "only a constant matrix or vector on the right is supported; in keras.ops.matmul also "
            "a matrix on the left of a stack of matrices",
            "use Dense",
        )
    return dense_map(b, right, "...ij,ki->...kj", left)


@LAYERS.register(N.Einsum)
def einsum(operation: Any, b: Builder, *xs: str) -> str:
    equation, given = operation.subscripts, b.arguments[0]
    values = [value for value in given if isinstance(value, str)]
    if len(values) > 1:
        raise Unsupported(PRODUCT, "multiply by a constant matrix, with Dense")
    if len(given) != 2 or "->" not in equation:
        raise Unsupported(
            f"subscripts={equation!r} is not supported (only one value and one constant are, with "
            "an output, as in 'bij,jk->bik')",
            "use keras.ops.matmul, keras.ops.transpose and keras.ops.sum",
        )
    sides, result = equation.replace(" ", "").split("->")
    letters = sides.split(",")
    if not isinstance(given[0], str):
        given, letters = given[::-1], letters[::-1]
    kernel = _constant(given[1], PRODUCT, "multiply by a constant")
    return dense_map(b, values[0], f"{letters[0]},{letters[1]}->{result}", kernel)


@LAYERS.register(N.Tensordot)
def tensordot(operation: Any, b: Builder, *xs: str) -> str:
    left, right = operands(b)
    if isinstance(left, str) and isinstance(right, str):
        raise Unsupported(PRODUCT, "multiply by a constant matrix, with Dense")
    if not isinstance(left, str):
        raise Unsupported(
            "the constant is on the left, so that the batch axis is not first in the result",
            "put the constant on the right",
        )
    rank = len(b.shape(left)) + 1
    mine, theirs = "abcdefghij"[:rank], "klmnopqrst"[: right.ndim]
    axes = operation.axes
    if isinstance(axes, int):
        axes = range(rank - axes, rank), range(axes)
    for one, other in zip(*(np.atleast_1d(each).tolist() for each in axes), strict=True):
        theirs = theirs.replace(theirs[other], mine[one])
    result = "".join(letter for letter in mine + theirs if (letter in mine) != (letter in theirs))
    return dense_map(b, left, f"{mine},{theirs}->{result}", right)


def _constant(value: Any, reason: str, fix: str) -> np.ndarray:
    """A constant as an array."""
    if isinstance(value, str):
        raise Unsupported(reason, fix)
    return np.asarray(keras.ops.convert_to_numpy(value), np.float64)


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
        raise Unsupported(
            "axis=None includes the batch axis", "name the axes, from 1 on", final=True
        )
    return sorted({b.axis(int(axis)) for axis in np.atleast_1d(axes)})


def _reduced(operation: Any, b: Builder, x: str) -> str:
    """The value without the axes of size 1 that a reduction leaves behind."""
    if operation.keepdims:
        return x
    gone = _axes(operation, b, x)
    return b.reshape(x, tuple(n for i, n in enumerate(b.shape(x)) if i not in gone))


_NO_RATE = "it is nonlinear, and no neuron computes it"
for _classes, _reason, _fix in (
    (
        (N.Square, N.Sqrt, N.Log, N.Prod, N.Var, N.Std, nn_operations.Moments, N.Reciprocal),
        _NO_RATE,
        "use a layer with an activation that has neurons, and train again",
    ),
    (
        (N.Nansum, N.Nanmean, N.Nanmax, N.Nanmin),
        "it leaves out NaN, which no neuron sends",
        "use the operation without nan in its name, such as keras.ops.sum for keras.ops.nansum",
    ),
    (
        (N.Argmax, N.Argmin, N.Argsort, N.Sort, N.Median, nn_operations.OneHot),
        "it sorts or counts values, which no connection can do",
        "leave it out of the model, and apply it to what predict returns",
    ),
    (
        (N.Greater, N.GreaterEqual, N.Less, N.LessEqual, N.Equal, N.NotEqual, N.Sign, N.Round),
        "it jumps, and no neuron computes it",
        "use keras.ops.clip or keras.ops.hard_sigmoid, and train again",
    ),
    (
        (N.BroadcastTo,),
        "it fixes the number of samples",
        "use keras.ops.repeat along each axis, or add zeros of the shape",
    ),
    ((N.Where,), _NO_RATE, "use keras.ops.maximum, keras.ops.minimum or keras.ops.clip"),
    ((nn_operations.DotProductAttention,), PRODUCT, "use convolutions or dense layers"),
    (
        (nn_operations.LayerNorm, nn_operations.RMSNorm, nn_operations.Normalize),
        "it divides by a statistic of the sample itself, which linear maps and neurons cannot do",
        "use BatchNormalization, whose statistics are fixed at inference, and train again",
    ),
    (
        (nn_operations.ConvTranspose,),
        "it is supported as a layer only",
        "use the layer of the same name, such as Conv2DTranspose",
    ),
):
    LAYERS.refuse(*_classes, reason=_reason, fix=_fix)
