"""Softmax at an output."""

from __future__ import annotations

from ..ir import Decision, Graph
from ..ops import Softmax
from .fixpoint import to_fixpoint


@to_fixpoint
def keep_logits(graph: Graph) -> Graph:
    """Remove a softmax whose only use is to be an output of the model; its input is put out.

    Softmax has no spiking form, and it does not change which class is largest. A softmax that
    another layer reads is left alone, and the target refuses it.
    """
    for node in graph.nodes.values():
        if isinstance(node.op, Softmax) and not graph.readers(node.name):
            logits = node.inputs[0]
            text = (
                "the output is the logits, without the final softmax; the largest class is the "
                "same, and scipy.special.softmax(output, axis=-1) gives probabilities"
            )
            decision = Decision("logits", node.name, text, node=logits)
            return graph.rewrite(bypass={node.name: logits}, decisions=[decision])
    return graph
