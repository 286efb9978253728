"""Flatten and Reshape, as layers and as ``keras.ops`` nodes."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.ops import numpy as numpy_operations

from ...errors import Unsupported
from ...ir import product
from ...ops import Reshape
from ..builder import Builder
from ..registry import LAYERS


@LAYERS.register(keras.layers.Flatten, data_format="channels_last")
def flatten(layer: keras.layers.Flatten, b: Builder, x: str) -> str:
    return b.add(Reshape((product(b.shape(x)),)), x)


@LAYERS.register(keras.layers.Reshape)
def reshape(layer: keras.layers.Reshape, b: Builder, x: str) -> str:
    return b.add(Reshape(_filled(tuple(layer.target_shape), product(b.shape(x)))), x)


@LAYERS.register(numpy_operations.Reshape)
def ops_reshape(operation: Any, b: Builder, x: str) -> str:
    first, *rest = operation.newshape
    if first not in (-1, None):
        raise Unsupported(
            f"newshape={tuple(operation.newshape)!r} fixes the batch axis (only -1 is supported "
            "there)",
            "use keras.ops.reshape(x, (-1, ...))",
        )
    return b.add(Reshape(_filled(tuple(rest), product(b.shape(x)))), x)


def _filled(target: tuple[int | None, ...], size: int) -> tuple[int, ...]:
    known = product([length for length in target if length not in (-1, None)])
    return tuple(size // known if length in (-1, None) else length for length in target)
