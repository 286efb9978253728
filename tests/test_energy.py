"""What a network computes, counted against brute force, and what is said of it."""

from __future__ import annotations

from dataclasses import fields, replace

import keras
import numpy as np
import pytest
from cases.build import randomized
from keras import layers as L
from reference import load_model

import kconvert
from kconvert.errors import InputError
from kconvert.ops import Affine, Conv, ConvTranspose, Dense, MaxPool
from kconvert.results.devices import DEVICES
from kconvert.results.measuring import PIECE

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


def brute_force(spiking, run):
    """Operations that spikes cause, step by step, with each value of the network in turn.

    Spikes are followed to the first layers with weights one by one; what arrives behind these, or
    behind a maximum, is looked at as values.
    """
    graph, total = spiking.graph, 0
    fan = {n: targets(graph, n) for n, node in graph.nodes.items() if isinstance(node.op, Weighted)}
    constant = {}
    for sample in range(run.n):
        sums, before = {}, {}
        for step in range(run.n_steps):
            units, values = {}, {}
            for name, node in graph.nodes.items():
                if not node.inputs:
                    shape = (1, *node.shape)
                    units[name], values[name] = {}, np.zeros(shape)
                    constant[name] = True
                elif node.is_neuron:
                    spikes = run.spikes[name][sample, step].astype(float)
                    units[name] = {name: np.eye(node.size)}
                    values[name] = np.zeros((1, *node.shape))
                    before[name] = spikes
                    constant[name] = node.op.synapse is not None
                else:
                    total += arrive(graph, node, units, values, before, sums, fan, constant)
            for name in graph.outputs:
                for source, way in units[name].items():
                    total += abs(before[source]) @ np.count_nonzero(way, axis=1)
    return total / run.n


def arrive(graph, node, units, values, before, sums, fan, constant):
    """Works out one value, and gives back the operations on the way into it.

    ``units`` has, for each layer of neurons, what one unit of each neuron alone becomes on the way
    through what has no weights; ``values`` what came through weights or maxima.
    """
    name, count = node.name, 0
    size = node.size
    bias = getattr(node.op, "shift", getattr(node.op, "bias", None))
    constant[name] = any(constant[s] for s in node.inputs) or bool(np.any(bias or 0) if bias is None
                                                                  else np.any(bias))
    if isinstance(node.op, Weighted | MaxPool):
        [source] = node.inputs
        for layer, way in units[source].items():
            reach = fan[name] if name in fan else np.ones(way.shape[1])
            count += abs(before[layer]) @ (way != 0) @ reach
        arrived = values[source] + sum(
            (before[k] * graph.nodes[k].op.unit @ way).reshape(values[source].shape)
            for k, way in units[source].items()
        )
        if name in fan:
            count += np.count_nonzero(values[source].ravel()) and fan[name] @ (
                values[source].ravel() != 0
            )
            values[name] = without_constants(node.op).evaluate(arrived)
        elif constant[source]:
            values[name] = np.ones((1, *node.shape))
        elif node.op.over == "sums":
            old = sums.get(name, np.zeros_like(arrived))
            sums[name] = old + arrived
            values[name] = node.op.evaluate(sums[name]) - node.op.evaluate(old)
        else:
            values[name] = node.op.evaluate(arrived)
        units[name] = {}
        return count
    op = without_constants(node.op)
    values[name] = op.evaluate(*(values[s] for s in node.inputs))
    units[name] = {}
    for layer in {layer for s in node.inputs for layer in units[s]}:
        n = graph.nodes[layer].size
        parts = [
            units[s].get(layer, np.zeros((n, graph.nodes[s].size))).reshape(
                n, *graph.nodes[s].shape
            )
            for s in node.inputs
        ]
        units[name][layer] = op.evaluate(*parts).reshape(n, size)
    return 0
