"""Linear ops as Nengo transforms: none of them stores zeros of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as cartesian
from typing import Any

import nengo
import numpy as np
from nengo.transforms import Transform

from ...ir import Shape, product
from ...ops import Affine, AvgPool, AxisMap, Conv, ConvTranspose, Dense, entries
from ...ops.window import Pads, extent

MAX_SEARCH = 64
"""How many zeros beside a kernel are tried before its input is padded instead."""


@dataclass(frozen=True, slots=True)
class Link:
    """One connection of a linear op that takes several.

    Args:
        transform: From the source's values to the target's.
        source: Which of the flat values it reads; None for all.
        target: Which of the flat values it adds to; None for all.
    """

    transform: Any
    source: slice | None = None
    target: slice | None = None


def links(op: Any, shape: Shape) -> list[Link] | None:
    """The connections of a linear op with weights that reads a value of this shape.

    Returns:
        None where the op's zeros around its input have no transform: :func:`padded` says which
        must be put there first.
    """
    if isinstance(op, Dense):
        return [Link(_dense(op, shape))]
    if isinstance(op, Affine):
        scale = np.broadcast_to(op.scale, shape)
        uniform = bool(np.all(scale == scale.flat[0]))
        return [Link(float(scale.flat[0]) if uniform else scale.ravel())]
    if isinstance(op, ConvTranspose):
        return [Link(_convolution_transpose(op, shape))] if len(shape) < 4 else _planes(op, shape)
    if len(shape) > 3:
        return _planes(op, shape)
    transform = _convolution(op, shape)
    return None if transform is None else [Link(transform)]


def padded(op: Conv) -> tuple[Pads, Conv]:
    """The zeros to put around the input, and the convolution that then needs none."""
    none = ((0, 0),) * len(op.pads)
    return op.pads, Conv(op.weight, op.bias, op.strides, op.dilation, none, op.groups)


def is_plain(op: Any, found: list[Link]) -> bool:
    """Whether an op's links are one connection that holds its own weights, without more zeros."""
    if len(found) != 1:
        return False
    return isinstance(op, Dense) or tuple(found[0].transform.kernel_size) == op.kernel


def weight_of(op: Any, weights: np.ndarray) -> np.ndarray:
    """The op's ``weight`` from its transform's weights: the inverse of :func:`links`."""
    if isinstance(op, ConvTranspose):
        return weights.swapaxes(-1, -2)
    if isinstance(op, Conv):
        return weights
    return weights.T if weights.ndim == 2 else weights[0]


def per_channel(values: np.ndarray, positions: int) -> Transform:
    """From ``positions`` ones to ``values`` at every position."""
    if positions == 1:
        return nengo.Dense((len(values), 1), init=values[:, None])
    return nengo.Convolution(
        len(values), (positions, 1), kernel_size=(1,), strides=(1,), init=values[None, None]
    )


def average(op: AvgPool, shape: Shape) -> list[Transform]:
    """Pooling as transforms to be applied one after the other.

    Windows that tile an axis are averaged by a convolution of one channel along that axis, with
    everything behind the axis as the columns of the image: ten times faster in TensorFlow than a
    sparse matrix. Other windows take the sparse matrix.
    """
    if not _windows_tile(op, shape):
        return [_sparse(entries.average(op, shape))]
    transforms: list[Transform] = []
    current = list(shape)
    for axis, (pool, stride) in enumerate(zip(op.pool, op.strides, strict=True)):
        image = (product(current[: axis + 1]), product(current[axis + 1 :]), 1)
        kernel = np.full((pool, 1, 1, 1), 1.0 / pool)
        transforms.append(
            nengo.Convolution(
                1, image, kernel_size=(pool, 1), strides=(stride, 1), padding="valid", init=kernel
            )
        )
        current[axis] = op.out_shape(shape)[axis]
    return transforms


def along_axis(op: AxisMap, shape: Shape) -> Transform:
    """A matrix along one axis, as a sparse matrix of its entries that are not zero."""
    return _sparse(entries.along_axis(op, shape))


def _dense(op: Dense, shape: Shape) -> Transform:
    inputs, units = op.weight.shape
    if len(shape) == 1:
        return nengo.Dense((units, inputs), init=op.weight.T)
    positions = product(shape) // inputs
    return nengo.Convolution(
        units, (positions, inputs), kernel_size=(1,), strides=(1,), init=op.weight[None]
    )


