"""Sliding windows over spatial axes: the geometry that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as cartesian

import numpy as np

from ..errors import GraphError
from ..ir import Shape


def extent(kernel: int, dilation: int) -> int:
    """How many input positions a dilated kernel spans."""
    return (kernel - 1) * dilation + 1


def window_geometry(
    spatial: Shape, kernel: Shape, strides: Shape, dilation: Shape, padding: str
) -> tuple[Shape, tuple[tuple[int, int], ...]]:
    """Output size, and zeros ``(before, after)``, for each spatial axis.

    "same" pads as TensorFlow and Keras do: to ``ceil(size / stride)`` outputs, the odd zero after.
    """
    sizes, pads = [], []
    for size, k, stride, rate in zip(spatial, kernel, strides, dilation, strict=True):
        span = extent(k, rate)
        if padding == "same":
            out = -(-size // stride)
            total = max((out - 1) * stride + span - size, 0)
            pad = (total // 2, total - total // 2)
        elif padding == "valid":
            out, pad = (size - span) // stride + 1, (0, 0)
        else:
            raise GraphError(f"padding must be 'same' or 'valid', received {padding!r}")
        if out < 1:
            raise GraphError(f"a window of {span} does not fit into a size of {size}")
        sizes.append(out)
        pads.append(pad)
    return tuple(sizes), tuple(pads)


def windows(
    x: np.ndarray, kernel: Shape, strides: Shape, dilation: Shape, padding: str
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """For each kernel position, the input value under it at every output position.

    Args:
        x: Shape (n, *spatial, channels).

    Yields:
        Kernel index, and an array of shape (n, *output spatial, channels).
    """
    out, pads = window_geometry(x.shape[1:-1], kernel, strides, dilation, padding)
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    for index in cartesian(*(range(k) for k in kernel)):
        slices = tuple(
            slice(i * rate, i * rate + (size - 1) * stride + 1, stride)
            for i, rate, size, stride in zip(index, dilation, out, strides, strict=True)
        )
        yield index, padded[(slice(None), *slices)]
