"""Models in the ``.h5`` files of Keras 2, with what Keras 3 does not take from them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import keras

from ..errors import FileError

_NAMES = (
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "Conv3DTranspose",
)
"""Layers whose Keras 2 classes write down settings of a plain convolution that they do not have."""
_INHERITED = ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint")


def _reader_of(layer: Any) -> type:
    """A class that makes the Keras 3 layer from the settings of Keras 2."""
    known = inspect.signature(layer.__init__).parameters

    def from_config(cls: type, config: dict[str, Any]) -> Any:
        less = {k: v for k, v in config.items() if k in known or k not in _INHERITED}
        return layer.from_config(less)

    return type(layer.__name__, (), {"from_config": classmethod(from_config)})


_OLD = {name: _reader_of(getattr(keras.layers, name)) for name in _NAMES}


def read_h5(path: str | Path, custom_objects: dict[str, Any] | None = None) -> keras.Model:
    """Load a model that Keras 2 saved as ``.h5``: as ``keras.models.load_model``, and more files.

    Args:
        path: The file.
        custom_objects: Classes of your own by name, as for ``keras.models.load_model``.

    Returns:
        The Keras 3 model, not compiled.

    Raises:
        FileError: There is no such file, or Keras cannot load it.

    Example:
        >>> import keras, kconvert, tempfile
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/old.h5")
        ...     [layer] = kconvert.read_h5(f"{folder}/old.h5").layers
        >>> type(layer) is keras.layers.DepthwiseConv2D
        True
    """
    known = {**_OLD, **(custom_objects or {})}
    try:
        return keras.models.load_model(str(path), compile=False, custom_objects=known)
    except (OSError, ValueError, TypeError) as error:
        raise FileError(f"{str(path)!r} cannot be loaded: {error}") from error