def _convolution(op: Conv, shape: Shape) -> Transform | None:
    kernel = _dilated(op.weight, op.kernel, op.dilation)
    padding = "valid"
    if np.any(op.pads):
        # Nengo knows no padding in numbers: "same" gives the wanted number on the left once enough
        # zeros stand beside the kernel.
        padding = "same"
        zeros = []
        out = op.out_shape(shape)
        for size, n, k, stride, (before, _) in zip(
            shape, out, kernel.shape, op.strides, op.pads, strict=False
        ):
            found = _zeros_beside(size, n, k, stride, before)
            if found is None:
                return None
            zeros.append(found)
        kernel = np.pad(kernel, (*zeros, (0, 0), (0, 0)))
    return nengo.Convolution(
        op.filters,
        shape,
        kernel_size=kernel.shape[:-2],
        strides=op.strides,
        padding=padding,
        groups=op.groups,
        init=kernel,
    )


def _convolution_transpose(op: ConvTranspose, shape: Shape) -> Transform:
    kernel = _dilated(op.weight, op.kernel, op.dilation).swapaxes(-1, -2)
    padding = "valid"
    if any(op.crop) or any(
        out < full for out, full in zip(op.spatial, op.full(shape), strict=True)
    ):
        padding = "same"
        zeros = []
        for size, n, k, stride, crop in zip(
            op.spatial, shape, kernel.shape, op.strides, op.crop, strict=False
        ):
            found = _zeros_beside(size, n, k, stride, crop)
            if found is None:
                raise NotImplementedError(f"{op.crop} of {op.full(shape)} to {op.spatial}")
            zeros.append(found)
        kernel = np.pad(kernel, (*zeros, (0, 0), (0, 0)))
    return nengo.ConvolutionTranspose(
        op.filters,
        shape,
        output_shape=(*op.spatial, op.filters),
        kernel_size=kernel.shape[:-2],
        strides=op.strides,
        padding=padding,
        init=kernel,
    )


def _zeros_beside(
    size: int, out: int, span: int, stride: int, before: int
) -> tuple[int, int] | None:
    """Zeros ``(before, after)`` a kernel so that "same" starts it ``before`` cells early."""
    if -(-size // stride) != out:
        return None
    for extra in range(MAX_SEARCH):
        for left in range(extra + 1):
            total = max((out - 1) * stride + span + extra - size, 0)
            if total // 2 == before + left:
                return left, extra - left
    return None


def _planes(op: Any, shape: Shape) -> list[Link] | None:
    """A convolution over three axes as one over two for every plane and every kernel plane.

    Nengo's own simulator has none over three.
    """
    plane_op: Any
    out = op.out_shape(shape)
    size_in, size_out = product(shape[1:]), product(out[1:])
    found = []
    for k, (i, o) in cartesian(range(op.kernel[0]), cartesian(range(shape[0]), range(out[0]))):
        offset = k * op.dilation[0]
        if isinstance(op, ConvTranspose):
            meets = i * op.strides[0] + offset - op.crop[0] == o
            plane_op = ConvTranspose(
                op.weight[k], None, op.strides[1:], op.dilation[1:], op.crop[1:], op.spatial[1:]
            )
        else:
            meets = o * op.strides[0] + offset - op.pads[0][0] == i
            plane_op = Conv(
                op.weight[k], None, op.strides[1:], op.dilation[1:], op.pads[1:], op.groups
            )
        if not meets:
            continue
        inside = links(plane_op, shape[1:])
        if inside is None:
            return None
        found.append(
            Link(
                inside[0].transform,
                slice(i * size_in, (i + 1) * size_in),
                slice(o * size_out, (o + 1) * size_out),
            )
        )
    return found


def _windows_tile(op: AvgPool, shape: Shape) -> bool:
    """Whether windows neither overlap nor reach from the end of one row into the next."""
    return not np.any(op.pads) and all(
        pool <= stride and size % stride == 0
        for size, pool, stride in zip(shape, op.pool, op.strides, strict=False)
    )


def _sparse(found: entries.Entries) -> Transform:
    order = np.lexsort((found.column, found.row))
    indices = np.stack([found.row[order], found.column[order]], axis=1)
    return nengo.Sparse(found.shape, indices=indices, init=found.weight[order])


def _dilated(weight: np.ndarray, kernel: Shape, dilation: Shape) -> np.ndarray:
    """The kernel with the zeros of its dilation written out, which Nengo does not have."""
    if all(rate == 1 for rate in dilation):
        return weight
    size = tuple(extent(k, rate) for k, rate in zip(kernel, dilation, strict=True))
    spread = np.zeros((*size, *weight.shape[-2:]))
    spread[tuple(slice(None, None, rate) for rate in dilation)] = weight
    return spread
