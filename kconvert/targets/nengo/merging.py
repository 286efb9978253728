"""Which linear ops become a connection, and no object of their own. Needs no Nengo."""

from __future__ import annotations

from ...ir import Graph, Node
from ...ops import Affine, Concat, Conv, ConvTranspose, Dense, Sum

Linear = Dense | Conv | ConvTranspose | Affine | Sum


def is_merged(graph: Graph, node: Node) -> bool:
    """Whether the node is a linear op that is a connection into what reads it, and no object."""
    if not isinstance(node.op, Linear) or not graph.is_private(node.name):
        return False
    [reader] = graph.readers(node.name)
    if isinstance(reader.op, Sum):
        return reader.op.coefficients[reader.inputs.index(node.name)] == 1
    if isinstance(reader.op, Concat):
        return not isinstance(node.op, Sum)
    return reader.is_neuron
