"""Activations: as a layer, as an argument of a layer, as a ``keras.ops`` node."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from keras.src.activations.activations import ReLU as ReluFunction
from keras.src.ops import nn as nn_operations
from keras.src.ops import numpy as numpy_operations

from ...errors import Unsupported
from ...ir import Replacement
from ...layers import RateLIF, SpikingAware
from ...layers.spiking_aware import CEILINGS, ceiling_of_relu
from ...ops import Lif, NeuronOp, Relu, Sigmoid, Softmax
from ..attempts import attempt
from ..builder import Builder, Spiking
from ..registry import LAYERS

L = keras.layers
Term = tuple[Any, float, Any]
"""``(c, a, s)`` stands for ``c * relu(a * x + s)``; ``c`` and ``s`` are numbers or arrays."""

_INSTEAD = (
    "use relu (with negative_slope, max_value), sigmoid, tanh, hard_sigmoid or "
    "kconvert.layers.RateLIF and train again, or pass swap_activations"
)


def activate(b: Builder, name: str, x: str, **settings: Any) -> str:
    """Add the activation that Keras calls ``name``, or what the user wants in its place."""
    b.activations[name] = None
    swapped = b.swap.get(name)
    if swapped is not None:
        b.replacements.append(Replacement(b.call, name))
    if isinstance(swapped, NeuronOp):
        b.decide("swapped", f"{name} -> {_described(swapped)}, because of swap_activations")
        if isinstance(swapped, Lif) and (top := _ceiling(name, **settings)):
            # A LIF neuron's curve has no corner at a ceiling. A second one takes off what is above.
            lif = replace(swapped, trained=Relu())
            return piecewise_linear(b, x, _up_to(top), neurons=lif)
        return b.add(replace(swapped), x)
    if swapped is not None:
        b.decide("swapped", f"{name} -> {swapped}, because of swap_activations")
        name, settings = swapped, {}
    if name not in ACTIVATIONS:
        raise Unsupported(f"no neuron computes the activation {name}", _INSTEAD)
    return ACTIVATIONS[name](b, x, **settings)


def _ceiling(name: str, max_value: float | None = None, **others: Any) -> float:
    """The largest value of an activation if it is a ReLU, clipped or not; else 0."""
    if name not in CEILINGS or any(others.values()):
        return 0.0
    return CEILINGS[name] if max_value is None else max(float(max_value), 0.0)


def _up_to(top: float) -> list[Term]:
    """The terms of ``min(relu(x), top)``."""
    return [(1.0, 1.0, 0.0), *([(-1.0, 1.0, -top)] if top < np.inf else [])]


def _described(op: NeuronOp) -> str:
    """Neurons that the user put in the place of others, and whether they spike."""
    if op.spikes:
        return f"{op.kind} neurons, which spike unless spiking=False"
    return f"{op.kind} neurons, which send rates: Nengo has no spiking version of them"


def add_activation(b: Builder, function: Any, x: str) -> str:
    """Add the node for a layer's ``activation=``; ``linear`` and None add nothing."""
    if function is None or function is keras.activations.linear:
        return x
    if isinstance(function, L.Layer) and type(function) in b.layers:
        entry = b.layers.find(function)
        # Only activation layers, or the user's own: a layer with weights has no place there.
        if entry.importer.__module__ == __name__ or type(function) not in LAYERS:
            return str(entry.read(function, b, x))
    if inspect.isfunction(function) and function in b.layers:
        return str(b.layers.entries[function].read(function, b, x))
    name, settings = _keras_own(function)
    if name:
        return activate(b, name, x, **settings)
    name = getattr(function, "__name__", None) or type(function).__name__
    for called in (name, activation_name(name)):  # Keras' own "swish" is silu
        if called:
            b.activations[called] = None
        if called in b.swap:
            return activate(b, called, x)
    own = inspect.isfunction(function) and name.isidentifier()
    raise Unsupported(
        f"activation={name} is not one of Keras' activations, and kconvert cannot see what it "
        "computes",
        "use one of them, or kconvert.layers.RateLIF"
        + (
            f", or pass convert(..., layers={{{name}: importer}}), or if it equals another "
            f"activation convert(..., swap_activations={{{name}: 'relu'}})"
            if own
            else ""
        ),
    )


