"""Pooling."""

from __future__ import annotations

import keras

from ...ops import AvgPool
from ..builder import Builder
from ..registry import LAYERS


@LAYERS.register(keras.layers.AveragePooling2D, data_format="channels_last")
def average_pooling(layer: keras.layers.AveragePooling2D, b: Builder, x: str) -> str:
    return b.add(AvgPool(tuple(layer.pool_size), tuple(layer.strides), layer.padding), x)
