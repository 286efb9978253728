"""Keras 3 model -> Graph. The only folder that imports Keras' internals."""

from . import layers as _layers  # noqa: F401 - fills LAYERS
from .keras_graph import Reading, check_model, read_keras
from .layers.activations import activation_name
from .registry import LAYERS, Entry, Importer, Registry

register = LAYERS.register

__all__ = [
    "LAYERS",
    "Entry",
    "Importer",
    "Reading",
    "Registry",
    "activation_name",
    "check_model",
    "read_keras",
    "register",
]
