"""Reshapes, permutations, crops and the like, one behind the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Graph, Node, Shape, product
from ..ops import Gather, Pad, Reshape
from .fixpoint import to_fixpoint


@to_fixpoint
def merge_rearrangements(graph: Graph) -> Graph:
    """Make one op of two rearrangements, and none of one that changes nothing; exact.

    The merged node takes the second one's name, since it computes that value. Left alone when the
    first one's value is read elsewhere or is an output, and where the second is a Pad, which a
    convolution may take in.
    """
    for node in graph.nodes.values():
        if not isinstance(node.op, Reshape | Gather | Pad):
            continue
        source = graph.nodes[node.inputs[0]]
        if isinstance(node.op, Gather) and np.array_equal(
            node.op.index.ravel(), np.arange(product(source.shape))
        ):
            return graph.rewrite(swap={node.name: replace(node, op=Reshape(node.shape))})
        changes_nothing = node.shape == source.shape and not isinstance(node.op, Gather)
        if changes_nothing and not (node.name in graph.outputs and source.name in graph.outputs):
            return graph.rewrite(bypass={node.name: source.name})
        if not isinstance(source.op, Reshape | Gather | Pad) or not graph.is_private(source.name):
            continue
        if merged := _merged(source, node, graph.nodes[source.inputs[0]].shape):
            return graph.rewrite(swap={node.name: merged}, bypass={source.name: source.inputs[0]})
    return graph


def _merged(first: Node, second: Node, shape: Shape) -> Node | None:
    op: Reshape | Gather | Pad
    if isinstance(first.op, Pad) and isinstance(second.op, Pad):
        both = zip(first.op.pads, second.op.pads, strict=True)
        op = Pad(tuple((a + c, b + d) for (a, b), (c, d) in both))
    elif isinstance(second.op, Pad):
        return None
    elif isinstance(first.op, Reshape) and isinstance(second.op, Reshape):
        op = second.op
    else:
        inner = np.append(_index(first, shape).ravel(), -1)  # the last entry is for zeros
        op = Gather(inner[_index(second, first.shape)])
    return replace(second, op=op, inputs=first.inputs, origin=first.origin + second.origin)


def _index(node: Node, shape: Shape) -> np.ndarray:
    """For each value of a rearrangement its place in what it reads, or -1."""
    places = np.arange(product(shape)).reshape(shape)
    if isinstance(node.op, Gather):
        return node.op.index
    if isinstance(node.op, Pad):
        return np.pad(places, node.op.pads, constant_values=-1)
    return places.reshape(node.shape)
