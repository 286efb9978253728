"""Runs a network and adds up what it computes: :meth:`SpikingNetwork.energy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import free_memory
from ..data.arrays import Feeds, check_feeds
from ..data.streams import is_stream, run_in_pieces
from ..errors import InputError
from ..ir import product
from ..simulators import choose
from .devices import check_devices
from .energy import Energy, LayerWork
from .simulation import Simulation, require_same_steps, share, sum_by_layer
from .work import Work, connection_sparsity, parameters

if TYPE_CHECKING:
    from ..network import SpikingNetwork

PIECE = 256 * 2**20
"""Bytes of outputs and spikes that one piece of work may take."""
RECORDED = 10
"""Bytes of a recorded neuron in a step, while it is recorded."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was counted on some samples.

    Args:
        n: Samples that were run.
        n_given: Samples that were to be run.
        n_steps: Steps of each.
        taken: Steps that all samples took together.
        held: Whether the input stays the same.
        n_spikes: Layer to its spikes.
        n_operations: Layer to its synaptic operations.
        silent: Neurons times steps without a spike; None if it is not known.
        effective_macs: MACs with input values that are not zero.
    """

    n: int
    n_given: int
    n_steps: int
    taken: int
    held: bool
    n_spikes: Mapping[str, float]
    n_operations: Mapping[str, int]
    silent: float | None
    effective_macs: float


def measure_energy(
    network: SpikingNetwork, x: Any, n_steps: int | None, devices: Any, settings: Mapping[str, Any]
) -> Energy:
    """Run some samples and count: see :meth:`SpikingNetwork.energy`.

    Args:
        network: The network.
        x: Samples, or a stream of them.
        n_steps: Number of steps, or None.
        devices: As the user gave them.
        settings: The arguments of the run, checked.
    """
    known = check_devices(devices)
    _require_counted(network, settings)
    counter = Counter(network, settings, Work.of(network.graph))
    returns = settings["on_interrupt"] == "return"
    if is_stream(x):
        found, ended = run_in_pieces(
            x,
            network.signature.inputs,
            lambda piece: _joined(list(counter.parts(counter.feeds(piece.x, n_steps)))),
            stopped=lambda part, piece: part.n < part.n_given,
            returns=returns,
        )
        require_same_steps([part.n_steps for part in found])
        if len({part.held for part in found}) > 1:
            raise InputError("some batches of x change in time and others do not: give one kind")
        whole = _joined(found)
        complete = ended and whole.n == whole.n_given
    else:
        feeds = counter.feeds(x, n_steps)
        whole = _joined(list(counter.parts(feeds)))
        complete = whole.n == feeds.n
    return _energy(network, counter.work, whole, known, settings, complete=complete)


def _require_counted(network: SpikingNetwork, settings: Mapping[str, Any]) -> None:
    """Refuse networks whose spikes cannot be counted."""
    if not network.spiking:
        raise InputError(
            "energy counts spikes, and a rate network has none: convert it with spiking=True"
        )
    spec = network._spec(settings["dt"], settings["dtype"])
    simulator, reason = choose(settings["simulator"], spec)
    if simulator.name != "events":
        why = reason or f"use simulator='events'. Received: simulator={simulator.name!r}"
        raise InputError(f"energy counts with the event simulator: {why}")


@dataclass(frozen=True, slots=True)
class Counter:
    """Runs samples in pieces that fit into memory.

    Args:
        network: The network.
        settings: The arguments of a run.
        work: Where the network computes.
    """

    network: SpikingNetwork
    settings: Mapping[str, Any]
    work: Work

    def feeds(self, x: Any, n_steps: int | None) -> Feeds:
        """Checked input."""
        network = self.network
        return check_feeds(x, network.signature.inputs, n_steps, network.default_steps)

    def parts(self, feeds: Feeds) -> Iterator[Part]:
        """The counts of one piece after the other; Ctrl-C may end them early."""
        network = self.network
        record = self._record(feeds.n_steps)
        width = sum(network._output_sizes)
        each = feeds.n_steps * (8 * width + (RECORDED * network.n_neurons if record else 0))
        size = max(1, PIECE // max(each, 1))
        done = 0
        while done < feeds.n:
            piece = range(done, min(done + size, feeds.n))
            try:
                part = self._part(_some(feeds, piece), record=record)
            except KeyboardInterrupt:
                if self.settings["on_interrupt"] == "raise":
                    raise
                part = self._nothing(feeds.n_steps, len(piece), held=feeds.held)
            yield part
            if part.n < part.n_given:
                return
            done += size

    def _record(self, n_steps: int) -> bool:
        """Whether to look at single spikes: where they must be, or where it costs little."""
        if self.work.passing:
            return True
        graded = any(node.op.max_spikes > 1 for node in self.network.graph.neurons())
        needs = RECORDED * self.network.n_neurons * n_steps
        free = free_memory()
        return graded and (free is None or needs < free // 4)

    def _part(self, feeds: Feeds, *, record: bool) -> Part:
        network, work = self.network, self.work
        given = {
            name: array.reshape(
                feeds.n, *(array.shape[1:2] if array.shape[1] > 1 else ()),
                *network.signature.inputs[name],
            )
            for name, array in feeds.arrays.items()
        }  # fmt: skip
        run = network.simulate(given, feeds.n_steps, spikes=record, **self.settings)
        n, taken = run.n, int(run.steps.sum())
        passed = [
            work.passed_on({name: train[k] for name, train in run.spikes.items()})
            for k in range(n)
            if work.passing
        ]
        return Part(
            n=n,
            n_given=feeds.n,
            n_steps=run.n_steps,
            taken=taken,
            held=feeds.held,
            n_spikes=run.n_spikes,
            n_operations=sum_by_layer([run.n_operations, *passed]),
            silent=self._silent(run, taken, record=record),
            effective_macs=self._effective(feeds, run),
        )

    def _silent(self, run: Simulation, taken: int, *, record: bool) -> float | None:
        values = float(self.network.n_neurons) * taken
        if record:
            return values - float(sum(np.count_nonzero(each) for each in run.spikes.values()))
        if any(node.op.max_spikes > 1 for node in self.network.graph.neurons()):
            return None
        return values - float(sum(run.n_spikes.values()))

    def _effective(self, feeds: Feeds, run: Simulation) -> float:
        """Each sample's own steps count."""
        total = 0.0
        for k in range(run.n):
            steps = int(run.steps[k])
            if feeds.held:
                frames = {name: array[k, :1] for name, array in feeds.arrays.items()}
                total += self.work.effective_macs(frames) * steps
            else:
                frames = {
                    name: np.broadcast_to(array[k], (feeds.n_steps, array.shape[2]))[:steps]
                    for name, array in feeds.arrays.items()
                }
                total += self.work.effective_macs(frames)
        return total

    def _nothing(self, n_steps: int, n_given: int, *, held: bool) -> Part:
        none = {node.name: 0.0 for node in self.network.graph.neurons()}
        return Part(0, n_given, n_steps, 0, held, none, {}, 0.0, 0.0)


