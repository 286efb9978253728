"""The arguments of ``convert``, each read and checked once.

``convert``, ``check``, ``tune`` and the callbacks all read their settings here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from .arguments import LEAST, MOST, count, fits_float32, flag, is_word, nearest, seed_of
from .errors import InputError, is_number
from .ir import Graph, Node
from .layers.spiking_aware import ONE_A_STEP
from .ops import (
    RAMP,
    Alpha,
    LinearFilter,
    Lowpass,
    NeuronOp,
    OtherNeuron,
    OtherSynapse,
    ReadOut,
    Sigmoid,
    Synapse,
    Window,
)
from .ops.synapse import delay
from .passes.set_max_pooling import CHOICES, max_pools
from .passes.set_max_pooling import DEFAULT as DEFAULT_MAX_POOLING
from .passes.set_spiking import EQUILIBRIUM
from .per_layer import AUTO, PerLayer
from .reader import (
    LAYERS,
    PARAMETRIC,
    Importer,
    Registry,
    Spiking,
    activation_name,
    activation_names,
)

DEFAULT_SYNAPSE = Lowpass(0.002)
"""With start voltages "spread", chosen by measurement: docs/reference/benchmarks.md."""
DEFAULT_OUTPUT_SYNAPSE = Lowpass(0.1)
"""The reference work's."""
ALLOWED = ("tensornode",)
CORRECTIONS = ("bias", "affine")
SPIKE_VALUES = ("auto", "binary", "ternary", "graded")
"""What a neuron may send in one step: what calibration chooses; 0 or 1; -1, 0 or 1; any integer."""
MOST_NEURONS = 64
"""Most neurons for each unit. More would be as exact as float32, and take memory only."""


def most_spikes(spike_values: str) -> float:
    """The most spikes that the user lets a neuron send in one step."""
    return 1.0 if spike_values in ONE_A_STEP else np.inf


_SYNAPSES = "a time constant in seconds >= 0, or a nengo.synapses.Synapse"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Options:
    """The arguments of :func:`kconvert.convert`, read. Their meaning is documented there."""

    spiking: bool
    calibration: Any
    synapse: PerLayer[Synapse | str | None]
    output_synapse: PerLayer[ReadOut | str | None]
    initial_voltage: PerLayer[Any]
    min_voltage: PerLayer[float | str | None]
    signed: PerLayer[bool | str]
    spike_values: str
    neurons_per_unit: PerLayer[int]
    correction: PerLayer[str | None]
    scale_firing_rates: PerLayer[float]
    max_pooling: PerLayer[str]
    swap_activations: Mapping[str, NeuronOp | str]
    allow: tuple[str, ...]
    train_biases: bool
    layers: Registry
    seed: int

    @property
    def is_calibrated(self) -> bool:
        return self.calibration is not None and not is_off(self.calibration)


def read_options(
    *,
    spiking: Any = True,
    calibration: Any = None,
    synapse: Any = AUTO,
    output_synapse: Any = AUTO,
    initial_voltage: Any = AUTO,
    min_voltage: Any = AUTO,
    signed: Any = AUTO,
    spike_values: Any = AUTO,
    neurons_per_unit: Any = 1,
    correction: Any = AUTO,
    scale_firing_rates: Any = None,
    max_pooling: Any = DEFAULT_MAX_POOLING,
    swap_activations: Any = None,
    allow: Any = (),
    train_biases: Any = False,
    layers: Registry | Mapping[type, Importer] | None = None,
    seed: Any = 0,
) -> Options:
    """Read the arguments of :func:`kconvert.convert`.

    Raises:
        InputError: One of them is malformed.
    """
    settings = {"initial_voltage": initial_voltage, "correction": correction}
    if (calibration is None or is_off(calibration)) and (argument := needs_samples(settings)):
        raise InputError(f"{argument} needs samples: pass them as calibration=x, or leave it out")
    return Options(
        spiking=flag("spiking", spiking),
        calibration=calibration,
        synapse=PerLayer.read("synapse", synapse, _auto_or(read_synapse), others=None),
        output_synapse=PerLayer.read(
            "output_synapse", output_synapse, _read_out, others=AUTO, of="output"
        ),
        initial_voltage=PerLayer.read("initial_voltage", initial_voltage, _as_it_is, others=0.0),
        min_voltage=PerLayer.read("min_voltage", min_voltage, _floor, others=AUTO),
        signed=PerLayer.read("signed", signed, _sign, others=AUTO),
        spike_values=_spike_values(spike_values, signed),
        neurons_per_unit=PerLayer.read("neurons_per_unit", neurons_per_unit, _count, others=1),
        correction=PerLayer.read("correction", correction, _correction, others=AUTO),
        scale_firing_rates=read_factors(scale_firing_rates),
        max_pooling=PerLayer.read(
            "max_pooling", max_pooling, _max_pooling, others=DEFAULT_MAX_POOLING, of="max pooling"
        ),
        swap_activations=_swaps(swap_activations),
        allow=_flags(allow),
        train_biases=flag("train_biases", train_biases),
        layers=layers
        if isinstance(layers, Registry)
        else LAYERS.extended({} if layers is None else layers),
        seed=seed_of(seed),
    )


