"""Importers, in modules named as Keras names its folders; importing them fills the registry."""

from . import (
    activations,
    arithmetic,
    convolutional,
    core,
    image,
    merging,
    normalization,
    pooling,
    regularization,
    reshaping,
    rnn,
)

__all__ = [
    "activations",
    "arithmetic",
    "convolutional",
    "core",
    "image",
    "merging",
    "normalization",
    "pooling",
    "regularization",
    "reshaping",
    "rnn",
]
