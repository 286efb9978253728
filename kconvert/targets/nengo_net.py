"""Graph -> ``nengo.Network``, made of core Nengo objects only, so that any Nengo backend runs it.

Values are flat vectors in C order. A linear op that only a neuron reads becomes the connection
into that neuron's ensemble, its bias part of the ensemble's bias; one that only a sum or a
concatenation reads becomes a connection into that. Any other linear op ends in a Node. What only
rearranges values is no object of its own: readers pick the values in their order. Every neuron's
synapse sits on the connections that leave its ensemble.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import nengo
import numpy as np
from nengo.params import BoolParam, Parameter

from ..errors import InputError, Problem
from ..ir import Decision, Graph, Node, product
from ..ops import (
    Affine,
    AvgPool,
    AxisMap,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Gather,
    Input,
    Lif,
    MaxPool,
    NeuronOp,
    Opaque,
    OtherNeuron,
    Pad,
    Relu,
    Reshape,
    Sigmoid,
    Softmax,
    Sum,
)
from .max_pooling import MaxPooling
from .nengo_neurons import amplitudes, neuron_type
from .nengo_transforms import along_axis, average, is_plain, links, padded, per_channel
from .nengo_values import Target, Value

Weighted = Dense | Conv | ConvTranspose
Linear = Weighted | Affine | Sum


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
        elif array == "weight" and not is_plain(node.op, self.shape_in(node)):
            reason = "kernels that Nengo only has with zeros written out, or in several parts"
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


def problems(graph: Graph) -> list[Problem]:
    """The nodes that this target has no rule for."""
    return [
        Problem(
            node.call or node.name,
            type(node.op).__name__,
            "it has no form in a Nengo network",
            "softmax is supported as the last layer of an output only"
            if isinstance(node.op, Softmax)
            else "replace it",
            flag="tensornode" if isinstance(node.op, Softmax) else "",
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
            value = model.values[name].view()
            model.raw_probes.append(nengo.Probe(value, label=f"{name} unfiltered"))
            model.probes.append(
                nengo.Probe(value, synapse=output_synapse, label=f"{name} filtered")
            )
    return model


def is_merged(graph: Graph, node: Node) -> bool:
    """Whether the node is a linear op that is a connection into what reads it, and no object."""
    if not isinstance(node.op, Linear) or not graph.is_private(node.name):
        return False
    [reader] = graph.readers(node.name)
    if isinstance(reader.op, Sum):
        return reader.op.coefficients[reader.inputs.index(node.name)] == 1
    if isinstance(reader.op, Concat):
        return not isinstance(node.op, Sum)
    return isinstance(reader.op, NeuronOp)


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
    from nengo_dl.graph_optimizer import greedy_planner

    return greedy_planner(operators)


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


@emit.register
def _(op: Gather, node: Node, model: NengoModel) -> None:
    _pick(op.index.ravel(), node, model)


@emit.register
def _(op: Pad, node: Node, model: NengoModel) -> None:
    shape = model.shape_in(node)
    places = np.arange(product(shape)).reshape(shape)
    _pick(np.pad(places, op.pads, constant_values=-1).ravel(), node, model)


def _pick(index: np.ndarray, node: Node, model: NengoModel) -> None:
    """A value made of entries of another; -1 is a zero, which takes a Node to hold it.

    So do entries that come more than once: Nengo does not multiply these by a matrix.
    """
    source = model.values[node.inputs[0]]
    inside = index >= 0
    if source.index is not None:
        index = np.where(inside, source.index[index], -1)
    once = np.bincount(index[inside]).max(initial=0) <= 1
    if inside.all() and once:
        model.values[node.name] = Value(source.obj, source.synapse, index)
        return
    out = model.node(node)
    if inside.any():
        there = Value(source.obj, index=index[inside]).view()
        here = Target(out, np.flatnonzero(inside)).view()
        model.freeze(nengo.Connection(there, here, synapse=source.synapse))


@emit.register(Dense)
@emit.register(Conv)
@emit.register(ConvTranspose)
@emit.register(Affine)
@emit.register(Sum)
def _(op: Linear, node: Node, model: NengoModel) -> None:
    out = Target(model.node(node))
    for linear in list(_inflow(model, node, out)):
        _add_bias(model, linear, out)


@emit.register
def _(op: Concat, node: Node, model: NengoModel) -> None:
    out = model.node(node)
    places = np.arange(product(node.shape)).reshape(node.shape)
    first = 0
    for name in node.inputs:
        length = model.graph.nodes[name].shape[op.axis]
        part = places.take(np.arange(first, first + length), axis=op.axis).ravel()
        first += length
        target = Target(out, part)
        for linear in list(_arrive(model, name, target)):
            _add_bias(model, linear, target)


@emit.register
def _(op: AvgPool, node: Node, model: NengoModel) -> None:
    value = model.values[node.inputs[0]]
    for transform in average(op, model.shape_in(node)):
        out = nengo.Node(size_in=transform.size_out, label=node.name)
        model.freeze(
            nengo.Connection(value.view(), out, transform=transform, synapse=value.synapse)
        )
        value = Value(out)
    model.values[node.name] = value


@emit.register
def _(op: AxisMap, node: Node, model: NengoModel) -> None:
    transform = along_axis(op, model.shape_in(node))
    model.connect(node.inputs[0], model.node(node), transform)


@emit.register
def _(op: MaxPool, node: Node, model: NengoModel) -> None:
    shape = model.shape_in(node)
    out = nengo.Node(
        MaxPooling(op, shape),
        size_in=product(shape),
        size_out=product(node.shape),
        label=node.name,
    )
    model.connect(node.inputs[0], out)
    model.values[node.name] = Value(out)


@emit.register
def _(op: Opaque, node: Node, model: NengoModel) -> None:
    from .tensor_node import tensor_node

    shapes = [model.graph.nodes[name].shape for name in node.inputs]
    out = tensor_node(op, shapes, label=node.name)
    first = 0
    for name, shape in zip(node.inputs, shapes, strict=True):
        model.connect(name, out[first : first + product(shape)])
        first += product(shape)
    model.values[node.name] = Value(out)


@emit.register(Lif)
@emit.register(Relu)
@emit.register(Sigmoid)
@emit.register(OtherNeuron)
def _(op: NeuronOp, node: Node, model: NengoModel) -> None:
    size = product(node.shape)
    ensemble = nengo.Ensemble(
        size,
        dimensions=1,
        neuron_type=neuron_type(op, spiking=model.spiking),
        gain=np.full(size, op.gain),
        bias=np.zeros(size),
        encoders=np.ones((size, 1)),
        eval_points=np.zeros((1, 1)),  # there are no decoders to solve for
        normalize_encoders=False,
        label=node.name,
    )
    amplitude, wanted = amplitudes(op, spiking=model.spiking)
    model.neurons[node.name] = ensemble.neurons, amplitude
    model.values[node.name] = value = Value(ensemble.neurons, op.synapse)
    if wanted != amplitude:  # Nengo has neuron types without an amplitude
        out = model.node(node)
        model.freeze(
            nengo.Connection(value.obj, out, transform=wanted / amplitude, synapse=op.synapse)
        )
    target = Target(ensemble.neurons)
    merged = [
        linear for linear in _arrive(model, node.inputs[0], target) if _bias(linear) is not None
    ]
    current = np.full(node.shape, op.bias if isinstance(op, Lif) else 0.0)
    for linear in merged:
        current = current + op.gain * _bias(linear)
    ensemble.bias = current.ravel()
    trained = [linear for linear in merged if model.is_trainable(linear, _bias_field(linear))]
    # One trained value for each neuron is one of a dense layer's bias. It could not be written back
    # into a bias that a whole feature map shares, nor into two biases.
    if len(merged) == len(trained) == 1 and _bias(merged[0]).size == size:
        [linear] = merged
        model.biases[linear.name] = ensemble
        model.resting[linear.name] = current.ravel()
        return
    model.freeze(ensemble.neurons)
    for linear in trained:
        if model.train_biases:
            change = np.zeros_like(_bias(linear))
            model.biases[linear.name] = _bias_connection(model, change, linear, target)
        else:
            shared = "biases that a feature map shares; train_biases=True trains them"
            model.fixed.append((linear.name, shared))


def _arrive(model: NengoModel, name: str, target: Target) -> Iterator[Node]:
    """Bring a value to a target, through the linear ops that are merged into the connection.

    Yields:
        Those of them whose bias is still to be added.
    """
    node = model.graph.nodes[name]
    if is_merged(model.graph, node):
        yield from _inflow(model, node, target)
    else:
        model.connect(name, target.view())


def _inflow(model: NengoModel, node: Node, target: Target) -> Iterator[Node]:
    """Connect what a linear op reads to a target, through its weights; as :func:`_arrive`."""
    if not isinstance(node.op, Sum):
        _connect_weights(model, node, target)
        if _bias(node) is not None:
            yield node
        return
    for coefficient, name in zip(node.op.coefficients, node.inputs, strict=True):
        if coefficient == 1:
            yield from _arrive(model, name, target)
        else:
            model.connect(name, target.view(), coefficient)


def _bias(node: Node) -> Any:
    """The constant that a linear op adds, or None."""
    if isinstance(node.op, Affine):
        return node.op.shift if np.any(node.op.shift) else None
    return getattr(node.op, "bias", None)


def _bias_field(node: Node) -> str:
    return "shift" if isinstance(node.op, Affine) else "bias"


def _add_bias(model: NengoModel, node: Node, target: Target) -> None:
    """Add a linear op's constant to a Node."""
    bias = _bias(node)
    if isinstance(node.op, Affine):
        whole = np.broadcast_to(bias, node.shape).ravel()
        constant = nengo.Node(whole, label=f"{node.name} shift")
        model.freeze(nengo.Connection(constant, target.view(), synapse=None))
        return
    connection = _bias_connection(model, bias, node, target)
    if model.is_trainable(node, "bias"):
        model.biases[node.name] = connection
    else:
        model.freeze(connection)


