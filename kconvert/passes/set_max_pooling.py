"""How a maximum spikes: a pass made from the argument of ``convert``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..ir import Decision, Graph, Node, product, replace_op
from ..ops import AvgPool, Gather, MaxPool, Relu, Sum
from ..ops.window import windows
from . import Pass

DEFAULT = "before"
"""Chosen by measurement: docs/explanation/max-pooling.md."""
CIRCUIT_RATE = 250.0
"""Hz of a neuron of the circuit for a difference of 1."""


def set_max_pooling(choices: Mapping[str, str], *, in_time: bool = False) -> Pass:
    """Choose how every maximum is computed in time.

    Args:
        choices: Name of a max pooling node to one of :data:`CHOICES`.
        in_time: Whether every step is an input of its own, so that no sum may run across them.
    """

    def apply(graph: Graph) -> Graph:
        if in_time:
            swap = {node.name: replace_op(node, over="values") for node in max_pools(graph)}
            graph = graph.rewrite(swap=swap)
        for name, choice in choices.items():
            graph = CHOICES[choice](graph, graph.nodes[name])
        return graph

    apply.__name__ = "set_max_pooling"  # what receipts and logs call it
    return apply


def max_pools(graph: Graph) -> list[Node]:
    """The nodes that take a maximum."""
    return [node for node in graph.nodes.values() if isinstance(node.op, MaxPool)]


def _over(what: str, text: str) -> Callable[[Graph, Node], Graph]:
    def rewrite(graph: Graph, node: Node) -> Graph:
        return graph.rewrite(
            swap={node.name: replace_op(node, over=what)},
            decisions=[_decision(node, text)],
        )

    return rewrite


def _average(graph: Graph, node: Node) -> Graph:
    op: Any = node.op
    pool = replace(node, op=AvgPool(op.pool, op.strides, op.pads))
    text = "replaced by average pooling, which computes another function: train the model with it"
    return graph.rewrite(swap={node.name: pool}, decisions=[_decision(node, text)])


def _before(graph: Graph, node: Node) -> Graph:
    """Swap the pool with the neurons it reads: a monotone function commutes with the maximum."""
    neuron = graph.nodes[node.inputs[0]]
    monotone = getattr(neuron.op, "monotone", False)
    if not monotone or not graph.is_private(neuron.name):
        op: Any = node.op
        what = {"sums": "running sums", "values": "the input at each step"}[op.over]
        text = (
            f"the maximum of {what} (it cannot be moved in front of neurons: it does not read a "
            "layer of neurons that only it reads)"
        )
        return graph.rewrite(decisions=[_decision(node, text)])
    origin, name = neuron.origin + node.origin, f"{node.name}/before"
    pool = replace(node, name=name, inputs=neuron.inputs, origin=origin)
    behind = replace(neuron, name=node.name, inputs=(name,), shape=node.shape, origin=origin)
    text = (
        "moved in front of the neurons: it takes the maximum of their input, which is exact "
        "because their rate rises with it"
    )
    return graph.rewrite(
        swap={neuron.name: pool, node.name: behind}, decisions=[_decision(node, text)]
    )


def _circuit(graph: Graph, node: Node) -> Graph:
    """``max(a, b) = a + relu(b - a)``, in pairs."""
    op: Any = node.op
    shape = graph.nodes[node.inputs[0]].shape
    places = np.arange(1, product(shape) + 1, dtype=np.float64).reshape(1, *shape)
    cells = [
        value[0].astype(np.int64) - 1
        for _, value in windows(places, op.pool, op.strides, op.ones, op.pads)
    ]
    # A padded cell stands for another cell of its window, which changes no maximum.
    inside = np.maximum.reduce(cells)
    nodes: list[Node] = []

    def add(op: Any, *inputs: str) -> str:
        name = f"{node.name}/{type(op).__name__.lower()}.{len(nodes)}"
        nodes.append(replace(node, name=name, op=op, inputs=inputs))
        return name

    values = [add(Gather(np.where(c < 0, inside, c)), node.inputs[0]) for c in cells]
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=False)
        left = values[-1:] if len(values) % 2 else []
        values = []
        for a, b in pairs:
            excess = add(
                Relu(gain=CIRCUIT_RATE, amplitude=1 / CIRCUIT_RATE), add(Sum((-1.0, 1.0)), a, b)
            )
            values.append(add(Sum((1.0, 1.0)), a, excess))
        values += left
    if len(nodes) == 1:
        last = replace(nodes[0], name=node.name)
    else:
        last = replace(nodes[-1], name=node.name)
    neurons = (len(cells) - 1) * product(node.shape)
    text = f"replaced by a circuit of {neurons:,} spiking ReLU neurons: max(a, b) = a + relu(b - a)"
    return graph.rewrite(swap={node.name: [*nodes[:-1], last]}, decisions=[_decision(node, text)])


def _decision(node: Node, text: str) -> Decision:
    return Decision("max_pooling", node.layer, text, node.name)


CHOICES: dict[str, Callable[[Graph, Node], Graph]] = {
    "sums": _over("sums", "the maximum of running sums"),
    "values": _over("values", "the maximum of the input at each step"),
    "before": _before,
    "circuit": _circuit,
    "average": _average,
}
"""The ways in which a maximum can be taken."""