DEFAULTS: Mapping[str, Any] = read_options.__kwdefaults__ or {}
"""The arguments of :func:`kconvert.convert` and their defaults."""


def is_off(calibration: Any) -> bool:
    """Whether the user wants the rates as they are: ``calibration=False``."""
    return isinstance(calibration, bool | np.bool_) and not calibration


def needs_samples(settings: Mapping[str, Any]) -> str:
    """The first setting whose value needs samples; empty if there is none."""
    for name, words in {"initial_voltage": (EQUILIBRIUM,), "correction": CORRECTIONS}.items():
        value = settings.get(name)
        for each in value.values() if isinstance(value, Mapping) else [value]:
            if isinstance(each, str) and each in words:
                return f"{name}={value!r}"
    return ""


def check_names(names: Iterable[str], caller: str = "convert", own: Iterable[str] = ()) -> None:
    """Refuse names that are no arguments of :func:`kconvert.convert`.

    Args:
        names: They.
        caller: Who takes them.
        own: Arguments that this has beside them.

    Raises:
        InputError: A name is unknown. The error names the nearest one.
    """
    for name in names:
        if name not in DEFAULTS:
            if name in _OF_NENGO_DL:
                raise InputError(f"{caller} has no argument {name!r}: {_OF_NENGO_DL[name]}")
            hint = nearest(name, (*DEFAULTS, *own)) or f". It has {sorted(DEFAULTS)}"
            raise InputError(f"{caller} has no argument {name!r}{hint}")


def read_factors(setting: Any) -> PerLayer[float]:
    """``scale_firing_rates``: None or factors > 0."""
    return PerLayer.read(
        "scale_firing_rates", 1.0 if setting is None else setting, _factor, others=1.0
    )


def read_synapse(value: Any, argument: str) -> Synapse | None:
    """A synapse from None, seconds, one of :mod:`kconvert.ops.synapse`, or one of Nengo's.

    Raises:
        InputError: It is none of these.
    """
    if value is None or isinstance(value, Lowpass | Alpha | LinearFilter | OtherSynapse):
        return value
    if is_number(value) and 0 <= value < np.inf:
        return Lowpass(float(value))
    if type(value).__module__.split(".")[0] != "builtins" and not is_number(value):
        from .targets.nengo.synapses import from_nengo

        found = from_nengo(value)
        if found is not None and not isinstance(found, Window):
            return found
    raise InputError(
        f"{argument} must be None, {_SYNAPSES}. Received: {value!r}{nearest(value, (AUTO,))}"
    )


def synapses(setting: PerLayer[Any], graph: Graph, auto: Synapse | None) -> dict[str, Any]:
    """The synapse of each layer of neurons."""
    return {
        name: auto if _is_auto(value) else value
        for name, value in setting.on(graph.neurons()).items()
    }


