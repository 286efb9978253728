"""Graph -> Graph. One pass a file; the order is here, with the reason for each place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ..ir import Graph
from .fold_affine_into_linear import fold_affine_into_linear
from .keep_logits import keep_logits

Pass = Callable[[Graph], Graph]

SIMPLIFY: tuple[Pass, ...] = (
    keep_logits,  # first: it may leave a linear layer as the output
    fold_affine_into_linear,  # before anything that looks for a linear layer in front of a neuron
)
"""What every model goes through. A user's own tuple may be built with ``+`` and slices."""

_log = logging.getLogger(__name__)


def run(graph: Graph, passes: Sequence[Pass]) -> Graph:
    """Apply the passes in order."""
    for step in passes:
        before = len(graph.nodes)
        graph = step(graph)
        name = getattr(step, "__name__", repr(step))
        _log.debug("%s: %d -> %d nodes", name, before, len(graph.nodes))
    return graph
