"""Zeros put around the input of a convolution or of max pooling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ir import Graph, Node
from ..ops import AvgPool, Concat, Conv, Gather, MaxPool, Pad, Reshape
from .fixpoint import to_fixpoint

_KEEPS_SIGN = (AvgPool, Concat, Gather, MaxPool, Pad, Reshape)


@to_fixpoint
def merge_padding(graph: Graph) -> Graph:
    """Make zeros around spatial axes a part of what reads them; exact.

    A convolution has such zeros of its own. Max pooling ignores its own padding, which is the same
    as zeros where no value is negative and every window holds a value. Left alone when anything
    else reads the zeros too.
    """
    for node in graph.nodes.values():
        if not isinstance(node.op, Pad) or node.name in graph.outputs:
            continue
        readers = graph.readers(node.name)
        if readers and all(_takes(graph, node, reader) for reader in readers):
            swap = {reader.name: _with_pads(reader, node) for reader in readers}
            return graph.rewrite(swap=swap, bypass={node.name: node.inputs[0]})
    return graph


def _takes(graph: Graph, node: Node, reader: Node) -> bool:
    *spatial, channels = node.op.pads
    if channels != (0, 0) or len(reader.inputs) > 1:
        return False
    if isinstance(reader.op, Conv):
        return True
    if not isinstance(reader.op, MaxPool) or not _is_nonnegative(graph, node.inputs[0]):
        return False
    return all(
        max(pad[0] + own[0], pad[1] + own[1]) < size
        for pad, own, size in zip(spatial, reader.op.pads, reader.op.pool, strict=True)
    )


def _with_pads(reader: Node, node: Node) -> Node:
    op: Any = reader.op
    spatial = node.op.pads[:-1]
    pads = tuple((a + c, b + d) for (a, b), (c, d) in zip(op.pads, spatial, strict=True))
    return replace(reader, op=replace(op, pads=pads), origin=node.origin + reader.origin)


def _is_nonnegative(graph: Graph, name: str) -> bool:
    node = graph.nodes[name]
    if node.is_neuron:
        return bool(node.op.nonnegative)
    return isinstance(node.op, _KEEPS_SIGN) and all(
        _is_nonnegative(graph, source) for source in node.inputs
    )
