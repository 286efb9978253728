"""Repeats a pass that makes one change at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from ..ir import Graph


def to_fixpoint(step: Callable[[Graph], Graph]) -> Callable[[Graph], Graph]:
    """Apply ``step`` until it returns the graph it was given."""

    @wraps(step)
    def repeated(graph: Graph) -> Graph:
        while (changed := step(graph)) is not graph:
            graph = changed
        return graph

    return repeated
