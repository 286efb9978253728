"""What is known of a value of the graph that NIR nodes compute."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A value of the graph, in NIR.

    Several edges into one NIR node add up, so a sum needs no node of its own.

    Args:
        sources: The NIR nodes whose outputs add up to the value.
        factor: The value is so many times this sum.
        order: None for an array with the channels first. For a vector, the place in the value
            (flat, in C order, channels last) that each entry of the vector holds.
    """

    sources: tuple[str, ...]
    factor: float = 1.0
    order: np.ndarray | None = None

    def laid_out(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in NIR of an array of this shape (channels last) that is laid out like it."""
        return channels_in_front(shape) if self.order is None else (math.prod(shape),)

    @property
    def in_order(self) -> bool:
        """Whether it is a vector in the order of the value."""
        return self.order is not None and bool((self.order == np.arange(self.order.size)).all())


def channels_in_front(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with its last axis in front."""
    return (shape[-1], *shape[:-1])


def channels_first(array: np.ndarray) -> np.ndarray:
    """An array with its last axis in front."""
    return np.moveaxis(array, -1, 0)


def flat_order(shape: tuple[int, ...]) -> np.ndarray:
    """The places of an array of this shape (channels last) with its channels first, flat.

    Example:
        >>> flat_order((2, 3)).tolist()
        [0, 3, 1, 4, 2, 5]
    """
    return channels_first(np.arange(int(np.prod(shape))).reshape(shape)).reshape(-1)
