"""Runs a network and adds up what it computes: :meth:`SpikingNetwork.energy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import Feeds, check_feeds
from ..data.streams import is_stream, run_in_pieces
from ..errors import InputError
from ..ir import product
from ..memory import free_memory
from ..simulators.events.compiler.refusal import OPS
from .devices import check_devices
from .energy import Energy, LayerWork
from .recorded import Recorded, Recorder
from .simulation import Simulation, require_same_steps, share, sum_by_layer
from .work import Work, biases, connection_sparsity, parameters

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
        input_macs: MACs of the layers that read the input, with input values and weights that are
            not zero.
        recorded: What was counted in single spikes; None if they were not looked at.
    """

    n: int
    n_given: int
    n_steps: int
    taken: int
    held: bool
    n_spikes: Mapping[str, float]
    n_operations: Mapping[str, int]
    input_macs: float
    recorded: Recorded | None


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
    _require_spikes(network)
    counter = Counter.of(network, settings)
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


def _require_spikes(network: SpikingNetwork) -> None:
    """Refuse networks whose spikes cannot be counted, or followed."""
    if not network.spiking:
        raise InputError(
            "energy counts spikes, and a rate network has none: convert it with spiking=True"
        )
    for node in network.graph.nodes.values():
        op: Any = node.op
        if node.is_neuron and not op.spikes:
            why = f"its neurons ({op.kind}) send rates"
        elif not node.is_neuron and not isinstance(op, OPS):
            why = (
                f"it is {getattr(op, 'kind', type(op).__name__)}, in which operations cannot be "
                "counted"
            )
        else:
            continue
        raise InputError(
            "energy cannot count the operations of spikes in this network because of the layer "
            f"{node.layer!r}: {why}"
        )


@dataclass(frozen=True, slots=True)
class Counter:
    """Runs samples in pieces that fit into memory.

    Args:
        network: The network.
        settings: The arguments of a run.
        counted: Whether the simulator counts synaptic operations itself.
        work: Where the network computes.
        sharp: The same without weights that are zero.
        recorder: Counts in single spikes.
    """

    network: SpikingNetwork
    settings: Mapping[str, Any]
    counted: bool
    work: Work
    sharp: Work
    recorder: Recorder

    @classmethod
    def of(cls, network: SpikingNetwork, settings: Mapping[str, Any]) -> Counter:
        """For a run of a network.

        Args:
            network: The network.
            settings: The arguments of the run.
        """
        spec = network._spec(settings["dt"], settings["dtype"])
        simulator = network._runners.choose(settings["simulator"], spec)
        settings = {**settings, "simulator": simulator.name}
        work = Work.of(network.graph)
        sharp = work.without_zeros()
        recorder = Recorder(work, sharp)
        return cls(network, settings, simulator.name == "events", work, sharp, recorder)

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
        free = free_memory()
        most = PIECE if free is None else min(PIECE, free // 4)
        size = max(1, most // max(each, 1))
        done = 0
        while done < feeds.n:
            piece = feeds.some(slice(done, done + size))
            try:
                part = self._part(piece, record=record)
            except KeyboardInterrupt:
                if self.settings["on_interrupt"] == "raise":
                    raise
                part = self._nothing(piece)
            yield part
            if part.n < part.n_given:
                return
            done += size

    def _record(self, n_steps: int) -> bool:
        """Whether to look at single spikes: where they must be, or where there is memory for it."""
        if self.work.passing or not self.counted:
            return True
        free = free_memory()
        return free is None or RECORDED * self.network.n_neurons * n_steps < free // 4

    def _part(self, feeds: Feeds, *, record: bool) -> Part:
        network = self.network
        given = feeds.as_given(network.signature.inputs)
        run = network.simulate(given, feeds.n_steps, spikes=record, **self.settings)
        recorded = self.recorder.count(run) if record else None
        return Part(
            n=run.n,
            n_given=feeds.n,
            n_steps=run.n_steps,
            taken=int(run.steps.sum()),
            held=feeds.held,
            n_spikes=run.n_spikes,
            n_operations=run.n_operations if recorded is None else recorded.n_operations,
            input_macs=self._effective(feeds, run),
            recorded=recorded,
        )

    def _effective(self, feeds: Feeds, run: Simulation) -> float:
        """Each sample's own steps count."""
        if feeds.held:
            frames = {name: array[: run.n, 0] for name, array in feeds.arrays.items()}
            return float(self.sharp.effective_macs(frames) @ run.steps)
        total = 0.0
        for k, steps in enumerate(run.steps):
            frames = {
                name: np.broadcast_to(array[k], (feeds.n_steps, array.shape[2]))[:steps]
                for name, array in feeds.arrays.items()
            }
            total += float(self.sharp.effective_macs(frames).sum())
        return total

    def _nothing(self, feeds: Feeds) -> Part:
        none = {node.name: 0.0 for node in self.network.graph.neurons()}
        counted = Recorded.joined([])
        return Part(0, feeds.n, feeds.n_steps, 0, feeds.held, none, {}, 0.0, counted)


def _joined(parts: list[Part]) -> Part:
    recorded = [part.recorded for part in parts if part.recorded is not None]
    return Part(
        n=sum(part.n for part in parts),
        n_given=sum(part.n_given for part in parts),
        n_steps=parts[0].n_steps,
        taken=sum(part.taken for part in parts),
        held=parts[0].held,
        n_spikes=sum_by_layer([part.n_spikes for part in parts]),
        n_operations=sum_by_layer([part.n_operations for part in parts]),
        input_macs=sum(part.input_macs for part in parts),
        recorded=Recorded.joined(recorded) if len(recorded) == len(parts) else None,
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
    found = Energy(
        layers=tuple(layers),
        devices=devices,
        n=part.n,
        n_steps=part.n_steps,
        mean_steps=steps,
        held=part.held,
        footprint=4 * sum(each.size for each in parameters(graph)),
        connection_sparsity=connection_sparsity(graph),
        biases=biases(graph),
        advice=(),
        complete=complete,
        **_of_single_spikes(part, float(network.n_neurons) * part.taken),
    )
    if not found.ratio > 1:
        return found
    return replace(found, advice=tuple(_advice(network, found, settings)))


def _of_single_spikes(part: Part, values: float) -> dict[str, float | None]:
    """What is known of single spikes: the fields of an :class:`Energy`."""
    if (found := part.recorded) is None:
        names = ("events", "needed_updates", "read_out_operations", "activation_sparsity",
                 "effective_macs", "effective_acs")  # fmt: skip
        return dict.fromkeys(names)
    return {
        "events": share(found.events, part.n),
        "needed_updates": share(found.needed, part.n),
        "read_out_operations": share(found.read_out, part.n),
        "activation_sparsity": share(values - found.events, values),
        "effective_macs": share(part.input_macs + found.effective_of(graded=True), part.n),
        "effective_acs": share(found.effective_of(graded=False), part.n),
    }


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
        # Without calibration the first outputs come from biases, and are stable for some steps.
        stable = max(2, found.n_steps // 3)
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