def floors(setting: PerLayer[Any], graph: Graph, *, calibrated: bool) -> dict[str, float | None]:
    """``min_voltage`` of the layers of neurons that it changes.

    Without calibration "auto" leaves neurons as they are. With it, ReLU neurons, and LIF neurons
    that replaced them, lose their floor, unless they were swapped in with a floor of their own.

    Raises:
        InputError: The setting names neurons that have no floor.
    """
    found: dict[str, float | None] = {}
    for name, value in setting.on(graph.neurons()).items():
        node = graph.nodes[name]
        op: Any = node.op
        if not op.has_floor:
            if value not in (None, AUTO) and setting.names(node):
                raise InputError(
                    f"min_voltage names {node.layer!r}, a layer of {op.kind} neurons: only LIF and "
                    "ReLU neurons have a floor"
                )
        elif not _is_auto(value):
            found[name] = value
        elif calibrated and op.min_voltage == op.nengo_floor:
            replaces_relu = getattr(op, "trained", None) is not None
            if op.integrates or replaces_relu:
                found[name] = -np.inf
    return found


def signs(
    setting: PerLayer[Any], graph: Graph, *, auto: bool = False, spike_values: str = AUTO
) -> dict[str, bool]:
    """``signed`` of the layers of neurons that it changes.

    Args:
        setting: What the user wants.
        graph: With its floors.
        auto: Whether neurons without a floor are signed where the user left it to kconvert.
        spike_values: The user's ``spike_values``, which decides where it says a sign.

    Raises:
        InputError: The setting names neurons that cannot be signed.
    """
    found = {}
    for name, value in setting.on(graph.neurons()).items():
        node = graph.nodes[name]
        op: Any = node.op
        if not op.can_be_signed:
            if value is True and setting.names(node):
                raise InputError(
                    f"signed names {node.layer!r}, a layer of {op.kind} neurons: only ReLU neurons "
                    "can send negative spikes"
                )
        elif spike_values in ONE_A_STEP:
            found[name] = spike_values == "ternary"
        elif not _is_auto(value):
            found[name] = value
        elif op.min_voltage == -np.inf:
            found[name] = op.signed or auto
    return found


def numbers_per_unit(setting: PerLayer[int], graph: Graph) -> dict[str, int]:
    """The number of neurons for each unit, by layer of neurons.

    Raises:
        InputError: More than one for neurons that would all do the same.
    """
    found = setting.on(graph.neurons())
    for name, number in found.items():
        node = graph.nodes[name]
        if number > 1 and isinstance(node.op, OtherNeuron):
            raise InputError(
                f"neurons_per_unit={number}: {node.op.kind} neurons ({node.layer!r}) have no "
                "start voltage, so all of a unit would spike together. Give 1, or a dict by layer "
                "name; ReLU, LIF and sigmoid neurons can be several"
            )
    return found


def require_spike_values(graph: Graph, spike_values: str, dt: float) -> None:
    """Refuse neurons that cannot keep to one spike a step.

    Raises:
        InputError: With all of them.
    """
    if spike_values not in ONE_A_STEP:
        return
    found = []
    for node in graph.neurons():
        op = node.op
        if isinstance(op, OtherNeuron):
            found.append(f"{node.layer!r}: Nengo decides what {op.kind} neurons send")
        elif isinstance(op, Sigmoid) and op.max_rate * dt > 1 + 1e-9:
            most = f"{op.max_rate * dt:.3g}"
            found.append(f"{node.layer!r}: its sigmoid neurons send up to {most} spikes a step")
    if found:
        raise InputError(
            f"spike_values={spike_values!r} allows one spike a step, which some layers may exceed: "
            f"{'; '.join(found)}. Use spike_values='graded', or other neurons"
        )


