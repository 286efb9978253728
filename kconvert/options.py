"""Arguments of ``convert`` and ``check``, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import keras

from .errors import InputError
from .layers import RateLIF
from .ops import NeuronOp

ALLOWED = ("tensornode",)

_BY_LAYER = {
    keras.layers.ReLU: "relu",
    keras.layers.LeakyReLU: "leaky_relu",
    keras.layers.PReLU: "prelu",
    keras.layers.ELU: "elu",
    RateLIF: "rate_lif",
}
_BY_NEURON = {
    "RectifiedLinear": "relu",
    "SpikingRectifiedLinear": "relu",
    "LIF": "rate_lif",
    "LIFRate": "rate_lif",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}


def check_allowed(allow: Any) -> tuple[str, ...]:
    """The flags that the user passed as ``allow``.

    Raises:
        InputError: One of them is not known.
    """
    flags = (allow,) if isinstance(allow, str) else allow
    if not isinstance(flags, Collection) or not set(flags) <= set(ALLOWED):
        raise InputError(f"allow must be some of {list(ALLOWED)}. Received: allow={allow!r}")
    return tuple(flags)


def read_swaps(swaps: Any, neuron_op: Callable[[Any], NeuronOp]) -> dict[str, NeuronOp | str]:
    """``swap_activations`` by the name of the activation.

    Args:
        swaps: The argument as given.
        neuron_op: The target's way from a neuron type to an op.

    Raises:
        InputError: A key is no activation, or a value neither a neuron type nor an activation.
    """
    if swaps is None:
        return {}
    if not isinstance(swaps, Mapping):
        raise InputError(
            "swap_activations must be a dict, such as {'gelu': nengo.SpikingRectifiedLinear()}. "
            f"Received: {swaps!r}"
        )
    found: dict[str, NeuronOp | str] = {}
    for key, value in swaps.items():
        is_name = isinstance(value, str) and _activation_name(value) is not None
        found[_key(key)] = value if is_name else neuron_op(value)
    return found


def _key(key: Any) -> str:
    name = _activation_name(key)
    if name is None and not isinstance(key, str):
        layer = key if isinstance(key, type) else type(key)
        name = _BY_LAYER.get(layer)
        if name is None and layer.__module__.startswith("nengo"):
            name = _BY_NEURON.get(layer.__name__)
    if name is None:
        raise InputError(
            "swap_activations takes the activations to replace by Keras' name ('gelu'), function, "
            f"layer class or Nengo neuron type. Received: {key!r}"
        )
    return name


def _activation_name(value: Any) -> str | None:
    """Keras' name of an activation, given as that or as the function."""
    name = value if isinstance(value, str) else getattr(value, "__name__", "")
    if name in ("rate_lif", "prelu"):
        return name
    function = getattr(keras.activations, name, None) if name else None
    if function is None or isinstance(value, type):
        return None
    if value is not function and not isinstance(value, str):
        return None
    return str(function.__name__)  # "swish" is silu
