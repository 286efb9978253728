"""How a Keras model was read: what is needed to read it again in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .ops import NeuronOp
from .per_layer import PerLayer


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """The arguments of :func:`kconvert.convert` that say how a model is read, as plain data.

    Args:
        swap_activations: Keras' name of an activation to what replaces it.
        allow: Flags.
        max_pooling: How maxima are taken.
        own_layers: Names of the classes that importers of the user's read.
    """

    swap_activations: Mapping[str, NeuronOp | str]
    allow: tuple[str, ...]
    max_pooling: PerLayer[str]
    own_layers: tuple[str, ...] = ()
