"""Graph -> ``nengo.Network``, made of core Nengo objects only, so that any Nengo backend runs it.

Values are flat vectors in C order. A linear op that only a neuron reads becomes the connection
into that neuron's ensemble, its bias part of the ensemble's bias; one that only a sum or a
concatenation reads becomes a connection into that. Any other linear op ends in a Node. What only
rearranges values is no object of its own: readers pick the values in their order. Every neuron's
synapse sits on the connections that leave its ensemble.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nengo
from nengo.params import BoolParam, Parameter

from ...errors import Problem, UnsupportedModelError
from ...ir import Graph, product
from ...ops import Lif, ReadOut
from .merging import is_merged
from .model import NengoModel
from .rules import emit
from .synapses import nengo_synapse


def problems(graph: Graph) -> list[Problem]:
    """The nodes that this target has no rule for: of ops that are not kconvert's."""
    return [
        Problem(
            node.layer,
            type(node.op).__name__,
            "the Nengo target has no rule for it",
            "register one with kconvert.targets.nengo.rules.emit, or use another op",
        )
        for node in graph.nodes.values()
        if emit.dispatch(type(node.op)) is emit.dispatch(object)
    ]


def to_nengo(
    graph: Graph,
    *,
    spiking: bool,
    read_outs: Sequence[ReadOut | None],
    seed: int = 0,
    train_biases: bool = False,
    label: str | None = None,
    add_to_container: bool | None = None,
) -> NengoModel:
    """Emit a network.

    Args:
        graph: What to emit.
        spiking: Spiking neurons, or their rates.
        read_outs: Filter of the second probe of each output.
        seed: Seed of the network.
        train_biases: Add a trainable connection for biases that several neurons share.
        label: The network's label.
        add_to_container: Whether it becomes a part of the ``with nengo.Network()`` around the
            call, if there is one; Nengo's default is that it does.

    Raises:
        UnsupportedModelError: The graph has :func:`problems`.
    """
    if found := problems(graph):
        raise UnsupportedModelError(f"{label!r} has no Nengo network", found)
    with nengo.Network(label=label, seed=seed, add_to_container=add_to_container) as net:
        _add_nengo_dl_settings(net, graph)
        model = NengoModel(graph, net, spiking, train_biases)
        for node in graph.nodes.values():
            if not is_merged(graph, node):
                emit(node.op, node, model)
        for name, read_out in zip(graph.outputs, read_outs, strict=True):
            value = model.values[name].view()
            if model.values[name].synapse is not None:  # neurons: their filter is a connection's
                value = nengo.Node(size_in=product(graph.nodes[name].shape), label=f"{name} output")
                model.connect(name, value)
            model.raw_probes.append(nengo.Probe(value, label=f"{name} unfiltered"))
            model.probes.append(
                nengo.Probe(value, synapse=nengo_synapse(read_out), label=f"{name} filtered")
            )
    return model


def _add_nengo_dl_settings(net: nengo.Network, graph: Graph) -> None:
    """The settings that NengoDL reads, added as its ``configure_settings`` adds them.

    Other simulators ignore them. Doing it here keeps the network free of NengoDL.
    """
    for kind in (nengo.Ensemble, nengo.Connection, nengo.ensemble.Neurons):
        net.config.configures(kind)
        net.config[kind].set_param("trainable", BoolParam("trainable", None, optional=True))
    smoothings = {node.op.smoothing for node in graph.nodes.values() if isinstance(node.op, Lif)}
    net.config.configures(nengo.Network)
    smoothing = smoothings.pop() if len(smoothings) == 1 else None
    settings = net.config[nengo.Network]
    settings.set_param("lif_smoothing", Parameter("lif_smoothing", smoothing))
    settings.set_param("inference_only", BoolParam("inference_only", False))
    settings.set_param("planner", Parameter("planner", _plan))


def _plan(operators: Any) -> Any:
    """NengoDL's greedy planner.

    Its default looks for the best order over all ways to merge three groups of operators: for
    DenseNet121 it does not come to an end, and on the reference CNN what it finds is no faster.
    """
    from ...bridge import nengo_dl

    return nengo_dl.graph_optimizer.greedy_planner(operators)
