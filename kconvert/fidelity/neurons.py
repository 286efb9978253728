"""LIF neurons that are to be fitted to other neurons' curve, and those other neurons."""

from __future__ import annotations

from ..ir import Graph
from ..ops import Lif, NeuronOp


def to_be_fitted(graph: Graph) -> dict[str, NeuronOp]:
    """Name of each layer of LIF neurons that replaced others, to the neurons it replaced."""
    return {
        node.name: node.op.trained
        for node in graph.neurons()
        if isinstance(node.op, Lif) and node.op.trained is not None
    }


def as_trained(graph: Graph) -> Graph:
    """The graph with the neurons that the Keras model was trained with."""
    return graph.with_ops(to_be_fitted(graph))


def with_neurons_of(graph: Graph, other: Graph) -> Graph:
    """The graph with the neurons that another graph has in the nodes of the same names."""
    return graph.with_ops({node.name: other.nodes[node.name].op for node in graph.neurons()})
