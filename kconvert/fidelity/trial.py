"""Short runs of some samples: what settings leave of the rate network's read-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..data import Feeds
from ..ir import Graph, Node, Op, product
from ..ops import Lif, NeuronOp
from ..passes import run
from ..passes.set_spiking import set_synapses
from ..simulators import Job
from ..simulators.choose import resolve

TRIED = 16
"""Samples that settings are tried on."""
FEWEST, NEURONS = 4, 8_000_000
"""Fewer samples for networks so large that more of them would hold more neurons than that."""


class Trial:
    """Runs of some samples, and what they miss of the rate network's read-out.

    Args:
        graph: What the rates are of.
        feeds: Samples; the first ones are used.
        output_synapse: Filter of the read-out.
        n_steps: For about how many steps the network will run.
        dt: Length of a step in seconds.
    """

    def __init__(
        self, graph: Graph, feeds: Feeds, output_synapse: Any, *, n_steps: int, dt: float
    ) -> None:
        self.n = samples(graph, TRIED)
        self.arrays = {name: array[: self.n] for name, array in feeds.arrays.items()}
        self.output_synapse, self.dt = output_synapse, dt
        # Each layer answers a step later than the one before it.
        self.depth = depth(graph)
        self.n_steps = max(int(n_steps), 2 * self.depth)
        rates = run(graph, [set_synapses(None)])
        self.expected = self._read_out(rates, self.n_steps, False, None)[:, -1]
        apart = np.linalg.norm(self.expected - self.expected.mean(axis=0))
        self.scale = float(apart or np.linalg.norm(self.expected) or 1.0)

    def error(self, graph: Graph) -> float:
        """Of the read-out at the last step, as a share of what tells the samples apart."""
        return self._error(self._read_out(graph, self.n_steps, True, self.output_synapse)[:, -1])

    def error_in_time(self, graph: Graph) -> float:
        """The geometric mean of such errors from where the last layer answers to twice the number
        of steps, every doubling of time with the same weight: a run may be shorter or longer.
        """
        steps = np.arange(max(self.depth, 1), 2 * self.n_steps + 1)
        found = self._read_out(graph, int(steps[-1]), True, self.output_synapse, last_only=False)
        errors = np.array([self._error(found[:, step - 1]) for step in steps])
        if not np.isfinite(errors).all():
            return np.inf
        return float(np.exp(np.average(np.log(np.maximum(errors, 1e-9)), weights=1 / steps)))

    def _error(self, found: np.ndarray) -> float:
        error = float(np.linalg.norm(found - self.expected)) / self.scale
        return error if np.isfinite(error) else np.inf

    def _read_out(
        self, graph: Graph, n_steps: int, spiking: bool, filtered: Any, *, last_only: bool = True
    ) -> np.ndarray:
        """All outputs side by side, of shape (samples, steps, values)."""
        from ..simulators.events import EventRunner

        common: dict[str, Any] = {"batch_size": TRIED, "dt": self.dt, "spikes": False}
        runner = EventRunner(graph, spiking, filtered, dtype="float32", **common)
        chunks = runner.run(Job(self.arrays, n_steps, last_only=last_only))
        return np.concatenate([np.concatenate(chunk.outputs, axis=2) for chunk in chunks])


def can_be_tried(graph: Graph, feeds: Feeds, output_synapse: Any) -> bool:
    """Whether samples are held, and the event simulator can run the network."""
    return feeds.held and resolve("auto", graph, output_synapse)[0] == "events"


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


def samples(graph: Graph, most: int) -> int:
    """How many samples to run: not so many that too many neurons are held."""
    size = sum(product(node.shape) for node in neurons(graph))
    return max(FEWEST, min(most, NEURONS // max(size, 1)))


def neurons(graph: Graph) -> list[Node]:
    """The layers of neurons, in order."""
    return [node for node in graph.nodes.values() if isinstance(node.op, NeuronOp)]


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
