"""A ReLU that ends at a largest value, such as ReLU6, as one layer of neurons instead of two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..ir import Graph, Node
from ..ops import Affine, Relu, Sum
from .fixpoint import to_fixpoint


@to_fixpoint
def merge_clipped_relu(graph: Graph) -> Graph:
    """Make ``c * relu(x) - c * relu(x - top)`` the neurons ``c * min(relu(x), top)``; exact.

    The sum of two layers is right for any firing rate. One layer has half the neurons, but its
    spikes must end at the ceiling: calibration makes that a whole number of spikes a step. Left
    alone where anything else reads one of the two, or where the ceiling is not one number.
    """
    for node in graph.nodes.values():
        if found := _clipped(graph, node):
            lower, top, upper = found
            op = replace(lower.op, max_rate=top, amplitude=node.op.coefficients[0])
            merged = replace(node, op=op, inputs=lower.inputs, origin=lower.origin)
            gone = {each.name: lower.inputs[0] for each in (lower, upper)}
            return _without_readerless(graph.rewrite(swap={node.name: merged}, bypass=gone))
    return graph


def _clipped(graph: Graph, node: Node) -> tuple[Node, float, Node] | None:
    """The lower and the upper of the two layers of a sum, and the ceiling between them."""
    if not isinstance(node.op, Sum) or len(node.inputs) != 2:
        return None
    first, second = node.op.coefficients
    lower, upper = (graph.nodes[name] for name in node.inputs)
    neurons = all(_is_plain(graph, each) for each in (lower, upper))
    if not neurons or first != -second or first <= 0:
        return None
    source, scale, shift = _affine(graph, lower)
    other, other_scale, other_shift = _affine(graph, upper)
    tops = np.unique(np.asarray(shift - other_shift))
    same = source == other and np.array_equal(scale, other_scale)
    return (lower, float(tops[0]), upper) if same and tops.size == 1 and tops[0] > 0 else None


def _is_plain(graph: Graph, node: Node) -> bool:
    """Whether these are ReLU neurons as the reader makes them, which nothing else reads."""
    op = node.op
    return (
        isinstance(op, Relu)
        and op.gain == op.amplitude == 1
        and op.max_rate == np.inf
        and op.synapse is None
        and graph.is_private(node.name)
    )


def _affine(graph: Graph, node: Node) -> tuple[str, Any, Any]:
    """Of what neurons read: the value that is scaled and shifted, the scale and the shift."""
    read = graph.nodes[node.inputs[0]]
    if isinstance(read.op, Affine):
        return read.inputs[0], read.op.scale, read.op.shift
    return read.name, np.ones(()), np.zeros(())


def _without_readerless(graph: Graph) -> Graph:
    """Without affine nodes that nothing reads any more."""
    unread = {
        node.name: node.inputs[0]
        for node in graph.nodes.values()
        if isinstance(node.op, Affine)
        and not graph.readers(node.name)
        and node.name not in graph.outputs
    }
    return graph.rewrite(bypass=unread)
