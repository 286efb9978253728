"""A Nengo network of a run's own, with probes for what the run records."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nengo
import numpy as np

from ..ops import NeuronOp
from ..targets.nengo.model import NengoModel
from ..targets.nengo.net import to_nengo
from .base import Chunk, RunSpec


@dataclass(frozen=True, slots=True)
class Recording:
    """Probes of a network.

    Args:
        outputs: One for each output of the graph, filtered.
        counts: Layer name to a probe of the layer's summed spikes per step. Where a neuron may send
            others than 0 and 1, the lowest and the highest number of a neuron stand behind.
        spikes: Layer name to a probe of its neurons; empty unless they are recorded.
        unit: Layer name to the output of a neuron for one spike per second.
        spiking: The layers that send spikes, and not rates.
    """

    outputs: tuple[nengo.Probe, ...]
    counts: dict[str, nengo.Probe]
    spikes: dict[str, nengo.Probe]
    unit: dict[str, float]
    spiking: frozenset[str]

    def chunk(
        self,
        images: slice,
        steps: slice,
        probed: Callable[[nengo.Probe], np.ndarray],
        dt: float,
    ) -> Chunk:
        """What some steps of one batch have recorded.

        Args:
            images: Which of the images.
            steps: Which of the steps.
            probed: From a probe to its values, of shape (images, steps, size).
            dt: Length of a step in seconds.
        """
        counts = {name: probed(probe) for name, probe in self.counts.items()}
        return Chunk(
            images,
            steps,
            tuple(probed(probe) for probe in self.outputs),
            {name: each[:, :, 0] for name, each in counts.items()},
            {
                name: np.rint(probed(probe) * (dt / self.unit[name]))
                for name, probe in self.spikes.items()
            },
            ranges={name: _ranges(counts[name]) for name in counts if name in self.spiking},
        )


@contextmanager
def no_tuning_curves() -> Iterator[None]:
    """Silences Nengo's warning on tuning curves, which does not apply here.

    Nengo derives them from gain and bias; for a neuron whose current is its input they are not
    finite.
    """
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Non-finite values detected")
        yield


@contextmanager
def random_left_alone() -> Iterator[None]:
    """Gives NumPy's global random numbers back as they were, which are the user's.

    Nengo draws a seed from them for every network that it builds, also for one that has a seed.
    """
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


def _ranges(counts: np.ndarray) -> np.ndarray:
    """The lowest and the highest number of spikes of a neuron in a step, of shape (images, 2)."""
    if counts.shape[2] > 1:
        low, high = counts[:, :, 1].min(axis=1), counts[:, :, 2].max(axis=1)
    else:  # of 0 and 1
        high = counts[:, :, 0].max(axis=1) > 0.5
        low = np.zeros_like(high)
    return np.rint(np.stack([low, high], axis=1)).astype(np.int64)


def _counter(unit: float) -> Callable[[float, np.ndarray], np.ndarray]:
    def count(t: float, output: np.ndarray) -> np.ndarray:
        lowest, highest = output.min(initial=0.0), output.max(initial=0.0)
        return np.array([np.abs(output).sum(), lowest, highest]) * unit

    return count


def emit_with_probes(spec: RunSpec) -> tuple[NengoModel, Recording]:
    """Emit the network, and probes for outputs, spike counts and, if asked, spikes."""
    model = to_nengo(
        spec.graph,
        spiking=spec.spiking,
        read_outs=spec.read_outs,
        seed=spec.seed,
        add_to_container=False,
    )
    for probe in model.raw_probes:  # for training; nothing here reads them
        model.net.probes.remove(probe)
    counts, spikes, units = {}, {}, {}
    with model.net:
        for node in spec.graph.neurons():
            neurons, unit = model.neurons[node.name]
            units[node.name] = unit
            total = _total(neurons, spec.dt / unit, node.op, spec.spiking)
            counts[node.name] = nengo.Probe(total)
            if spec.record:
                spikes[node.name] = nengo.Probe(neurons)
    sending = [node.name for node in spec.graph.neurons() if spec.spiking and node.op.spikes]
    return model, Recording(tuple(model.probes), counts, spikes, units, frozenset(sending))


def _total(
    neurons: nengo.ensemble.Neurons, scale: float, op: NeuronOp, spiking: bool
) -> nengo.Node:
    """A node with the number of spikes in each step, and what :class:`Recording` says of it."""
    if spiking and op.spikes and (op.max_spikes > 1 or getattr(op, "signed", False)):
        # Spikes of either sign are spikes: a sum would take one from the other.
        total = nengo.Node(_counter(scale), size_in=neurons.size_out, size_out=3)
        nengo.Connection(neurons, total, synapse=None)
        return total
    total = nengo.Node(size_in=1)
    each = np.full((1, neurons.size_out), scale)
    nengo.Connection(neurons, total, transform=nengo.Dense(each.shape, init=each), synapse=None)
    return total