def start_voltages(
    setting: PerLayer[Any],
    graph: Graph,
    *,
    calibrated: bool,
    spiking: Mapping[str, Spiking] = MappingProxyType({}),
) -> dict[str, Any]:
    """``initial_voltage`` of each layer of neurons, with "auto" resolved.

    Args:
        setting: What the user wants.
        graph: The network.
        calibrated: Whether rates are set by samples.
        spiking: Name of a layer to how it wants its neurons to spike.
    """

    def auto(node: Node) -> float | str:
        if node.layer in spiking:
            return spiking[node.layer].initial_voltage
        found: float | str = node.op.initial_voltage_calibrated if calibrated else "spread"
        return found

    return {
        node.name: auto(node) if _is_auto(value) else value
        for node, value in zip(graph.neurons(), setting.on(graph.neurons()).values(), strict=True)
    }


def max_pooling_choices(setting: PerLayer[str], graph: Graph, *, in_time: bool) -> dict[str, str]:
    """``max_pooling`` of each max pooling node.

    Raises:
        InputError: Running sums are asked for in a model with a time axis.
    """
    found = setting.on(max_pools(graph))
    if in_time and "sums" in setting.values():
        raise InputError(
            "max_pooling='sums' adds up the steps of a run, but in a model with a time axis each "
            "step is another input: use 'before', 'values' or 'circuit'"
        )
    return found


def read_outs(
    setting: PerLayer[Any], names: Collection[str], graph: Graph, *, dt: float, auto: ReadOut
) -> tuple[ReadOut | None, ...]:
    """The filter of each output.

    Args:
        setting: ``output_synapse``.
        names: Keras' names of the outputs.
        graph: With its synapses: "window" begins when the input has gone through.
        dt: Length of a step in seconds.
        auto: What "auto" is.

    Raises:
        InputError: The setting names outputs that the model does not have.
    """
    words = {AUTO: auto, "ramp": RAMP, "window": Window(settling_time(graph, dt))}
    return tuple(
        words[value] if isinstance(value, str) else value
        for value in setting.on_names(names).values()
    )


def settling_time(graph: Graph, dt: float) -> float:
    """Seconds that the input needs to pass the whole network, by its longest path.

    Each layer of neurons needs one step, and each synapse its mean delay. This is a rule of thumb:
    neurons with low rates need longer.
    """

    def takes(node: Node) -> float:
        return dt + delay(node.op.synapse) if node.is_neuron else 0.0

    found = graph.longest(takes)
    return round(max((found[name] for name in graph.outputs), default=0.0), 9)


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == AUTO


def _as_it_is(value: Any, argument: str) -> Any:
    return value


