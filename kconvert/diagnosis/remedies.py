"""What takes a cause of an error away: changes of a network, each against one cause.

A remedy is for measuring, and not always something that a user can set: neurons with the curve that
was trained, a run that begins before time zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ir import Graph, Node, replace_op
from ..ops import RAMP, Lif, MaxPool, ReadOut
from ..ops.synapse import Lowpass, Window, delay
from ..passes.correct_values import without_corrections
from ..passes.set_spiking import SPREAD, set_initial_voltages

FEW, UNEVEN, CURVE = "too few spikes", "unevenness", "curve"
FLOOR, POOLING, SYNAPSE = "floor", "max pooling", "synapse"
LATE, READ_OUT, SATURATION = "late start", "read-out", "saturation"
FASTER = 1.2
"""Neurons are too slow where a spike a step would be more than so many times as fast."""
ROOM = 0.8
"""Neurons that are too fast are slowed to this share of the most spikes that they can send."""
REST = 0.25
"""Start voltages so low that neurons start at rest."""
SHORT = Lowpass(0.002)
"""Synapses that delay a signal for longer are long ones."""
SAME = 1e-3
"""Curves that differ by less, as a share of their largest value, are the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variant:
    """A network, and how it is run.

    Args:
        graph: What spikes.
        read_outs: Filter of each output.
        n_steps: Number of steps.
        dt: Length of a step in seconds.
        even: Whether each layer reads, held, what the layers before it are on average.
        as_swapped: Whether it is compared with the rates of the activations that were swapped in,
            and not with Keras.
    """

    graph: Graph
    read_outs: tuple[ReadOut | None, ...]
    n_steps: int
    dt: float
    even: bool = False
    as_swapped: bool = False

    def with_ops(self, ops: Mapping[str, Any]) -> Variant:
        """With other neurons in some nodes."""
        return replace(self, graph=self.graph.with_ops(ops))

    def with_fields(self, names: Sequence[str], **fields: Any) -> Variant:
        """With fields of the ops of some nodes changed."""
        nodes = {name: replace_op(self.graph.nodes[name], **fields) for name in names}
        return replace(self, graph=self.graph.rewrite(swap=nodes))

    def at_rates(self, factors: Mapping[str, float]) -> Variant:
        """With the same curves from so many times the spikes."""
        nodes = self.graph.nodes
        return self.with_ops({name: faster(nodes[name].op, by) for name, by in factors.items()})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remedy:
    """What takes a cause away.

    Args:
        layers: Names of the nodes that have the cause.
        apply: From a network to one without the cause.
        factors: For causes that are about rates: what the rates of these layers are multiplied by.
    """

    layers: tuple[str, ...]
    apply: Callable[[Variant], Variant]
    factors: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast the neurons of a layer would have to fire, in spikes a step.

    Args:
        typical: The 99th percentile of the rates above zero.
        fastest: The largest rate.
    """

    typical: float
    fastest: float


def remedies(
    variant: Variant, reference: Graph, speeds: Mapping[str, Speed], *, swapped: bool
) -> dict[str, Remedy]:
    """The remedy of each cause that this network may have, but for unevenness.

    Args:
        variant: The network as it is.
        reference: The same with the neurons that were trained.
        speeds: By layer.
        swapped: Whether other activations were put in the place of Keras'.
    """
    graph, dt = variant.graph, variant.dt
    ops: dict[str, Any] = {node.name: node.op for node in graph.neurons()}
    found = {
        SATURATION: _at_rates(_too_fast(ops, speeds)),
        CURVE: _trained_curves(graph, reference, swapped=swapped),
        SYNAPSE: _short_synapses(ops),
        FEW: _at_rates(_too_slow(ops, speeds, dt)),
        LATE: _begun_earlier(graph, dt),
        READ_OUT: _mean_read_outs(variant),
        POOLING: _sums(graph),
        FLOOR: _no_floors(ops),
    }
    return {name: remedy for name, remedy in found.items() if remedy is not None}


def faster(op: Any, factor: float) -> Any:
    """The same curve, from so many times the spikes."""
    return op.faster(factor) if isinstance(op, Lif) else op.scaled(factor)


def _too_slow(ops: Mapping[str, Any], speeds: Mapping[str, Speed], dt: float) -> dict[str, float]:
    """Factors that bring slow layers to a spike a step, as far as their neurons can fire."""
    found = {}
    for name, op in ops.items():
        typical = speeds[name].typical
        factor = 1.0 / typical if typical else 1.0
        if isinstance(op, Lif):
            factor = min(factor, op.tau_ref / dt)
        elif not op.scales_exactly:
            continue
        if factor > FASTER:
            found[name] = factor
    return found


def _too_fast(ops: Mapping[str, Any], speeds: Mapping[str, Speed]) -> dict[str, float]:
    """Factors with which the fastest neurons of a layer have time for all their spikes."""
    return {
        name: ROOM * op.max_spikes / speeds[name].fastest
        for name, op in ops.items()
        if speeds[name].fastest > op.max_spikes and (isinstance(op, Lif) or op.scales_exactly)
    }


def _at_rates(factors: Mapping[str, float]) -> Remedy | None:
    if not factors:
        return None
    return Remedy(layers=tuple(factors), apply=lambda each: each.at_rates(factors), factors=factors)


def _trained_curves(graph: Graph, reference: Graph, *, swapped: bool) -> Remedy | None:
    """Neurons that were trained, at the rates that these have.

    Corrections make up for the curves, and go with them. Where the activation of Keras cannot
    spike, what is compared changes instead.
    """
    names = tuple(
        node.name
        for node in graph.neurons()
        if not _same_curve(node.op, reference.nodes[node.name].op)
    )
    if not names and not swapped:
        return None

    def apply(each: Variant) -> Variant:
        if not names:
            return replace(each, as_swapped=True)
        plain = replace(each, graph=without_corrections(each.graph), as_swapped=swapped)
        return plain.with_ops(
            {
                name: _as_fast_as(reference.nodes[name].op, plain.graph.nodes[name].op, each.dt)
                for name in names
            }
        )

    return Remedy(layers=names, apply=apply)


def _same_curve(op: Any, trained: Any) -> bool:
    if op.scales_exactly and type(op) is type(trained):
        return True
    x = np.linspace(-1.0, 1.0, 201)
    x = np.concatenate([x, 10 * x])
    wanted = trained.evaluate(x)
    return bool(np.abs(op.evaluate(x) - wanted).max() <= SAME * np.abs(wanted).max())


def _as_fast_as(trained: Any, op: Any, dt: float) -> Any:
    """The trained neurons with as many spikes as others, as far as they can fire."""
    common = {"synapse": op.synapse, "initial_voltage": op.initial_voltage}
    if trained.has_floor:
        common["min_voltage"] = getattr(op, "min_voltage", None)
    factor = trained.unit / op.unit
    if isinstance(trained, Lif):
        factor = min(factor, max(1.0, trained.tau_ref / dt))
    return replace(faster(trained, factor), **common)


def _short_synapses(ops: Mapping[str, Any]) -> Remedy | None:
    """None where all neurons add up whatever order spikes come in, else a short one."""
    names = tuple(name for name, op in ops.items() if delay(op.synapse) > SHORT.tau)
    short = None if all(op.homogeneous for op in ops.values()) else SHORT
    if not names:
        return None
    return Remedy(layers=names, apply=lambda each: each.with_fields(names, synapse=short))


def _begun_earlier(graph: Graph, dt: float) -> Remedy | None:
    """A run that has begun before, with neurons that do not start at rest."""
    neurons = graph.neurons()
    if not neurons:
        return None
    rest = tuple(node.name for node in neurons if np.max(node.op.initial_voltage) < REST)
    spread = set_initial_voltages(dict.fromkeys(rest, SPREAD))
    steps = _steps_to_settle(graph, dt)

    def apply(each: Variant) -> Variant:
        read_outs = tuple(
            replace(one, start=one.start + steps * dt) if isinstance(one, Window) else one
            for one in each.read_outs
        )
        n_steps = each.n_steps + steps
        return replace(each, graph=spread(each.graph), read_outs=read_outs, n_steps=n_steps)

    return Remedy(layers=rest, apply=apply)


def _steps_to_settle(graph: Graph, dt: float) -> int:
    """Twice the mean time from an input to an output: a step a layer, and short synapses."""

    def takes(node: Node) -> float:
        return dt + min(delay(node.op.synapse), SHORT.tau) if node.is_neuron else 0.0

    found = graph.longest(takes)
    return math.ceil(2 * max((found[name] for name in graph.outputs), default=0.0) / dt)


def _mean_read_outs(variant: Variant) -> Remedy | None:
    """Means over the run in the place of filters, and of windows that begin after its end."""

    def is_mean(read_out: ReadOut | None) -> bool:
        return isinstance(read_out, Window) and read_out.first(variant.dt) < variant.n_steps

    if all(map(is_mean, variant.read_outs)):
        return None

    def apply(each: Variant) -> Variant:
        pairs = zip(variant.read_outs, each.read_outs, strict=True)
        means = tuple(now if is_mean(before) else RAMP for before, now in pairs)
        return replace(each, read_outs=means)

    return Remedy(layers=(), apply=apply)


def _sums(graph: Graph) -> Remedy | None:
    """Maxima of running sums in the place of maxima of single spikes."""
    names = tuple(
        node.name
        for node in graph.nodes.values()
        if isinstance(node.op, MaxPool) and node.op.over == "values"
    )
    if not names:
        return None
    return Remedy(layers=names, apply=lambda each: each.with_fields(names, over="sums"))


def _no_floors(ops: Mapping[str, Any]) -> Remedy | None:
    names = tuple(name for name, op in ops.items() if op.has_floor and op.floored)
    if not names:
        return None
    return Remedy(layers=names, apply=lambda each: each.with_fields(names, min_voltage=-np.inf))
