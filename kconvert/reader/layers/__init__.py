"""Importers, in modules named as Keras names its folders; importing them fills the registry."""

from . import activations, convolutional, core, normalization, pooling, regularization, reshaping

__all__ = [
    "activations",
    "convolutional",
    "core",
    "normalization",
    "pooling",
    "regularization",
    "reshaping",
]
