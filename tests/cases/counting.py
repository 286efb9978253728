"""Operations counted by brute force: each step, value and connection in turn."""

from __future__ import annotations

from dataclasses import fields, replace

import keras
import numpy as np
from keras import layers as L

from kconvert.ops import Affine, Conv, ConvTranspose, Dense, MaxPool

from .build import randomized

Weighted = Dense | Conv | ConvTranspose


def stack(*layers, shape=(7, 6, 2)) -> keras.Model:
    keras.utils.set_random_seed(3)
    return randomized(keras.Sequential([keras.Input(shape), *layers]))


def relu(name="first"):
    return L.Conv2D(4, 3, padding="same", activation="relu", name=name)


def residual() -> keras.Model:
    x = keras.Input((7, 6, 2))
    first = relu()(x)
    second = L.Conv2D(4, 3, padding="same", activation="relu")(first)
    third = L.Add()([first, second])
    out = L.Dense(3)(L.Flatten()(L.Conv2D(3, 3, activation="relu")(third)))
    return randomized(keras.Model(x, out))


def skip_from_input() -> keras.Model:
    x = keras.Input((7, 6, 2))
    both = L.Concatenate()([x, L.Conv2D(3, 3, padding="same", activation="relu")(x)])
    return randomized(keras.Model(x, L.Dense(3)(L.Flatten()(L.Conv2D(2, 3)(both)))))


KINDS = {
    "dense": (lambda: stack(L.Dense(9, activation="relu"), L.Dense(3), shape=(5,)), {}),
    "conv": (lambda: stack(relu(), L.Conv2D(3, 3, strides=2), L.Flatten()), {}),
    "dilated": (lambda: stack(relu(), L.Conv2D(3, 2, dilation_rate=2), L.Flatten()), {}),
    "groups": (lambda: stack(relu(), L.Conv2D(6, 3, groups=2, activation="relu")), {}),
    "depthwise": (lambda: stack(relu(), L.DepthwiseConv2D(3, padding="same")), {}),
    "separable": (lambda: stack(relu(), L.SeparableConv2D(5, 3), L.Flatten(), L.Dense(2)), {}),
    "transposed": (lambda: stack(relu(), L.Conv2DTranspose(3, 3, strides=2), L.Flatten()), {}),
    "conv1d": (lambda: stack(L.Conv1D(4, 3, activation="relu"), L.Conv1D(2, 3), shape=(9, 2)), {}),
    "average": (lambda: stack(relu(), L.AveragePooling2D(2), L.Flatten(), L.Dense(3)), {}),
    "maximum": (lambda: stack(relu(), L.MaxPooling2D(2), L.Flatten(), L.Dense(3)), {}),
    "of sums": (
        lambda: stack(relu(), L.MaxPooling2D(2), L.Conv2D(3, 2), L.Flatten()),
        {"max_pooling": "sums"},
    ),
    "of values": (
        lambda: stack(relu(), L.MaxPooling2D(2), L.Conv2D(3, 2), L.Flatten()),
        {"max_pooling": "values"},
    ),
    "of filtered": (
        lambda: stack(relu(), L.MaxPooling2D(2), L.Conv2D(3, 2), L.Flatten()),
        {"max_pooling": "values", "synapse": 0.005},
    ),
    "residual": (residual, {}),
    "input again": (skip_from_input, {}),
}
STEPS = 12


def sparse(model):
    """The model with every other bias at zero, and some weights of no pattern."""
    rng = np.random.default_rng(2)
    for layer in model._flatten_layers(include_self=False):
        for variable in layer.weights:
            value = np.array(keras.ops.convert_to_numpy(variable))
            if value.ndim == 1:
                value[::2] = 0.0
            else:
                value[rng.random(value.shape) < 0.35] = 0.0
            variable.assign(value)
    return model


def without_constants(op):
    names = {each.name for each in fields(op)}
    changes = {"bias": None} if "bias" in names else {}
    return replace(op, **changes | ({"shift": np.zeros_like(op.shift)} if "shift" in names else {}))


def ones(op):
    """The op with weights of one and no bias."""
    return without_constants(replace(op, weight=np.ones_like(op.weight)))


def targets(graph, name):
    """The connections from each input of a layer with weights, by trying each one."""
    shape = graph.nodes[graph.nodes[name].inputs[0]].shape
    size = int(np.prod(shape))
    out = ones(graph.nodes[name].op).evaluate(np.eye(size).reshape(size, *shape))
    return np.count_nonzero(out.reshape(size, -1), axis=1)


