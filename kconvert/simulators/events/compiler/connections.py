"""The connections that a spike goes out through: synaptic operations, counted on the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ir import Graph, Shape, product
from ....ops import Conv, Dense, MaxPool, NeuronOp
from .geometry import geometry
from .pushes import Bases
from .values import Value


def count_connections(graph: Graph, bases: Bases) -> dict[str, np.ndarray]:
    """The connections that leave each neuron.

    They end at the outputs of the first layers with weights that a spike meets, and where it meets
    none at the neurons, maxima and read-outs that it reaches; what only rearranges or averages in
    between does not count. A weight that is zero is a connection too.

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
            continue
        if not node.inputs or name not in bases.components:
            continue
        [source] = node.inputs
        shape = graph.nodes[source].shape
        if isinstance(node.op, NeuronOp | MaxPool):
            arrive(bases.values[source], np.ones(product(shape)))
        else:
            arrive(bases.values[source], of_weights(node.op, shape))
    return {
        name: np.rint(leaving[name]).astype(np.int64)
        for name, node in graph.nodes.items()
        if isinstance(node.op, NeuronOp)
    }


def of_weights(op: Any, shape: Shape) -> np.ndarray:
    """The connections from each input of an op with weights: what is cut off does not count.

    Args:
        op: The op.
        shape: Shape of one sample of its input.
    """
    groups = op.groups if isinstance(op, Conv) else 1
    filters = op.weight.shape[1] if isinstance(op, Dense) else op.filters
    cells = product(op.out_shape(shape)) // filters
    of_cell = geometry(op, shape).reached(np.full((cells, 1), filters / groups))
    return np.repeat(of_cell, shape[-1])
