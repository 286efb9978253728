"""Layers and ``keras.ops`` nodes that rearrange values."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
from keras.src.ops import core as core_operations
from keras.src.ops import image as image_operations
from keras.src.ops import nn as nn_operations
from keras.src.ops import numpy as numpy_operations

from ...errors import Unsupported
from ...ir import product
from ...ops import Gather, Pad
from ..attempts import attempt
from ..builder import Builder
from ..registry import LAYERS
from .channels import channels_last, spatial_axes

L = keras.layers
N = numpy_operations


@LAYERS.register(L.Flatten)
def flatten(layer: keras.layers.Flatten, b: Builder, x: str) -> str:
    x = channels_last(b, layer, x) if b.shape(x) else x
    return b.reshape(x, (product(b.shape(x)),))


@LAYERS.register(L.Reshape)
def reshape(layer: keras.layers.Reshape, b: Builder, x: str) -> str:
    return b.reshape(x, _filled(tuple(layer.target_shape), product(b.shape(x))))


@LAYERS.register(N.Reshape)
def ops_reshape(operation: Any, b: Builder, x: str) -> str:
    if any(isinstance(size, keras.KerasTensor) for size in keras.tree.flatten(operation.newshape)):
        raise Unsupported(
            "its shape is computed by the model", "give it in numbers, with -1 for the batch"
        )
    first, *rest = operation.newshape
    if first not in (-1, None):
        raise Unsupported(
            f"newshape={tuple(operation.newshape)!r} fixes the batch axis (only -1 is supported "
            "there)",
            "use keras.ops.reshape(x, (-1, ...))",
        )
    return b.reshape(x, _filled(tuple(rest), product(b.shape(x))))


@LAYERS.register(L.Permute)
def permute(layer: keras.layers.Permute, b: Builder, x: str) -> str:
    return b.transpose(x, [axis - 1 for axis in layer.dims])


@LAYERS.register(L.RepeatVector)
def repeat_vector(layer: keras.layers.RepeatVector, b: Builder, x: str) -> str:
    return b.gather(x, lambda places: np.tile(places, (layer.n, 1)))


@LAYERS.register(L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D)
def zero_padding(layer: Any, b: Builder, x: str) -> str:
    pads = [(0, 0)] * len(b.shape(x))
    for axis, pad in zip(spatial_axes(b, layer, x), _pairs(layer.padding), strict=True):
        pads[axis] = pad
    return b.add(Pad(tuple(pads)), x)


@LAYERS.register(L.Cropping1D, L.Cropping2D, L.Cropping3D)
def cropping(layer: Any, b: Builder, x: str) -> str:
    shape = b.shape(x)
    kept = [slice(None)] * len(shape)
    axes = spatial_axes(b, layer, x) if hasattr(layer, "data_format") else range(1)
    for axis, (before, after) in zip(axes, _pairs(layer.cropping), strict=True):
        kept[axis] = slice(before, shape[axis] - after)
    return b.gather(x, lambda places: places[tuple(kept)])


@LAYERS.register(
    core_operations.Slice,
    N.Diagonal,
    N.ExpandDims,
    N.Flip,
    N.GetItem,
    N.Moveaxis,
    N.Repeat,
    N.Rot90,
    N.Squeeze,
    N.Swapaxes,
    N.Take,
    N.Tile,
    N.Transpose,
    nn_operations.DepthToSpace,
    nn_operations.SpaceToDepth,
    image_operations.CropImages,
    image_operations.PadImages,
)
def rearranging(operation: Any, b: Builder, x: str) -> str:
    [index] = places_after(operation, b, x)
    return b.add(Gather(index), x)


@LAYERS.register(N.Roll)
def roll(operation: Any, b: Builder, x: str) -> str:
    if operation.axis is None:
        raise _mixing()
    for axis in np.atleast_1d(operation.axis):
        b.axis(int(axis))
    return rearranging(operation, b, x)


@LAYERS.register(N.Tril, N.Triu)
def triangle(operation: Any, b: Builder, x: str) -> str:
    if len(b.shape(x)) < 2:  # the batch would be the rows
        raise _mixing()
    return rearranging(operation, b, x)


@LAYERS.register(image_operations.ExtractPatches)
def extract_patches(operation: Any, b: Builder, x: str) -> str:
    [index] = places_after(operation, b, x, np.float64)  # a convolution, in Keras
    return b.add(Gather(index), x)


@LAYERS.register(N.Split, N.ArraySplit, N.Hsplit, core_operations.Unstack)
def splitting(operation: Any, b: Builder, x: str) -> list[str]:
    return [b.add(Gather(index), x) for index in places_after(operation, b, x)]


@LAYERS.register(N.Pad)
def ops_pad(operation: Any, b: Builder, x: str) -> str:
    if any(_pairs(operation.pad_width)[0]):
        raise Unsupported(
            "it pads the batch axis", "give (0, 0) as the first pad width", final=True
        )
    [index] = places_after(operation, b, x)
    # Keras' own constant would be taken for a place.
    constant = float(b.arguments[1].get("constant_values") or 0.0)
    if len(b.arguments[0]) > 1 and b.arguments[0][1] is not None:
        constant = float(b.arguments[0][1])
    widths = operation.pad_width
    if operation.mode == "constant" and constant == 0 and len(widths) == len(b.shape(x)) + 1:
        return b.add(Pad(_pairs(widths[1:])), x)
    y = b.add(Gather(index), x)
    return b.affine(y, shift=np.where(index < 0, constant, 0.0)) if constant else y


def places_after(
    operation: Any, b: Builder, x: str, dtype: type[np.generic] = np.int32
) -> list[np.ndarray]:
    """Where the values go: the operation itself, run on the places of the values.

    Args:
        operation: It.
        b: The builder.
        x: What it reads.
        dtype: Of the places; some operations compute with floating point only.

    Returns:
        For each output, the place in the input of each of its values, or -1 for none.
    """
    size, shape = product(b.shape(x)), b.shape(x)
    # Several samples, so that an operation across the batch shows.
    places = np.arange(1, _SAMPLES * size + 1, dtype=dtype).reshape(_SAMPLES, *shape)
    arguments, keywords = keras.tree.map_structure(
        lambda value: places if isinstance(value, str) and value == x else value, b.arguments
    )
    keywords.pop("constant_values", None)
    if isinstance(operation, N.Pad):
        arguments = arguments[:1]
    found = []
    results, error = attempt(partial(operation.call, **keywords), *arguments)
    if error is not None:
        raise Unsupported(
            f"Keras cannot compute it for a batch of {_SAMPLES} samples of this shape",
            "leave the first axis, which is the batch, as it is",
            final=True,
        ) from error
    for result in keras.tree.flatten(results):
        moved = np.asarray(keras.ops.convert_to_numpy(result)).astype(np.int64)
        if moved.shape[:1] != (_SAMPLES,) or moved[0].max(initial=0) > size:
            raise _mixing()
        others = size * np.arange(_SAMPLES).reshape(-1, *(1,) * (moved.ndim - 1))
        if not np.array_equal(moved, np.where(moved[0] > 0, moved[0] + others, 0)):
            raise _mixing()
        found.append(moved[0] - 1)
    return found


_SAMPLES = 7


def _mixing() -> Unsupported:
    return Unsupported(
        "it mixes the samples of a batch", "leave the first axis as it is", final=True
    )


def _filled(target: tuple[int | None, ...], size: int) -> tuple[int, ...]:
    known = product([length for length in target if length not in (-1, None)])
    return tuple(size // known if length in (-1, None) else length for length in target)


def _pairs(values: Any) -> tuple[tuple[int, int], ...]:
    """``(before, after)`` for each axis; the layers of one axis have a single pair."""
    if isinstance(values[0], int):
        values = (values,)
    return tuple((int(before), int(after)) for before, after in values)
