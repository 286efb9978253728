"""A network under construction, and where the parts of the graph are in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nengo
import numpy as np

from ...ir import Decision, Graph, Node, product
from ...ops import Lif
from .values import Value


@dataclass(slots=True)
class NengoModel:
    """A network, and where the parts of the graph are in it.

    Args:
        net: The network.
        values: Node name to its :class:`Value`. A linear op inside a connection has none.
        neurons: Name of a layer of neurons to its ``.neurons``, and to the output that stands for
            one spike per second.
        connections: Name of a linear node to the connection that holds its weights.
        weights: Those of them that NengoDL may train and whose result has a place in Keras.
        biases: Name of a linear node to what holds its trainable bias: the connection from a
            constant node, or the ensemble it feeds.
        resting: Where that is an ensemble: its bias as emitted.
        fixed: Names of nodes, and why NengoDL does not train them.
        raw_probes: For each output of the graph, an unfiltered probe.
        probes: For each output of the graph, a probe with the output synapse.
    """

    graph: Graph
    net: nengo.Network
    spiking: bool
    train_biases: bool
    values: dict[str, Value] = field(default_factory=dict)
    neurons: dict[str, tuple[Any, float]] = field(default_factory=dict)
    connections: dict[str, nengo.Connection] = field(default_factory=dict)
    weights: dict[str, nengo.Connection] = field(default_factory=dict)
    biases: dict[str, nengo.Connection | nengo.Ensemble] = field(default_factory=dict)
    resting: dict[str, np.ndarray] = field(default_factory=dict)
    fixed: list[tuple[str, str]] = field(default_factory=list)
    raw_probes: list[nengo.Probe] = field(default_factory=list)
    probes: list[nengo.Probe] = field(default_factory=list)

    def connect(self, source: str, target: Any, transform: Any = None) -> nengo.Connection:
        """Connect a value to an object, through the value's synapse."""
        value = self.values[source]
        made = nengo.Connection(value.view(), target, transform=transform, synapse=value.synapse)
        self.freeze(made)
        return made

    def freeze(self, obj: Any) -> None:
        """Keep NengoDL from training an object."""
        self.net.config[obj].trainable = False

    def objects(self) -> dict[str, Any]:
        """Layer name to its Nengo object: an Ensemble, a Node, or the Connection it merged into."""
        objects: dict[str, Any] = dict(self.connections)
        for name, value in self.values.items():
            is_ensemble = isinstance(value.obj, nengo.ensemble.Neurons)
            objects[name] = value.obj.ensemble if is_ensemble else value.obj
        for name, (neurons, _) in self.neurons.items():
            objects[name] = neurons.ensemble
        for removed in self.graph.activations:
            if removed.node in objects:
                objects.setdefault(removed.layer, objects[removed.node])
        # A layer of neurons behind the pool of its input is its neurons, and not that pool.
        by_kind = sorted(self.graph.nodes.items(), key=lambda item: not item[1].is_neuron)
        for name, node in by_kind:
            for layer in node.origin:
                objects.setdefault(layer, self.connections.get(name, objects.get(name)))
        return objects

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What emission decided."""
        layers: dict[str, list[str]] = {}
        for name, reason in self.fixed:
            layers.setdefault(reason, []).append(name)
        decisions = [
            Decision("training", ", ".join(dict.fromkeys(names)), f"not trained in NengoDL: {why}")
            for why, names in layers.items()
        ]
        neurons = [node.op for node in self.graph.nodes.values() if isinstance(node.op, Lif)]
        if len({op.smoothing for op in neurons}) > 1:
            text = "of different smoothing: NengoDL trains through the rate without smoothing"
            decisions.append(Decision("training", "RateLIF layers", text))
        return tuple(decisions)

    def is_trainable(self, node: Node, array: str, *, as_is: bool = True) -> bool:
        """Whether a trained array has one place in Keras to go back to; if not, note why.

        Args:
            node: A linear op.
            array: Its field.
            as_is: Whether the network holds the array as the op does.
        """
        parameter = node.parameters.get(array)
        if parameter is None:
            return False  # the reader has said why, or Keras has no such variable
        reason = ""
        if np.any(np.asarray(parameter.scale) == 0):
            reason = "batch normalisation multiplies it by zero"
        elif (
            sum(
                (parameter.layer, parameter.attribute) == (other.layer, other.attribute)
                for reader in self.graph.nodes.values()
                for other in reader.parameters.values()
            )
            > 1
        ):
            reason = "the layer is called more than once"
        elif not as_is:
            reason = (
                "kernels that Nengo can only hold with their zeros written out, or in several parts"
            )
        if reason:
            self.fixed.append((node.name, reason))
        return not reason

    def node(self, node: Node) -> nengo.Node:
        """A Node that passes on the sum of what it receives, for the value of a graph's node."""
        made = nengo.Node(size_in=product(node.shape), label=node.name)
        self.values[node.name] = Value(made)
        return made

    def shape_in(self, node: Node) -> tuple[int, ...]:
        """Shape of what a node with one input reads."""
        return self.graph.nodes[node.inputs[0]].shape
