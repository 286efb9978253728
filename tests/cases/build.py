"""How the lines of the table are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np


@dataclass(frozen=True)
class Case:
    """A model that converts, and is exact in rate mode."""

    build: Callable[[], keras.Model]


@dataclass(frozen=True)
class Refused:
    """A model that is refused with a text that matches."""

    build: Callable[[], keras.Model]
    match: str


def _sequential(make: Callable[[], object], shape: tuple[int, ...]) -> keras.Model:
    made = make()
    stack = made if isinstance(made, list) else [made]
    return randomized(keras.Sequential([keras.Input(shape), *stack]))


def case(make: Callable[[], object], shape: tuple[int, ...]) -> Case:
    return Case(lambda: _sequential(make, shape))


def refused(make: Callable[[], object], shape: tuple[int, ...], match: str) -> Refused:
    return Refused(lambda: _sequential(make, shape), match)


def randomized(model: keras.Model) -> keras.Model:
    """Fill every weight with asymmetric values: biases and statistics are not left at 0 and 1."""
    rng = np.random.default_rng(11)
    for layer in model._flatten_layers(include_self=False):
        for variable in layer.weights:
            if "seed" in variable.path or "rng" in variable.path:
                continue
            value = rng.normal(0.1, 0.6, variable.shape) / np.sqrt(max(variable.shape[0], 1))
            if variable.path.endswith("variance"):
                value = rng.uniform(0.5, 2.0, variable.shape)
            if variable.path.endswith("gamma"):
                value = rng.uniform(-1.5, 1.5, variable.shape)
            variable.assign(value)
    return model


def functional(shape: tuple[int, ...], body: Callable) -> Case:
    def build() -> keras.Model:
        x = keras.Input(shape)
        return randomized(keras.Model(x, body(x)))

    return Case(build)
