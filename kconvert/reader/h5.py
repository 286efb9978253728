"""Models in the ``.h5`` files of Keras 2, with what Keras 3 does not take from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from ..errors import FileError


class _Depthwise:
    """Reads the settings of Keras 2, whose depthwise layers have ``groups`` that say nothing."""

    layer: Any = keras.layers.DepthwiseConv2D

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls.layer.from_config({k: v for k, v in config.items() if k != "groups"})


class _Depthwise1D(_Depthwise):
    layer = keras.layers.DepthwiseConv1D


class _Separable(_Depthwise):
    layer = keras.layers.SeparableConv2D


class _Separable1D(_Depthwise):
    layer = keras.layers.SeparableConv1D


_OLD = {each.layer.__name__: each for each in (_Depthwise, _Depthwise1D, _Separable, _Separable1D)}


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
