"""Thresholds for a given number of steps: what is cut off against what is rounded."""

from __future__ import annotations

import numpy as np

from ..data.arrays import Feeds
from ..ir import Graph
from .calibration import rate_chunks

FACTORS = 2.0 ** (-np.arange(13) / 4)
"""On the output of a spike: 1 to 1/8."""


def rounding_errors(graph: Graph, feeds: Feeds, n_spikes: int, dt: float) -> dict[str, np.ndarray]:
    """The squared error of ReLU neurons that send at most so many spikes in a run.

    A smaller output of a spike cuts off more, and rounds finer. The fewer spikes there are, the
    more it pays to cut off (as in training for clipped and rounded values: Bu et al. 2022, "Optimal
    ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks").

    Args:
        graph: The network with calibrated rates.
        feeds: Samples.
        n_spikes: Most spikes of a neuron in a run: one a step.
        dt: Length of a step in seconds.

    Returns:
        Name of each layer of neurons to the error with each of :data:`FACTORS` on the output of
        a spike: neurons start at half the threshold, which rounds to the nearest number of spikes.
    """
    names = [node.name for node in graph.neurons()]
    found = {name: np.zeros(len(FACTORS)) for name in names}
    for chunk in rate_chunks(graph, names, feeds):
        for name, values in zip(names, chunk.outputs, strict=True):
            above = values[values > 0].astype(np.float64)
            for number, factor in enumerate(FACTORS):
                unit = factor * graph.nodes[name].op.amplitude / dt / n_spikes
                rounded = np.clip(np.floor(above / unit + 0.5), 0, n_spikes) * unit
                found[name][number] += np.square(rounded - above).sum()
    return found
