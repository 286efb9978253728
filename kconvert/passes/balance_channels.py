"""Feature maps that fire rarely are made to fire as others do: the same outputs, finer steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import GraphError
from ..ir import Decision, Graph, Node
from ..ops import AvgPool, AxisMap, Conv, ConvTranspose, Dense, MaxPool, Pad, Reshape
from . import Pass
from .fold_affine_into_linear import input_channels, scaled_and_shifted

LINEAR = Dense | Conv | ConvTranspose


def balance_channels(factors: Mapping[str, np.ndarray]) -> Pass:
    """Multiply the rates of each feature map of ReLU neurons by a factor of its own.

    ``max(s x, 0) = s max(x, 0)`` for s > 0: the weights in front of the neurons are multiplied by
    the factor, and those behind them divided by it. Exact up to rounding; a value between the two
    carries the factor as its node's ``scale``.

    Args:
        factors: Name of a layer of neurons for which :func:`can_be_balanced` holds, to factors > 0
            of the shape (feature maps,).
    """

    def apply(graph: Graph) -> Graph:
        for name, by in factors.items():
            if np.any(by != 1):
                graph = _balance(graph, name, np.asarray(by, dtype=np.float64))
        return graph

    apply.__name__ = "balance_channels"
    return apply


def can_be_balanced(graph: Graph, name: str) -> bool:
    """Whether neurons pass factors on, and have linear layers around them with at most pooling in
    between.
    """
    op: Any = graph.nodes[name].op
    return op.homogeneous and _surroundings(graph, name) is not None


def _surroundings(graph: Graph, name: str) -> tuple[list[str], list[str], list[str]] | None:
    """The linear node in front of the neurons and what comes in between; what comes behind them,
    in order; and the linear nodes that end it. None where something else takes part.
    """
    before: list[str] = []
    node = graph.nodes[name]
    while not before or not isinstance(node.op, LINEAR):
        node = graph.nodes[node.inputs[0]]
        passes = isinstance(node.op, LINEAR) or _keeps_channels(node)
        if not passes or not graph.is_private(node.name):
            return None
        before.append(node.name)
    behind, ends = [name], []
    for at in behind:
        if at in graph.outputs or not graph.readers(at):
            return None
        for reader in graph.readers(at):
            if isinstance(reader.op, Dense | Conv):
                ends.append(reader.name)
            elif _keeps_channels(reader) or _repeats_channels(reader, graph.nodes[at]):
                behind.append(reader.name)
            else:
                return None
    return before, behind, ends


def _keeps_channels(node: Node) -> bool:
    """Whether it has the feature maps of its input, and factors on them go through."""
    if isinstance(node.op, AxisMap):
        return node.op.axis < len(node.shape) - 1
    if isinstance(node.op, Pad):
        return node.op.pads[-1] == (0, 0)
    return isinstance(node.op, AvgPool | MaxPool)


def _repeats_channels(node: Node, source: Node) -> bool:
    """Whether it has all feature maps one after the other, as when it is flattened."""
    return (
        isinstance(node.op, Reshape)
        and node.shape[-1:] > ()
        and (node.shape[-1] % source.shape[-1] == 0)
    )


def _balance(graph: Graph, name: str, by: np.ndarray) -> Graph:
    found = _surroundings(graph, name)
    if found is None:
        raise GraphError(f"the feature maps of {name!r} cannot be balanced")
    before, behind, ends = found
    nodes = graph.nodes
    swap: dict[str, Node] = {}
    scales: dict[str, np.ndarray] = {}
    for each in (*before, *behind):
        # What was flattened has the feature maps again and again.
        scales[each] = np.tile(by, nodes[each].shape[-1] // len(by))
        swap[each] = replace(nodes[each], scale=nodes[each].scale * scales[each])
    first = before[-1]
    swap[first] = scaled_and_shifted(swap[first], by)
    for end in ends:
        swap[end] = _input_over(swap.get(end, nodes[end]), scales[nodes[end].inputs[0]])
    layer = nodes[name].layer
    text = f"firing rates of its feature maps times {by.min():.2g} to {by.max():.2g} (exact)"
    return graph.rewrite(swap=swap, decisions=[Decision("balanced", layer, text, name)])


def _input_over(node: Node, by: np.ndarray) -> Node:
    op: Any = node.op
    factor = 1.0 / by[input_channels(op)]
    parameters = dict(node.parameters)
    if "weight" in parameters:
        parameters["weight"] = parameters["weight"].scaled(factor)
    return replace(node, op=replace(op, weight=op.weight * factor), parameters=parameters)
