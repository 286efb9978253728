"""How many values a spike changes: synaptic operations, counted on the network as it stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import Graph, product
from ...ops import Conv, ConvTranspose, Dense, MaxPool, NeuronOp
from .geometry import geometry
from .pushes import Bases
from .values import Value


def count_connections(graph: Graph, bases: Bases) -> dict[str, np.ndarray]:
    """The connections that leave each neuron.

    A connection leads to the current of a neuron, to an input of a maximum or to a unit of the
    read-out, through everything linear in between; one through a weight that is zero counts too.

    Returns:
        Name of a layer of neurons to an integer for each of its neurons.
    """
    leaving = {name: np.zeros(product(node.shape)) for name, node in graph.nodes.items()}

    def arrive(value: Value, ways: np.ndarray) -> None:
        for base, through in value.terms.items():
            leaving[base] += ways if through is None else (through != 0).T @ ways

    for name in graph.outputs:
        arrive(bases.values[name], np.ones(product(graph.nodes[name].shape)))
    for name, node in reversed(list(graph.nodes.items())):
        if name in bases.sums:
            arrive(bases.sums[name], leaving[name])
        elif isinstance(node.op, NeuronOp | MaxPool):
            [source] = node.inputs
            arrive(bases.values[source], np.ones(product(graph.nodes[source].shape)))
        elif isinstance(node.op, Dense | Conv | ConvTranspose):
            [source] = node.inputs
            shape = graph.nodes[source].shape
            arrive(bases.values[source], _through_weights(node.op, shape, leaving[name]))
    return {
        name: np.rint(leaving[name]).astype(np.int64)
        for name, node in graph.nodes.items()
        if isinstance(node.op, NeuronOp)
    }


def _through_weights(op: Any, shape: Any, ways: np.ndarray) -> np.ndarray:
    """From the ways that go on from each output of an op to those of each input."""
    groups = getattr(op, "groups", 1)
    filters = op.weight.shape[1] if isinstance(op, Dense) else op.filters
    of_group = ways.reshape(-1, groups, filters // groups).sum(axis=2)
    of_cell = geometry(op, shape).reached(of_group)
    return np.repeat(of_cell, shape[-1] // groups, axis=1).ravel()
