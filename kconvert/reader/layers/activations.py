"""Activations: as a layer, as an argument of a layer, as a ``keras.ops`` node."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.activations.activations import ReLU as ReluFunction
from keras.src.ops import nn as nn_operations

from ...errors import Unsupported
from ...layers import RateLIF
from ...ops import Lif, Relu, Softmax
from ..builder import Builder
from ..registry import LAYERS

_SUPPORTED = "linear, relu, softmax at an output, and kconvert.layers.RateLIF are supported"


def add_activation(b: Builder, function: Any, x: str) -> str:
    """Add the node for an activation function; ``linear`` and None add nothing."""
    if function is None or function is keras.activations.linear:
        return x
    if function is keras.activations.relu:
        return b.add(Relu(), x)
    if function is keras.activations.softmax:
        return b.add(Softmax(), x)
    if isinstance(function, keras.layers.Layer) and type(function) in b.layers:
        entry = b.layers.find(function)
        # Only activation layers, or the user's own: a layer with weights has no place there.
        if entry.importer.__module__ == __name__ or type(function) not in LAYERS:
            return entry.read(function, b, x)
    name = getattr(function, "__name__", None) or type(function).__name__
    raise Unsupported(f"activation={name} is not supported", _SUPPORTED)


@LAYERS.register(keras.layers.Activation)
def activation(layer: keras.layers.Activation, b: Builder, x: str) -> str:
    return add_activation(b, layer.activation, x)


@LAYERS.register(keras.layers.Identity)
def identity(layer: keras.layers.Identity, b: Builder, x: str) -> str:
    return x


@LAYERS.register(keras.layers.ReLU, ReluFunction, max_value=None, negative_slope=0.0, threshold=0.0)
def relu(layer: Any, b: Builder, x: str) -> str:
    return b.add(Relu(), x)


@LAYERS.register(nn_operations.Relu)
def ops_relu(operation: Any, b: Builder, x: str) -> str:
    return b.add(Relu(), x)


@LAYERS.register(keras.layers.Softmax, nn_operations.Softmax)
def softmax(layer: Any, b: Builder, x: str) -> str:
    rank = len(b.shape(x)) + 1
    if layer.axis not in (-1, rank - 1):
        raise Unsupported(
            f"axis={layer.axis!r} is not supported (only the last axis is)", "set axis=-1"
        )
    return b.add(Softmax(), x)


@LAYERS.register(RateLIF)
def rate_lif(layer: RateLIF, b: Builder, x: str) -> str:
    op = Lif(
        gain=layer.gain,
        bias=layer.bias,
        amplitude=layer.amplitude,
        tau_rc=layer.tau_rc,
        tau_ref=layer.tau_ref,
        smoothing=layer.smoothing,
    )
    if layer.noise:
        b.decide("removed", f"training noise of {layer.noise:g} Hz does nothing at inference")
    return b.add(op, x)
