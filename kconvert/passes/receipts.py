"""What each pass did to the numbers: the graph before and after it, in float64 NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..ir import Graph
from . import Pass, name_of


@dataclass(frozen=True, slots=True)
class Receipt:
    """One pass on one graph.

    Args:
        name: The pass.
        nodes_before: Number of nodes that it got.
        nodes_after: Number of nodes that it gave back.
        max_difference: Largest difference of any value that both graphs have, as a share of that
            value's largest entry.
    """

    name: str
    nodes_before: int
    nodes_after: int
    max_difference: float

    def to_dict(self) -> dict[str, Any]:
        """The receipt as plain data that ``json.dumps`` takes."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.nodes_before} -> {self.nodes_after} nodes, values differ by "
            f"{self.max_difference:.1e} of their scale at most"
        )


def receipts(
    graph: Graph, passes: Sequence[Pass], feeds: Mapping[str, np.ndarray]
) -> tuple[Receipt, ...]:
    """Apply the passes in order, and evaluate the graph after each one that changed it.

    Args:
        graph: As read.
        passes: In order.
        feeds: As for :meth:`Graph.evaluate`.
    """
    found = []
    values = graph.evaluate(feeds)
    for step in passes:
        after = step(graph)
        if after.nodes.keys() == graph.nodes.keys() and all(
            after.nodes[name] is node for name, node in graph.nodes.items()
        ):
            continue
        new = after.evaluate(feeds)
        differences = [
            float(np.max(np.abs(new[name] - values[name]))) / (np.max(np.abs(values[name])) or 1.0)
            for name in new.keys() & values.keys()
        ]
        largest = float(np.max(differences))
        found.append(Receipt(name_of(step), len(graph.nodes), len(after.nodes), largest))
        graph, values = after, new
    return tuple(found)
