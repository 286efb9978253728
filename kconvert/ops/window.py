"""Sliding windows over spatial axes: the geometry that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as cartesian

import numpy as np

from ..errors import GraphError
from ..ir import Shape

Pads = tuple[tuple[int, int], ...]
"""Cells added ``(before, after)`` each spatial axis."""


def extent(kernel: int, dilation: int) -> int:
    """How many input positions a dilated kernel spans."""
    return (kernel - 1) * dilation + 1


def pads_of(padding: str, spatial: Shape, kernel: Shape, strides: Shape, dilation: Shape) -> Pads:
    """Keras' "valid", "same" or "causal" in numbers.

    "same" pads as TensorFlow and Keras do: to ``ceil(size / stride)`` outputs, the odd zero after.
    """
    pads = []
    for size, k, stride, rate in zip(spatial, kernel, strides, dilation, strict=True):
        span = extent(k, rate)
        if padding == "same":
            total = max((-(-size // stride) - 1) * stride + span - size, 0)
            pads.append((total // 2, total - total // 2))
        elif padding == "causal":
            pads.append((span - 1, 0))
        elif padding == "valid":
            pads.append((0, 0))
        else:
            raise GraphError(f"padding must be 'same', 'valid' or 'causal', received {padding!r}")
    return tuple(pads)


def window_counts(
    spatial: Shape, kernel: Shape, strides: Shape, dilation: Shape, pads: Pads
) -> Shape:
    """How many windows fit on each spatial axis."""
    counts = []
    for size, k, stride, rate, (before, after) in zip(
        spatial, kernel, strides, dilation, pads, strict=True
    ):
        span = extent(k, rate)
        count = (before + size + after - span) // stride + 1
        if count < 1:
            raise GraphError(f"a window of {span} does not fit into a size of {size}")
        counts.append(count)
    return tuple(counts)


def windows(
    x: np.ndarray,
    kernel: Shape,
    strides: Shape,
    dilation: Shape,
    pads: Pads,
    fill: float = 0.0,
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """For each kernel position, the input value under it at every output position.

    Args:
        x: Shape (n, *spatial, channels).
        kernel: Window size for each spatial axis.
        strides: One for each spatial axis.
        dilation: One for each spatial axis.
        pads: Cells around ``x``.
        fill: Their value.

    Yields:
        Kernel index, and an array of shape (n, *output spatial, channels).
    """
    out = window_counts(x.shape[1:-1], kernel, strides, dilation, pads)
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    for index in cartesian(*(range(k) for k in kernel)):
        slices = tuple(
            slice(i * rate, i * rate + (size - 1) * stride + 1, stride)
            for i, rate, size, stride in zip(index, dilation, out, strides, strict=True)
        )
        yield index, padded[(slice(None), *slices)]
