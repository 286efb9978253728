"""What a spiking network computes beside its Keras model, and what that costs on devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from .devices import Device
from .display import Display, as_frame, as_html, as_text, plain

LEFT_OUT = (
    "Estimates count operations only. They leave out memory, moving data, static power, and input "
    "and output, which often cost more."
)
COLUMNS = ("layer", "op", "macs", "input_macs", "spikes", "synaptic_operations", "neuron_updates")
"""Columns of the layers."""


@dataclass(frozen=True, slots=True)
class LayerWork:
    """What one layer computes, for one sample.

    Args:
        layer: Its name.
        op: What it is.
        macs: MACs of a layer with weights in the Keras model, for one input.
        input_macs: As many of them as read the input without neurons in between, for one input.
        spikes: Spikes of a layer of neurons, over all steps.
        synaptic_operations: Of a layer of neurons those of its spikes, over all steps. Of a layer
            with weights that reads other weights or a maximum those into it.
        neuron_updates: Neurons times steps.
    """

    layer: str
    op: str
    macs: float = 0.0
    input_macs: float = 0.0
    spikes: float = 0.0
    synaptic_operations: float = 0.0
    neuron_updates: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Energy:
    """What a spiking network computes for one sample, beside its Keras model.

    All counts are means over samples. A MAC is a multiplication and an addition; a synaptic
    operation is the addition of one weight that one spike causes.

    Args:
        layers: The work of each layer.
        devices: The devices that energy is estimated for.
        n: Number of samples.
        n_steps: Number of steps.
        mean_steps: Steps that a sample took on average; fewer with ``early_exit``.
        held: Whether the input stays the same in all steps. If it changes, the Keras model is
            counted once in every step.
        footprint: Bytes of weights, biases and constants in float32.
        connection_sparsity: Share of the weights that are zero.
        activation_sparsity: Share of neurons that send no spike in a step, over all neurons, steps
            and samples. None where the spikes were too many to be looked at.
        effective_macs: MACs in all steps with input values that are not zero.
        advice: Settings that lower the number of operations. Empty if there are fewer than in
            Keras.
        complete: Whether all samples were run (see :class:`~kconvert.Simulation`).
    """

    layers: tuple[LayerWork, ...]
    devices: tuple[Device, ...]
    n: int
    n_steps: int
    mean_steps: float
    held: bool
    footprint: int
    connection_sparsity: float
    activation_sparsity: float | None
    effective_macs: float
    advice: tuple[str, ...]
    complete: bool = True

    @property
    def macs(self) -> float:
        """MACs of the Keras model: once, or in every step for an input that changes."""
        return sum(each.macs for each in self.layers) * self._times

    @property
    def synaptic_operations(self) -> float:
        """Synaptic operations of all layers, over all steps."""
        return sum(each.synaptic_operations for each in self.layers)

    @property
    def input_macs(self) -> float:
        """MACs of the layers that read the input: once, or in every step if the input changes."""
        return sum(each.input_macs for each in self.layers) * self._times

    @property
    def input_macs_in_every_step(self) -> float:
        """The same where nothing is kept from one step to the next."""
        return sum(each.input_macs for each in self.layers) * self.mean_steps

    @property
    def neuron_updates(self) -> float:
        """Neurons times steps."""
        return sum(each.neuron_updates for each in self.layers)

    @property
    def operations(self) -> float:
        """Synaptic operations and :attr:`input_macs` together."""
        return self.synaptic_operations + self.input_macs

    @property
    def ratio(self) -> float:
        """:attr:`operations` over :attr:`macs`: more than 1 is more work than in Keras."""
        return self.operations / self.macs if self.macs else float("nan")

    @property
    def ratio_in_every_step(self) -> float:
        """The ratio where the layers that read the input compute in every step."""
        done = self.synaptic_operations + self.input_macs_in_every_step
        return done / self.macs if self.macs else float("nan")

    def joules(self, device: str, *, every_step: bool = False) -> float:
        """The estimated energy of one sample on one of :attr:`devices`.

        Args:
            device: Its name. A spiking device runs the spiking network, another the Keras model.
            every_step: Whether the layers that read the input compute in every step.

        Raises:
            InputError: There is no such device.
        """
        from ..arguments import is_word, nearest
        from ..errors import InputError

        known = {each.name: each for each in self.devices}
        if not is_word(device, known):
            raise InputError(
                f"device must be one of {list(known)}. Received: {device!r}{nearest(device, known)}"
            )
        return self._joules(known[device], every_step=every_step)

    def neurobench(self) -> dict[str, Any]:
        """The counts under the names of NeuroBench's metrics."""
        return {
            "Footprint": self.footprint,
            "ConnectionSparsity": self.connection_sparsity,
            "ActivationSparsity": self.activation_sparsity,
            "SynapticOperations": {
                "Effective_MACs": self.effective_macs,
                "Effective_ACs": self.synaptic_operations,
                "Dense": sum(each.macs for each in self.layers) * self.mean_steps,
            },
        }

    def __repr__(self) -> str:
        return (
            f"<Energy: {self._run}; {self.operations:,.0f} operations against {self.macs:,.0f} "
            f"MACs in Keras, ratio {self.ratio:.3g}>"
        )

    def __str__(self) -> str:
        text = as_text(self._display())
        if not self.devices:
            return text
        return f"{text}\n\n{as_text(self._device_display())}"

    def _repr_html_(self) -> str:
        shown, devices = self._display(), self._device_display()
        lines = [", ".join(filter(None, row)) for row in devices.rows]
        after = [*shown.after, *lines, *devices.after] if lines else shown.after
        return as_html(replace(shown, after=after))

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data that ``json.dumps`` takes; NaN becomes None.

        ``"neurobench"`` holds NeuroBench's metrics: Footprint, ConnectionSparsity,
        ActivationSparsity and SynapticOperations.
        """
        names = ("n", "n_steps", "mean_steps", "held", "complete", "macs", "synaptic_operations",
                 "input_macs", "input_macs_in_every_step", "neuron_updates", "operations", "ratio",
                 "ratio_in_every_step", "advice")  # fmt: skip
        held: dict[str, Any] = {name: getattr(self, name) for name in names}
        held["layers"] = self._records()
        held["devices"] = self.device_records()
        held["neurobench"] = self.neurobench()
        return {name: plain(value) for name, value in held.items()}

    def to_frame(self) -> Any:
        """The work of the layers as a ``pandas.DataFrame``, one row each.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return as_frame(self._records(), COLUMNS)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The operations of the spiking network beside the MACs of the Keras model.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.energy`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from ..plot import energy

        return energy(self, ax=ax, **options)

    @property
    def verdict(self) -> str:
        """The ratio in words."""
        if not self.macs:
            return "The Keras model has no layers with weights: there is nothing to compare with."
        what = f"{self.ratio:.3g} operations for each MAC in Keras"
        if self.ratio > 1:
            return f"The spiking network does more operations than the Keras model: {what}."
        if self.ratio_in_every_step > 1:
            what += (
                f" ({self.ratio_in_every_step:.3g} if the layers that read the input compute in "
                "every step)"
            )
        if self.ratio == 1:
            return f"The spiking network does as many operations as the Keras model: {what}."
        return f"The spiking network does fewer operations than the Keras model: {what}."

    @property
    def _times(self) -> float:
        """How often the Keras model runs for one sample."""
        return 1.0 if self.held else self.mean_steps

    @property
    def _run(self) -> str:
        ended = "" if self.complete else ", interrupted"
        steps = f"{self.n_steps:,} steps"
        if self.mean_steps < self.n_steps:
            steps += f" (on average {self.mean_steps:.1f})"
        return f"{self.n:,} samples, {steps}{ended}"

    def _joules(self, device: Device, *, every_step: bool) -> float:
        if not device.spiking:
            neurons = self.neuron_updates / self.mean_steps if self.mean_steps else 0.0
            return device.energy(operations=self.macs, macs=0.0, neurons=neurons * self._times)
        return device.energy(
            operations=self.synaptic_operations,
            macs=self.input_macs_in_every_step if every_step else self.input_macs,
            neurons=self.neuron_updates,
        )

    def _records(self) -> list[dict[str, Any]]:
        names = [each.name for each in fields(LayerWork)]
        return [{name: getattr(each, name) for name in names} for each in self.layers]

    def device_records(self) -> list[dict[str, Any]]:
        """The estimates in joules, one row for each device."""
        return [
            {
                "device": each.name,
                "runs": "spiking network" if each.spiking else "Keras model",
                "joules": self._joules(each, every_step=False),
                "joules_in_every_step": self._joules(each, every_step=True),
                "source": each.source,
            }
            for each in self.devices
        ]

    @property
    def totals(self) -> list[tuple[str, str]]:
        """The totals in words, as pairs of a name and a count."""
        keras = "once" if self.held else "in every step"
        found = [
            (f"Keras model, {keras}", f"{self.macs:,.0f} MACs"),
            ("spikes", f"{self.synaptic_operations:,.0f} synaptic operations"),
            (f"layers that read the input, {keras}", f"{self.input_macs:,.0f} MACs"),
        ]
        if self.held:
            every = f"{self.input_macs_in_every_step:,.0f} MACs"
            found.append(("the same if computed in every step", every))
        found.append(("neurons", f"{self.neuron_updates:,.0f} updates"))
        ratio = f"{self.ratio:.3g}"
        if self.held:
            ratio += f" ({self.ratio_in_every_step:.3g} with the input in every step)"
        return [*found, ("ratio", ratio)]

    def _display(self) -> Display:
        head = ("layer", "what", "MACs in Keras", "of the input", "spikes", "synaptic operations",
                "neuron updates")  # fmt: skip
        rows = []
        for each in self._records():
            counts = [each[name] for name in COLUMNS[2:]]
            cells = [f"{value:,.0f}" if value else "" for value in counts]
            rows.append((each["layer"], each["op"], *cells))
        after = [f"{name}: {value}" for name, value in self.totals]
        after.append(self.verdict)
        if self.advice:
            after += ["What lowers it:", *(f"  {each}" for each in self.advice)]
        return Display([f"{self._run}; for one sample:"], head, rows, head[2:], after)

    def _device_display(self) -> Display:
        every = [] if not self.held else ["with the input in every step"]
        head = ("device", "runs", "energy per sample", *every)
        rows: list[Sequence[str]] = []
        for each in self.device_records():
            cells = [each["device"], each["runs"], joules_text(each["joules"])]
            if every:
                spikes = each["joules_in_every_step"] != each["joules"]
                cells.append(joules_text(each["joules_in_every_step"]) if spikes else "")
            rows.append(cells)
        return Display((), head, rows, head[2:], [LEFT_OUT])


def joules_text(value: float) -> str:
    """An energy as people read it."""
    for size, unit in ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-12:.3g} pJ"