def _auto_or(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, argument: value if _is_auto(value) else check(value, argument)


def _read_out(value: Any, argument: str) -> ReadOut | str | None:
    if isinstance(value, Window):
        return value
    words = (AUTO, "ramp", "window")
    if is_word(value, words):
        return str(value)
    try:
        return read_synapse(value, argument)
    except InputError:
        raise InputError(
            f"{argument} must be None, 'ramp', 'window', a kconvert.Window, {_SYNAPSES}. "
            f"Received: {value!r}{nearest(value, words)}"
        ) from None


def _floor(value: Any, argument: str) -> float | str | None:
    if value is None or _is_auto(value) or (is_number(value) and value <= 0):
        return value
    raise InputError(
        f"{argument} must be a number <= 0, -np.inf, None, or 'auto'. Received: {value!r}"
        f"{nearest(value, (AUTO,))}"
    )


def _sign(value: Any, argument: str) -> bool | str:
    found: bool | str = flag(argument, value, AUTO)
    return found


def _spike_values(value: Any, signed: Any) -> str:
    if not is_word(value, SPIKE_VALUES):
        raise InputError(
            f"spike_values must be one of {', '.join(map(repr, SPIKE_VALUES))}. Received: {value!r}"
            f"{nearest(value, SPIKE_VALUES)}"
        )
    given = signed.values() if isinstance(signed, Mapping) else [signed]
    wrong = {"binary": True, "ternary": False}.get(value)
    if wrong is not None and any(isinstance(each, bool) and each is wrong for each in given):
        raise InputError(
            f"spike_values={value!r} and signed={signed!r} contradict each other: binary spikes "
            "have no sign, ternary spikes have one. Leave signed out"
        )
    return str(value)


def _count(value: Any, argument: str) -> int:
    return count(argument, value, most=MOST_NEURONS)


def _correction(value: Any, argument: str) -> str | None:
    words = (*CORRECTIONS, AUTO)
    if value is None or is_word(value, words):
        return value
    raise InputError(
        f"{argument} must be None, 'bias', 'affine' or 'auto'. Received: {value!r}"
        f"{nearest(value, words)}"
    )


def _factor(value: Any, argument: str) -> float:
    if is_number(value) and fits_float32(value):
        return float(value)
    raise InputError(
        f"{argument} must be a number > 0 that float32 holds, from {LEAST:.2g} to "
        f"{MOST:.2g}. Received: {value!r}"
    )


def _max_pooling(value: Any, argument: str) -> str:
    if is_word(value, CHOICES):
        return str(value)
    raise InputError(
        f"{argument} must be one of {', '.join(map(repr, CHOICES))}. Received: {value!r}"
        f"{nearest(value, CHOICES)}"
    )


def _flags(allow: Any) -> tuple[str, ...]:
    flags = (allow,) if isinstance(allow, str) else allow
    known = isinstance(flags, Collection) and all(is_word(each, ALLOWED) for each in flags)
    if not known:
        words = flags if isinstance(flags, Collection) else ()
        raise InputError(
            f"allow must be some of {list(ALLOWED)}. Received: allow={allow!r}"
            f"{nearest(list(words), ALLOWED)}"
        )
    return tuple(flags)


def _swaps(swaps: Any) -> dict[str, NeuronOp | str]:
    """``swap_activations`` by Keras' name of the activation."""
    if swaps is None:
        return {}
    if not isinstance(swaps, Mapping):
        raise InputError(
            "swap_activations must be a dict, such as {'gelu': nengo.SpikingRectifiedLinear()}. "
            f"Received: {swaps!r}"
        )
    return {_activation(key): _in_its_place(value) for key, value in swaps.items()}


def _activation(key: Any) -> str:
    name = activation_name(key)
    if not name and isinstance(key, str) and key.isidentifier():
        return key  # a function of the user's own: the reader knows whether the model has it
    if not name and inspect.isfunction(key) and key.__name__.isidentifier():
        return key.__name__
    if not name and not isinstance(key, str):
        neuron = key if isinstance(key, type) else type(key)
        if neuron.__module__.startswith("nengo"):
            name = _NENGO_ACTIVATIONS.get(neuron.__name__, "")
    if not name:
        raise InputError(
            "swap_activations takes the activations to replace by Keras' name ('gelu'), function "
            "(of your own too, made by def), layer class or Nengo neuron type. "
            f"Received: {key!r}{nearest(key, activation_names())}"
        )
    return name


def _in_its_place(value: Any) -> NeuronOp | str:
    if isinstance(value, NeuronOp):
        return value
    if isinstance(value, str):
        if activation_name(value) and value not in PARAMETRIC:
            return value
        raise InputError(
            "swap_activations maps to a Nengo neuron type such as nengo.LIF(), or to the name of "
            "one of Keras' activations that has no parameters of its own. Received: "
            f"{value!r}{nearest(value, set(activation_names()) - set(PARAMETRIC))}"
        )
    from .targets.nengo.neurons import neuron_op

    return neuron_op(value)


_NENGO_ACTIVATIONS = {
    "RectifiedLinear": "relu",
    "SpikingRectifiedLinear": "relu",
    "LIF": "rate_lif",
    "LIFRate": "rate_lif",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}
"""Nengo's neuron types by the Keras activation whose rate they have, as NengoDL maps them."""

_OF_NENGO_DL = {
    "max_to_avg_pool": "pass max_pooling='average'",
    "allow_fallback": "pass allow=('tensornode',)",
    "inference_only": "leave it out; train_biases=True makes biases trainable",
    "freeze_batchnorm": "leave it out, batch normalisation is always frozen",
    "split_shared_weights": "leave it out, a layer that is called twice is always two parts of "
    "the network",
    "temporal_model": "leave it out; TimeDistributed makes the first axis time",
}
"""Arguments of NengoDL's Converter, and what to do here."""
