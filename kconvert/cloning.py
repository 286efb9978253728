"""Copies of Keras models, and their layers by path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .errors import InputError


def cloned(
    model: keras.Model,
    weights: list[np.ndarray],
    each_layer: Callable[[Any], Any] | None = None,
) -> keras.Model:
    """A copy of a model; it is compiled as far as Keras can do that.

    Args:
        model: The model.
        weights: The weights of the copy.
        each_layer: From a layer of the model, also of a model inside it, to that of the copy; a
            copy of the layer by default.

    Raises:
        InputError: Keras cannot copy the model.
    """
    clone = _clone(model, each_layer)
    # Keras names the inputs of a clone after their tensors.
    for new, old in zip(clone.inputs, model.inputs, strict=True):
        new._keras_history.operation.name = old._keras_history.operation.name
    if len(clone.get_weights()) != len(weights):
        raise InputError(
            f"{model.name!r} cannot be cloned by Keras: the clone has {len(clone.get_weights())} "
            f"arrays of weights, the model {len(weights)}. A layer shared between a model and a "
            "model inside it is the usual cause"
        )
    clone.set_weights(weights)
    return clone


def _clone(model: keras.Model, each_layer: Callable[[Any], Any] | None) -> keras.Model:
    """Keras compiles the clone of a Sequential model from what it has written down, which it cannot
    read where that has functions of the user's own.
    """
    settings: dict[str, Any] = {}
    if each_layer is not None:
        settings = {"clone_function": each_layer, "recursive": True}
    try:
        return keras.models.clone_model(model, **settings)
    except (TypeError, ValueError):
        if not model.compiled:
            raise
    model.compiled = False
    try:
        return keras.models.clone_model(model, **settings)
    finally:
        model.compiled = True


def layer_at(model: keras.Model, path: tuple[str, ...]) -> keras.layers.Layer:
    """The layer of a path, outermost model first; of a wrapper the layer in it."""
    found: Any = model
    for name in path:
        # A wrapper (TimeDistributed, SpectralNormalization) stands for the layer in it.
        while not isinstance(found, keras.Model):
            found = found.layer
        found = found.get_layer(name)
    while hasattr(found, "layer") and isinstance(found, keras.layers.Wrapper):
        found = found.layer
    return found
