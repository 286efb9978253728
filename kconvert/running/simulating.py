"""Runs whose outputs are kept at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import check_feeds
from ..data.streams import is_stream, run_in_pieces
from ..errors import InputError
from ..ir import Graph
from ..results.simulation import Simulation, joined_simulations
from ..simulators import Chunk
from .loops import run_through
from .settings import Settings
from .totals import Totals

if TYPE_CHECKING:
    from ..network import SpikingNetwork


def simulated(
    network: SpikingNetwork,
    x: Any,
    n_steps: int | None,
    simulator: str,
    settings: Settings,
    *,
    spikes: bool,
) -> Simulation:
    """What :meth:`SpikingNetwork.simulate` gives.

    Args:
        network: The network.
        x: As the user gave it.
        n_steps: As the user gave it.
        simulator: As the user gave it.
        settings: How it is run.
        spikes: Whether every spike is recorded.

    Raises:
        InputError: An argument does not fit.
    """
    if is_stream(x):
        found, ended = run_in_pieces(
            x,
            network.signature.inputs,
            lambda piece: simulated(network, piece.x, n_steps, simulator, settings, spikes=spikes),
            stopped=lambda result, piece: not result.complete,
            returns=settings.on_interrupt == "return",
        )
        return joined_simulations(found, complete=ended)
    feeds = check_feeds(x, network.signature.inputs, n_steps, network.default_steps)
    if spikes and not network.spiking:
        raise InputError("spikes=True: a rate network (spiking=False) has no spikes to record")
    ready = network._runners.ready(network, simulator, feeds.n, settings, record=spikes)
    ready.require_memory(feeds, settings, outputs=True, spikes=spikes)
    sizes = {node.name: node.size for node in network.graph.neurons()}
    shape = (feeds.n, feeds.n_steps)
    outputs = [np.empty((*shape, size)) for size in network._output_sizes]
    trains = {
        layer: np.zeros((*shape, size), dtype=np.uint8)
        for layer, size in (sizes.items() if spikes else ())
    }
    totals = Totals(network.graph, feeds.n_steps, network.spiking, settings.dt)
    steps = np.full(feeds.n, feeds.n_steps)

    def take(chunk: Chunk) -> None:
        for whole, part in zip(outputs, chunk.outputs, strict=True):
            whole[chunk.images, chunk.steps] = part
        for layer, part in chunk.spikes.items():
            trains[layer] = _stored(trains[layer], part)
            trains[layer][chunk.images, chunk.steps] = part
        if chunk.taken is not None:
            steps[chunk.images] = chunk.taken
        totals.add(totals.found(chunk))

    run_through(ready.make, feeds, settings, take)
    return Simulation(
        outputs=_in_structure(network, [output[: totals.n] for output in outputs]),
        rates=totals.rates,
        n_spikes=totals.n_spikes,
        spikes=_by_layer(
            {name: train[: totals.n] for name, train in trains.items()}, network.graph
        ),
        n_steps=feeds.n_steps,
        dt=settings.dt,
        simulator=ready.simulator.name,
        n_operations=totals.n_operations,
        steps=steps[: totals.n],
        complete=totals.n == feeds.n,
        spike_values=totals.spike_values,
        spike_ranges=totals.spike_ranges,
    )


def _stored(train: np.ndarray, part: np.ndarray) -> np.ndarray:
    """An array of spikes, in a wider integer type if the counts do not fit."""
    for limit in (int(part.max(initial=0)), int(part.min(initial=0))):
        train = train.astype(np.promote_types(train.dtype, np.min_scalar_type(limit)), copy=False)
    return train


def _by_layer(arrays: Mapping[str, np.ndarray], graph: Graph) -> dict[str, Any]:
    """Arrays (n, n_steps, neurons) in the shapes of their layers."""
    return {
        layer: array.reshape(*array.shape[:2], *graph.nodes[layer].shape)
        for layer, array in arrays.items()
    }


def _in_structure(network: SpikingNetwork, outputs: list[np.ndarray]) -> Any:
    """Flat outputs in their shapes, and in the structure of Keras' predict."""
    return network.signature.structured(
        [
            flat.reshape(*flat.shape[:-1], *network.graph.nodes[name].shape)
            for flat, name in zip(outputs, network.graph.outputs, strict=True)
        ]
    )
