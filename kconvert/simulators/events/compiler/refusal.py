"""Why the event simulator cannot run a network."""

from __future__ import annotations

from typing import Any

from ....ops import (
    Conv,
    ConvTranspose,
    Dense,
    Input,
    Lif,
    MaxPool,
    Relu,
    Reshape,
    Sigmoid,
    Window,
)
from ....ops.synapse import transfer_function
from ...base import RunSpec
from .values import MAPS

OPS = (*MAPS, Reshape, Dense, Conv, ConvTranspose, Input, MaxPool, Lif, Relu, Sigmoid)
"""The ops that the compiler has a form of."""
NAMED = 3
"""Layers that are named for a reason; more are counted."""
MAX_ORDER = 8
"""Largest order of a filter."""


def refusal(spec: RunSpec) -> str:
    """All reasons in one text, with the layers that each is about; empty if there are none."""
    found: dict[str, list[str]] = {}
    for node in spec.graph.nodes.values():
        op: Any = node.op
        why = ""
        if not isinstance(node.op, OPS):
            why = f"the event simulator has no form of {getattr(op, 'kind', type(op).__name__)}"
        elif node.is_neuron:
            why = _of_synapse(op.synapse)
        if why:
            found.setdefault(why, []).append(repr(node.layer))
    for read_out in spec.read_outs:
        if not isinstance(read_out, Window) and (why := _of_synapse(read_out)):
            found.setdefault(why, []).append("output_synapse")
    return "; ".join(f"{_listed(layers)}: {why}" for why, layers in found.items())


def _listed(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _of_synapse(synapse: Any) -> str:
    if synapse is None:
        return ""
    found = transfer_function(synapse)
    if found is None:
        return f"the event simulator has no form of the synapse {synapse}"
    if found.order > MAX_ORDER:
        return f"the event simulator has filters up to the order {MAX_ORDER}, not {synapse}"
    return ""