def ways(graph):
    """For each value and layer of neurons what one spike of each neuron alone becomes there.

    It is followed through what has no weights, up to weights, maxima and other neurons.
    """
    found = {}
    for name, node in graph.nodes.items():
        found[name] = {}
        if node.is_neuron:
            found[name][name] = np.eye(node.size).reshape(node.size, *node.shape)
        elif not isinstance(node.op, Weighted | MaxPool):
            for layer in {layer for source in node.inputs for layer in found[source]}:
                n = graph.nodes[layer].size
                zeros = [np.zeros((n, *graph.nodes[source].shape)) for source in node.inputs]
                parts = [
                    found[source].get(layer, zero)
                    for source, zero in zip(node.inputs, zeros, strict=True)
                ]
                found[name][layer] = without_constants(node.op).evaluate(*parts)
    return found


def changes_by_itself(graph):
    """For each value whether the input, a synapse or a constant changes it, beside spikes."""
    found = {}
    for name, node in graph.nodes.items():
        if node.is_neuron:
            found[name] = node.op.synapse is not None
        else:
            added = [getattr(node.op, field, None) for field in ("bias", "shift")]
            constant = any(each is not None and np.any(each) for each in added)
            found[name] = not node.inputs or constant or any(found[k] for k in node.inputs)
    return found


def largest(node, arrived, sums, changes):
    """What a maximum passes on in one step."""
    if changes:
        return np.ones((1, *node.shape))
    if node.op.over == "values":
        return node.op.evaluate(arrived)
    old = sums.get(node.name, np.zeros_like(arrived))
    sums[node.name] = old + arrived
    return node.op.evaluate(sums[node.name]) - node.op.evaluate(old)


def brute_force(graph, run):
    """Operations that spikes cause, for one sample: each step, value and connection in turn."""
    fan = {n: targets(graph, n) for n, node in graph.nodes.items() if isinstance(node.op, Weighted)}
    way, alone, total = ways(graph), changes_by_itself(graph), 0.0
    for sample in range(run.n):
        sums = {}
        for step in range(run.n_steps):
            spikes = {name: train[sample, step].ravel() for name, train in run.spikes.items()}
            values = {}  # what came through weights or a maximum in this step
            for name, node in graph.nodes.items():
                stops = node.is_neuron or isinstance(node.op, Weighted | MaxPool)
                if not node.inputs or not stops:
                    parts = [values[source] for source in node.inputs]
                    op = without_constants(node.op)
                    values[name] = op.evaluate(*parts) if parts else np.zeros((1, *node.shape))
                    continue
                [source] = node.inputs
                reach = fan.get(name, np.ones(graph.nodes[source].size))
                arrived = values[source].copy()
                for layer, each in way[source].items():
                    flat = each.reshape(len(each), -1)
                    total += abs(spikes[layer].astype(float)) @ ((flat != 0) @ reach)
                    arrived += ((spikes[layer] * graph.nodes[layer].op.unit) @ flat).reshape(
                        arrived.shape
                    )
                if name in fan:
                    total += (values[source].ravel() != 0) @ reach
                    values[name] = without_constants(node.op).evaluate(arrived)
                elif node.is_neuron:
                    values[name] = np.zeros((1, *node.shape))
                else:
                    values[name] = largest(node, arrived, sums, alone[source])
            for name in graph.outputs:
                for layer, each in way[name].items():
                    reached = np.count_nonzero(each.reshape(len(each), -1), axis=1)
                    total += abs(spikes[layer].astype(float)) @ reached
    return total / run.n


def positive(op):
    """The op with weights of one: what arrives somewhere is then above zero."""
    if isinstance(op, Weighted):
        return ones(op)
    if isinstance(op, Affine):
        op = replace(op, scale=(op.scale != 0).astype(float))
    return without_constants(op)


def updates_by_brute_force(graph, run):
    """Updates that something calls for, for one sample: each step and neuron in turn."""
    n, alone, moving, at_rest = run.n * run.n_steps, changes_by_itself(graph), {}, {}
    arrived, total = {}, 0
    for name, node in graph.nodes.items():
        inputs = node.inputs
        if node.is_neuron:
            [source] = inputs
            spiked = run.spikes[name].reshape(n, *node.shape) != 0
            called = (arrived[source] > 0) | spiked | (at_rest[source] != 0)
            total += called.size if moving[source] else np.count_nonzero(called)
            arrived[name], moving[name] = spiked.astype(float), node.op.synapse is not None
            at_rest[name] = np.zeros((1, *node.shape))
            continue
        largest_of = isinstance(node.op, MaxPool)
        moving[name] = any(alone[k] if largest_of else moving[k] for k in inputs) or not inputs
        if not inputs:
            arrived[name], at_rest[name] = np.zeros((n, *node.shape)), np.zeros((1, *node.shape))
            continue
        arrived[name] = positive(node.op).evaluate(*(arrived[k] for k in inputs))
        at_rest[name] = node.op.evaluate(*(at_rest[k] for k in inputs))
    return total / run.n
