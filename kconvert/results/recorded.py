"""What recorded spikes cause: operations, events, and updates of neurons that are needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ir import Graph
from ..ops import Conv, ConvTranspose, Dense, Lif, MaxPool, NeuronOp, Relu
from ..simulators.events.compiler.connections import count_connections, of_nonzero_weights
from ..simulators.events.compiler.pushes import Bases
from ..simulators.events.compiler.values import Value
from .simulation import Simulation, sum_by_layer
from .work import Weighted, Work, changes_in_every_step


@dataclass(frozen=True, slots=True)
class Recorded:
    """Counts from the spikes of some samples, over all of them and their steps.

    Args:
        n_operations: Layer to the synaptic operations of its spikes, or into it (see
            :class:`LayerWork`).
        events: Values of neurons in a step that are not zero: one for a spike of any value.
        read_out: Those of the operations that end in the read-out.
        effective: As ``n_operations``, where a spike of any value counts once, and only in weights
            that are not zero.
        graded: Those of its layers whose values are not all -1, 0 or 1.
        needed: Updates of neurons that something calls for (see :class:`Updates`).
    """

    n_operations: Mapping[str, int]
    events: float
    read_out: float
    effective: Mapping[str, int]
    graded: frozenset[str]
    needed: float

    @classmethod
    def joined(cls, parts: Iterable[Recorded]) -> Recorded:
        """The counts of samples after each other.

        Args:
            parts: Their counts.
        """
        parts = list(parts)
        return cls(
            n_operations=sum_by_layer([part.n_operations for part in parts]),
            events=sum(part.events for part in parts),
            read_out=sum(part.read_out for part in parts),
            effective=sum_by_layer([part.effective for part in parts]),
            graded=frozenset().union(*(part.graded for part in parts)),
            needed=sum(part.needed for part in parts),
        )

    def effective_of(self, *, graded: bool) -> float:
        """The effective operations of the layers that are graded, or of the others.

        Args:
            graded: Which.
        """
        return float(sum(n for k, n in self.effective.items() if (k in self.graded) == graded))


class Recorder:
    """Counts what the recorded spikes of a network cause.

    Args:
        work: Where the network computes.
        sharp: The same without weights that are zero.
    """

    def __init__(self, work: Work, sharp: Work) -> None:
        graph = work.graph
        bases = Bases.of(graph, held=())
        ends = _read_out(graph)
        weighted = {name for name, node in graph.nodes.items() if isinstance(node.op, Weighted)}
        self._work = work
        self._sharp = sharp
        self._leaving = count_connections(graph, bases)
        self._effective = count_connections(
            graph, bases, lambda name: name in weighted, of_nonzero_weights
        )
        self._to_read_out = count_connections(graph, bases, lambda name: name in ends)
        self._ends = ends
        self._updates = Updates(graph, bases)

    def count(self, run: Simulation) -> Recorded:
        """Count one run with recorded spikes.

        Args:
            run: It.
        """
        operations: dict[str, int] = {}
        effective: dict[str, int] = {}
        graded, events, read_out = set(self._work.passing), 0.0, 0
        for name, train in run.spikes.items():
            flat = np.abs(train.reshape(-1, self._leaving[name].size))
            total = flat.sum(axis=0, dtype=np.int64)
            times = np.count_nonzero(flat, axis=0)
            operations[name] = int(total @ self._leaving[name])
            effective[name] = int(times @ self._effective[name])
            read_out += int(total @ self._to_read_out[name])
            events += float(times.sum())
            if flat.max(initial=0) > 1:
                graded.add(name)
        needed = 0.0
        for k, steps in enumerate(run.steps.tolist()):
            spikes = {name: train[k, :steps] for name, train in run.spikes.items()}
            for name, times in self._work.passed_on(spikes).items():
                there = int(np.rint(times @ self._work.fan_out[name]))
                operations[name] = operations.get(name, 0) + there
                sharp = int(np.rint(times @ self._sharp.fan_out[name]))
                effective[name] = effective.get(name, 0) + sharp
                read_out += there if name in self._ends else 0
            needed += self._updates.needed(spikes, steps)
        return Recorded(
            n_operations=operations,
            events=events,
            read_out=float(read_out),
            effective=effective,
            graded=frozenset(graded),
            needed=needed,
        )


class Updates:
    """Which neurons must be updated in a step, on a device that updates no others.

    Those that a spike reaches, those that spike, those with a constant current, and those that
    change in every step for another reason: the input, a synapse, a neuron that is active without
    input. What a maximum is taken of counts as reaching its neurons.

    Args:
        graph: The network.
        bases: Of it.
    """

    def __init__(self, graph: Graph, bases: Bases) -> None:
        self._graph, self._bases = graph, bases
        moving = changes_in_every_step(graph)
        self._always: dict[str, np.ndarray] = {}
        for node in graph.neurons():
            [source] = node.inputs
            if moving[source] or _active_at_rest(node.op):
                self._always[node.name] = np.ones(node.size, dtype=bool)
                continue
            constant = bases.values[source].constant
            there = 0 if constant is None else constant
            self._always[node.name] = np.broadcast_to(there, node.shape).ravel() != 0

    def needed(self, spikes: Mapping[str, np.ndarray], steps: int) -> float:
        """The updates of one sample.

        Args:
            spikes: Layer of neurons to its spikes, of shape (steps, *shape).
            steps: How many steps it took.
        """
        known: dict[str, np.ndarray] = {}
        total = 0
        for name, always in self._always.items():
            total += steps * int(always.sum())
            if always.all():
                continue
            source = self._bases.values[self._graph.nodes[name].inputs[0]]
            reached = self._reached(source, spikes, steps, known)
            spiked = spikes[name].reshape(steps, -1) != 0
            total += int(np.count_nonzero((reached | spiked)[:, ~always]))
        return float(total)

    def _reached(
        self,
        value: Value,
        spikes: Mapping[str, np.ndarray],
        steps: int,
        known: dict[str, np.ndarray],
    ) -> np.ndarray:
        """Where spikes arrive in a value, of shape (steps, size)."""
        parts = []
        for base, through in value.terms.items():
            if base not in known:
                known[base] = self._base(base, spikes, steps, known)
            there = known[base]
            parts.append(
                there if through is None else ((through != 0) @ there.T.astype(np.int64)).T > 0
            )
        return np.logical_or.reduce(parts)

    def _base(
        self,
        name: str,
        spikes: Mapping[str, np.ndarray],
        steps: int,
        known: dict[str, np.ndarray],
    ) -> np.ndarray:
        node = self._graph.nodes[name]
        if node.is_neuron:
            return np.asarray(spikes[name].reshape(steps, -1) != 0)
        if name in self._bases.sums:
            return self._reached(self._bases.sums[name], spikes, steps, known)
        [source] = node.inputs
        there = self._reached(self._bases.values[source], spikes, steps, known)
        shaped = there.reshape(steps, *self._graph.nodes[source].shape)
        if isinstance(node.op, MaxPool):
            return np.asarray(node.op.evaluate(shaped.astype(np.float64)).reshape(steps, -1) > 0)
        return _through_weights(node.op, shaped).reshape(steps, -1)


def _through_weights(op: Any, there: np.ndarray) -> np.ndarray:
    """Where spikes arrive behind weights, from where they arrive in front of them."""
    if isinstance(op, Dense):
        return np.repeat(there.any(axis=-1, keepdims=True), op.weight.shape[1], axis=-1)
    groups = op.groups if isinstance(op, Conv) else 1
    # Each group as one channel: which of its channels a spike came from makes no difference.
    split = there.reshape((*there.shape[:-1], groups, -1))
    merged: np.ndarray = np.any(split, axis=-1).astype(np.float64)
    shape = (groups, 1) if isinstance(op, ConvTranspose) else (1, groups)
    ones = replace(op, weight=np.ones((*op.kernel, *shape)), bias=None)
    return np.repeat(ones.evaluate(merged) > 0, op.filters // groups, axis=-1)


def _active_at_rest(op: NeuronOp) -> bool:
    """Whether a neuron changes without any input; of what only Nengo knows, nobody can say."""
    return not isinstance(op, Relu | Lif) or op.current_at_rest != 0


def _read_out(graph: Graph) -> set[str | None]:
    """The nodes from the last neurons to the outputs, and None, which stands for the outputs."""
    found: set[str | None] = {None}
    waiting = list(graph.outputs)
    while waiting:
        name = waiting.pop()
        if name not in found and not graph.nodes[name].is_neuron:
            found.add(name)
            waiting += graph.nodes[name].inputs
    return found
