"""Keras 3 model -> Graph. The only folder that imports Keras' internals."""

from . import layers as _layers  # noqa: F401 - fills LAYERS
from .keras_graph import Reading, check_model, read_keras
from .registry import LAYERS, Registry

__all__ = ["LAYERS", "Reading", "Registry", "check_model", "read_keras"]
