"""A converted network as a table, and what a user should know before running it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..ir import Graph, Node
from ..ops import Conv, ConvTranspose, Dense, MaxPool, Opaque, Relu
from ..simulators import DEFAULT_DT, choose
from .display import Display, plain
from .spikes import layer_values, spike_values

if TYPE_CHECKING:
    from ..network import SpikingNetwork

COLUMNS = ("layer", "op", "shape", "neurons", "parameters", "spikes_per_step", "details")
"""Columns of the table, as :func:`network_records` names them."""


def network_records(network: SpikingNetwork) -> list[dict[str, Any]]:
    """One row for each node of the graph.

    Args:
        network: The network.
    """
    graph, spiking = network.graph, network.spiking
    dt = graph.calibrated_dt or DEFAULT_DT
    return [
        {
            "layer": node.name,
            "op": type(node.op).__name__,
            "shape": list(node.shape),
            "neurons": node.size if node.is_neuron else 0,
            "parameters": _n_parameters(node),
            "spikes_per_step": layer_values(node.op, dt, spiking=spiking) if node.is_neuron else "",
            "details": _details(node, spiking=spiking),
        }
        for node in graph.nodes.values()
    ]


def network_display(network: SpikingNetwork) -> Display:
    """Layers, neurons, spikes, read-outs, steps, decisions and advice.

    Args:
        network: The network.
    """
    rows = [
        (
            each["layer"],
            each["op"],
            " x ".join(map(str, each["shape"])),
            f"{each['neurons']:,}" if each["neurons"] else "",
            each["spikes_per_step"],
            each["details"],
        )
        for each in network_records(network)
    ]
    head = ("layer", "what", "shape", "neurons", "spikes per step", "details")
    outputs = ", ".join(f"{k} ({each or 'unfiltered'})" for k, each in network.read_outs.items())
    kind = "spiking" if network.spiking else "rate"
    values = network_values(network)
    sent = "" if values is None else f", which send {values} spikes"
    after = [
        f"{network.n_neurons:,} {kind} neurons{sent}; outputs: {outputs}",
        *(f"  {decision}" for decision in network.decisions),
        *advice(network),
    ]
    return Display((), head, rows, numbers=("neurons",), after=after)


def network_dict(network: SpikingNetwork, *, arrays: bool = False) -> dict[str, Any]:
    """A network as plain data: what it is made of, without its weights.

    Args:
        network: The network.
        arrays: Write out every array in ``about``.
    """
    signature = network.signature
    held = {
        "name": network.name,
        "spiking": network.spiking,
        "spike_values": network_values(network),
        "n_neurons": network.n_neurons,
        "n_steps": network.n_steps,
        "seed": network.seed,
        "inputs": {name: list(shape) for name, shape in signature.inputs.items()},
        "outputs": {
            name: {
                "shape": list(network.graph.output_shape(k)),
                "read_out": None if each is None else str(each),
            }
            for k, (name, each) in enumerate(network.read_outs.items())
        },
        "class_names": network.class_names,
        "layers": network_records(network),
        "decisions": [
            {"kind": each.kind, "layer": each.layer, "text": each.text}
            for each in network.decisions
        ],
        "advice": advice(network),
        "about": network.about,
    }
    return {name: plain(value, arrays=arrays) for name, value in held.items()}


def network_values(network: SpikingNetwork) -> str | None:
    """Which spikes a network may send, in steps of the length that it was calibrated for.

    Args:
        network: The network.
    """
    graph = network.graph
    return spike_values(graph, graph.calibrated_dt or DEFAULT_DT, spiking=network.spiking)


def advice(network: SpikingNetwork) -> list[str]:
    """How many steps to run, and what to know before the first run.

    Args:
        network: The network.
    """
    graph = network.graph
    lines = [_steps(network)]
    ops: list[Any] = [node.op for node in graph.neurons()]
    bare = graph.calibrated_dt is None and any(isinstance(op, Relu) for op in ops)
    if network.spiking and bare:
        lines.append(
            "rates are not calibrated: convert(model, calibration=x) with some dozens of samples "
            "sets them"
        )
    if graph.calibrated_dt not in (None, DEFAULT_DT):
        lines.append(
            f"calibrated for steps of {graph.calibrated_dt:g} s: run it with dt="
            f"{graph.calibrated_dt:g}"
        )
    chosen, reason = choose("auto", network._spec(graph.calibrated_dt or DEFAULT_DT))
    if chosen.name == "events":
        lines.append(
            "first run: the event simulator compiles itself once per machine; kconvert.warm_up() "
            "does so ahead of time"
        )
    else:
        lines.append(f"first run: the simulator is {chosen.name!r}, since {reason}")
    return lines


def _steps(network: SpikingNetwork) -> str:
    if network.n_steps is not None:
        return f"steps: {network.n_steps} by default, as recommended for this network"
    if not network.spiking:
        return f"steps: {network.default_steps} by default"
    return (
        f"steps: {network.default_steps} by default, not tuned for this network; "
        "kconvert.tune(model, x, y) finds the fewest that keep the accuracy"
    )


def _n_parameters(node: Node) -> int:
    op = node.op
    if not isinstance(op, Dense | Conv | ConvTranspose):
        return 0
    return int(op.weight.size + (0 if op.bias is None else op.bias.size))


def _details(node: Node, *, spiking: bool) -> str:
    op = node.op
    if isinstance(op, MaxPool):
        return f"largest of {'running sums' if op.over == 'sums' else 'each step'}"
    if isinstance(op, Opaque):
        return "computed by Keras, without neurons"
    if n_parameters := _n_parameters(node):
        return f"{n_parameters:,} parameters"
    if not node.is_neuron:
        return ""
    if not spiking:
        return f"rate of {op.describe()}"
    start = op.initial_voltage
    voltage = f"{start:g}" if isinstance(start, float) else "by neuron"
    return f"{op.describe()}, synapse {op.synapse or 'none'}, start voltage {voltage}"


def graph_records(graph: Graph) -> list[Mapping[str, Any]]:
    """One row for each node of a graph.

    Args:
        graph: The graph.
    """
    return [
        {
            "node": name,
            "op": type(node.op).__name__,
            "inputs": list(node.inputs),
            "shape": list(node.shape),
            "neurons": node.size if node.is_neuron else 0,
            "parameters": _n_parameters(node),
            "output": name in graph.outputs,
        }
        for name, node in graph.nodes.items()
    ]


def graph_display(graph: Graph) -> Display:
    """The nodes of a graph as a table.

    Args:
        graph: The graph.
    """
    rows = [
        (
            each["node"],
            each["op"],
            ", ".join(each["inputs"]),
            " x ".join(map(str, each["shape"])),
            f"{each['neurons']:,}" if each["neurons"] else "",
            f"{each['parameters']:,}" if each["parameters"] else "",
            "yes" if each["output"] else "",
        )
        for each in graph_records(graph)
    ]
    head = ("node", "op", "inputs", "shape", "neurons", "parameters", "output")
    first = f"{len(graph.nodes)} nodes, {graph.n_neurons:,} neurons"
    return Display([first], head, rows, numbers=("neurons", "parameters"))


def graph_dict(graph: Graph) -> dict[str, Any]:
    """A graph as plain data, without its weights.

    Args:
        graph: The graph.
    """
    held = {
        "nodes": graph_records(graph),
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "n_neurons": graph.n_neurons,
        "depth": graph.depth,
        "calibrated_dt": graph.calibrated_dt,
        "decisions": [
            {"kind": each.kind, "layer": each.layer, "text": each.text} for each in graph.decisions
        ],
    }
    return {name: plain(value) for name, value in held.items()}
