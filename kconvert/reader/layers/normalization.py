"""Batch normalisation."""

from __future__ import annotations

import keras
import numpy as np

from ...errors import Unsupported
from ...ops import ChannelAffine
from ..builder import Builder
from ..registry import LAYERS


@LAYERS.register(keras.layers.BatchNormalization)
def batch_normalization(layer: keras.layers.BatchNormalization, b: Builder, x: str) -> str:
    rank = len(b.shape(x)) + 1
    if layer.axis not in (-1, rank - 1):
        raise Unsupported(
            f"axis={layer.axis} is not supported (only the last axis is)", "set axis=-1"
        )
    mean, variance = b.weight(layer, "moving_mean"), b.weight(layer, "moving_variance")
    gamma, beta = b.optional_weight(layer, "gamma"), b.optional_weight(layer, "beta")
    scale = (1.0 if gamma is None else gamma) / np.sqrt(variance + layer.epsilon)
    shift = (0.0 if beta is None else beta) - mean * scale
    return b.add(ChannelAffine(scale, shift), x, parameters=b.parameters(layer, shift="beta"))
