"""How the neurons spike. Each pass takes values by node name; layers that are not named stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np

from ..arguments import fits_float32, nearest
from ..errors import InputError, is_number
from ..ir import Decision, Graph, Node, replace_op
from ..ops import Lif, NeuronOp, Relu, Sigmoid, Synapse
from . import Pass

GOLDEN = (5**0.5 - 1) / 2
SPREAD = "spread"
"""Start voltages that cover [0, 1) evenly."""
UNIFORM = "uniform"
"""Start voltages at random."""
EQUILIBRIUM = "equilibrium"
"""Start voltages that are found by running the network: ``kconvert/fidelity/equilibrium.py``."""


def set_synapses(synapses: Mapping[str, Synapse | None]) -> Pass:
    """Put a synapse behind layers of neurons.

    Args:
        synapses: Name of a layer's node to its synapse.
    """

    def set_synapse(graph: Graph) -> Graph:
        return _with_fields(graph, {name: {"synapse": each} for name, each in synapses.items()})

    return set_synapse


def without_synapses(graph: Graph) -> Graph:
    """The graph without any synapse behind its neurons."""
    return set_synapses(dict.fromkeys(node.name for node in graph.neurons()))(graph)


def set_initial_voltages(
    voltages: Mapping[str, Any],
    equilibrium: Mapping[str, np.ndarray] | None = None,
    *,
    seed: int = 0,
) -> Pass:
    """Give neurons their membrane voltage at time 0, in units of the threshold.

    Args:
        voltages: Name of a layer's node to a number in [0, 1), an array of the layer's shape,
            "spread", "uniform" or "equilibrium". "spread" is :func:`spread`, so that neighbours do
            not fire in step; "uniform" is random.
        equilibrium: Name of a layer's node to the voltages of "equilibrium". Without it these
            layers get "spread", from which the equilibrium is then found.
        seed: Seed of "uniform"; every layer has numbers of its own.

    Raises:
        InputError: A value is none of these.
    """

    def values(node: Node, value: Any) -> float | np.ndarray:
        if isinstance(value, str) and value == EQUILIBRIUM:
            value = SPREAD if equilibrium is None else equilibrium[node.name]
        elif isinstance(value, str) and value == UNIFORM:
            rng = np.random.default_rng([seed, crc32(node.name.encode())])
            value = rng.random(node.size)
        return initial_voltages(node, value)

    def set_initial_voltage(graph: Graph) -> Graph:
        fields = {
            name: {"initial_voltage": values(graph.nodes[name], value)}
            for name, value in voltages.items()
        }
        text = "neurons start at the voltages at which the calibration samples left them"
        decisions = [
            Decision("calibration", graph.nodes[name].layer, text, name)
            for name, value in voltages.items()
            if equilibrium is not None and isinstance(value, str) and value == EQUILIBRIUM
        ]
        return _with_fields(graph, fields).rewrite(decisions=decisions)

    return set_initial_voltage


def set_min_voltages(floors: Mapping[str, float | None]) -> Pass:
    """Set how far below its resting level the membrane of a neuron may go.

    Args:
        floors: Name of a node of neurons that have a floor to a number <= 0 in units of the
            threshold, also ``-np.inf``; or None for the floor of Nengo's own neurons.
    """

    def set_min_voltage(graph: Graph) -> Graph:
        fields = {}
        for name, floor in floors.items():
            op: Any = graph.nodes[name].op
            fields[name] = {"min_voltage": op.nengo_floor if floor is None else float(floor)}
        return _with_fields(graph, fields)

    return set_min_voltage


def set_signed(signed: Mapping[str, bool]) -> Pass:
    """Let neurons take spikes back, by spikes of negative sign.

    Args:
        signed: Name of a node of neurons that can be signed to whether they are.
    """

    def set_sign(graph: Graph) -> Graph:
        return _with_fields(graph, {name: {"signed": each} for name, each in signed.items()})

    return set_sign


def limit_spikes(most: float, dt: float) -> Pass:
    """Let ReLU and sigmoid neurons send at most so many spikes in a step.

    Sigmoid neurons get lower rates. A ceiling of the rate (ReLU6) becomes the largest number of
    spikes a step. Rates are raised a little where that makes it a whole number.

    Args:
        most: The number, 1 or more; infinite for no limit.
        dt: Length of a step in seconds.
    """

    def limit(graph: Graph) -> Graph:
        ops: dict[str, NeuronOp] = {}
        for node in graph.neurons():
            op = node.op
            if isinstance(op, Sigmoid) and op.max_rate * dt > most:
                ops[node.name] = op.scaled(most / (op.max_rate * dt))
            if not isinstance(op, Relu):
                continue
            at_ceiling = op.max_rate * dt
            if at_ceiling < np.inf and (whole := max(1.0, np.ceil(at_ceiling - 1e-9))) <= most:
                ops[node.name] = replace(op.scaled(whole / at_ceiling), max_spikes=float(whole))
            elif most < np.inf:
                ops[node.name] = replace(op, max_spikes=float(most))
        return graph.with_ops(ops)

    return limit


def scale_firing_rates(factors: Mapping[str, float]) -> Pass:
    """Multiply every neuron's input by a factor and divide its amplitude by it.

    Exact for ReLU neurons: the same values from more spikes. Not exact for LIF, whose curve is
    not linear; this is listed as a decision.

    Args:
        factors: Name of a layer's node to a number > 0.
    """

    def scale_firing_rate(graph: Graph) -> Graph:
        ops, decisions = {}, []
        for name, factor in factors.items():
            node = graph.nodes[name]
            op: Any = node.op
            if not is_number(factor) or not 0 < factor < np.inf:
                raise InputError(
                    f"scale_firing_rates must be a number > 0. Received {factor!r} for "
                    f"{node.layer!r}"
                )
            if factor == 1:
                continue
            ops[name] = scaled = op.scaled(float(factor))
            if not (fits_float32(abs(scaled.gain)) and fits_float32(abs(scaled.unit))):
                raise InputError(
                    f"firing rates of {node.layer!r} times {float(factor):g} do not fit into "
                    "float32: use a smaller scale_firing_rates, or a smaller rate of "
                    "kconvert.Calibration"
                )
            exact = "exact" if op.scales_exactly else "not exact: the neuron's curve is not linear"
            text = f"firing rates times {float(factor):g} ({exact})"
            decisions.append(Decision("scaled", node.layer, text, name))
        return graph.with_ops(ops).rewrite(decisions=decisions)

    return scale_firing_rate


def divide_time_constants(divisors: Mapping[str, float]) -> Pass:
    """Make LIF neurons faster by a factor, at the same output and the same curve: see
    :meth:`~kconvert.ops.Lif.faster`.

    Args:
        divisors: Name of a LIF layer's node to a number >= 1.
    """

    def divide_time_constant(graph: Graph) -> Graph:
        ops: dict[str, NeuronOp] = {}
        decisions = []
        for name, divisor in divisors.items():
            node = graph.nodes[name]
            if divisor == 1 or not isinstance(node.op, Lif):
                continue
            ops[name] = node.op.faster(divisor)
            text = (
                f"time constants divided by {divisor:.3g}: firing rates times {divisor:.3g}, with "
                "a curve of the same shape"
            )
            decisions.append(Decision("scaled", node.layer, text, name))
        return graph.with_ops(ops).rewrite(decisions=decisions)

    return divide_time_constant


def spread(n: int) -> np.ndarray:
    """Numbers that cover [0, 1) evenly, and are the same on every machine: number i is the
    fractional part of ``(i + 1/2) * (sqrt(5) - 1) / 2``, an additive-recurrence low-discrepancy
    sequence.
    """
    return np.asarray((np.arange(n) + 0.5) * GOLDEN % 1.0)


def initial_voltages(node: Node, value: Any) -> float | np.ndarray:
    """The voltages of one layer, checked, as a number or a flat array."""
    accepted = (
        "a number in [0, 1), an array of such of the layer's shape, 'spread', 'uniform' or "
        "'equilibrium'"
    )
    if isinstance(value, str):
        if value != SPREAD:
            hint = nearest(value, (SPREAD, UNIFORM, EQUILIBRIUM, "auto"))
            raise InputError(f"initial_voltage must be {accepted}. Received: {value!r}{hint}")
        return spread(node.size)
    try:
        voltages = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        voltages = np.full((), np.nan)
    fits = voltages.shape in ((), node.shape, (node.size,))
    if not fits or not np.all((voltages >= 0) & (voltages < 1)):
        raise InputError(
            f"initial_voltage must be {accepted}. Received for {node.layer!r}, whose shape is "
            f"{node.shape}: {value!r}"
        )
    return float(voltages) if voltages.ndim == 0 else voltages.ravel()


def _with_fields(graph: Graph, fields: Mapping[str, Mapping[str, Any]]) -> Graph:
    """With fields of the ops of some nodes changed."""
    return graph.rewrite(
        swap={name: replace_op(graph.nodes[name], **each) for name, each in fields.items()}
    )
