"""Softmax and sigmoid at an output."""

from __future__ import annotations

from ..ir import Decision, Graph, OutputActivation
from ..ops import Sigmoid, Softmax


def keep_logits(graph: Graph) -> Graph:
    """Remove a softmax or sigmoid whose only use is to be an output; its input is put out.

    Softmax has no spiking form, and neither changes which class is largest. One that another layer
    reads is left alone: the target refuses a softmax, and makes neurons of a sigmoid. So is one in
    front of another at the output.
    """
    last = [
        node
        for node in graph.nodes.values()
        if isinstance(node.op, Softmax | Sigmoid) and not graph.readers(node.name)
    ]
    if not last:
        return graph
    decisions = []
    for node in last:
        if isinstance(node.op, Softmax):
            what = "log_softmax" if node.op.log else "softmax"
            inverse = f"scipy.special.{what}(output, axis={node.op.axis - len(node.shape)})"
        else:
            what, inverse = "sigmoid", "scipy.special.expit(output)"
        text = (
            f"the output is the logits, without the final {what}; the largest class is the same, "
            f"and {inverse} gives what Keras puts out"
        )
        decisions.append(Decision("logits", node.name, text, node=node.inputs[0]))
    bypass = {node.name: node.inputs[0] for node in last}
    activations = [OutputActivation(node.name, node.op, node.inputs[0]) for node in last]
    return graph.rewrite(bypass=bypass, decisions=decisions, activations=activations)
