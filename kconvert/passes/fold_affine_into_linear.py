"""Batch normalisation behind a linear layer."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Decision, Graph, Node, Parameter
from ..ops import ChannelAffine, Conv, Dense
from .fixpoint import to_fixpoint


@to_fixpoint
def fold_affine_into_linear(graph: Graph) -> Graph:
    """Merge ``Dense or Conv -> ChannelAffine`` into one linear op; exact up to rounding.

    The merged node takes the affine's name, since it computes that value. Left alone when the
    linear op's own value is read elsewhere or is an output.
    """
    for node in graph.nodes.values():
        if not isinstance(node.op, ChannelAffine):
            continue
        linear = graph.nodes[node.inputs[0]]
        if not isinstance(linear.op, Dense | Conv) or not graph.is_private(linear.name):
            continue
        return graph.rewrite(
            swap={node.name: _merged(linear, node)},
            bypass={linear.name: linear.inputs[0]},
            decisions=[
                Decision(
                    "folded",
                    node.name,
                    f"folded into the weights of {linear.origin[0]!r}",
                    node=node.name,
                )
            ],
        )
    return graph


def _merged(linear: Node, affine: Node) -> Node:
    op, scale, shift = linear.op, affine.op.scale, affine.op.shift  # type: ignore[attr-defined]
    bias = shift if op.bias is None else op.bias * scale + shift  # type: ignore[attr-defined]
    merged = replace(op, weight=op.weight * scale, bias=bias)  # type: ignore
    parameters: dict[str, Parameter] = {}
    if "weight" in linear.parameters:
        parameters["weight"] = linear.parameters["weight"].scaled(scale)
    # A change of the merged bias is a change of beta, or without one of the linear layer's bias.
    if "shift" in affine.parameters:
        parameters["bias"] = affine.parameters["shift"]
    elif "bias" in linear.parameters:
        parameters["bias"] = linear.parameters["bias"].scaled(scale)
    return replace(
        affine,
        op=merged,
        inputs=linear.inputs,
        origin=linear.origin + affine.origin,
        parameters=parameters,
    )
