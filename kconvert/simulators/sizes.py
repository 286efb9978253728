"""What simulators need at least, estimated from a graph before anything is built.

The constants are measured: peaks of resident memory of convolutional networks of 0.2 to 0.8 million
neurons, less what the process held before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir import Graph, product
from ..memory import require_memory, size_of
from ..ops import Conv, ConvTranspose, Dense, MaxPool
from .base import RunSpec

NENGO_BUILT = 170
"""Bytes for each neuron: Nengo's parameters of ensembles, and signals in float64, with copies."""
NENGO_DL_SAMPLE = 110
"""Bytes for each neuron and sample of a batch in TensorFlow."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that a runner needs.

    Args:
        setting: The setting that they grow with.
        value: Its value.
        each: Bytes for each of it.
        fixed: Bytes besides.
        advice: What else helps.
    """

    setting: str
    value: int
    each: float
    fixed: float
    advice: str

    @property
    def total(self) -> float:
        """All of them."""
        return self.each * self.value + self.fixed

    def require(self, what: str) -> None:
        """Refuse what there is no memory for.

        Args:
            what: What is to be run.

        Raises:
            InputError: With the setting that fits.
        """
        require_memory(
            what, self.each * self.value, self.setting, self.value, self.advice, besides=self.fixed
        )


def events(spec: RunSpec, batch_size: int) -> Room:
    """The event simulator: a copy of what changes for each thread, whatever the batch."""
    import numba

    graph = spec.graph
    itemsize = np.dtype(spec.dtype or "float32").itemsize
    state = lists = 0
    for node in graph.nodes.values():
        if node.is_neuron:
            # Voltages and currents, spikes so far where they can be taken back; events.
            state += node.size * (2 + int(spec.spiking and getattr(node.op, "signed", False)))
            lists += node.size
        elif isinstance(node.op, MaxPool):
            inputs = graph.nodes[node.inputs[0]].size
            state += 2 * inputs + node.size
            if node.op.over == "sums":
                state += inputs + node.size
    each = itemsize * state + (4 + itemsize) * lists
    fixed = itemsize * (state + _parameters(graph))
    advice = "set it in the environment before Python starts; smaller images need less"
    return Room("NUMBA_NUM_THREADS", int(numba.config.NUMBA_NUM_THREADS), each, fixed, advice)


def nengo(spec: RunSpec, batch_size: int) -> Room:
    """Nengo's simulator: one sample at a time; convolutions copy all of their patches."""
    graph = spec.graph
    patches = 0
    for node in graph.nodes.values():
        if isinstance(node.op, Conv):
            inputs = node.op.weight.shape[-2] * node.op.groups
            cells = node.size // node.op.filters
            patches = max(patches, 8 * cells * product(node.op.kernel) * inputs)
    each = NENGO_BUILT * graph.n_neurons + 8 * _parameters(graph) + patches
    return Room("batch_size", 1, each, 0, _events_advice(spec))


def nengo_dl(spec: RunSpec, batch_size: int) -> Room:
    """NengoDL's simulator: Nengo's parameters, and TensorFlow's arrays for each sample."""
    graph = spec.graph
    each = graph.n_neurons * (NENGO_DL_SAMPLE + (8 if spec.record else 0))
    fixed = NENGO_BUILT * graph.n_neurons + 8 * _parameters(graph)
    return Room("batch_size", batch_size, each, fixed, _events_advice(spec))


def _events_advice(spec: RunSpec) -> str:
    return f"simulator='events' needs {size_of(events(spec, 1).total)}"


def _parameters(graph: Graph) -> int:
    return sum(
        node.op.weight.size
        for node in graph.nodes.values()
        if isinstance(node.op, Dense | Conv | ConvTranspose)
    )
