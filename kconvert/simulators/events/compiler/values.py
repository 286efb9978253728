"""Values as sums of sparse maps of what spikes: all between two layers that has no weights.

Reshaping, padding, picking, averaging, scaling, concatenating and adding are linear with few
entries for each value. They are never computed one after the other: a chain of them is one sparse
matrix, through which spikes are pushed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from ....ir import Node, Shape, product
from ....ops import Affine, AvgPool, AxisMap, Concat, Gather, Pad, Reshape, Sum
from ....ops.entries import Entries, along_axis, average

Map = Any
"""A ``scipy.sparse.csc_array`` of shape (values, values of the base), or None for the identity."""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A value as a sum of bases, each through a map, and a constant.

    Args:
        terms: Base to map. A base is the name of a node whose value is made elsewhere.
        constant: The value where all bases are zero, of the node's shape, or None for zero.
    """

    terms: dict[str, Map]
    constant: np.ndarray | None = None


def rearranged(op: Any, node: Node, inputs: list[Value], shapes: list[Shape]) -> Value | None:
    """The value of an op without weights.

    Returns:
        None where the op is none of them.
    """
    if isinstance(op, Reshape):
        [value] = inputs
        constant = None if value.constant is None else value.constant.reshape(op.shape)
        return Value(value.terms, constant)
    make = MAPS.get(type(op))
    if make is None:
        return None
    terms: dict[str, Map] = {}
    for value, of_input in zip(inputs, make(op, node, shapes), strict=True):
        for base, before in value.terms.items():
            through = _chain(of_input, before)
            if base in terms:
                through = _as_map(through, product(node.shape)) + _as_map(
                    terms[base], product(node.shape)
                )
            terms[base] = through
    return Value(terms, constant_of(op, node, inputs, shapes))


def constant_of(op: Any, node: Node, inputs: list[Value], shapes: list[Shape]) -> np.ndarray | None:
    """What a linear op makes of its inputs' constants."""
    if all(value.constant is None for value in inputs):
        bias = op.shift if isinstance(op, Affine) else getattr(op, "bias", None)
        if bias is None or not np.any(bias):
            return None
        return np.broadcast_to(bias, node.shape)
    constants = [
        np.zeros(shape) if value.constant is None else value.constant
        for value, shape in zip(inputs, shapes, strict=True)
    ]
    return np.asarray(op.evaluate(*(constant[None] for constant in constants))[0])


def single_targets(matrix: Map) -> np.ndarray | None:
    """Where each entry of the base goes if it goes to one place at most, by one factor for all.

    Returns:
        The place, or -1; None where there is no such table.
    """
    counts = np.diff(matrix.indptr)
    if counts.max(initial=0) > 1 or not matrix.nnz or np.ptp(matrix.data) != 0:
        return None
    targets = np.full(matrix.shape[1], -1, dtype=np.int32)
    targets[counts == 1] = matrix.indices
    return targets


def in_runs(table: np.ndarray, step: int) -> tuple[np.ndarray, int]:
    """A table by the longest runs in which each entry is the one before plus ``step``.

    Small tables keep the cache free for weights.

    Returns:
        The first entry of each run, and the length of all runs.
    """
    ends = np.diff(table) != step
    if step:  # -1 is no place, and 0 does not come after it
        ends |= table[:-1] < 0
    breaks = np.flatnonzero(ends) + 1
    length = int(np.gcd.reduce(np.append(breaks, table.size)))
    return table[::length], length


def _from_entries(found: Entries) -> Map:
    return sparse.csc_array((found.weight, (found.row, found.column)), shape=found.shape)


def _picked(index: np.ndarray, n_in: int) -> Map:
    index = index.ravel()
    rows = np.flatnonzero(index >= 0)
    return _from_entries(Entries(rows, index[rows], np.ones(rows.size), (index.size, n_in)))


def _pad(op: Pad, node: Node, shapes: list[Shape]) -> list[Map]:
    places = np.arange(product(shapes[0])).reshape(shapes[0])
    return [_picked(np.pad(places, op.pads, constant_values=-1), places.size)]


def _affine(op: Affine, node: Node, shapes: list[Shape]) -> list[Map]:
    scale = np.broadcast_to(op.scale, node.shape).ravel()
    return [sparse.dia_array((scale[None], [0]), shape=(scale.size, scale.size)).tocsc()]


def _concat(op: Concat, node: Node, shapes: list[Shape]) -> list[Map]:
    bounds = np.cumsum([0, *(shape[op.axis] for shape in shapes)])
    places = np.arange(product(node.shape)).reshape(node.shape)
    maps = []
    for first, last in pairwise(bounds):
        rows = places.take(np.arange(first, last), axis=op.axis).ravel()
        maps.append(
            _from_entries(
                Entries(rows, np.arange(rows.size), np.ones(rows.size), (places.size, rows.size))
            )
        )
    return maps


def _sum(op: Sum, node: Node, shapes: list[Shape]) -> list[Map]:
    size = product(node.shape)
    return [
        None if coefficient == 1 else coefficient * _as_map(None, size)
        for coefficient in op.coefficients
    ]


MAPS: dict[type, Callable[[Any, Node, list[Shape]], list[Map]]] = {
    Gather: lambda op, node, shapes: [_picked(op.index, product(shapes[0]))],
    Pad: _pad,
    Affine: _affine,
    AvgPool: lambda op, node, shapes: [_from_entries(average(op, shapes[0]))],
    AxisMap: lambda op, node, shapes: [_from_entries(along_axis(op, shapes[0]))],
    Concat: _concat,
    Sum: _sum,
}
"""From an op, its node and the shapes of its inputs to a map for each input."""


def _as_map(matrix: Map, size: int) -> Map:
    return sparse.eye_array(size, format="csc") if matrix is None else matrix


def _chain(after: Map, before: Map) -> Map:
    if after is None or before is None:
        return before if after is None else after
    return (after @ before).tocsc()
