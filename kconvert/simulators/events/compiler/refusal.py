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
MAX_ORDER = 8
"""Largest order of a filter."""


def refusal(spec: RunSpec) -> str:
    """All reasons in one text; empty if there are none."""
    found = []
    for node in spec.graph.nodes.values():
        op: Any = node.op
        if not isinstance(node.op, OPS):
            kind = getattr(op, "kind", type(op).__name__)
            found.append(f"{node.layer!r}: the event simulator has no form of {kind}")
        elif node.is_neuron and (why := _of_synapse(op.synapse)):
            found.append(f"{node.layer!r}: {why}")
    for read_out in dict.fromkeys(spec.read_outs):
        if not isinstance(read_out, Window) and (why := _of_synapse(read_out)):
            found.append(f"output_synapse: {why}")
    return "; ".join(found)


def _of_synapse(synapse: Any) -> str:
    if synapse is None:
        return ""
    found = transfer_function(synapse)
    if found is None:
        return f"the event simulator has no form of the synapse {synapse}"
    if found.order > MAX_ORDER:
        return f"the event simulator has filters up to the order {MAX_ORDER}, not {synapse}"
    return ""
