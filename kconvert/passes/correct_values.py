"""Values are scaled and shifted, feature map by feature map, to make up for what spikes add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..ir import Correction, Graph, Node
from ..ops import Affine, Conv, ConvTranspose, Dense, Gather, Reshape
from . import Pass
from .fold_affine_into_linear import scaled_and_shifted

CORRECTED = "/corrected"
"""Behind a value's name: what neurons read in its place."""
BARE = "/bare"
"""Behind the name of an output that no linear layer computes: what it was before."""


def correct_values(corrections: Mapping[str, Correction]) -> Pass:
    """Change what neurons read, and outputs.

    Factors and shifts go into a linear layer whose value nothing but neurons reads, or which is an
    output that nothing reads. Any other value stays as it is, and an affine node behind it has them
    for the neurons that read it. A node says by its ``correction`` what was done, on top of what
    had been before.

    Args:
        corrections: Name of a node, with neurons that read it or an output, to its correction.
    """

    def apply(graph: Graph) -> Graph:
        swap: dict[str, Node | Sequence[Node]] = {}
        for name, correction in corrections.items():
            node = graph.nodes.get(name + CORRECTED, graph.nodes[name])
            if takes_corrections(graph, node.name):
                swap[node.name] = _corrected(node, correction)
            elif name in graph.outputs and not graph.readers(name):
                bare = replace(node, name=name + BARE)
                swap[name] = [bare, replace(_behind(bare, correction), name=name)]
            else:
                behind = _behind(node, correction)
                first, *others = [
                    replace(each, inputs=(behind.name,))
                    for each in graph.readers(name)
                    if each.is_neuron
                ]
                swap[first.name] = [behind, first]
                swap |= {each.name: each for each in others}
        return graph.rewrite(swap=swap)

    return apply


def without_corrections(graph: Graph) -> Graph:
    """The graph as it would be without: exact up to rounding."""
    corrected = {
        node.name: _corrected(node, node.correction.inverse)
        for node in graph.nodes.values()
        if node.correction is not None
    }
    return graph.rewrite(swap=corrected)


def takes_corrections(graph: Graph, name: str) -> bool:
    """Whether a node is linear, and its value changes nothing but what neurons read, or an output
    that nothing reads.
    """
    linear = isinstance(graph.nodes[name].op, Dense | Conv | ConvTranspose | Affine)
    if name in graph.outputs:
        return linear and not graph.readers(name)
    return linear and _only_neurons_read(graph, name)


def _only_neurons_read(graph: Graph, name: str) -> bool:
    return name not in graph.outputs and all(
        each.is_neuron
        or (isinstance(each.op, Gather | Reshape) and _only_neurons_read(graph, each.name))
        for each in graph.readers(name)
    )


def _corrected(node: Node, correction: Correction) -> Node:
    both = correction.after(node.correction)
    if not isinstance(node.op, Affine):
        changed = scaled_and_shifted(node, correction.scale, correction.shift)
        return replace(changed, correction=both)
    op = Affine(
        node.op.scale * correction.scale, node.op.shift * correction.scale + correction.shift
    )
    return replace(node, op=op, correction=both)


def _behind(node: Node, correction: Correction) -> Node:
    return Node(
        node.name + CORRECTED,
        Affine(correction.scale, correction.shift),
        (node.name,),
        node.shape,
        call=node.call,
        scale=node.scale,
        correction=correction,
    )
