"""What a run of a converted model gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Outputs and spikes of one run.

    After Ctrl-C before the first sample was done there is none, and the rates are NaN.

    Args:
        outputs: Filtered output at every step, ``(n, n_steps, *output_shape)``: an array, or
            for several outputs a list or dict of them, structured as Keras' predict.
        rates: Layer name to its mean firing rate in Hz, over images, neurons and time.
        n_spikes: Layer name to its total number of spikes, over images, neurons and time. A rate
            network has rates, and here the number of spikes they stand for.
        spikes: Layer name to spikes per step, of shape ``(n, n_steps, *layer_shape)``; empty unless
            they were asked for.
        n_steps: Number of steps.
        dt: Length of a step in seconds.
        simulator: What ran the network.
        n_operations: Layer name to the synaptic operations of its spikes: for each spike the
            connections it goes out through, to the outputs of the first layers with weights that it
            meets, or where it meets none to what it reaches. Counted by the event simulator for
            spiking networks, otherwise empty.
        steps: Steps that each sample took, of shape ``(n,)``. Fewer than ``n_steps`` where
            ``early_exit`` ended its run; its outputs stay what they were then.
        complete: Whether all samples were run; not so after Ctrl-C with ``on_interrupt="return"``.
    """

    outputs: Any
    rates: Mapping[str, float]
    n_spikes: Mapping[str, float]
    spikes: Mapping[str, np.ndarray]
    n_steps: int
    dt: float
    simulator: str
    n_operations: Mapping[str, int]
    steps: np.ndarray
    complete: bool
