"""Keras 3 model -> Graph. The only folder that imports Keras' internals."""

from . import layers as _layers  # noqa: F401 - fills LAYERS
from .keras_graph import Reading, check_model, read_keras
from .registry import LAYERS, Importer, Registry

__all__ = ["LAYERS", "Importer", "Reading", "Registry", "check_model", "read_keras"]