def _some(feeds: Feeds, samples: range) -> Feeds:
    part = slice(samples.start, samples.stop)
    arrays = {name: array[part] for name, array in feeds.arrays.items()}
    return Feeds(arrays, len(samples), feeds.n_steps, feeds.held)


def _joined(parts: list[Part]) -> Part:
    known = all(part.silent is not None for part in parts)
    return Part(
        n=sum(part.n for part in parts),
        n_given=sum(part.n_given for part in parts),
        n_steps=parts[0].n_steps,
        taken=sum(part.taken for part in parts),
        held=parts[0].held,
        n_spikes=sum_by_layer([part.n_spikes for part in parts]),
        n_operations=sum_by_layer([part.n_operations for part in parts]),
        silent=sum(part.silent or 0.0 for part in parts) if known else None,
        effective_macs=sum(part.effective_macs for part in parts),
    )


def _energy(
    network: SpikingNetwork,
    work: Work,
    part: Part,
    devices: Any,
    settings: Mapping[str, Any],
    *,
    complete: bool,
) -> Energy:
    graph, macs = network.graph, work.macs
    steps = share(float(part.taken), part.n)
    layers = []
    for name, node in graph.nodes.items():
        operations = share(float(part.n_operations.get(name, 0)), part.n)
        kind = type(node.op).__name__
        if node.is_neuron:
            spikes = share(float(part.n_spikes[name]), part.n)
            updates = node.size * steps
            layers.append(LayerWork(node.name, node.op.kind, 0.0, 0.0, spikes, operations, updates))
        elif name in macs:
            of_input = float(macs[name]) if name in work.analog else 0.0
            if name not in work.passing:
                operations = 0.0
            layers.append(
                LayerWork(node.name, kind, float(macs[name]), of_input, 0.0, operations, 0.0)
            )
    values = float(network.n_neurons) * part.taken
    found = Energy(
        layers=tuple(layers),
        devices=devices,
        n=part.n,
        n_steps=part.n_steps,
        mean_steps=steps,
        held=part.held,
        footprint=4 * sum(each.size for each in parameters(graph)),
        connection_sparsity=connection_sparsity(graph),
        activation_sparsity=None if part.silent is None else share(part.silent, values),
        effective_macs=share(part.effective_macs, part.n),
        advice=(),
        complete=complete,
    )
    if not found.ratio > 1:
        return found
    return replace(found, advice=tuple(_advice(network, found, settings)))


def _advice(network: SpikingNetwork, found: Energy, settings: Mapping[str, Any]) -> Iterator[str]:
    """Settings that lower the number of synaptic operations, those that cost least first."""
    outputs = [network.graph.nodes[name].shape for name in network.graph.outputs]
    if found.n_steps > 1 and found.held:
        yield (
            f"fewer steps, such as n_steps={found.n_steps // 2}: kconvert.tune(model, x, y) finds "
            "the fewest that keep the accuracy"
        )
    one_vector = len(outputs) == 1 and len(outputs[0]) == 1 and product(outputs[0]) > 1
    if one_vector and settings["early_exit"] is None and found.n_steps > 4:
        stable = max(2, found.n_steps // 6)
        yield (
            f"early_exit=kconvert.EarlyExit(stable={stable}): samples end once their class is "
            "stable"
        )
    yield _rates_advice(network)
    yield (
        "training with activity_regularizer=kconvert.regularizers.FiringRate(...) on the layers "
        "with the most spikes"
    )


def _rates_advice(network: SpikingNetwork) -> str:
    """The call of ``convert`` with half of the firing rates."""
    factor = network.about.get("settings", {}).get("scale_firing_rates")
    if isinstance(factor, Mapping):
        return "convert(...) with smaller factors in scale_firing_rates, such as half of each"
    half = 0.5 if factor is None else float(factor) / 2
    # Where rates are set by samples, the factor comes on top of them.
    calibration = "" if network.graph.calibrated_dt is None else "calibration=x, "
    return (
        f"convert(model, {calibration}scale_firing_rates={half:g}): lower firing rates for the "
        "same output; it may need more steps, so look at the accuracy"
    )
