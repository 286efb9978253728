"""What a run of a converted model gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError

T = TypeVar("T", int, float)


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


def joined_simulations(parts: Sequence[Simulation], *, complete: bool) -> Simulation:
    """The runs of some samples after each other, as one.

    Raises:
        InputError: They have different numbers of steps.
    """
    first = parts[0]
    require_same_steps([part.n_steps for part in parts])
    taken = [int(part.steps.sum()) for part in parts]
    return replace(
        first,
        outputs=joined_outputs([part.outputs for part in parts]),
        rates=mean_by_layer([part.rates for part in parts], taken),
        n_spikes=sum_by_layer([part.n_spikes for part in parts]),
        spikes={
            layer: np.concatenate([part.spikes[layer] for part in parts]) for layer in first.spikes
        },
        n_operations=sum_by_layer([part.n_operations for part in parts]),
        steps=np.concatenate([part.steps for part in parts]),
        complete=complete,
    )


def joined_outputs(parts: Sequence[Any]) -> Any:
    """Outputs of some samples after each other, in their structure."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: joined_outputs([part[name] for part in parts]) for name in first}
    if isinstance(first, list | tuple):
        return type(first)(map(joined_outputs, zip(*parts, strict=True)))
    return np.concatenate(parts)


def n_of(outputs: Any) -> int:
    """Number of samples in outputs of any structure."""
    while not isinstance(outputs, np.ndarray):
        outputs = next(iter(outputs.values() if isinstance(outputs, Mapping) else outputs))
    return len(outputs)


def require_same_steps(steps: Sequence[int]) -> None:
    """Refuse runs of different lengths, which are no single run."""
    if len(set(steps)) > 1:
        raise InputError(
            f"the batches of x have different numbers of steps, {sorted(set(steps))}: run them "
            "one by one"
        )


def sum_by_layer(parts: Sequence[Mapping[str, T]]) -> dict[str, T]:
    """Totals of some samples after each other; a layer may be missing where nothing was run."""
    totals: dict[str, Any] = {}
    for part in parts:
        for layer, number in part.items():
            totals[layer] = totals.get(layer, 0) + number
    return totals


def mean_by_layer(
    parts: Sequence[Mapping[str, float]], weights: Sequence[float]
) -> dict[str, float]:
    """Means of some samples after each other, by their weights; NaN where these are 0."""
    kept = [(part, weight) for part, weight in zip(parts, weights, strict=True) if weight]
    total = sum(weights) or np.nan
    return {
        layer: float(sum(part[layer] * weight for part, weight in kept) / total)
        for layer in parts[0]
    }
