"""What each op becomes in a network: one rule an op."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import Any

import nengo
import numpy as np

from ...ir import Node, product
from ...ops import (
    Affine,
    AvgPool,
    AxisMap,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Gather,
    Input,
    MaxPool,
    NeuronOp,
    Opaque,
    Pad,
    Reshape,
    Sum,
)
from .max_pooling import MaxPooling
from .merging import Linear, is_merged
from .model import NengoModel
from .neurons import neuron_type, own_unit
from .synapses import nengo_synapse
from .transforms import along_axis, average, is_plain, links, padded, per_channel
from .values import Target, Value


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


@emit.register
def _(op: NeuronOp, node: Node, model: NengoModel) -> None:
    size = product(node.shape)
    ensemble = nengo.Ensemble(
        size,
        dimensions=1,
        neuron_type=neuron_type(op, model.spiking),
        gain=np.full(size, op.gain),
        bias=np.zeros(size),
        encoders=np.ones((size, 1)),
        eval_points=np.zeros((1, 1)),  # there are no decoders to solve for
        normalize_encoders=False,
        label=node.name,
    )
    unit, synapse = own_unit(op, model.spiking), nengo_synapse(op.synapse)
    model.neurons[node.name] = ensemble.neurons, unit
    model.values[node.name] = value = Value(ensemble.neurons, synapse)
    if op.unit != unit:  # Nengo has neuron types without an amplitude
        out = model.node(node)
        model.freeze(nengo.Connection(value.obj, out, transform=op.unit / unit, synapse=synapse))
    target = Target(ensemble.neurons)
    merged = [
        linear for linear in _arrive(model, node.inputs[0], target) if _bias(linear) is not None
    ]
    current = np.full(node.shape, op.current_at_rest)
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
            shared = "biases that are shared within a feature map; train_biases=True trains them"
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
        pads, op = padded(op)
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
            unfolded = "batch normalisation that could not be folded into a linear layer"
            model.fixed.append((node.name, unfolded))
        return
    if len(found) == 1:
        model.connections[node.name] = connection
    if model.is_trainable(node, "weight", as_is=op is node.op and is_plain(op, found)):
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
