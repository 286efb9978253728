"""Layers that act in training only: removed, and listed."""

from __future__ import annotations

import keras

from ..builder import Builder
from ..registry import LAYERS


@LAYERS.register(
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
)
def training_only(layer: keras.layers.Layer, b: Builder, x: str) -> str:
    b.decide("removed", f"{type(layer).__name__} does nothing at inference")
    return x
