"""Convolutions."""

from __future__ import annotations

import keras

from ...ops import Conv
from ..builder import Builder
from ..registry import LAYERS
from .activations import add_activation


@LAYERS.register(keras.layers.Conv2D, data_format="channels_last")
def conv(layer: keras.layers.Conv2D, b: Builder, x: str) -> str:
    op = Conv(
        b.weight(layer, "kernel"),
        b.optional_weight(layer, "bias"),
        strides=tuple(layer.strides),
        dilation=tuple(layer.dilation_rate),
        padding=layer.padding,
        groups=layer.groups,
    )
    y = b.add(op, x, parameters=b.parameters(layer, weight="kernel", bias="bias"))
    return add_activation(b, layer.activation, y)
