"""Graph -> ``nengo.Network``, made of core Nengo objects only, so that any Nengo backend runs it.

Values are flat vectors in C order. A linear op that only a neuron reads becomes the connection into
that neuron's ensemble, its bias part of the ensemble's bias; any other linear op ends in a Node.
Every neuron's synapse sits on the connections that leave its ensemble.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import nengo
import numpy as np
from nengo.params import BoolParam, Parameter

from ..errors import InputError, Problem
from ..ir import Decision, Graph, Node, product
from ..ops import AvgPool, ChannelAffine, Conv, Dense, Input, Lif, NeuronOp, Relu, Reshape
from .nengo_transforms import average, diagonal, per_channel, transform_of

Linear = Dense | Conv


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value of the graph is in the network.

    Args:
        obj: A Node, or the ``.neurons`` of an Ensemble.
        synapse: What every connection from it carries.
    """

    obj: Any
    synapse: Any = None


@dataclass(slots=True)
class NengoModel:
    """A network, and where the parts of the graph are in it.

    Args:
        net: The network.
        values: Node name to its :class:`Value`. A linear op inside a connection has none.
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
        return nengo.Connection(value.obj, target, transform=transform, synapse=value.synapse)

    def freeze(self, obj: Any) -> None:
        """Keep NengoDL from training an object."""
        self.net.config[obj].trainable = False

    def objects(self) -> dict[str, Any]:
        """Layer name to its Nengo object: an Ensemble, a Node, or the Connection it merged into."""
        objects: dict[str, Any] = dict(self.connections)
        for name, value in self.values.items():
            is_ensemble = isinstance(value.obj, nengo.ensemble.Neurons)
            objects[name] = value.obj.ensemble if is_ensemble else value.obj
        # Layers whose own value is gone: a softmax that was taken off, or folded into another.
        for decision in self.graph.decisions:
            if decision.node in objects:
                objects.setdefault(decision.layer, objects[decision.node])
        for name, node in self.graph.nodes.items():
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

    def is_trainable(self, node: Node, array: str) -> bool:
        """Whether a trained array has one place in Keras to go back to; if not, note why."""
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
        elif array == "weight" and isinstance(node.op, Conv) and max(node.op.dilation) > 1:
            reason = "dilated kernels, which Nengo only has with their zeros written out"
        if reason:
            self.fixed.append((node.name, reason))
        return not reason

    def node(self, node: Node) -> nengo.Node:
        """A Node that passes on the sum of what it receives, for the value of a graph's node."""
        made = nengo.Node(size_in=product(node.shape), label=node.name)
        self.values[node.name] = Value(made)
        return made

    def merged_linear(self, node: Node) -> Node | None:
        """The linear op that becomes the connection into this neuron, if there is one."""
        source = self.graph.nodes[node.inputs[0]]
        return source if is_merged(self.graph, source) else None


def problems(graph: Graph) -> list[Problem]:
    """The nodes that this target has no rule for."""
    return [
        Problem(
            node.name,
            type(node.op).__name__,
            "it has no form in a Nengo network",
            "softmax is supported as the last layer of an output only"
            if type(node.op).__name__ == "Softmax"
            else "replace it",
        )
        for node in graph.nodes.values()
        if emit.dispatch(type(node.op)) is emit.dispatch(object)
    ]


def to_nengo(
    graph: Graph,
    *,
    spiking: bool,
    output_synapse: Any = None,
    seed: int = 0,
    train_biases: bool = False,
    label: str | None = None,
    add_to_container: bool | None = None,
) -> NengoModel:
    """Emit a network. The graph must have no :func:`problems`.

    Args:
        graph: What to emit.
        spiking: Spiking neurons, or their rates.
        output_synapse: Filter of the second probe of each output: None, seconds, or a
            ``nengo.synapses.Synapse``.
        seed: Seed of the network.
        train_biases: Add a trainable connection for biases that several neurons share.
        label: The network's label.
        add_to_container: Whether it becomes a part of the ``with nengo.Network()`` around the
            call, if there is one; Nengo's default is that it does.
    """
    with nengo.Network(label=label, seed=seed, add_to_container=add_to_container) as net:
        _add_nengo_dl_settings(net, graph)
        model = NengoModel(graph, net, spiking, train_biases)
        for node in graph.nodes.values():
            if not is_merged(graph, node):
                emit(node.op, node, model)
        for name in graph.outputs:
            value = model.values[name]
            model.raw_probes.append(nengo.Probe(value.obj, label=f"{name} unfiltered"))
            model.probes.append(
                nengo.Probe(value.obj, synapse=output_synapse, label=f"{name} filtered")
            )
    return model


def is_merged(graph: Graph, node: Node) -> bool:
    """Whether the node is a linear op that becomes the connection into the neurons behind it."""
    if not isinstance(node.op, Linear) or not graph.is_private(node.name):
        return False
    return isinstance(graph.readers(node.name)[0].op, NeuronOp)


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


@singledispatch
def emit(op: object, node: Node, model: NengoModel) -> None:
    """Build the objects whose output is ``node``'s value, and file them in ``model``."""
    raise NotImplementedError(type(op).__name__)  # problems() finds these beforehand


@emit.register
def _(op: Input, node: Node, model: NengoModel) -> None:
    model.values[node.name] = Value(nengo.Node(np.zeros(product(op.shape)), label=node.name))


@emit.register
def _(op: Reshape, node: Node, model: NengoModel) -> None:
    model.values[node.name] = model.values[node.inputs[0]]


