"""Keras 3 model -> Graph. The only folder that imports Keras' internals."""

from . import layers as _layers  # noqa: F401 - fills LAYERS
from .keras_graph import Reading, check_model, read_keras
from .layers.activations import PARAMETRIC, activation_name, activation_names
from .registry import LAYERS, Importer, Registry

register = LAYERS.register

__all__ = [
    "LAYERS",
    "PARAMETRIC",
    "Importer",
    "Reading",
    "Registry",
    "activation_name",
    "activation_names",
    "check_model",
    "read_keras",
    "register",
]
