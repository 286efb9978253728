"""A converted network as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir import Decision, Graph, Node
from ..ops import Conv, ConvTranspose, Dense, MaxPool, Opaque, ReadOut
from .tables import table


def summary_text(
    graph: Graph,
    decisions: Sequence[Decision],
    read_outs: Mapping[str, ReadOut | None],
    *,
    spiking: bool,
) -> str:
    """Layers, neurons, read-outs and decisions, a line each."""
    rows = [
        (
            node.name,
            type(node.op).__name__,
            " x ".join(map(str, node.shape)),
            f"{node.size:,}" if node.is_neuron else "",
            _how(node, spiking),
        )
        for node in graph.nodes.values()
    ]
    head = ("layer", "what", "shape", "neurons", "how")
    lines = [table(head, rows, numbers=("neurons",))]
    outputs = ", ".join(f"{name} ({each or 'unfiltered'})" for name, each in read_outs.items())
    kind = "spiking" if spiking else "rate"
    lines.append(f"{graph.n_neurons:,} {kind} neurons; outputs: {outputs}")
    lines += [f"  {decision}" for decision in decisions]
    return "\n".join(lines)


def _how(node: Node, spiking: bool) -> str:
    op = node.op
    if isinstance(op, MaxPool):
        return f"largest of {'running sums' if op.over == 'sums' else 'each step'}"
    if isinstance(op, Opaque):
        return "computed by Keras, without neurons"
    if isinstance(op, Dense | Conv | ConvTranspose):
        return f"{op.weight.size + (0 if op.bias is None else op.bias.size):,} parameters"
    if not node.is_neuron:
        return ""
    if not spiking:
        return f"rate of {op.describe()}"
    start = op.initial_voltage
    voltage = f"{start:g}" if isinstance(start, float) else "by neuron"
    return f"{op.describe()}, synapse {op.synapse or 'none'}, start voltage {voltage}"
