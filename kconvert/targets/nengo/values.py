"""Where the values of a graph are in a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value of the graph is in the network.

    Args:
        obj: A Node, or the ``.neurons`` of an Ensemble.
        synapse: What every connection from it carries.
        index: For each entry of the value its place in the object, or None if they are the same.
    """

    obj: Any
    synapse: Any = None
    index: np.ndarray | None = None

    def view(self, part: slice | None = None) -> Any:
        """The object, or those of its entries that make up the value, or a part of it."""
        if self.index is None:
            return self.obj if part is None else self.obj[part]
        return self.obj[_compact(self.index if part is None else self.index[part])]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value is to arrive: an object, or some of its entries."""

    obj: Any
    index: np.ndarray | None = None

    def view(self, part: slice | None = None) -> Any:
        """The object, or those of its entries that are meant, or a part of these."""
        return Value(self.obj, index=self.index).view(part)


def _compact(index: np.ndarray) -> slice | list[int]:
    """A slice where the index is one: simulators copy it faster than a list."""
    if index.size > 1:
        step = int(index[1]) - int(index[0])
        if step > 0 and np.all(np.diff(index) == step):
            return slice(int(index[0]), int(index[-1]) + 1, step)
    elif index.size == 1:
        return slice(int(index[0]), int(index[0]) + 1)
    return index.tolist()
