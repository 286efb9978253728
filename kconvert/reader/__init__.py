"""Keras 3 model -> Graph. The only folder that imports Keras' internals."""

from . import layers as _layers  # noqa: F401 - fills LAYERS
from .builder import Statistics
from .keras_graph import Reading, check_model, read_keras
from .layers.activations import activation_name
from .registry import LAYERS, Importer, Registry

register = LAYERS.register

__all__ = [
    "LAYERS",
    "Importer",
    "Reading",
    "Registry",
    "Statistics",
    "activation_name",
    "check_model",
    "read_keras",
    "register",
]
