"""What a run of a converted model gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError
from .display import Display, as_frame, as_html, as_text, plain, shape_of
from .spikes import joined_ranges, seen_text, spikes_lines, spikes_of, whole_range

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
        spike_values: Which spikes the neurons may send in one step: "binary" (0 or 1), "ternary"
            (-1, 0 or 1) or "graded" (any integer, also where Nengo's own neurons decide). None for
            a network that sends rates.
        spike_ranges: Layer name to the lowest and the highest number of spikes that one of its
            neurons sent in one step of this run, such as ``(-3, 12)``; ``(0, 0)`` if it sent none.
            Without layers that send rates.
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
    spike_values: str | None
    spike_ranges: Mapping[str, tuple[int, int]]

    @property
    def n(self) -> int:
        """Number of samples that were run."""
        return len(self.steps)

    @property
    def spike_range(self) -> tuple[int, int] | None:
        """The lowest and the highest number of spikes that any neuron sent in one step.

        None for a network that sends rates.
        """
        return whole_range(self.spike_ranges.values()) if self.spike_ranges else None

    def __repr__(self) -> str:
        recorded = ", spikes recorded" if self.spikes else ""
        spikes = spikes_of(self.spike_values, self.spike_range)
        return (
            f"<Simulation: {self._run}; outputs {shape_of(self.outputs)}; "
            f"{sum(self.n_spikes.values()):,.0f} {spikes}{recorded}>"
        )

    def __str__(self) -> str:
        return as_text(self._display())

    def _repr_html_(self) -> str:
        return as_html(self._display())

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The result as plain data that ``json.dumps`` takes; NaN becomes None.

        Args:
            arrays: Write out every array. By default one of more than 1000 values becomes its shape
                and type.
        """
        held = {
            "n": self.n,
            "n_steps": self.n_steps,
            "dt": self.dt,
            "simulator": self.simulator,
            "complete": self.complete,
            "mean_steps": float(self.steps.mean()) if self.n else None,
            "spike_values": self.spike_values,
            "spike_range": self.spike_range,
            "layers": self._records(),
            "outputs": self.outputs,
            "steps": self.steps,
            "spikes": self.spikes,
        }
        return {name: plain(value, arrays=arrays) for name, value in held.items()}

    def to_frame(self) -> Any:
        """Firing rates and spikes as a ``pandas.DataFrame``, one row for each layer of neurons.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return as_frame(self._records(), LAYER_COLUMNS)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The outputs of one sample over time.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.outputs`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from ..plot import outputs

        return outputs(self, ax=ax, **options)

    @property
    def _run(self) -> str:
        steps = f"{self.n:,} samples, {self.n_steps:,} steps of {1000 * self.dt:g} ms"
        return f"{steps}, {self.simulator}{'' if self.complete else ', interrupted'}"

    def _records(self) -> list[dict[str, Any]]:
        return layer_records(self)

    def _display(self) -> Display:
        recorded = f"spikes recorded: {', '.join(self.spikes)}" if self.spikes else ""
        spikes = spikes_lines(self.spike_values, self.spike_range)
        lines = [self._run, f"outputs: {shape_of(self.outputs)}", *spikes, recorded]
        if self.n and (mean := float(self.steps.mean())) < self.n_steps:
            lines.append(f"steps per sample, with early exit: {mean:.1f}")
        return layer_display([line for line in lines if line], self._records())


LAYER_COLUMNS = (
    *("layer", "rate_hz", "spikes_per_sample", "operations_per_sample", "min_spikes", "max_spikes"),
)
"""Columns of the layers of neurons in a run."""


def layer_records(run: Any) -> list[dict[str, Any]]:
    """What the neurons of each layer did in a run, a row for each layer.

    Args:
        run: A :class:`Simulation` or an :class:`~kconvert.Evaluation`.
    """
    return [
        {
            "layer": layer,
            "rate_hz": float(rate),
            "spikes_per_sample": share(run.n_spikes[layer], run.n),
            "operations_per_sample": (
                share(run.n_operations[layer], run.n) if layer in run.n_operations else None
            ),
            "min_spikes": low,
            "max_spikes": high,
        }
        for layer, rate in run.rates.items()
        for low, high in [run.spike_ranges.get(layer, (None, None))]
    ]


def layer_display(before: Sequence[str], records: Sequence[Mapping[str, Any]]) -> Display:
    """Lines, and the layers of neurons as a table; columns that no layer has are left out."""

    def seen(each: Mapping[str, Any]) -> str:
        known = each["max_spikes"] is not None
        return seen_text((each["min_spikes"], each["max_spikes"])) if known else ""

    def operations(each: Mapping[str, Any]) -> str:
        there = each["operations_per_sample"]
        return "" if there is None else f"{there:,.0f}"

    columns = {
        "layer": [each["layer"] for each in records],
        "rate (Hz)": [f"{each['rate_hz']:.1f}" for each in records],
        "spikes per sample": [f"{each['spikes_per_sample']:,.0f}" for each in records],
        "spikes in a step": [seen(each) for each in records],
        "synaptic operations per sample": [operations(each) for each in records],
    }
    head = [name for name, cells in columns.items() if any(cells) or not records]
    rows = list(zip(*(columns[name] for name in head), strict=True))
    return Display(before, head, rows, head[1:])


def share(totals: Any, n: float) -> Any:
    """Totals over ``n`` samples for each of them; NaN, without a warning, where there is none."""
    return totals / (n or np.nan)


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
        spike_ranges=joined_ranges(part.spike_ranges for part in parts),
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
