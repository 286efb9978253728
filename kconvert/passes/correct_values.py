"""Values are scaled and shifted, feature map by feature map, to make up for what spikes add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..ir import Correction, Graph, Node
from ..ops import Affine, Conv, ConvTranspose, Dense, NeuronOp
from . import Pass
from .fold_affine_into_linear import scaled_and_shifted

CORRECTED = "/corrected"
"""Behind a value's name: what neurons read in its place, where no linear layer takes it in."""


def correct_values(corrections: Mapping[str, Correction]) -> Pass:
    """Change what neurons read, and outputs: factors and shifts go into the linear layer.

    Where a value is no linear layer's, an affine node between it and the neurons that read it has
    them. A node says by its ``correction`` what was done, on top of what had been before.

    Args:
        corrections: Name of a node to its correction.
    """

    def apply(graph: Graph) -> Graph:
        swap: dict[str, Node | Sequence[Node]] = {}
        for name, correction in corrections.items():
            node = graph.nodes[name]
            both = correction.after(node.correction)
            if isinstance(node.op, Dense | Conv | ConvTranspose):
                changed = scaled_and_shifted(node, correction.scale, correction.shift)
                swap[name] = replace(changed, correction=both)
            elif isinstance(node.op, Affine):
                op: Any = node.op
                affine = Affine(
                    op.scale * correction.scale, op.shift * correction.scale + correction.shift
                )
                swap[name] = replace(node, op=affine, correction=both)
            else:
                behind = Node(
                    name + CORRECTED,
                    Affine(correction.scale, correction.shift),
                    (name,),
                    node.shape,
                    call=node.call,
                    scale=node.scale,
                    correction=correction,
                )
                first, *others = [
                    replace(each, inputs=(behind.name,))
                    for each in graph.readers(name)
                    if isinstance(each.op, NeuronOp)
                ]
                swap[first.name] = [behind, first]
                swap |= {each.name: each for each in others}
        return graph.rewrite(swap=swap)

    return apply


def without_corrections(graph: Graph) -> Graph:
    """The graph as it would be without: exact up to rounding."""
    return correct_values(
        {
            name: node.correction.inverse
            for name, node in graph.nodes.items()
            if node.correction is not None
        }
    )(graph)
