"""Ops that only average or mix along an axis, as the entries of a sparse matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..ir import Shape, product
from .linear import AxisMap
from .pool import AvgPool
from .window import windows


class Entries(NamedTuple):
    """The entries of a matrix (values afterwards, values before) that are not zero.

    Args:
        row: Of each entry.
        column: Of each entry.
        weight: Of each entry.
        shape: Of the matrix.
    """

    row: np.ndarray
    column: np.ndarray
    weight: np.ndarray
    shape: tuple[int, int]


def average(op: AvgPool, shape: Shape) -> Entries:
    """Average pooling: windows cut by padding have weights of their own."""
    source = np.arange(1, product(shape) + 1, dtype=np.float64).reshape(1, *shape)
    target = np.arange(product(op.out_shape(shape)))
    rows, columns = [], []
    for _, value in windows(source, op.pool, op.strides, op.ones, op.pads):
        column = value.astype(np.int64).ravel() - 1  # -1: a padded cell
        inside = column >= 0
        rows.append(target[inside])
        columns.append(column[inside])
    row, column = np.concatenate(rows), np.concatenate(columns)
    return Entries(row, column, 1.0 / np.bincount(row)[row], (target.size, product(shape)))


def along_axis(op: AxisMap, shape: Shape) -> Entries:
    """A matrix along one axis."""
    before, after = product(shape[: op.axis]), product(shape[op.axis + 1 :])
    rows, columns = np.nonzero(op.matrix)
    outs, ins = op.matrix.shape
    block = np.arange(before)[:, None, None]
    inner = np.arange(after)
    row = ((block * outs + rows[:, None]) * after + inner).ravel()
    column = ((block * ins + columns[:, None]) * after + inner).ravel()
    weights = np.broadcast_to(op.matrix[rows, columns][:, None], (before, len(rows), after))
    return Entries(row, column, weights.ravel(), (before * outs * after, product(shape)))
