"""The parts of the page that are words and tables, as plain values for the template."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..files.about import versions
from ..results.energy import Energy, joules_text
from ..results.evaluation import Evaluation
from ..results.spikes import layer_values
from .maps import TIMES

if TYPE_CHECKING:
    from ..network import SpikingNetwork


@dataclass(frozen=True, slots=True)
class Activity:
    """What the neurons did.

    Args:
        rates: Layer to mean rate in Hz.
        n_spikes: Layer to spikes of all samples.
        n_operations: Layer to synaptic operations of all samples; empty if not counted.
        n: Number of samples.
    """

    rates: Mapping[str, float]
    n_spikes: Mapping[str, float]
    n_operations: Mapping[str, int]
    n: int


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that stands at the top of the page."""

    name: str
    value: str
    more: str = ""


def tiles(
    evaluations: Mapping[str, Evaluation], activity: Activity, *, labelled: bool
) -> list[Tile]:
    """The figures that people ask for first."""
    found = []
    for name, evaluation in evaluations.items():
        of = f" of {name}" if len(evaluations) > 1 else ""
        if labelled:
            found += _judged(evaluation, of)
        elif evaluation.agreement_per_step is None:
            found += _metrics(evaluation, of)
        if evaluation.agreement_per_step is not None:
            same = f"{100 * evaluation.agreement_per_step[-1]:.1f} %"
            found.append(Tile(f"Same class as Keras{of}", same, f"{evaluation.n:,} samples"))
    spikes = sum(activity.n_spikes.values()) / activity.n
    found.append(Tile("Spikes per sample", rounded(spikes), "all layers together"))
    if activity.n_operations:
        operations = sum(activity.n_operations.values()) / activity.n
        found.append(Tile("Synaptic operations", rounded(operations), "per sample"))
    return found


def words(evaluations: Mapping[str, Evaluation], activity: Activity, *, labelled: bool) -> str:
    """What the tiles cannot say."""
    if not evaluations:
        return (
            f"There are no labels and no Keras model to compare with: the figures are of "
            f"{activity.n:,} samples."
        )
    if not labelled:
        return "No labels were given: Keras' answers are what the network is compared with."
    found = []
    for name, each in evaluations.items():
        of = f"{name}: " if len(evaluations) > 1 else ""
        if each.lost_and_gained is not None:
            lost, gained = each.lost_and_gained
            if lost == gained == 0:
                found.append(f"{of}The spikes are right on the same samples as Keras.")
                continue
            text = (
                f"{of}On {lost} of {each.n:,} samples Keras is right and the spikes are wrong; on "
                f"{gained} it is the other way round"
            )
            p = each.p_value
            found.append(text + ("." if p is None else f" (McNemar p = {p:.2g})."))
    return " ".join(found)


def _judged(evaluation: Evaluation, of: str) -> list[Tile]:
    if evaluation.accuracy is None:
        return _metrics(evaluation, of)
    interval = evaluation.interval()
    more = f"{evaluation.n:,} samples"
    if interval is not None:
        low, high = (100 * (1 - end) for end in reversed(interval))
        more = f"95 % interval {low:.1f} to {high:.1f} %"
    found = [Tile(f"Error{of}, spikes", f"{100 * (1 - evaluation.accuracy):.2f} %", more)]
    if evaluation.reference_accuracy is not None:
        error = 100 * (1 - evaluation.reference_accuracy)
        found.append(Tile(f"Error{of}, Keras", f"{error:.2f} %", "same samples"))
    return found


def _metrics(evaluation: Evaluation, of: str) -> list[Tile]:
    found = []
    for name, values in evaluation.metrics.items():
        reference = (evaluation.reference_metrics or {}).get(name)
        more = "" if reference is None else f"Keras {reference:.4g}"
        found.append(Tile(f"{name}{of}", f"{values[-1]:.4g}", more))
    return found


def summary(network: SpikingNetwork, n_steps: int, dt: float) -> str:
    """The network in one sentence."""
    layers = len(network.graph.neurons())
    neurons = f"{network.n_neurons:,} neuron{'s' * (network.n_neurons != 1)}"
    kind = "spiking" if network.spiking else "rate"
    time = f"{n_steps:,} steps of {1000 * dt:g} ms"
    return f"{neurons} in {layers} {kind} layer{'s' * (layers != 1)}, run for {time}"


def layer_rows(network: SpikingNetwork, activity: Activity, dt: float) -> list[dict[str, Any]]:
    """One row for each layer of neurons."""
    nodes = network.graph.neurons()
    most = max((rate for rate in activity.rates.values() if math.isfinite(rate)), default=0) or 1
    return [
        {
            "name": node.name,
            "shape": f" {TIMES} ".join(map(str, node.shape)),
            "neurons": f"{node.size:,}",
            "kind": node.op.describe(),
            "values": layer_values(node.op, dt, spiking=network.spiking),
            "rate": f"{activity.rates[node.name]:.1f}",
            "share": 100 * activity.rates[node.name] / most,
            "spikes": rounded(activity.n_spikes[node.name] / activity.n),
            "operations": rounded(activity.n_operations[node.name] / activity.n)
            if node.name in activity.n_operations
            else "",
        }
        for node in nodes
    ]


def device_rows(energy: Energy | None) -> list[dict[str, str]]:
    """One row for each device: its name, what it runs, energies and source."""
    if energy is None:
        return []
    return [
        {
            "name": each["device"],
            "runs": each["runs"],
            "once": joules_text(each["joules"]),
            "every": joules_text(each["joules_in_every_step"]),
            "source": each["source"],
        }
        for each in energy.device_records()
    ]


def convert_call(settings: Mapping[str, Any]) -> str:
    """The call of ``convert`` again. Values that are no plain data stand in a comment."""
    if not settings:
        return "spiking = kconvert.convert(model)"
    lines = ["spiking = kconvert.convert(", "    model,"]
    for name, value in settings.items():
        literal = isinstance(value, bool | int | float | list | dict) or value is None
        if literal:
            lines.append(f"    {name}={value!r},")
        elif _is_number(value):
            lines.append(f"    {name}=float({value!r}),")
        elif name in WORDS and value.isidentifier():
            lines.append(f"    {name}={value!r},")
        else:
            lines.append(f"    {name}={name},  # {value}")
    return "\n".join([*lines, ")"])


WORDS = (
    *("synapse", "output_synapse", "initial_voltage", "min_voltage", "signed", "spike_values"),
    *("correction", "max_pooling"),
)
"""Settings that may be words."""


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def report_call(arguments: Mapping[str, Any], *, labelled: bool) -> str:
    """The call that wrote the page."""
    words = ["x", *(["y"] if labelled else [])]
    words += [f"{name}={value!r}" for name, value in arguments.items()]
    return f"spiking.report({', '.join(words)})"


def version_rows(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Packages and their versions; of a network from a file those that wrote it as well."""
    now = versions()
    wrote = about.get("versions", {})
    return [
        (
            name,
            version if wrote.get(name, version) == version else f"{version} (file: {wrote[name]})",
        )
        for name, version in now.items()
    ]


def rounded(value: float) -> str:
    """A count as people read it."""
    if not math.isfinite(value):
        return "not known"
    for size, unit in ((1e9, " G"), (1e6, " M")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
