"""Layers with the channels first, read through a permutation of the axes."""

from __future__ import annotations

from typing import Any

from ..builder import Builder


def channels_last(b: Builder, layer: Any, x: str) -> str:
    """The value with its channels last, whatever the layer's ``data_format``."""
    if layer.data_format != "channels_first":
        return x
    rank = len(b.shape(x))
    return b.transpose(x, [*range(1, rank), 0])


def as_given(b: Builder, layer: Any, y: str) -> str:
    """The value with its channels where the layer's ``data_format`` has them."""
    if layer.data_format != "channels_first":
        return y
    rank = len(b.shape(y))
    return b.transpose(y, [rank - 1, *range(rank - 1)])


def spatial_axes(b: Builder, layer: Any, x: str) -> range:
    """The spatial axes of a sample."""
    rank = len(b.shape(x))
    return range(1, rank) if layer.data_format == "channels_first" else range(rank - 1)
