"""Graph -> Graph. One concern a file; the order is here, with the reason for each place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ..ir import Graph
from .fold_affine_into_linear import (
    fold_affine_into_linear,
    fold_affine_into_next,
    merge_affines,
    move_affine_before_permutation,
)
from .keep_logits import keep_logits
from .merge_padding import merge_padding
from .merge_rearrangements import merge_rearrangements

Pass = Callable[[Graph], Graph]

SIMPLIFY: tuple[Pass, ...] = (
    keep_logits,  # first: it may leave a linear layer as the output
    merge_rearrangements,  # before all that look for what is next to what
    merge_affines,  # so that one fold takes in a chain of them
    move_affine_before_permutation,  # models with channels first: brings the next pass its pairs
    fold_affine_into_linear,  # before the other direction: the layer in front costs nothing at all
    fold_affine_into_next,  # what no layer in front could take in
    merge_padding,  # after the folds: a shift cannot be folded into a layer that pads
)
"""What every model goes through. A user's own tuple may be built with ``+`` and slices."""

_log = logging.getLogger(__name__)


def run(graph: Graph, passes: Sequence[Pass]) -> Graph:
    """Apply the passes in order."""
    for step in passes:
        before = len(graph.nodes)
        graph = step(graph)
        _log.debug("%s: %d -> %d nodes", name_of(step), before, len(graph.nodes))
    return graph


def name_of(step: Pass) -> str:
    """What a pass is called."""
    return getattr(step, "__name__", repr(step))
