"""What to change against each cause of an error, and what is said about it.

Nothing is offered that was not tried: a change is run, and the error that it leaves is shown. What
only ``convert`` can make (a calibration, other neurons) is not tried here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..ir import Graph
from ..ops import RAMP, Lif
from .remedies import (
    CURVE,
    FEW,
    FLOOR,
    LATE,
    POOLING,
    READ_OUT,
    SATURATION,
    SHORT,
    SYNAPSE,
    UNEVEN,
    Remedy,
    Variant,
)

SMOOTHING = (0.002, 0.005, 0.01)
"""Seconds; synapses that are tried against unevenness."""
SENTENCES = {
    FLOOR: (
        "a floor under the membrane turns the noise of spikes into an error that more steps do not "
        "remove"
    ),
    FEW: "too few spikes: neurons fire too rarely for the number of steps",
    LATE: "a late start: in the first steps the signal has not reached all layers yet",
    SYNAPSE: "a long synapse delays the signal",
    SATURATION: "saturation: neurons would have to fire faster than they can",
    CURVE: "another rate curve: the neurons do not compute the activation that was trained",
    POOLING: "max pooling of single spikes: the maximum of noisy values is too large",
    UNEVEN: (
        "unevenness: spikes are unevenly spread in time, which changes what the next neurons "
        "compute"
    ),
    READ_OUT: "the read-out is not a mean over the steps of the run",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of the error of the read-out.

    Args:
        name: "floor", "too few spikes", "late start", "synapse", "saturation", "curve", "max
            pooling", "unevenness" or "read-out".
        part: What it adds to the squared error of the read-out. The parts of all causes add up to
            this error. One below 0 cancels a part of the error that other causes make.
        share: The part over the squared error. The shares of all causes add up to 1.
        change: What to pass to ``convert``, or to the run, as Python source; empty where no setting
            helps by itself.
        without: Error of the read-out with that change, measured on the same samples; NaN where
            there is none, or where it cannot be tried.
        layers: The layers that have the cause, as users name them.
        text: One sentence.
    """

    name: str
    part: float
    share: float
    change: str
    without: float
    layers: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """Something that a user can set.

    Args:
        source: How it is written in Python.
        variant: The network with it; None where only ``convert`` can make that.
    """

    source: str
    variant: Variant | None


def caused(
    parts: Mapping[str, float],
    variant: Variant,
    remedies: Mapping[str, Remedy],
    error: Callable[[Variant], float],
) -> tuple[Cause, ...]:
    """The causes, those with the largest part first.

    Args:
        parts: The part of the squared error that each cause has.
        variant: The network as it is.
        remedies: Of the causes.
        error: From a variant to its squared error.
    """
    whole = error(variant)
    found = []
    for name in sorted(parts, key=parts.__getitem__, reverse=True):
        layers = remedies[name].layers if name in remedies else ()
        share = parts[name] / whole if whole else 0.0
        change, without = "", math.nan
        if share > 0:
            change, without = _best(CHANGES[name](variant, remedies.get(name)), whole, error)
        known = tuple(dict.fromkeys(variant.graph.nodes[each].layer for each in layers))
        text = SENTENCES[name] + (f"; {change}" if change else "")
        found.append(Cause(name, parts[name], share, change, without, known, text))
    return tuple(found)


def _best(
    tried: Iterator[Change], whole: float, error: Callable[[Variant], float]
) -> tuple[str, float]:
    """The change that leaves the smallest error, and this error, if it is smaller than before."""
    best, least = "", whole
    for each in tried:
        if each.variant is None:
            return each.source, math.nan
        found = error(each.variant)
        if found < least:
            best, least = each.source, found
    return (best, math.sqrt(least)) if best else ("", math.nan)


def longer(variant: Variant) -> Change:
    """Twice the steps."""
    n_steps = 2 * variant.n_steps
    return Change(f"n_steps={n_steps}", replace(variant, n_steps=n_steps))


def _against_floors(variant: Variant, remedy: Remedy) -> Iterator[Change]:
    setting = by_layer(variant.graph, remedy.layers, "-np.inf")
    yield Change(f"min_voltage={setting}", remedy.apply(variant))


def _against_pooling(variant: Variant, remedy: Remedy) -> Iterator[Change]:
    setting = by_layer(variant.graph, remedy.layers, repr("sums"))
    yield Change(f"max_pooling={setting}", remedy.apply(variant))


def _against_synapses(variant: Variant, remedy: Remedy) -> Iterator[Change]:
    yield from _synapses(variant, remedy.layers, (None, SHORT.tau))


def _synapses(
    variant: Variant, layers: tuple[str, ...], taus: tuple[float | None, ...]
) -> Iterator[Change]:
    for tau in taus:
        synapse = None if tau is None else replace(SHORT, tau=tau)
        source = f"synapse={by_layer(variant.graph, layers, repr(tau))}"
        yield Change(source, variant.with_fields(layers, synapse=synapse))


