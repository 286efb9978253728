"""Batch normalisation, rescaling and products with constants, beside a linear layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..ir import Decision, Graph, Node, Shape, product
from ..ops import Affine, Conv, ConvTranspose, Dense, Gather, Reshape
from .fixpoint import to_fixpoint


@to_fixpoint
def merge_affines(graph: Graph) -> Graph:
    """Make one scale and shift of two; exact up to rounding.

    Left alone when the first one's value is read elsewhere or is an output.
    """
    for node in graph.nodes.values():
        first = graph.nodes[node.inputs[0]] if node.inputs else node
        if not isinstance(node.op, Affine) or not isinstance(first.op, Affine):
            continue
        if not graph.is_private(first.name):
            continue
        op = Affine(first.op.scale * node.op.scale, first.op.shift * node.op.scale + node.op.shift)
        merged = replace(
            node,
            op=op,
            inputs=first.inputs,
            origin=first.origin + node.origin,
            parameters={},
        )
        return graph.rewrite(swap={node.name: merged}, bypass={first.name: first.inputs[0]})
    return graph


@to_fixpoint
def move_affine_before_permutation(graph: Graph) -> Graph:
    """Make ``permutation -> Affine`` an ``Affine -> permutation``, next to the linear layer; exact.

    So models with their channels first are folded like others. Only where a linear layer is in
    front that could take the scale in.
    """
    for node in graph.nodes.values():
        moved = graph.nodes[node.inputs[0]] if node.inputs else node
        if not isinstance(node.op, Affine) or not isinstance(moved.op, Gather):
            continue
        source = graph.nodes[moved.inputs[0]]
        index = moved.op.index.ravel()
        is_permutation = index.size == product(source.shape) and np.array_equal(
            np.sort(index), np.arange(index.size)
        )
        linear = isinstance(source.op, Dense | Conv | ConvTranspose)
        if not (linear and is_permutation and graph.is_private(moved.name)):
            continue
        arrays = []
        for array in (node.op.scale, node.op.shift):
            placed = np.empty(index.size)
            placed[index] = np.broadcast_to(array, node.shape).ravel()
            arrays.append(_narrowed(placed.reshape(source.shape)))
        parameters = node.parameters if arrays[1].shape == source.shape[-1:] else {}
        # No layer of Keras has this value.
        name = f"{node.name}/permuted"
        affine = replace(
            node,
            name=name,
            op=Affine(*arrays),
            inputs=moved.inputs,
            shape=source.shape,
            parameters=parameters,
        )
        permutation = replace(
            moved, name=node.name, inputs=(name,), origin=moved.origin + node.origin
        )
        return graph.rewrite(swap={moved.name: affine, node.name: permutation})
    return graph


@to_fixpoint
def fold_affine_into_linear(graph: Graph) -> Graph:
    """Merge ``Dense or convolution -> Affine`` into one linear op; exact up to rounding.

    The merged node takes the affine's name, since it computes that value. Left alone when the
    linear op's own value is read elsewhere or is an output, and when positions differ.
    """
    for node in graph.nodes.values():
        if not isinstance(node.op, Affine):
            continue
        linear = graph.nodes[node.inputs[0]]
        if not isinstance(linear.op, Dense | Conv | ConvTranspose):
            continue
        scale, shift = (_by_channel(a, node.shape) for a in (node.op.scale, node.op.shift))
        if scale is None or shift is None or not graph.is_private(linear.name):
            continue
        return graph.rewrite(
            swap={node.name: _merged(linear, node, scale, shift)},
            bypass={linear.name: linear.inputs[0]},
            decisions=[_folded(node, linear, node.name)],
        )
    return graph


@to_fixpoint
def fold_affine_into_next(graph: Graph) -> Graph:
    """Merge ``Affine -> Dense or convolution`` into one linear op; exact up to rounding.

    A reshape may be between them and a dense layer. Left alone when the affine's value is read
    elsewhere or is an output, when positions of a convolution's input differ, and when a shift
    would meet the zeros around a convolution's input.
    """
    for node in graph.nodes.values():
        if not isinstance(node.op, Affine) or not graph.is_private(node.name):
            continue
        [reader] = graph.readers(node.name)
        flat = isinstance(reader.op, Reshape) and len(reader.shape) == 1
        if flat and graph.is_private(reader.name):
            [linear] = graph.readers(reader.name)
        else:
            flat, linear = False, reader
        if not isinstance(linear.op, Dense | Conv) or (flat and not isinstance(linear.op, Dense)):
            continue
        scale, shift = (
            np.broadcast_to(array, node.shape).ravel() if flat else _by_channel(array, node.shape)
            for array in (node.op.scale, node.op.shift)
        )
        if scale is None or shift is None:
            continue
        if isinstance(linear.op, Conv) and shift.any() and np.any(linear.op.pads):
            continue
        swap = {linear.name: _merged_into_next(linear, node, scale, shift)}
        if flat:  # no layer of Keras has the reshaped value any more
            name = f"{linear.name}/flat"
            swap[reader.name] = replace(reader, name=name)
            swap[linear.name] = replace(swap[linear.name], inputs=(name,))
        return graph.rewrite(
            swap=swap,
            bypass={node.name: node.inputs[0]},
            decisions=[_folded(node, linear, linear.name)],
        )
    return graph


def _folded(affine: Node, linear: Node, into: str) -> Decision:
    """That the layer of the affine is in the weights of the linear op."""
    text = f"folded into the weights of {linear.origin[0]!r}"
    return Decision("folded", affine.call or affine.name, text, node=into)


def _merged(linear: Node, affine: Node, scale: np.ndarray, shift: np.ndarray) -> Node:
    changed = scaled_and_shifted(linear, scale, shift)
    parameters = dict(changed.parameters)
    # A change of the merged bias is a change of beta, or without one of the linear layer's bias.
    if "shift" in affine.parameters:
        parameters["bias"] = affine.parameters["shift"]
    return replace(
        affine,
        op=changed.op,
        inputs=linear.inputs,
        origin=linear.origin + affine.origin,
        parameters=parameters,
    )


def scaled_and_shifted(linear: Node, scale: np.ndarray, shift: np.ndarray | None = None) -> Node:
    """A dense layer or convolution whose outputs are multiplied and then shifted.

    Args:
        linear: The node.
        scale: Factors, of shape (units,).
        shift: Of the same shape, or None.
    """
    op: Any = linear.op
    bias = None if op.bias is None else op.bias * scale
    if shift is not None:
        bias = shift if bias is None else bias + shift
    by = scale[:, None] if isinstance(op, ConvTranspose) else scale
    parameters = {
        field: parameter.scaled(by if field == "weight" else scale)
        for field, parameter in linear.parameters.items()
    }
    return replace(linear, op=replace(op, weight=op.weight * by, bias=bias), parameters=parameters)


def _merged_into_next(linear: Node, affine: Node, scale: np.ndarray, shift: np.ndarray) -> Node:
    op: Any = linear.op
    channel = input_channels(op)
    by, add = scale[channel], shift[channel]
    moved = (op.weight * add).reshape(-1, op.weight.shape[-1]).sum(axis=0)
    bias = op.bias
    if shift.any():
        bias = moved if bias is None else bias + moved
    parameters = dict(linear.parameters)
    if "weight" in parameters:
        parameters["weight"] = parameters["weight"].scaled(by)
    if shift.any():
        # The bias would have to follow every change of the kernel.
        parameters = {}
    return replace(
        linear,
        op=replace(op, weight=op.weight * by, bias=bias),
        origin=linear.origin + affine.origin,
        parameters=parameters,
    )


def input_channels(op: Dense | Conv) -> np.ndarray:
    """Which input channel each weight reads: broadcasts to the kernel."""
    if isinstance(op, Dense):
        return np.arange(op.weight.shape[0])[:, None]
    # By (channel of the group, filter)
    inputs = op.weight.shape[-2]
    group = np.arange(op.filters) // (op.filters // op.groups)
    return np.asarray(group * inputs + np.arange(inputs)[:, None])


def _by_channel(array: np.ndarray, shape: Shape) -> np.ndarray | None:
    """One value for each index of the last axis, or None where other axes matter."""
    narrow = _narrowed(array)
    if any(length != 1 for length in narrow.shape[:-1]):
        return None
    return np.array(np.broadcast_to(narrow.reshape(narrow.shape[-1:]), shape[-1:]))


def _narrowed(array: np.ndarray) -> np.ndarray:
    """The smallest array that broadcasts to the same along the axes before the last."""
    for axis in range(array.ndim - 1):
        first = array.take([0], axis=axis)
        if array.shape[axis] > 1 and np.array_equal(np.broadcast_to(first, array.shape), array):
            array = first
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    return array
