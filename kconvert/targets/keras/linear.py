"""What ops without neurons compute, in ``keras.ops``, batch axis first, on any backend of Keras.

Each function takes the op, its arrays that are trained (tensors by field name, in place of the op's
own), and the values that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from keras import ops

from ...ops import (
    Affine,
    AvgPool,
    AxisMap,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Gather,
    MaxPool,
    Pad,
    Reshape,
    Softmax,
    Sum,
)

LOWEST = float(np.finfo(np.float32).min)
Arrays = Mapping[str, Any]


@singledispatch
def compute(op: Any, arrays: Arrays, *xs: Any) -> Any:
    """The value of an op.

    Raises:
        NotImplementedError: There is no function for it.
    """
    raise NotImplementedError(type(op).__name__)


def is_computed(op: Any) -> bool:
    """Whether :func:`compute` has a function for an op."""
    return compute.dispatch(type(op)) is not compute.dispatch(object)


def _array(op: Any, arrays: Arrays, field: str) -> Any:
    """One of an op's arrays, trained or not; None where it has none."""
    value = arrays.get(field, getattr(op, field))
    return value.astype(np.float32) if isinstance(value, np.ndarray) else value


def _biased(op: Any, arrays: Arrays, y: Any) -> Any:
    bias = _array(op, arrays, "bias")
    return y if bias is None else y + bias


@compute.register
def _dense(op: Dense, arrays: Arrays, x: Any) -> Any:
    return _biased(op, arrays, ops.matmul(x, _array(op, arrays, "weight")))


@compute.register
def _conv(op: Conv, arrays: Arrays, x: Any) -> Any:
    kernel = _array(op, arrays, "weight")
    if any(map(any, op.pads)):
        x = ops.pad(x, ((0, 0), *op.pads, (0, 0)))
    settings = {
        "strides": op.strides,
        "padding": "valid",
        "dilation_rate": op.dilation,
        "data_format": "channels_last",
    }
    inputs = op.weight.shape[-2]
    if op.groups == 1:
        y = ops.conv(x, kernel, **settings)
    elif inputs == 1 and len(op.kernel) <= 2 and len(set(op.strides)) == 1:
        kernel = ops.reshape(kernel, (*op.kernel, op.groups, op.filters // op.groups))
        y = ops.depthwise_conv(x, kernel, **settings)
    else:  # TensorFlow has no groups on a CPU
        filters = op.filters // op.groups
        y = ops.concatenate(
            [
                ops.conv(
                    x[..., group * inputs : (group + 1) * inputs],
                    kernel[..., group * filters : (group + 1) * filters],
                    **settings,
                )
                for group in range(op.groups)
            ],
            axis=-1,
        )
    return _biased(op, arrays, y)


@compute.register
def _conv_transpose(op: ConvTranspose, arrays: Arrays, x: Any) -> Any:
    y = ops.conv_transpose(
        x,
        _array(op, arrays, "weight"),
        strides=op.strides,
        padding="valid",
        dilation_rate=op.dilation,
        data_format="channels_last",
    )
    ends = [crop + size for crop, size in zip(op.crop, op.spatial, strict=True)]
    # Where the stride is larger than the kernel, zeros are missing at the end.
    missing = [(0, max(end - size, 0)) for end, size in zip(ends, y.shape[1:-1], strict=True)]
    if any(map(any, missing)):
        y = ops.pad(y, ((0, 0), *missing, (0, 0)))
    kept = tuple(slice(crop, end) for crop, end in zip(op.crop, ends, strict=True))
    return _biased(op, arrays, y[(slice(None), *kept)])


@compute.register
def _affine(op: Affine, arrays: Arrays, x: Any) -> Any:
    return x * _array(op, arrays, "scale") + _array(op, arrays, "shift")


@compute.register
def _axis_map(op: AxisMap, arrays: Arrays, x: Any) -> Any:
    axis = op.axis + 1
    y = ops.tensordot(x, op.matrix.T.astype(np.float32), axes=[[axis], [0]])
    return ops.moveaxis(y, -1, axis)


@compute.register
def _sum(op: Sum, arrays: Arrays, *xs: Any) -> Any:
    terms = [x if c == 1 else c * x for c, x in zip(op.coefficients, xs, strict=True)]
    y = terms[0]
    for term in terms[1:]:
        y = y + term
    return y


@compute.register
def _concat(op: Concat, arrays: Arrays, *xs: Any) -> Any:
    return ops.concatenate(xs, axis=op.axis + 1)


@compute.register
def _reshape(op: Reshape, arrays: Arrays, x: Any) -> Any:
    return ops.reshape(x, (-1, *op.shape))


@compute.register
def _pad(op: Pad, arrays: Arrays, x: Any) -> Any:
    return ops.pad(x, ((0, 0), *op.pads))


@compute.register
def _gather(op: Gather, arrays: Arrays, x: Any) -> Any:
    flat = ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))
    y = ops.take(flat, np.maximum(op.index, 0).ravel().astype(np.int32), axis=1)
    y = ops.reshape(y, (-1, *op.index.shape))
    return y * (op.index >= 0).astype(np.float32) if (op.index < 0).any() else y


@compute.register
def _average(op: AvgPool, arrays: Arrays, x: Any) -> Any:
    def total(values: Any) -> Any:
        padded = ops.pad(values, ((0, 0), *op.pads, (0, 0)))
        return ops.average_pool(padded, op.pool, op.strides, "valid", data_format="channels_last")

    if not any(map(any, op.pads)):
        return ops.average_pool(x, op.pool, op.strides, "valid", data_format="channels_last")
    return total(x) / total(np.ones((1, *x.shape[1:]), np.float32))


@compute.register
def _maximum(op: MaxPool, arrays: Arrays, x: Any) -> Any:
    if any(map(any, op.pads)):
        x = ops.pad(x, ((0, 0), *op.pads, (0, 0)), constant_values=LOWEST)
    return ops.max_pool(x, op.pool, op.strides, "valid", data_format="channels_last")


@compute.register
def _softmax(op: Softmax, arrays: Arrays, x: Any) -> Any:
    function: Callable[..., Any] = ops.log_softmax if op.log else ops.softmax
    return function(x, axis=op.axis + 1)
