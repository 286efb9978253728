"""How much a network computes: multiply-accumulates, and operations that spikes cause.

Spikes are counted by the event simulator, up to the outputs of the first layers with weights that
they meet. Two kinds of layers with weights need more than that. What reads the input has values in
all places, not spikes. What reads another layer with weights, or a maximum, with no neurons in
between has values wherever spikes arrived; these are found here from the spikes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from ..ir import Graph, Node
from ..ops import Affine, Conv, ConvTranspose, Dense, MaxPool
from ..simulators.events.compiler.connections import of_nonzero_weights, of_weights

Weighted = Dense | Conv | ConvTranspose
FRAMES = 64
"""Inputs that are looked at together."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Where a network computes.

    Args:
        graph: The network.
        fan_out: Layer with weights to the connections that leave each of its inputs.
        analog: Layers with weights that the input reaches without neurons in between.
        passing: Layers with weights that spikes reach through other weights or maxima.
    """

    graph: Graph
    fan_out: Mapping[str, np.ndarray]
    analog: tuple[str, ...]
    passing: tuple[str, ...]

    @classmethod
    def of(cls, graph: Graph) -> Work:
        """The work of a network whose ops the event simulator has.

        Args:
            graph: The network.
        """
        analog, through = _reached(graph)
        weighted = [node for node in graph.nodes.values() if isinstance(node.op, Weighted)]
        return cls(
            graph,
            {
                node.name: of_weights(node.op, graph.nodes[node.inputs[0]].shape)
                for node in weighted
            },
            tuple(node.name for node in weighted if analog[node.inputs[0]]),
            tuple(node.name for node in weighted if through[node.inputs[0]]),
        )

    def without_zeros(self) -> Work:
        """The same, where weights that are zero are no connections."""
        nodes = self.graph.nodes
        fan_out = {
            name: of_nonzero_weights(nodes[name].op, nodes[nodes[name].inputs[0]].shape)
            for name in self.fan_out
        }
        return replace(self, fan_out=fan_out)

    @property
    def macs(self) -> dict[str, int]:
        """Layer with weights to its MACs for one input; zeros around the input do not count."""
        return {name: int(np.rint(each.sum())) for name, each in self.fan_out.items()}

    def effective_macs(self, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        """MACs with input values that are not zero, of shape (frames,).

        Args:
            feeds: Input name to an array of shape (frames, size).
        """
        n = len(next(iter(feeds.values())))
        found = np.zeros(n)
        if not self.analog:
            return found
        sources = list(dict.fromkeys(self.graph.nodes[name].inputs[0] for name in self.analog))
        part = self.graph.subgraph(sources)
        for first in range(0, n, FRAMES):
            values = part.evaluate(
                {
                    name: feeds[name][first : first + FRAMES].reshape(-1, *part.nodes[name].shape)
                    for name in part.inputs
                }
            )
            for name in self.analog:
                there = values[self.graph.nodes[name].inputs[0]] != 0
                macs = there.reshape(len(there), -1) @ self.fan_out[name]
                found[first : first + FRAMES] += macs
        return found

    def passed_on(self, spikes: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """In how many steps of a sample each input of the layers in :attr:`passing` is not zero.

        Args:
            spikes: Layer of neurons to its spikes, of shape (n_steps, *shape).
        """
        if not self.passing:
            return {}
        direct: dict[str, Any] = {}
        passed: dict[str, Any] = {}
        steady = _steady(self.graph)
        part = self._before_passing()
        for name, node in self.graph.nodes.items():
            if name not in part or not node.inputs:
                direct[name] = passed[name] = None
            elif node.is_neuron:
                direct[name], passed[name] = spikes[name] * np.float64(node.op.unit), None
            elif isinstance(node.op, Weighted | MaxPool):
                [source] = node.inputs
                direct[name] = None
                passed[name] = _through(node, direct[source], passed[source], steady[source])
            else:
                direct[name] = _rearranged(self.graph, node, direct)
                passed[name] = _rearranged(self.graph, node, passed)
        found = {}
        for name in self.passing:
            values = passed[self.graph.nodes[name].inputs[0]]
            found[name] = np.count_nonzero(values.reshape(len(values), -1), axis=0)
        return found

    def _before_passing(self) -> set[str]:
        """The nodes from the nearest neurons up to the layers in :attr:`passing`."""
        found: set[str] = set()
        waiting = [self.graph.nodes[name].inputs[0] for name in self.passing]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                node = self.graph.nodes[name]
                waiting += [] if node.is_neuron else node.inputs
        return found


def parameters(graph: Graph) -> list[np.ndarray]:
    """Weights, biases and constants of a network."""
    found: list[np.ndarray] = []
    for node in graph.nodes.values():
        op: Any = node.op
        if isinstance(op, Weighted):
            found += [op.weight] if op.bias is None else [op.weight, op.bias]
        elif isinstance(op, Affine):
            found += [op.scale, op.shift]
    return found


def biases(graph: Graph) -> int:
    """The constants that are added in one step: biases and shifts that are not zero."""
    total = 0
    for node in graph.nodes.values():
        op: Any = node.op
        if isinstance(op, Weighted | Affine):
            added = op.shift if isinstance(op, Affine) else op.bias
            there = 0 if added is None else added
            total += int(np.count_nonzero(np.broadcast_to(there, node.shape)))
    return total


def connection_sparsity(graph: Graph) -> float:
    """Share of the weights that are zero; NaN without weights."""
    weights = [node.op.weight for node in graph.nodes.values() if isinstance(node.op, Weighted)]
    total = sum(each.size for each in weights)
    zeros = sum(each.size - np.count_nonzero(each) for each in weights)
    return float(zeros / total) if total else float("nan")


def _reached(graph: Graph) -> tuple[dict[str, bool], dict[str, bool]]:
    """For each value whether it comes from the input, and whether it comes from spikes through
    weights or a maximum, without neurons in between.
    """
    analog: dict[str, bool] = {}
    spiked: dict[str, bool] = {}
    through: dict[str, bool] = {}
    for name, node in graph.nodes.items():
        stops = node.is_neuron
        analog[name] = not stops and (not node.inputs or any(analog[k] for k in node.inputs))
        spiked[name] = stops or any(spiked[k] for k in node.inputs)
        new = isinstance(node.op, Weighted | MaxPool)
        through[name] = not stops and any(spiked[k] if new else through[k] for k in node.inputs)
    return analog, through


def _steady(graph: Graph) -> dict[str, bool]:
    """For each value whether more than spikes changes it: the input, a synapse, or a constant."""
    found: dict[str, bool] = {}
    for name, node in graph.nodes.items():
        if node.is_neuron:
            found[name] = node.op.synapse is not None
            continue
        op: Any = node.op
        constant = getattr(op, "shift", getattr(op, "bias", None))
        found[name] = (
            not node.inputs
            or any(found[source] for source in node.inputs)
            or (constant is not None and bool(np.any(constant)))
        )
    return found


def changes_in_every_step(graph: Graph) -> dict[str, bool]:
    """For each value whether it may change in every step, whatever spikes arrive.

    Args:
        graph: The network.
    """
    steady = _steady(graph)
    found: dict[str, bool] = {}
    for name, node in graph.nodes.items():
        if node.is_neuron:
            found[name] = node.op.synapse is not None
        elif isinstance(node.op, MaxPool):
            found[name] = steady[node.inputs[0]]
        else:
            found[name] = not node.inputs or any(found[source] for source in node.inputs)
    return found


def _through(node: Node, direct: Any, passed: Any, steady: bool) -> Any:
    """What comes out of weights or a maximum in each step, where spikes arrive."""
    given = [each for each in (direct, passed) if each is not None]
    if not given:
        return None
    value = sum(given[1:], start=given[0])
    if not isinstance(node.op, MaxPool):
        return _linear(node.op).evaluate(value)
    if steady:  # its input changes in every step
        return np.ones((len(value), *node.shape))
    if node.op.over == "values":
        return node.op.evaluate(value)
    largest = node.op.evaluate(np.cumsum(value, axis=0))
    return np.diff(largest, axis=0, prepend=np.zeros_like(largest[:1]))


def _rearranged(graph: Graph, node: Node, values: Mapping[str, Any]) -> Any:
    """What an op without weights makes of values, of which some may be missing."""
    length = next((len(values[k]) for k in node.inputs if values[k] is not None), None)
    if length is None:
        return None
    return _linear(node.op).evaluate(
        *(
            np.zeros((length, *graph.nodes[k].shape)) if values[k] is None else values[k]
            for k in node.inputs
        )
    )


def _linear(op: Any) -> Any:
    """The op without what it adds."""
    if not is_dataclass(op):
        return op
    names = {each.name for each in fields(op)}
    if isinstance(op, Affine):
        return replace(op, shift=np.zeros_like(op.shift))
    return replace(op, bias=None) if "bias" in names else op  # type: ignore[type-var]