def _against_curves(variant: Variant, remedy: Remedy) -> Iterator[Change]:
    """LIF neurons can be fitted with samples, and need not be scaled, nor stand for ReLU."""
    graph = variant.graph
    lif = tuple(name for name in remedy.layers if isinstance(graph.nodes[name].op, Lif))
    trained = [getattr(graph.nodes[name].op, "trained", None) for name in lif]
    if not lif:
        return
    if graph.calibrated_dt is None:
        yield Change("calibration=x", None)
    elif not any(trained):
        yield Change(f"scale_firing_rates={by_layer(graph, lif, '1.0')}", None)
    elif all(each.activation == "relu" for each in graph.replacements):
        yield Change("swap_activations=None", None)


def _against_saturation(variant: Variant, remedy: Remedy) -> Iterator[Change]:
    """Slower neurons where that leaves the curve as it is; or shorter steps."""
    nodes, factors = variant.graph.nodes, remedy.factors or {}
    if all(nodes[name].op.scales_exactly for name in factors):
        source = f"scale_firing_rates={_times(variant.graph, factors)}"
        yield Change(source, variant.at_rates(factors))
    by = 2 ** math.ceil(math.log2(1.0 / min(factors.values())))
    dt, n_steps = variant.dt / by, variant.n_steps * by
    yield Change(f"dt={dt:g}, n_steps={n_steps}", replace(variant, dt=dt, n_steps=n_steps))


def _against_read_outs(variant: Variant, remedy: Remedy) -> Iterator[Change]:
    means = tuple(RAMP for _ in variant.read_outs)
    yield Change("output_synapse='ramp'", replace(variant, read_outs=means))
    yield longer(variant)


def _against_late_starts(variant: Variant, remedy: Remedy) -> Iterator[Change]:
    if remedy.layers:
        source = f"initial_voltage={by_layer(variant.graph, remedy.layers, repr('spread'))}"
        yield Change(source, replace(variant, graph=remedy.apply(variant).graph))
    yield longer(variant)


def _against_unevenness(variant: Variant, remedy: Remedy | None) -> Iterator[Change]:
    ops: dict[str, Any] = {node.name: node.op for node in variant.graph.neurons()}
    unsigned = tuple(name for name, op in ops.items() if op.can_be_signed and not op.signed)
    if unsigned:
        source = f"signed={by_layer(variant.graph, unsigned, 'True')}"
        yield Change(source, variant.with_fields(unsigned, signed=True))
    if rough := tuple(each for each in _read_by_curves(variant.graph) if ops[each].synapse is None):
        yield from _synapses(variant, rough, SMOOTHING)
    yield longer(variant)


def _read_by_curves(graph: Graph) -> tuple[str, ...]:
    """The layers of neurons that neurons read whose curve is not made of straight lines."""
    found: dict[str, None] = {}
    behind = [name for node in graph.neurons() if not node.op.homogeneous for name in node.inputs]
    while behind:
        node = graph.nodes[behind.pop()]
        if node.is_neuron:
            found[node.name] = None
        else:
            behind += node.inputs
    return tuple(node.name for node in graph.neurons() if node.name in found)


def _against_few(variant: Variant, remedy: Remedy | None) -> Iterator[Change]:
    graph = variant.graph
    factors = (remedy.factors or {}) if remedy is not None else {}
    exact = {name: by for name, by in factors.items() if graph.nodes[name].op.scales_exactly}
    if exact:
        yield Change(f"scale_firing_rates={_times(graph, exact)}", variant.at_rates(exact))
    elif factors and graph.calibrated_dt is None:
        yield Change("calibration=x", None)
    yield longer(variant)


CHANGES: dict[str, Callable[[Variant, Any], Iterator[Change]]] = {
    FLOOR: _against_floors,
    FEW: _against_few,
    LATE: _against_late_starts,
    SYNAPSE: _against_synapses,
    SATURATION: _against_saturation,
    CURVE: _against_curves,
    POOLING: _against_pooling,
    UNEVEN: _against_unevenness,
    READ_OUT: _against_read_outs,
}
"""From a network and the remedy of a cause to what a user may set against it."""


def by_layer(graph: Graph, layers: tuple[str, ...], value: str) -> str:
    """A setting of some layers: by layer, as users name them."""
    names = dict.fromkeys(graph.nodes[name].layer for name in layers)
    return "{" + ", ".join(f"{name!r}: {value}" for name in names) + "}"


def _times(graph: Graph, factors: Mapping[str, float]) -> str:
    """Factors on the rates that there are, by layer."""
    known = {graph.nodes[name].layer: float(f"{by:.2g}") for name, by in factors.items()}
    return "{" + ", ".join(f"{name!r}: {by:g}" for name, by in known.items()) + "}"