@emit.register(Dense)
@emit.register(Conv)
def _(op: Dense | Conv, node: Node, model: NengoModel) -> None:
    out = model.node(node)
    _connect_weights(model, node, out)
    if op.bias is not None:
        connection = _bias_connection(model, op.bias, node, out)
        if model.is_trainable(node, "bias"):
            model.biases[node.name] = connection
        else:
            model.freeze(connection)


@emit.register
def _(op: ChannelAffine, node: Node, model: NengoModel) -> None:
    out = model.node(node)
    scaled = model.connect(node.inputs[0], out, diagonal(np.broadcast_to(op.scale, node.shape)))
    shifted = _bias_connection(model, op.shift, node, out)
    model.freeze(scaled)
    model.freeze(shifted)
    model.fixed.append((node.name, "batch normalisation that no linear layer could take in"))


@emit.register
def _(op: AvgPool, node: Node, model: NengoModel) -> None:
    shape = model.graph.nodes[node.inputs[0]].shape
    value = model.values[node.inputs[0]]
    for transform in average(op, shape):
        out = nengo.Node(size_in=transform.size_out, label=node.name)
        connection = nengo.Connection(value.obj, out, transform=transform, synapse=value.synapse)
        model.freeze(connection)
        value = Value(out)
    model.values[node.name] = value


@emit.register(Lif)
@emit.register(Relu)
def _(op: Lif | Relu, node: Node, model: NengoModel) -> None:
    linear = model.merged_linear(node)
    source = node.inputs[0] if linear is None else linear.inputs[0]
    size = product(node.shape)
    current = np.full(node.shape, op.bias if isinstance(op, Lif) else 0.0)
    shared = None if linear is None else linear.op.bias  # type: ignore[attr-defined]
    if shared is not None:
        current = current + op.gain * shared
    ensemble = nengo.Ensemble(
        size,
        dimensions=1,
        neuron_type=neuron_type(op, spiking=model.spiking),
        gain=np.full(size, op.gain),
        bias=current.ravel(),
        encoders=np.ones((size, 1)),
        eval_points=np.zeros((1, 1)),  # there are no decoders to solve for
        normalize_encoders=False,
        label=node.name,
    )
    model.values[node.name] = Value(ensemble.neurons, op.synapse)
    if linear is None:
        model.connect(source, ensemble.neurons)
        model.freeze(ensemble.neurons)
        return
    _connect_weights(model, linear, ensemble.neurons)
    trainable = model.is_trainable(linear, "bias")
    if trainable and shared is not None and shared.size == size:
        model.biases[linear.name] = ensemble
        model.resting[linear.name] = current.ravel()
        return
    # One trained value for each neuron could not be written back into a bias that a whole feature
    # map shares.
    model.freeze(ensemble.neurons)
    if trainable and model.train_biases:
        change = np.zeros_like(shared)
        model.biases[linear.name] = _bias_connection(model, change, linear, ensemble.neurons)
    elif trainable:
        shared = "biases that a feature map shares; train_biases=True trains them"
        model.fixed.append((linear.name, shared))


def neuron_type(op: NeuronOp, *, spiking: bool) -> nengo.neurons.NeuronType:
    """The Nengo neuron type that spikes as the op says, or has its rate."""
    if isinstance(op, Lif):
        common: Mapping[str, Any] = {
            "tau_rc": op.tau_rc,
            "tau_ref": op.tau_ref,
            "amplitude": op.amplitude,
        }
        if spiking:
            state = {"voltage": _voltage(op)}
            return nengo.LIF(**common, min_voltage=op.min_voltage, initial_state=state)
        if op.smoothing == 0:
            return nengo.LIFRate(**common)
        from ..bridge import nengo_dl

        return nengo_dl.SoftLIFRate(**common, sigma=op.smoothing)
    if spiking:
        state = {"voltage": _voltage(op)}
        return nengo.SpikingRectifiedLinear(amplitude=op.amplitude, initial_state=state)
    return nengo.RectifiedLinear(amplitude=op.amplitude)


def _voltage(op: NeuronOp) -> Any:
    if isinstance(op.initial_voltage, np.ndarray):
        return op.initial_voltage
    return nengo.dists.Choice([op.initial_voltage])


def _connect_weights(model: NengoModel, node: Node, target: Any) -> None:
    """Connect what a linear op reads to ``target``, through the op's weights."""
    source = node.inputs[0]
    transform = transform_of(node.op, model.graph.nodes[source].shape)
    connection = model.connect(source, target, transform)
    model.connections[node.name] = connection
    if model.is_trainable(node, "weight"):
        model.weights[node.name] = connection
    else:
        model.freeze(connection)


def _bias_connection(
    model: NengoModel, bias: np.ndarray, node: Node, target: Any
) -> nengo.Connection:
    """Add ``bias`` to every position of ``target``, from a constant node, as trainable weights."""
    positions = product(node.shape) // len(bias)
    one = nengo.Node(np.ones(positions), label=f"{node.name} bias")
    return nengo.Connection(one, target, transform=per_channel(bias, positions), synapse=None)


def check_synapse(value: Any, argument: str) -> nengo.synapses.Synapse | None:
    """A synapse from None, seconds, or a synapse.

    Raises:
        InputError: It is none of these.
    """
    if value is None or isinstance(value, nengo.synapses.Synapse):
        return value
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        seconds = float(value)
        if 0 <= seconds < math.inf:
            return nengo.Lowpass(seconds)
    raise InputError(
        f"{argument} must be None, a time constant in seconds >= 0, or a nengo.synapses.Synapse. "
        f"Received: {value!r}"
    )
