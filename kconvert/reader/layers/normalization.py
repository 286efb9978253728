"""Normalisation by fixed statistics, and products with constants."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras.src.ops import nn as nn_operations

from ...errors import Unsupported
from ...ops import Affine
from ..builder import Builder, Statistics
from ..registry import LAYERS
from .core import place_of


@LAYERS.register(keras.layers.BatchNormalization, timewise=True)
def batch_normalization(layer: keras.layers.BatchNormalization, b: Builder, x: str) -> str:
    axis, rank = b.axis(layer.axis), len(b.shape(x))
    mean, variance = b.weight(layer, "moving_mean"), b.weight(layer, "moving_variance")
    spread = variance + layer.epsilon
    _require_positive(spread, "moving_variance", layer.epsilon)
    gamma, beta = b.optional_weight(layer, "gamma"), b.optional_weight(layer, "beta")
    deviation = np.sqrt(spread)
    b.statistics[x] = Statistics(place_of(mean, axis, rank), place_of(deviation, axis, rank))
    scale = (1.0 if gamma is None else gamma) / deviation
    shift = (0.0 if beta is None else beta) - mean * scale
    op = Affine(place_of(scale, axis, rank), place_of(shift, axis, rank))
    return b.add(op, x, parameters=b.parameters(layer, shift="beta"))


def _require_positive(spread: np.ndarray, variance: str, epsilon: float) -> None:
    """Refuse a variance whose root Keras computes as NaN."""
    if bad := int(np.sum(~(spread > 0))):
        raise Unsupported(
            f"{variance} + epsilon (epsilon={epsilon!r}) is not above 0 in {bad} of {spread.size} "
            "channels, where Keras computes NaN",
            "load other weights, or set epsilon > 0 and train again",
            final=True,
        )


@LAYERS.register(nn_operations.BatchNorm, timewise=True)
def ops_batch_normalization(operation: Any, b: Builder, *xs: str) -> str:
    names = ("x", "mean", "variance", "offset", "scale")
    given = dict(zip(names, b.arguments[0], strict=False)) | b.arguments[1]
    x = given.pop("x")
    if not isinstance(x, str) or any(isinstance(value, str) for value in given.values()):
        raise Unsupported(
            "it normalises by signals (only by constant statistics is supported)",
            "use the layer BatchNormalization",
        )
    mean, variance, offset, gamma = (
        default
        if (value := given.get(name)) is None
        else np.asarray(keras.ops.convert_to_numpy(value), np.float64)
        for name, default in zip(names[1:], (0.0, 1.0, 0.0, 1.0), strict=True)
    )
    spread = np.asarray(variance + operation.epsilon)
    _require_positive(spread, "variance", operation.epsilon)
    scale = gamma / np.sqrt(spread)
    axis, rank = b.axis(operation.axis), len(b.shape(x))
    shift = place_of(np.asarray(offset - mean * scale), axis, rank)
    return b.affine(x, place_of(np.asarray(scale), axis, rank), shift)


@LAYERS.register(keras.layers.Normalization)
def normalization(layer: keras.layers.Normalization, b: Builder, x: str) -> str:
    mean = np.asarray(keras.ops.convert_to_numpy(layer.mean), np.float64)[0]
    variance = np.asarray(keras.ops.convert_to_numpy(layer.variance), np.float64)[0]
    if not np.all(variance >= 0):
        raise Unsupported(
            "its variance is NaN or below 0, where Keras computes NaN", "adapt it again", final=True
        )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert:
        return b.affine(x, deviation, mean)
    b.statistics[x] = Statistics(mean, deviation)
    return b.affine(x, 1.0 / deviation, -mean / deviation)


@LAYERS.register(keras.layers.Rescaling, timewise=True)
def rescaling(layer: keras.layers.Rescaling, b: Builder, x: str) -> str:
    rank = len(b.shape(x))
    scale, offset = (_vector(value, layer, rank) for value in (layer.scale, layer.offset))
    return b.affine(x, scale, offset)


def _vector(value: object, layer: keras.layers.Rescaling, rank: int) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    # Keras takes a vector to be one value for each channel, wherever the data format has them.
    if array.ndim and keras.config.image_data_format() == "channels_first":
        return place_of(array.ravel(), 0, rank)
    return array


@LAYERS.register(keras.layers.SpectralNormalization)
def spectral_normalization(layer: keras.layers.Layer, b: Builder, x: str) -> str | list[str]:
    b.decide("removed", "at inference it is the layer it wraps")
    return b.read(layer.layer, x)


LAYERS.refuse(
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
    reason=(
        "it divides by a statistic of the sample itself, which linear maps and neurons cannot do"
    ),
    fix="use BatchNormalization, whose statistics are fixed at inference, and train again",
)
