"""The neurons of a graph: which, how many, how deep, and those whose place they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir import Graph, Node, Op, product
from ..ops import Lif, NeuronOp


def as_trained(graph: Graph) -> Graph:
    """With the neurons whose place LIF neurons took that are to learn their curve."""
    return with_ops(graph, learners_of(graph))


def with_neurons(graph: Graph, other: Graph) -> Graph:
    """With the neurons that the nodes of the same names have in another graph."""
    return with_ops(graph, {node.name: other.nodes[node.name].op for node in neurons(graph)})


def learners_of(graph: Graph) -> dict[str, NeuronOp]:
    """LIF neurons that are to learn a curve, and what has it."""
    return {
        name: node.op.trained
        for name, node in graph.nodes.items()
        if isinstance(node.op, Lif) and node.op.trained is not None
    }


def with_ops(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """With other neurons in some nodes."""
    return graph.rewrite(swap={name: replace(graph.nodes[name], op=op) for name, op in ops.items()})


def neurons(graph: Graph) -> list[Node]:
    """The layers of neurons, in order."""
    return [node for node in graph.nodes.values() if isinstance(node.op, NeuronOp)]


def n_neurons(graph: Graph) -> int:
    """How many neurons there are."""
    return sum(product(node.shape) for node in neurons(graph))


def depths(graph: Graph) -> dict[str, int]:
    """For each node the most layers of neurons that stand one behind the other up to it."""
    found: dict[str, int] = {}
    for name, node in graph.nodes.items():
        before = max((found[source] for source in node.inputs), default=0)
        found[name] = before + isinstance(node.op, NeuronOp)
    return found


def depth(graph: Graph) -> int:
    """The most on the way to an output."""
    found = depths(graph)
    return max((found[name] for name in graph.outputs), default=0)
