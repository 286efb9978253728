"""What is added up over the samples of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir import Graph, product
from ..results.spikes import joined_ranges, spike_values
from ..simulators import Chunk


def bytes_of_a_step(width: int, layers: int) -> int:
    """What a run holds for each step at least: outputs and counts of a sample, and means.

    Args:
        width: Values of all outputs.
        layers: Number of layers of neurons.
    """
    return 8 * width + 16 * layers + 40


@dataclass(slots=True)
class Totals:
    """What is added up of some samples, whatever else is done with their chunks.

    Args:
        graph: What runs.
        n_steps: Number of steps.
        spiking: Whether it spikes.
        dt: Length of a step in seconds.
        n: Samples that are done.
        n_taken: Steps that they took together.
        n_spikes: Layer to its spikes.
        n_operations: Layer to the synaptic operations of its spikes; empty if they are not counted.
        spikes: Spikes of all layers in each step.
        spike_ranges: Layer to the lowest and the highest number of spikes that a neuron of it sent
            in one step, 0 among them; without layers that send rates.
    """

    graph: Graph
    n_steps: int
    spiking: bool
    dt: float
    n: int = 0
    n_taken: int = 0
    n_spikes: dict[str, float] = field(init=False)
    n_operations: dict[str, int] = field(init=False)
    spikes: np.ndarray = field(init=False)
    spike_ranges: dict[str, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.n_spikes = {node.name: 0.0 for node in self.graph.neurons()}
        self.n_operations = {}
        self.spikes = np.zeros(self.n_steps)
        self.spike_ranges = {
            node.name: (0, 0) for node in self.graph.neurons() if self.spiking and node.op.spikes
        }

    def found(self, chunk: Chunk) -> dict[str, Any]:
        """What a chunk of samples adds, as plain data."""
        n_spikes = {}
        spikes = np.zeros(self.n_steps)
        for layer, part in chunk.counts.items():
            counted = np.rint(part) if self.spiking else part
            n_spikes[layer] = float(counted.sum(dtype=np.float64))
            spikes[chunk.steps] += part.sum(axis=0, dtype=np.float64)
        last = chunk.steps.stop == self.n_steps
        n = chunk.images.stop - chunk.images.start if last else 0
        return {
            "n": n,
            "n_taken": n * self.n_steps if chunk.taken is None else int(chunk.taken.sum()),
            "n_spikes": n_spikes,
            "n_operations": {layer: int(part.sum()) for layer, part in chunk.operations.items()},
            "spikes": spikes,
            "spike_ranges": {
                layer: [int(part[:, 0].min()), int(part[:, 1].max())]
                for layer, part in chunk.ranges.items()
            },
        }

    def add(self, found: Mapping[str, Any]) -> None:
        """Add what was found; in the order of the samples."""
        for layer, number in found["n_spikes"].items():
            self.n_spikes[layer] += number
        for layer, number in found["n_operations"].items():
            self.n_operations[layer] = self.n_operations.get(layer, 0) + number
        self.spikes += found["spikes"]
        self.spike_ranges = joined_ranges([self.spike_ranges, found["spike_ranges"]])
        self.n += found["n"]
        self.n_taken += found["n_taken"]

    @property
    def spike_values(self) -> str | None:
        """Which spikes the neurons may send."""
        return spike_values(self.graph, self.dt, spiking=self.spiking)

    @property
    def rates(self) -> dict[str, float]:
        """Layer to its mean rate in Hz over the time that was simulated; NaN if none was."""
        seconds = self.n_taken * self.dt or np.nan
        return {
            layer: total / seconds / product(self.graph.nodes[layer].shape)
            for layer, total in self.n_spikes.items()
        }
