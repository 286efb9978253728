"""Layers and ``keras.ops`` nodes that resize images, and cut them to a size."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from keras.src.ops import image as image_operations

from ...errors import Unsupported
from ...ops import AxisMap, Pad
from ..builder import Builder
from ..registry import LAYERS
from .channels import spatial_axes

L = keras.layers


@LAYERS.register(L.UpSampling1D, L.UpSampling2D, L.UpSampling3D)
def up_sampling(layer: Any, b: Builder, x: str) -> str:
    axes = spatial_axes(b, layer, x) if hasattr(layer, "data_format") else range(1)
    sizes = (layer.size,) if isinstance(layer.size, int) else tuple(layer.size)
    interpolation = getattr(layer, "interpolation", "nearest")
    for axis, size in zip(axes, sizes, strict=True):
        if interpolation == "nearest":
            x = b.gather(x, partial(np.repeat, repeats=size, axis=axis))
        else:
            x = _resized(b, x, axis, b.shape(x)[axis] * size, interpolation)
    return x


@LAYERS.register(L.Resizing)
def resizing(layer: keras.layers.Resizing, b: Builder, x: str) -> str:
    return _resize(layer, (layer.height, layer.width), b, x)


@LAYERS.register(image_operations.Resize)
def ops_resize(operation: Any, b: Builder, x: str) -> str:
    return _resize(operation, operation.size, b, x)


@LAYERS.register(image_operations.RGBToGrayscale)
def rgb_to_grayscale(operation: Any, b: Builder, x: str) -> str:
    _require_batch(b, x)
    first = operation.data_format == "channels_first"
    axis = 0 if first else len(b.shape(x)) - 1
    if b.shape(x)[axis] == 1:
        return x
    colours = np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    gray = keras.ops.image.rgb_to_grayscale(colours, data_format="channels_last")
    weights = np.asarray(keras.ops.convert_to_numpy(gray), np.float64).reshape(1, 3)
    return b.add(AxisMap(axis, weights), x)


@LAYERS.register(L.CenterCrop)
def center_crop(layer: keras.layers.CenterCrop, b: Builder, x: str) -> str:
    sizes = (layer.height, layer.width)
    _require_batch(b, x)
    _require_sizes(sizes)
    axes = spatial_axes(b, layer, x)
    spatial = [b.shape(x)[axis] for axis in axes]
    if all(n >= size for n, size in zip(spatial, sizes, strict=True)):
        starts = [(n - size) // 2 for n, size in zip(spatial, sizes, strict=True)]
        return _cut(b, x, axes, starts, sizes)
    x = _cut_to_aspect(b, x, axes, sizes)  # where the image is too small, Keras resizes it
    for axis, size in zip(axes, sizes, strict=True):
        x = _resized(b, x, axis, size, "bilinear")
    return x


def _resize(layer: Any, sizes: tuple[int, int], b: Builder, x: str) -> str:
    _require_batch(b, x)
    _require_sizes(sizes)
    axes = spatial_axes(b, layer, x)
    fill = 0.0
    if layer.crop_to_aspect_ratio:
        x = _cut_to_aspect(b, x, axes, sizes)
    elif layer.pad_to_aspect_ratio:
        fill = float(layer.fill_value)
        # Around the difference to the value of the frame, the frame is zeros.
        x = _pad_to_aspect(b, b.affine(x, shift=-fill), axes, sizes)
    for axis, size in zip(axes, sizes, strict=True):
        x = _resized(b, x, axis, size, layer.interpolation, layer.antialias)
    return b.affine(x, shift=fill)


def _require_batch(b: Builder, x: str) -> None:
    """Refuse a single image, which Keras takes too: its first axis would be that of the batch."""
    if len(b.shape(x)) != 3:
        raise Unsupported(
            "its input has no batch axis: the first axis would be the height or the channels",
            "give it a batch of images",
            final=True,
        )


def _require_sizes(sizes: tuple[int, int]) -> None:
    height, width = sizes
    if not (height > 0 and width > 0):
        raise Unsupported(
            f"height={height!r}, width={width!r} is not supported (only sizes > 0 are)",
            "set sizes > 0",
            final=True,
        )


def _cut_to_aspect(b: Builder, x: str, axes: range, sizes: tuple[int, int]) -> str:
    """The largest part in the middle that has the ratio of the sizes."""
    n = [b.shape(x)[axis] for axis in axes]
    kept = [max(min(n[i], _in_ratio(n[1 - i], sizes[i], sizes[1 - i])), 1) for i in (0, 1)]
    starts = [(size - part) // 2 for size, part in zip(n, kept, strict=True)]
    return _cut(b, x, axes, starts, kept)


def _pad_to_aspect(b: Builder, x: str, axes: range, sizes: tuple[int, int]) -> str:
    """The image in the middle of a frame of zeros that has the ratio of the sizes."""
    n = [b.shape(x)[axis] for axis in axes]
    pads = [(0, 0)] * len(b.shape(x))
    for i, axis in enumerate(axes):
        frame = max(n[i], _in_ratio(n[1 - i], sizes[i], sizes[1 - i]))
        pads[axis] = ((frame - n[i]) // 2,) * 2
    return b.add(Pad(tuple(pads)), x) if any(map(any, pads)) else x


def _in_ratio(other: int, size: int, other_size: int) -> int:
    """``other * size / other_size``, rounded down as Keras does, in float32."""
    return int(np.float32(other * size) / np.float32(other_size))


def _cut(b: Builder, x: str, axes: range, starts: Any, sizes: Any) -> str:
    kept = [slice(None)] * len(b.shape(x))
    for axis, start, size in zip(axes, starts, sizes, strict=True):
        kept[axis] = slice(start, start + size)
    return b.gather(x, lambda places: places[tuple(kept)])


def _resized(
    b: Builder, x: str, axis: int, after: int, interpolation: str, antialias: bool = False
) -> str:
    """The value resized along one axis by the matrix that Keras makes of the unit vectors."""
    before = b.shape(x)[axis]
    images = np.eye(before, dtype=np.float32).reshape(before, before, 1, 1)
    found = keras.ops.image.resize(
        images,
        (after, 1),
        interpolation=interpolation,
        antialias=antialias,
        data_format="channels_last",
    )
    matrix = np.asarray(keras.ops.convert_to_numpy(found), np.float64).reshape(before, after).T
    return b.add(AxisMap(axis, matrix), x)


LAYERS.refuse(
    L.RandomCrop,
    reason=(
        "at inference Keras leaves the image as it is, so its size differs from the size that the "
        "layer gives"
    ),
    fix="use CenterCrop or Resizing",
)
