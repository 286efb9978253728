"""Several neurons for each unit of a layer, which take turns: finer steps from binary spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..ir import Decision, Graph, Node, Shape
from ..ops import Conv, Reshape
from . import Pass

NEURONS = "/neurons"
"""Put behind the name of a unit for its neurons."""


def set_neurons_per_unit(numbers: Mapping[str, int]) -> Pass:
    """Give each unit of a layer several neurons, whose mean is its value.

    All read the same input. Where one neuron starts at the voltage v, neuron j of k starts at
    ``(v + j) / k``, so they spike in turn. For neurons that integrate their input, this is exactly
    one neuron with ``1 / k`` of the threshold that sends up to k spikes a step, because
    ``floor(x) + floor(x + 1/k) + ... + floor(x + (k-1)/k) = floor(k x)`` (Hermite's identity). The
    error of rounding falls to ``1 / k``, and each neuron still sends at most one spike a step. Lv
    et al. 2024, "Optimal ANN-SNN conversion with group neurons", make such groups with a threshold
    of its own for each neuron, and inhibition between them. Start voltages need neither.

    The value of a unit keeps its name; the neurons are the node ``<name>/neurons``.

    Args:
        numbers: Name of a layer's node to the number of neurons.
    """

    def apply(graph: Graph) -> Graph:
        for name, number in numbers.items():
            if number > 1:
                graph = _repeated(graph, graph.nodes[name], number)
        return graph

    apply.__name__ = "set_neurons_per_unit"  # what receipts and logs call it
    return apply


def numbers_of_neurons(graph: Graph) -> dict[str, int]:
    """The units of a graph that have several neurons, by the names of their nodes."""
    found = {}
    for node in graph.neurons():
        name = node.name.removesuffix(NEURONS)
        if name != node.name and name in graph.nodes:
            found[name] = node.size // graph.nodes[name].size
    return found


def _repeated(graph: Graph, unit: Node, number: int) -> Graph:
    source = graph.nodes[unit.inputs[0]]
    shape = unit.shape if len(unit.shape) > 1 else (1, *unit.shape)  # a convolution has a place
    nodes: list[Node] = []

    def add(part: str, op: Any, shape: Shape, **more: Any) -> None:
        before = nodes[-1].name if nodes else source.name
        # A layer that is settings' name for its neurons, also where only their node has it.
        given = {"call": unit.layer, "parameters": {}, "correction": None, **more}
        nodes.append(
            replace(unit, name=f"{unit.name}{part}", op=op, inputs=(before,), shape=shape, **given)
        )

    if shape != unit.shape:
        add("/placed", Reshape(shape), shape, scale=source.scale)
    many = (*shape[:-1], shape[-1] * number)
    # A factor of a value is a number, or has one entry for each feature map.
    add("/repeated", _mixing(shape, number, 1.0), many, scale=_repeat(source.scale, number))
    start = (np.reshape(unit.op.initial_voltage, (-1, 1)) + np.arange(number)) / number
    op = replace(unit.op, initial_voltage=np.tile(start, (unit.size // len(start), 1)).ravel())
    add(NEURONS, op, many, scale=_repeat(unit.scale, number))
    mean = _mixing(shape, number, 1.0 / number, many=True)
    if shape == unit.shape:
        add("", mean, shape, correction=unit.correction)
    else:
        add("/mean", mean, shape)
        add("", Reshape(unit.shape), unit.shape, correction=unit.correction)
    text = f"{number} neurons for each unit, whose mean is its value"
    decision = Decision("neurons", unit.layer, text, f"{unit.name}{NEURONS}")
    return graph.rewrite(swap={unit.name: nodes}, decisions=[decision])


def _mixing(shape: Shape, number: int, weight: float, *, many: bool = False) -> Conv:
    """Each feature map several times, or the weighted sum of several: a convolution of size 1."""
    axes, maps = len(shape) - 1, shape[-1]
    kernel = (number, maps) if many else (1, maps * number)
    ones, pads = (1,) * axes, ((0, 0),) * axes
    return Conv(np.full((*ones, *kernel), weight), None, ones, ones, pads, groups=maps)


def _repeat(scale: float | np.ndarray, number: int) -> float | np.ndarray:
    return scale if np.size(scale) == 1 else np.repeat(scale, number, axis=-1)