def _keras_own(function: Any) -> tuple[str, Mapping[str, Any]]:
    """Keras' name and the settings of a function that is one of its activations; else empty."""
    if same := _of_backend(function):
        return same, {}
    settings: Mapping[str, Any] = {}
    if isinstance(function, partial) and not function.args:
        function, settings = function.func, function.keywords
    name = getattr(function, "__name__", "")
    known = [getattr(module, name, None) for module in (keras.activations, keras.ops)]
    own = bool(name) and any(function is one for one in known)
    return (name, settings) if own and (not settings or _takes(name, settings)) else ("", {})


def _takes(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether an activation is known with these settings."""
    known = inspect.signature(ACTIVATIONS[name]).parameters if name in ACTIVATIONS else ()
    return all(setting in known for setting in settings)


def _of_backend(function: Any) -> str:
    """Keras' name of the activation that a function of a backend is, such as ``tf.nn.relu``.

    Empty if it is none. It must have the same values: other defaults make another function.
    """
    if (getattr(function, "__module__", None) or "").split(".")[0] not in _BACKENDS:
        return ""
    name = activation_name(getattr(function, "__name__", "").removesuffix("_v2"))
    if not name or name in PARAMETRIC:
        return ""
    values = keras.ops.convert_to_tensor(np.linspace(-8.0, 8.0, 65, dtype=np.float32)[None])
    found, error = attempt(function, values)
    if error is not None:
        return ""
    found, expected = (
        keras.ops.convert_to_numpy(each)
        for each in (found, getattr(keras.activations, name)(values))
    )
    # Float32 rounds in other places.
    same = found.shape == expected.shape and np.allclose(found, expected, rtol=1e-5, atol=1e-6)
    return name if same else ""


_BACKENDS = ("tensorflow", "jax", "torch")


def piecewise_linear(
    b: Builder, x: str, terms: Sequence[Term], constant: Any = 0.0, neurons: NeuronOp | None = None
) -> str:
    """Add a continuous function of straight pieces, exactly, as a sum of ReLU neurons.

    Others may stand in their place.
    """
    values = []
    for factor, slope, shift in terms:
        value = b.add(replace(neurons) if neurons else Relu(), b.affine(x, slope, shift))
        if isinstance(factor, np.ndarray):
            value, factor = b.affine(value, factor), 1.0
        values.append((value, float(factor)))
    only = len(values) == 1 and values[0][1] == 1
    return b.affine(values[0][0] if only else b.sum(values), shift=constant)


def _relu(
    b: Builder,
    x: str,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> str:
    if threshold:
        raise Unsupported(
            f"threshold={threshold!r} is not supported (only 0.0 is): the function jumps there",
            "set threshold=0.0 and train again",
        )
    if max_value is not None and not max_value >= 0:
        raise Unsupported(
            f"max_value={max_value!r} is not supported (only numbers >= 0 are)",
            "set max_value=None",
        )
    terms = _up_to(np.inf if max_value is None else float(max_value))
    if negative_slope:
        terms.insert(1, (-float(negative_slope), -1.0, 0.0))
    return piecewise_linear(b, x, terms)


def _prelu(b: Builder, x: str, alpha: np.ndarray) -> str:
    return piecewise_linear(b, x, [(1.0, 1.0, 0.0), (-alpha, -1.0, 0.0)])


def clip(b: Builder, x: str, low: Any, high: Any) -> str:
    """``min(max(x, low), high)``; bounds are numbers or arrays, and may be infinite.

    Raises:
        Unsupported: A bound is NaN or infinite in some places only, or ``low`` is above ``high``.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if not np.all(low <= high):
        raise Unsupported(
            f"its lower bound {low.tolist()!r} is not at or below its upper bound "
            f"{high.tolist()!r} everywhere",
            "give the smaller bound first",
            final=True,
        )
    has_low, has_high = not np.all(np.isneginf(low)), not np.all(np.isposinf(high))
    if has_low and has_high:
        return piecewise_linear(b, x, [(1.0, 1.0, -low), (-1.0, 1.0, -high)], low)
    if has_low:  # max(x, c) = c + relu(x - c)
        return piecewise_linear(b, x, [(1.0, 1.0, -low)], low)
    if has_high:
        return piecewise_linear(b, x, [(-1.0, -1.0, high)], high)
    return x


def _soft_shrink(b: Builder, x: str, threshold: float = 0.5) -> str:
    if not threshold >= 0:
        raise Unsupported(
            f"threshold={threshold!r} is not supported (only numbers >= 0 are)",
            "set threshold >= 0 and train again",
        )
    return piecewise_linear(b, x, [(1, 1, -threshold), (-1, -1, -threshold)])


def _sigmoid(b: Builder, x: str) -> str:
    op = Sigmoid()
    return b.add(replace(op, amplitude=1 / op.max_rate), x)


def _tanh(b: Builder, x: str) -> str:
    # tanh(x) = 2 sigmoid(2 x) - 1
    op = Sigmoid(gain=2.0)
    return b.affine(b.add(replace(op, amplitude=2 / op.max_rate), x), shift=-1.0)


def _softmax(b: Builder, x: str, axis: Any = -1, log: bool = False) -> str:
    if not isinstance(axis, int):
        raise Unsupported(f"axis={axis!r} is not supported (only one axis is)", "set axis=-1")
    return b.add(Softmax(b.axis(axis), log), x)


ACTIVATIONS: dict[str, Callable[..., str]] = {
    "linear": lambda b, x: x,
    "relu": _relu,
    "relu6": lambda b, x: _relu(b, x, max_value=CEILINGS["relu6"]),
    "leaky_relu": lambda b, x, negative_slope=0.2: _relu(b, x, negative_slope=negative_slope),
    "prelu": _prelu,
    "hard_sigmoid": lambda b, x: piecewise_linear(b, x, [(1 / 6, 1, 3), (-1 / 6, 1, -3)]),
    "sparse_sigmoid": lambda b, x: piecewise_linear(b, x, [(0.5, 1, 1), (-0.5, 1, -1)]),
    "hard_tanh": lambda b, x: clip(b, x, -1.0, 1.0),
    "soft_shrink": _soft_shrink,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softmax": _softmax,
    "log_softmax": lambda b, x, axis=-1: _softmax(b, x, axis, log=True),
}
"""Activations that have neurons, by Keras' name, and softmax."""

PARAMETRIC = ("rate_lif", "prelu")
"""Activations that are not given by their name alone."""
_BY_LAYER = {
    L.ReLU: "relu",
    L.LeakyReLU: "leaky_relu",
    L.PReLU: "prelu",
    L.ELU: "elu",
    RateLIF: "rate_lif",
}


def activation_names() -> list[str]:
    """Keras' names of the activations that are known, for those who misspell one."""
    return sorted({*ACTIVATIONS, *_BY_LAYER.values(), *_WITHOUT_NEURONS.values()})


def activation_name(value: Any) -> str:
    """Keras' name of an activation that is given by name, as the function, or as a layer's class
    or instance; empty if it is none.
    """
    if not isinstance(value, str) and (layer := value if isinstance(value, type) else type(value)):
        if layer in _BY_LAYER:
            return _BY_LAYER[layer]
        if isinstance(value, type):
            return ""
    name = value if isinstance(value, str) else getattr(value, "__name__", "")
    if name in PARAMETRIC:
        return str(name)
    function = getattr(keras.activations, name, None) if name else None
    if function is None or (value is not function and not isinstance(value, str)):
        return ""
    return str(getattr(function, "__name__", ""))  # "swish" is silu


@LAYERS.register(L.Activation, timewise=True)
def activation(layer: keras.layers.Activation, b: Builder, x: str) -> str:
    return add_activation(b, layer.activation, x)


@LAYERS.register(L.Identity, timewise=True)
def identity(layer: keras.layers.Identity, b: Builder, x: str) -> str:
    return x


@LAYERS.register(L.ReLU, ReluFunction, timewise=True)
def relu(layer: Any, b: Builder, x: str) -> str:
    return activate(
        b,
        "relu",
        x,
        negative_slope=float(layer.negative_slope),
        max_value=layer.max_value,
        threshold=float(layer.threshold),
    )


@LAYERS.register(L.LeakyReLU, nn_operations.LeakyRelu, timewise=True)
def leaky_relu(layer: Any, b: Builder, x: str) -> str:
    return activate(b, "leaky_relu", x, negative_slope=float(layer.negative_slope))


@LAYERS.register(L.PReLU)
def prelu(layer: keras.layers.PReLU, b: Builder, x: str) -> str:
    b.decide("training", "its alpha is not trained in NengoDL")
    return activate(b, "prelu", x, alpha=b.weight(layer, "alpha"))


@LAYERS.register(nn_operations.SoftShrink, timewise=True)
def soft_shrink(operation: Any, b: Builder, x: str) -> str:
    return activate(b, "soft_shrink", x, threshold=float(operation.threshold))


@LAYERS.register(L.Softmax, nn_operations.Softmax, timewise=True)
def softmax(layer: Any, b: Builder, x: str) -> str:
    return activate(b, "softmax", x, axis=layer.axis)


@LAYERS.register(nn_operations.LogSoftmax, timewise=True)
def log_softmax(operation: Any, b: Builder, x: str) -> str:
    return activate(b, "log_softmax", x, axis=operation.axis)


_BY_OPERATION = {
    nn_operations.Relu: "relu",
    nn_operations.Relu6: "relu6",
    nn_operations.HardSigmoid: "hard_sigmoid",
    nn_operations.SparseSigmoid: "sparse_sigmoid",
    nn_operations.HardTanh: "hard_tanh",
    nn_operations.Sigmoid: "sigmoid",
    numpy_operations.Tanh: "tanh",
}
_WITHOUT_NEURONS = {
    L.ELU: "elu",
    nn_operations.Elu: "elu",
    nn_operations.Softplus: "softplus",
    nn_operations.Softsign: "softsign",
    nn_operations.Silu: "silu",
    nn_operations.HardSilu: "hard_silu",
    nn_operations.LogSigmoid: "log_sigmoid",
    nn_operations.Selu: "selu",
    nn_operations.Gelu: "gelu",
    nn_operations.Celu: "celu",
    nn_operations.TanhShrink: "tanh_shrink",
    nn_operations.HardShrink: "hard_shrink",
    nn_operations.Squareplus: "squareplus",
    nn_operations.SparsePlus: "sparse_plus",
    nn_operations.Threshold: "threshold",
    numpy_operations.Exp: "exponential",
}


@LAYERS.register(*_BY_OPERATION, timewise=True)
def by_operation(operation: Any, b: Builder, x: str) -> str:
    return activate(b, _BY_OPERATION[type(operation)], x)


@LAYERS.register(*_WITHOUT_NEURONS, timewise=True)
def only_swapped(operation: Any, b: Builder, x: str) -> str:
    return activate(b, _WITHOUT_NEURONS[type(operation)], x)


@LAYERS.register(RateLIF, timewise=True)
def rate_lif(layer: RateLIF, b: Builder, x: str) -> str:
    if layer.noise:
        b.decide("removed", f"training noise of {layer.noise:g} Hz does nothing at inference")
    op = Lif(
        gain=layer.gain,
        bias=layer.bias,
        amplitude=layer.amplitude,
        tau_rc=layer.tau_rc,
        tau_ref=layer.tau_ref,
        smoothing=layer.smoothing,
    )
    return activate(b, "rate_lif", x, op=op)


@LAYERS.register(SpikingAware, timewise=True)
def spiking_aware(layer: SpikingAware, b: Builder, x: str) -> str | list[str]:
    if layer.spike_values is None:
        b.decide("removed", f"spikes of {layer.n_steps} steps in training: at inference, the rate")
        return b.read(layer.layer, x)
    b.decide("trained", f"{layer.spike_values} spikes as in training for {layer.n_steps} steps")
    b.spiking[b.call] = Spiking(layer.dt, "spread" if layer.phase == "random" else layer.phase)
    if isinstance(layer.layer, RateLIF):
        return b.read(layer.layer, x)
    amplitude = layer.amplitude
    ceiling = min((ceiling_of_relu(layer.layer) or np.inf) / amplitude, 1 / layer.dt)
    op = Relu(gain=1 / amplitude, amplitude=amplitude, max_rate=ceiling, max_spikes=1.0)
    return b.add(replace(op, signed=layer.spike_values == "ternary"), x)


ACTIVATIONS["rate_lif"] = lambda b, x, op: b.add(op, x)
