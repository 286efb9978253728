"""Keras 3 model -> Graph. The only folder that imports Keras' internals."""

from . import layers as _layers  # noqa: F401 - fills LAYERS
from .attempts import attempt
from .builder import Spiking, Statistics, not_finite
from .h5 import read_h5
from .keras_graph import Reading, check_model, read_keras
from .layers.activations import PARAMETRIC, activation_name, activation_names
from .registry import LAYERS, Entry, Importer, Registry

register = LAYERS.register

__all__ = [
    "LAYERS",
    "PARAMETRIC",
    "Entry",
    "Importer",
    "Reading",
    "Registry",
    "Spiking",
    "Statistics",
    "activation_name",
    "activation_names",
    "attempt",
    "check_model",
    "not_finite",
    "read_h5",
    "read_keras",
    "register",
]
