"""How the neurons spike: passes made from the arguments of ``convert``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from zlib import crc32

import numpy as np

from ..errors import InputError, is_number
from ..ir import Decision, Graph, Node, product, replace_op
from ..ops import Lif, NeuronOp, Relu, Sigmoid
from . import Pass

GOLDEN = (5**0.5 - 1) / 2
UNIFORM = "uniform"
"""Start voltages at random."""
EQUILIBRIUM = "equilibrium"
"""Start voltages that are found by running the network: ``kconvert/fidelity/equilibrium.py``."""


def set_synapses(synapse: Any) -> Pass:
    """Put a synapse behind every layer of neurons.

    Args:
        synapse: For all layers, or a mapping from layer name to one (others get None).
    """
    return _for_each_neuron("synapse", synapse, None, lambda node, value: {"synapse": value})


def set_initial_voltages(
    voltage: Any, equilibrium: Mapping[str, np.ndarray] | None = None, *, seed: int = 0
) -> Pass:
    """Give every neuron its membrane voltage at time 0, in units of the threshold.

    Args:
        voltage: A number in [0, 1), ``"spread"``, ``"uniform"``, ``"equilibrium"``, an array of the
            layer's shape, or a mapping from layer name to one of these (others get 0). "spread" is
            :func:`spread`, so that neighbours do not fire in step; "uniform" is random.
        equilibrium: Layer name to what "equilibrium" is there; "spread" by default, from which it
            is looked for.
        seed: Of what is random; every layer has numbers of its own.
    """

    def values(node: Node, value: Any) -> dict[str, Any]:
        if isinstance(value, str) and value == EQUILIBRIUM:
            value = "spread" if equilibrium is None else equilibrium[node.name]
        elif isinstance(value, str) and value == UNIFORM:
            rng = np.random.default_rng([seed, crc32(node.name.encode())])
            value = rng.random(product(node.shape))
        return {"initial_voltage": initial_voltages(node, value)}

    def decide(node: Node, value: Any) -> Decision | None:
        if equilibrium is None or not isinstance(value, str) or value != EQUILIBRIUM:
            return None
        text = "neurons start at voltages that calibration samples leave them with"
        return Decision("calibration", node.call or node.name, text, node.name)

    return _for_each_neuron("initial_voltage", voltage, 0.0, values, decide)


def set_min_voltages(floor: Any, auto: float | None = None) -> Pass:
    """Set how far below its resting level the membrane of a neuron may go.

    Args:
        floor: For all layers of LIF and ReLU neurons, or a mapping from layer name to one (others
            get "auto"): a number <= 0 in units of the threshold, also ``-np.inf``; None for Nengo's
            own neurons (a LIF membrane ends at 0, ReLU neurons leave negative input out); or
            "auto".
        auto: What "auto" is for ReLU neurons, and LIF neurons in their place, that have no floor of
            their own (as neurons of ``swap_activations`` may); all others keep theirs.
    """

    def values(node: Node, value: Any) -> dict[str, Any]:
        op, layer = node.op, node.call or node.name
        if isinstance(value, str) and value == "auto":
            own = getattr(op, "min_voltage", None)
            free = isinstance(op, Relu) and own is None
            if isinstance(op, Lif) and op.trained is not None and auto is not None:
                free = own == 0
            return {"min_voltage": auto} if free else {}
        if value is not None and not (is_number(value) and value <= 0):
            raise InputError(
                "min_voltage must be a number <= 0, -np.inf, None, or 'auto'. Received "
                f"{value!r} for {layer!r}"
            )
        if not isinstance(op, Lif | Relu):
            if value is not None and _names(floor, node):
                raise InputError(
                    f"min_voltage names {layer!r}, a layer of {type(op).__name__} neurons: LIF and "
                    "ReLU neurons have a floor"
                )
            return {}
        nengos = 0.0 if isinstance(op, Lif) else None
        return {"min_voltage": nengos if value is None else float(value)}

    return _for_each_neuron("min_voltage", floor, "auto", values)


def set_signed(signed: Any, auto: bool = False) -> Pass:
    """Let ReLU neurons take spikes back.

    Args:
        signed: For all layers of ReLU neurons, or a mapping from layer name to one (others get
            "auto"): True, False, or "auto".
        auto: What "auto" is for neurons without a floor that are not signed already, as neurons of
            ``swap_activations`` may be.
    """

    def values(node: Node, value: Any) -> dict[str, Any]:
        layer = node.call or node.name
        op: Any = node.op
        if isinstance(value, str) and value == "auto":
            free = isinstance(op, Relu) and op.min_voltage == -np.inf
            return {"signed": op.signed or auto} if free else {}
        if not isinstance(value, bool | np.bool_):
            raise InputError(
                f"signed must be True, False or 'auto'. Received {value!r} for {layer!r}"
            )
        if not isinstance(op, Relu):
            if value and _names(signed, node):
                raise InputError(
                    f"signed names {layer!r}, a layer of {type(op).__name__} neurons: ReLU neurons "
                    "can take spikes back"
                )
            return {}
        return {"signed": bool(value)}

    return _for_each_neuron("signed", signed, "auto", values)


def scale_firing_rates(scale: Any) -> Pass:
    """Multiply every neuron's input by a factor and divide its amplitude by it.

    Exact for ReLU neurons: the same values from more spikes. Not exact for LIF, whose curve is
    not linear; this is listed as a decision.

    Args:
        scale: A number > 0, or a mapping from layer name to one (others get 1).
    """

    def values(node: Node, value: Any) -> dict[str, Any]:
        if not is_number(value) or not 0 < value < np.inf:
            raise InputError(
                f"scale_firing_rates must be a number > 0. Received {value!r} for {node.name!r}"
            )
        op: Any = node.op
        input_or_rate = "max_rate" if isinstance(op, Sigmoid) else "gain"
        faster = getattr(op, input_or_rate) * float(value)
        return {input_or_rate: faster, "amplitude": op.amplitude / float(value)}

    def decide(node: Node, value: Any) -> Decision | None:
        if float(value) == 1.0:
            return None
        linear = isinstance(node.op, Relu | Sigmoid)
        exact = "exact" if linear else "not exact: the neuron's curve is not linear"
        layer = node.call or node.name
        return Decision("scaled", layer, f"firing rates times {value:g} ({exact})", node.name)

    return _for_each_neuron("scale_firing_rates", scale, 1.0, values, decide)


def divide_time_constants(divisor: Any) -> Pass:
    """Make LIF neurons faster by a factor, at the same output and the same curve.

    With time constants and amplitude divided by d, a rate ``1 / (tau_ref + tau_rc * q(J))`` is d
    times as high at every current J: exact, where a factor on the input is not, since the curve is
    not linear.

    Args:
        divisor: A mapping from the name of a LIF layer to a number >= 1 (others get 1).
    """

    def values(node: Node, value: float) -> dict[str, Any]:
        op: Any = node.op
        names = ("tau_rc", "tau_ref", "amplitude") if value != 1 else ()
        return {name: getattr(op, name) / value for name in names}

    def decide(node: Node, value: float) -> Decision | None:
        if value == 1:
            return None
        text = f"time constants divided by {value:.3g}: firing rates times that, the same curve"
        return Decision("scaled", node.call or node.name, text, node.name)

    return _for_each_neuron("divide_time_constants", divisor, 1.0, values, decide)


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
        if value != "spread":
            raise InputError(f"initial_voltage must be {accepted}. Received: {value!r}")
        return spread(product(node.shape))
    try:
        voltages = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        voltages = np.full((), np.nan)
    fits = voltages.shape in ((), node.shape, (product(node.shape),))
    if not fits or not np.all((voltages >= 0) & (voltages < 1)):
        raise InputError(
            f"initial_voltage must be {accepted}. Received for {node.name!r}, whose shape is "
            f"{node.shape}: {value!r}"
        )
    return float(voltages) if voltages.ndim == 0 else voltages.ravel()


def _for_each_neuron(
    argument: str,
    setting: Any,
    default: Any,
    changes: Callable[[Node, Any], dict[str, Any]],
    decide: Callable[[Node, Any], Decision | None] = lambda node, value: None,
) -> Pass:
    def apply(graph: Graph) -> Graph:
        neurons = {n.name: n for n in graph.nodes.values() if isinstance(n.op, NeuronOp)}
        chosen = by_layer(argument, setting, default, graph)
        swap = {
            name: replace_op(node, **changes(node, chosen[name])) for name, node in neurons.items()
        }
        decisions = [d for name, node in neurons.items() if (d := decide(node, chosen[name]))]
        return graph.rewrite(swap=swap, decisions=decisions)

    apply.__name__ = f"set_{argument}"
    return apply


def by_layer(argument: str, setting: Any, default: Any, graph: Graph) -> dict[str, Any]:
    """What a setting says of each layer of neurons, by node name.

    Args:
        argument: What the user calls it.
        setting: For all layers, or a mapping from layer name or pattern to one.
        default: For layers that a mapping says nothing of.
        graph: Whose layers.

    Raises:
        InputError: It names something else.
    """
    # One activation may be several layers of neurons: its name stands for them all.
    calls = {
        name: node.call or name
        for name, node in graph.nodes.items()
        if isinstance(node.op, NeuronOp)
    }
    if not isinstance(setting, Mapping):
        return dict.fromkeys(calls, setting)
    keys = {name: _keys(setting, name, call) for name, call in calls.items()}
    unknown = sorted(set(setting).difference(*keys.values()), key=str)
    if unknown:
        raise InputError(
            f"{argument} names layers that have no neurons: {unknown}. Layers with neurons: "
            f"{sorted(set(calls.values()))}"
        )
    return {name: setting[key[0]] if key else default for name, key in keys.items()}


def _keys(setting: Mapping[Any, Any], name: str, call: str) -> list[Any]:
    """What in a setting by layer speaks of a layer: its own name first, then patterns."""
    own = [key for key in dict.fromkeys((name, call)) if key in setting]
    patterns = [key for key in setting if isinstance(key, str) and key not in own]
    return own + [key for key in patterns if fnmatchcase(call, key)]


def _names(setting: Any, node: Node) -> bool:
    """Whether a setting by layer names this one, and not by a pattern."""
    return isinstance(setting, Mapping) and (node.name in setting or node.call in setting)