def _connect_weights(model: NengoModel, node: Node, target: Target) -> None:
    """Connect what a linear op reads to a target, through the op's weights."""
    value, op = model.values[node.inputs[0]], node.op
    shape = model.shape_in(node)
    found = links(op, shape)
    if found is None:
        pads, op = padded(op)  # type: ignore[arg-type]
        zeros = Pad((*pads, (0, 0)))
        shape = zeros.out_shape(shape)
        with_zeros = Node(f"{node.name}/padded", zeros, node.inputs, shape)
        emit(zeros, with_zeros, model)
        value = model.values.pop(with_zeros.name)
        found = links(op, shape) or []
    for link in found:
        connection = nengo.Connection(
            value.view(link.source),
            target.view(link.target),
            transform=link.transform,
            synapse=value.synapse,
        )
        model.freeze(connection)
    if isinstance(op, Affine):
        if node.parameters:
            unfolded = "batch normalisation that no linear layer could take in"
            model.fixed.append((node.name, unfolded))
        return
    if len(found) == 1:
        model.connections[node.name] = connection
    if model.is_trainable(node, "weight") and len(found) == 1:
        model.net.config[connection].trainable = None
        model.weights[node.name] = connection


def _bias_connection(
    model: NengoModel, bias: np.ndarray, node: Node, target: Target
) -> nengo.Connection:
    """Add ``bias`` to every position of a target, from a constant node, as trainable weights."""
    positions = product(node.shape) // len(bias)
    one = nengo.Node(np.ones(positions), label=f"{node.name} bias")
    transform = per_channel(bias, positions)
    return nengo.Connection(one, target.view(), transform=transform, synapse=None)


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
