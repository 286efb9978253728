"""Softmax and sigmoid at an output."""

from __future__ import annotations

from ..ir import Decision, Graph
from ..ops import Sigmoid, Softmax
from .fixpoint import to_fixpoint


@to_fixpoint
def keep_logits(graph: Graph) -> Graph:
    """Remove a softmax or sigmoid whose only use is to be an output; its input is put out.

    Softmax has no spiking form, and neither changes which class is largest. One that another layer
    reads is left alone: the target refuses a softmax, and makes neurons of a sigmoid.
    """
    for node in graph.nodes.values():
        if not isinstance(node.op, Softmax | Sigmoid) or graph.readers(node.name):
            continue
        logits = node.inputs[0]
        if isinstance(node.op, Sigmoid):
            what, inverse = "sigmoid", "scipy.special.expit(output)"
        else:
            what = "log_softmax" if node.op.log else "softmax"
            inverse = f"scipy.special.{what}(output, axis=-1)"
        text = (
            f"the output is the logits, without the final {what}; the largest class is the same, "
            f"and {inverse} gives what Keras puts out"
        )
        decision = Decision("logits", node.name, text, node=logits)
        return graph.rewrite(bypass={node.name: logits}, decisions=[decision])
    return graph
