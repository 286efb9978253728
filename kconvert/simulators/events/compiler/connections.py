"""The connections that a spike goes out through: synaptic operations, counted on the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ....ir import Graph, Shape, product
from ....ops import Conv, ConvTranspose, Dense, MaxPool, NeuronOp
from .geometry import geometry
from .pushes import Bases
from .values import Value


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


def of_nonzero_weights(op: Any, shape: Shape) -> np.ndarray:
    """The connections from each input of an op with weights, without weights that are zero.

    Args:
        op: The op.
        shape: Shape of one sample of its input.
    """
    there = op.weight != 0
    if isinstance(op, Dense):
        return np.tile(there.sum(axis=1), product(shape[:-1])).astype(np.float64)
    if isinstance(op, ConvTranspose):
        of_kernel = there.sum(axis=-2)
    else:
        blocks = there.reshape(*there.shape[:-1], op.groups, -1).sum(axis=-1)
        of_kernel = np.swapaxes(blocks, -1, -2)  # channels are numbered group by group
    return geometry(op, shape).reached_through(of_kernel.reshape(-1, shape[-1])).ravel()


def count_connections(
    graph: Graph,
    bases: Bases,
    counts: Callable[[str | None], bool] = lambda name: True,
    weights: Callable[[Any, Shape], np.ndarray] = of_weights,
) -> dict[str, np.ndarray]:
    """The connections that leave each neuron.

    They end at the outputs of the first layers with weights that a spike meets, and where it meets
    none at the neurons, maxima and read-outs that it reaches; what only rearranges or averages in
    between does not count. A weight that is zero is a connection too.

    Args:
        graph: The network.
        bases: Of it.
        counts: Whether connections that end in a node count, by its name; None is a read-out.
        weights: The connections from each input of an op with weights.

    Returns:
        Name of a layer of neurons to an integer for each of its neurons.
    """
    leaving: dict[str, np.ndarray] = {}
    found: dict[str, np.ndarray] = {}

    def arrive(value: Value, ways: np.ndarray) -> None:
        for base, through in value.terms.items():
            more = ways if through is None else (through != 0).T @ ways
            leaving[base] = leaving[base] + more if base in leaving else more

    for name in graph.outputs if counts(None) else ():
        arrive(bases.values[name], np.ones(product(graph.nodes[name].shape)))
    for name, node in reversed(list(graph.nodes.items())):
        # All that reads it was looked at: what leaves the others is not needed any more.
        ways = leaving.pop(name, None)
        ways = np.zeros(product(node.shape)) if ways is None else ways
        if isinstance(node.op, NeuronOp):
            found[name] = np.rint(ways).astype(np.int64)
        if name in bases.sums:
            arrive(bases.sums[name], ways)
            continue
        if not node.inputs or name not in bases.components or not counts(name):
            continue
        [source] = node.inputs
        shape = graph.nodes[source].shape
        if isinstance(node.op, NeuronOp | MaxPool):
            arrive(bases.values[source], np.ones(product(shape)))
        else:
            arrive(bases.values[source], weights(node.op, shape))
    return {node.name: found[node.name] for node in graph.neurons()}
