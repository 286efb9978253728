"""Dense."""

from __future__ import annotations

import keras

from ...ops import Dense
from ..builder import Builder
from ..registry import LAYERS
from .activations import add_activation


@LAYERS.register(keras.layers.Dense)
def dense(layer: keras.layers.Dense, b: Builder, x: str) -> str:
    op = Dense(b.weight(layer, "kernel"), b.optional_weight(layer, "bias"))
    y = b.add(op, x, parameters=b.parameters(layer, weight="kernel", bias="bias"))
    return add_activation(b, layer.activation, y)
