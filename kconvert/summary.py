"""A converted model as a table."""

from __future__ import annotations

from collections.abc import Sequence

from .ir import Decision, Graph, Node, product
from .ops import (
    Conv,
    ConvTranspose,
    Dense,
    Lif,
    MaxPool,
    NeuronOp,
    Opaque,
    OtherNeuron,
    Relu,
    Sigmoid,
)


def summary_text(graph: Graph, decisions: Sequence[Decision], *, spiking: bool) -> str:
    """Layers, neurons and decisions, a line each."""
    rows = [("layer", "what", "shape", "neurons", "how")]
    for node in graph.nodes.values():
        neurons = f"{product(node.shape):,}" if isinstance(node.op, NeuronOp) else ""
        shape = " x ".join(map(str, node.shape))
        rows.append((node.name, type(node.op).__name__, shape, neurons, _how(node, spiking)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    total = sum(product(n.shape) for n in graph.nodes.values() if isinstance(n.op, NeuronOp))
    kind = "spiking" if spiking else "rate"
    lines.append(f"{total:,} {kind} neurons; outputs: {', '.join(graph.outputs)}")
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
    if isinstance(op, Lif):
        text = f"LIF tau_rc={op.tau_rc:g} s, tau_ref={op.tau_ref:g} s"
        text += f", floor {op.min_voltage:g}" if op.min_voltage else ""
    elif isinstance(op, Relu):
        floor = op.min_voltage
        kind = "signed integrate and fire" if op.signed else "integrate and fire"
        text = kind + (f", floor {floor:g}" if floor is not None else "")
    elif isinstance(op, Sigmoid):
        text = f"even intervals, up to {op.max_rate:g} Hz"
    elif isinstance(op, OtherNeuron):
        text = type(op.neuron_type).__name__
    else:
        return ""
    if not spiking:
        return f"rate of {text}"
    start = op.initial_voltage
    voltage = f"{start:g}" if isinstance(start, float) else "by neuron"
    return f"{text}, synapse {op.synapse}, start voltage {voltage}"
