"""Softmax and sigmoid at an output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..ir import Decision, Graph, Node, OutputActivation
from ..ops import AvgPool, Gather, MaxPool, Pad, Reshape, Sigmoid, Softmax

BEHIND = (Reshape, Gather, Pad, AvgPool, MaxPool)
"""What may stand between the activation and the output: ops without weights, of one input."""


def keep_logits(graph: Graph) -> Graph:
    """Remove a softmax or sigmoid whose only use is to be an output; its input is put out.

    What rearranges or pools its values on the way to the output is removed with it. The graph keeps
    both as ``activations``, and ``predict`` applies them to the read-out. Softmax has no spiking
    form. One that another layer reads is left alone: the target refuses a softmax, and makes
    neurons of a sigmoid. So is one in front of another at the output.
    """
    chains = {k: chain for k, name in enumerate(graph.outputs) if (chain := _chain(graph, name))}
    removed = _without_other_readers(graph, chains.values())
    chains = {k: chain for k, chain in chains.items() if chain in removed}
    if not chains:
        return graph
    decisions: dict[str, Decision] = {}
    activations = []
    for k, (first, *then) in chains.items():
        node = first.inputs[0]
        ops = tuple(each.op for each in then)
        activations.append(OutputActivation(first.name, first.op, node, ops, k))
        for decision in _decisions(first, then):
            decisions.setdefault(decision.layer, decision)
    bypass = {each.name: each.inputs[0] for chain in chains.values() for each in chain}
    return graph.rewrite(
        bypass=bypass, decisions=tuple(decisions.values()), activations=activations
    )


def _chain(graph: Graph, name: str) -> list[Node]:
    """The activation that ends an output, and what stands behind it; empty if there is none."""
    found: list[Node] = []
    node = graph.nodes[name]
    while isinstance(node.op, BEHIND):
        found.append(node)
        node = graph.nodes[node.inputs[0]]
    return [node, *reversed(found)] if isinstance(node.op, Softmax | Sigmoid) else []


def _without_other_readers(graph: Graph, chains: Iterable[list[Node]]) -> list[list[Node]]:
    """The chains whose values nothing reads that is not in one of them."""
    left = list(chains)
    while True:
        names = {node.name for chain in left for node in chain}
        kept = [
            chain
            for chain in left
            if all(each.name in names for node in chain for each in graph.readers(node.name))
        ]
        if len(kept) == len(left):
            return kept
        left = kept


def _decisions(first: Node, then: Sequence[Node]) -> list[Decision]:
    """What was removed, for people."""
    what = "sigmoid" if isinstance(first.op, Sigmoid) else "softmax"
    what = f"log_{what}" if getattr(first.op, "log", False) else what
    behind = " and the layers after it" if then else ""
    text = (
        f"the network ends with the logits: predict applies the final {what}{behind} to the "
        "read-out; simulate and predict(..., logits=True) return the values before it"
    )
    node = first.inputs[0]
    return [
        Decision("logits", first.name, text, node=node),
        *(
            Decision("logits", each.name, f"predict applies it after the final {what}", node=node)
            for each in then
        ),
    ]
