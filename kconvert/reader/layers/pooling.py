"""Pooling, as layers and as ``keras.ops`` nodes."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from keras.src.ops import nn as nn_operations

from ...errors import Unsupported
from ...ops import AvgPool, AxisMap, MaxPool
from ...ops.window import pads_of
from ..builder import Builder
from ..registry import LAYERS
from .channels import as_given, channels_last, spatial_axes

L = keras.layers


@LAYERS.register(
    L.AveragePooling1D, L.AveragePooling2D, L.AveragePooling3D, nn_operations.AveragePool
)
def average_pooling(layer: Any, b: Builder, x: str) -> str:
    return _pool(AvgPool, layer, b, x)


@LAYERS.register(L.MaxPooling1D, L.MaxPooling2D, L.MaxPooling3D, nn_operations.MaxPool)
def max_pooling(layer: Any, b: Builder, x: str) -> str:
    return _pool(MaxPool, layer, b, x)


@LAYERS.register(L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D)
def global_average_pooling(layer: Any, b: Builder, x: str) -> str:
    return _global_pool(AvgPool, layer, b, x)


@LAYERS.register(L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalMaxPooling3D)
def global_max_pooling(layer: Any, b: Builder, x: str) -> str:
    return _global_pool(MaxPool, layer, b, x)


@LAYERS.register(
    L.AdaptiveAveragePooling1D,
    L.AdaptiveAveragePooling2D,
    L.AdaptiveAveragePooling3D,
)
def adaptive_average_pooling(layer: Any, b: Builder, x: str) -> str:
    for axis, out in zip(spatial_axes(b, layer, x), _sizes(layer), strict=True):
        inside = _adaptive_windows(b.shape(x)[axis], out)
        x = b.add(AxisMap(axis, inside / inside.sum(axis=1, keepdims=True)), x)
    return x


@LAYERS.register(
    L.AdaptiveMaxPooling1D,
    L.AdaptiveMaxPooling2D,
    L.AdaptiveMaxPooling3D,
)
def adaptive_max_pooling(layer: Any, b: Builder, x: str) -> str:
    x = channels_last(b, layer, x)
    sizes = []
    for axis, out in enumerate(_sizes(layer)):
        inside = _adaptive_windows(b.shape(x)[axis], out)
        longest = int(inside.sum(axis=1).max())
        # A window that is shorter than others has its last cell repeated, which changes no maximum.
        rows = [np.flatnonzero(row) for row in inside]
        cells = np.concatenate([np.pad(row, (0, longest - len(row)), "edge") for row in rows])
        x = b.gather(x, partial(np.take, indices=cells, axis=axis))
        sizes.append(longest)
    window = tuple(sizes)
    return as_given(b, layer, b.add(MaxPool(window, window, ((0, 0),) * len(window)), x))


def _pool(kind: type[AvgPool | MaxPool], layer: Any, b: Builder, x: str) -> str:
    x = channels_last(b, layer, x)
    spatial = b.shape(x)[:-1]
    pool = _per_axis(layer.pool_size, len(spatial))
    strides = pool if layer.strides is None else _per_axis(layer.strides, len(spatial))
    pads = pads_of(layer.padding, spatial, pool, strides, (1,) * len(spatial))
    return as_given(b, layer, b.add(kind(pool, strides, pads), x))


def _global_pool(kind: type[AvgPool | MaxPool], layer: Any, b: Builder, x: str) -> str:
    x = channels_last(b, layer, x)
    *spatial, channels = b.shape(x)
    window = tuple(spatial)
    y = b.add(kind(window, window, ((0, 0),) * len(window)), x)
    return as_given(b, layer, y) if layer.keepdims else b.reshape(y, (channels,))


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _sizes(layer: Any) -> tuple[int, ...]:
    """``output_size`` of an adaptive pool, in numbers."""
    sizes = tuple(layer.output_size)
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise Unsupported(
            f"output_size={sizes!r} is not supported (only integers > 0 are)", "set it in numbers"
        )
    return sizes


def _adaptive_windows(size: int, out: int) -> np.ndarray:
    """Which cells each window reads: from ``floor(i n / m)`` up to ``ceil((i + 1) n / m)``."""
    cell, window = np.arange(size), np.arange(out)[:, None]
    return np.asarray((cell >= window * size // out) & (cell < -(-(window + 1) * size // out)))
