"""Linear ops as Nengo transforms: none of them stores zeros of a matrix."""

from __future__ import annotations

import nengo
import numpy as np
from nengo.transforms import Transform

from ..ir import Shape, product
from ..ops import AvgPool, Conv, Dense
from ..ops.window import extent, windows


def transform_of(op: object, shape: Shape) -> Transform:
    """The transform of a linear op with weights that reads a value of this shape."""
    if isinstance(op, Conv):
        kernel = _dilated(op)
        return nengo.Convolution(
            op.filters,
            shape,
            kernel_size=kernel.shape[:-2],
            strides=op.strides,
            padding=op.padding,
            groups=op.groups,
            init=kernel,
        )
    if isinstance(op, Dense):
        inputs, units = op.weight.shape
        if len(shape) == 1:
            return nengo.Dense((units, inputs), init=op.weight.T)
        positions = product(shape) // inputs
        return nengo.Convolution(
            units, (positions, inputs), kernel_size=(1,), strides=(1,), init=op.weight[None]
        )
    raise NotImplementedError(type(op).__name__)


def weight_of(op: object, weights: np.ndarray) -> np.ndarray:
    """The op's ``weight`` from its transform's weights: the inverse of :func:`transform_of`."""
    if isinstance(op, Conv):
        return weights
    if isinstance(op, Dense):
        return weights.T if weights.ndim == 2 else weights[0]
    raise NotImplementedError(type(op).__name__)


def per_channel(values: np.ndarray, positions: int) -> Transform:
    """From ``positions`` ones to ``values`` at every position."""
    if positions == 1:
        return nengo.Dense((len(values), 1), init=values[:, None])
    return nengo.Convolution(
        len(values), (positions, 1), kernel_size=(1,), strides=(1,), init=values[None, None]
    )


def diagonal(values: np.ndarray) -> Transform:
    """Elementwise product with ``values``, of the shape of what is multiplied."""
    index = np.arange(values.size)
    return nengo.Sparse((values.size,) * 2, indices=np.stack([index] * 2, 1), init=values.ravel())


def average(op: AvgPool, shape: Shape) -> list[Transform]:
    """Pooling as transforms to be applied one after the other.

    Windows that tile an axis are averaged by a convolution of one channel along that axis, with
    everything behind the axis as the columns of the image: ten times faster in TensorFlow than a
    sparse matrix. Other windows take the sparse matrix.
    """
    if not _windows_tile(op, shape):
        return [_sparse_average(op, shape)]
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


def _windows_tile(op: AvgPool, shape: Shape) -> bool:
    """Whether windows neither overlap nor reach from the end of one row into the next."""
    return all(
        pool <= stride and size % stride == 0
        for size, pool, stride in zip(shape, op.pool, op.strides, strict=False)
    )


def _sparse_average(op: AvgPool, shape: Shape) -> Transform:
    """Pooling as a sparse matrix: windows cut by padding have weights of their own."""
    ones = (1,) * len(op.pool)
    source = np.arange(1, product(shape) + 1, dtype=np.float64).reshape(1, *shape)
    target = np.arange(product(op.out_shape(shape)))
    rows, columns = [], []
    for _, value in windows(source, op.pool, op.strides, ones, op.padding):
        column = value.astype(np.int64).ravel() - 1  # -1: a padded cell
        inside = column >= 0
        rows.append(target[inside])
        columns.append(column[inside])
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((column, row))
    row, column = row[order], column[order]
    weights = 1.0 / np.bincount(row)[row]
    return nengo.Sparse(
        (target.size, product(shape)), indices=np.stack([row, column], 1), init=weights
    )


def _dilated(op: Conv) -> np.ndarray:
    """The kernel with the zeros of its dilation written out, which Nengo does not have."""
    if all(rate == 1 for rate in op.dilation):
        return op.weight
    size = tuple(extent(k, rate) for k, rate in zip(op.kernel, op.dilation, strict=True))
    kernel = np.zeros((*size, *op.weight.shape[-2:]))
    kernel[tuple(slice(None, None, rate) for rate in op.dilation)] = op.weight
    return kernel
