"""Adds what a run is to record to a Nengo network, and takes it away again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import nengo
import numpy as np

from ..ops import NeuronOp
from ..targets.nengo.model import NengoModel


@dataclass(frozen=True, slots=True)
class Recording:
    """Probes of a network.

    Args:
        outputs: One for each output of the graph, filtered.
        counts: Layer name to a probe of the layer's summed spikes per step.
        spikes: Layer name to a probe of its neurons, or nothing.
        amplitude: Layer name to the output of a neuron for one spike per second.
    """

    outputs: tuple[nengo.Probe, ...]
    counts: dict[str, nengo.Probe]
    spikes: dict[str, nengo.Probe]
    amplitude: dict[str, float]


@contextmanager
def no_tuning_curves() -> Iterator[None]:
    """Within the context Nengo builds without a word on tuning curves, which nothing here has.

    It derives them from gain and bias; for a neuron whose current is its input they are not finite.
    """
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Non-finite values detected")
        yield


def _counter(unit: float) -> Callable[[float, np.ndarray], float]:
    def count(t: float, output: np.ndarray) -> float:
        return float(np.abs(output).sum() * unit)

    return count


@contextmanager
def recording(model: NengoModel, *, dt: float, spikes: bool) -> Iterator[Recording]:
    """Within the context the network holds the probes; build the simulator inside it.

    The raw probes are left out meanwhile: nothing here reads them.
    """
    net = model.net
    kinds = (nengo.Node, nengo.Connection, nengo.Probe)
    before = {kind: list(net.objects[kind]) for kind in kinds}
    counts, probes, amplitude = {}, {}, {}
    try:
        for probe in model.raw_probes:
            net.probes.remove(probe)
        with net:
            for name, node in model.graph.nodes.items():
                if not isinstance(node.op, NeuronOp):
                    continue
                neurons, amplitude[name] = model.neurons[name]
                unit = dt / amplitude[name]
                if getattr(node.op, "signed", False) and model.spiking:
                    # Spikes of either sign are spikes: a sum would take one from the other.
                    total = nengo.Node(_counter(unit), size_in=neurons.size_out, size_out=1)
                    nengo.Connection(neurons, total, synapse=None)
                else:
                    total = nengo.Node(size_in=1)
                    each = np.full((1, neurons.size_out), unit)
                    nengo.Connection(
                        neurons, total, transform=nengo.Dense(each.shape, init=each), synapse=None
                    )
                counts[name] = nengo.Probe(total)
                if spikes:
                    probes[name] = nengo.Probe(neurons)
        yield Recording(tuple(model.probes), counts, probes, amplitude)
    finally:
        for kind in kinds:
            net.objects[kind][:] = before[kind]
