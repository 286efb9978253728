"""What a network computes, against brute force, against NeuroBench and against papers."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from cases.build import randomized
from cases.counting import (
    KINDS,
    STEPS,
    Weighted,
    brute_force,
    ones,
    relu,
    residual,
    sparse,
    stack,
    targets,
    updates_by_brute_force,
    without_constants,
)
from keras import layers as L
from reference import load_model

import kconvert
from kconvert.ops import Dense
from kconvert.results.work import Work


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changing", [False, True], ids=["held", "changing"])
def test_operations_are_those_of_brute_force(kind, changing, rng):
    build, settings = KINDS[kind]
    model = sparse(build())
    x = rng.random((3, *([STEPS] if changing else []), *model.input_shape[1:]))
    spiking = kconvert.convert(model, scale_firing_rates=150.0, **settings)
    found = spiking.energy(x, STEPS)
    run = spiking.simulate(x, STEPS, spikes=True)
    graph = spiking.graph
    assert found.synaptic_operations == pytest.approx(brute_force(graph, run), rel=1e-12)
    assert found.synaptic_operations > 0
    assert found.neuron_updates == graph.n_neurons * STEPS
    assert found.needed_updates == pytest.approx(updates_by_brute_force(graph, run), rel=1e-12)
    events = sum(np.count_nonzero(train) for train in run.spikes.values())
    assert found.events == pytest.approx(events / 3, rel=1e-12)
    spikes = sum(each.spikes for each in found.layers)
    assert spikes == pytest.approx(sum(run.n_spikes.values()) / 3, rel=1e-12)
    macs = {n: targets(graph, n).sum() for n, each in graph.nodes.items()
            if isinstance(each.op, Weighted)}  # fmt: skip
    assert {each.layer: each.macs for each in found.layers if each.macs} == macs
    times = STEPS if changing else 1
    assert found.macs == sum(macs.values()) * times
    silent = sum(int((train == 0).sum()) for train in run.spikes.values())
    assert found.activation_sparsity == silent / (3 * STEPS * graph.n_neurons)


BEHIND = {
    # Layers of neurons behind others, by how the spikes get there.
    "dense": ([L.Flatten(), L.Dense(9, "relu")], {}),
    "conv": ([L.Conv2D(3, 3, strides=2, activation="relu")], {}),
    "dilated": ([L.Conv2D(3, 2, dilation_rate=2, activation="relu")], {}),
    "groups": ([L.Conv2D(6, 3, groups=2, activation="relu")], {}),
    "depthwise": ([L.DepthwiseConv2D(2, depth_multiplier=2, activation="relu")], {}),
    "separable": ([L.SeparableConv2D(5, 2, activation="relu")], {}),
    "transposed": ([L.Conv2DTranspose(3, 2, strides=3, activation="relu")], {}),
    "average": ([L.AveragePooling2D(2), L.Conv2D(3, 1, activation="relu")], {}),
    "maximum": ([L.MaxPooling2D(2), L.Conv2D(3, 1, activation="relu")], {}),
    "of sums": (
        [L.MaxPooling2D(2), L.Conv2D(3, 1, activation="relu")],
        {"max_pooling": "sums"},
    ),
}


@pytest.mark.parametrize("kind", BEHIND)
def test_some_neurons_need_no_update(kind, rng):
    """Without synapses, whose output changes in every step."""
    layers, settings = BEHIND[kind]
    clones = [type(each).from_config(each.get_config()) for each in layers]
    model = sparse(stack(relu(), *clones))
    spiking = kconvert.convert(model, scale_firing_rates=5.0, synapse=None, **settings)
    x = rng.random((2, 7, 6, 2))
    found = spiking.energy(x, STEPS)
    run = spiking.simulate(x, STEPS, spikes=True)
    assert found.needed_updates == pytest.approx(
        updates_by_brute_force(spiking.graph, run), rel=1e-12
    )
    assert found.synaptic_operations == pytest.approx(brute_force(spiking.graph, run), rel=1e-12)
    assert found.needed_updates < found.neuron_updates
    first, _ = spiking.graph.neurons()
    assert found.needed_updates > STEPS * first.size  # all of the first layer, which reads x
    assert run.n_spikes[first.name] > 0


def test_neurons_that_spike_later_need_updates_then():
    """One spike makes three, at most one of them in a step: two come when nothing arrives."""
    first = L.Dense(1, "relu", use_bias=False, name="first")
    model = stack(first, L.Dense(1, "relu", use_bias=False), shape=(1,))
    model.set_weights([np.ones((1, 1)), np.full((1, 1), 3.0)])
    spiking = kconvert.convert(
        model, scale_firing_rates=100.0, synapse=None, spike_values="binary", initial_voltage=0.0
    )
    found = spiking.energy(np.full((1, 1), 0.5), 100)
    spikes = {each.layer: each.spikes for each in found.layers if each.spikes}
    first, second = spikes.values()
    assert second == pytest.approx(3 * first, abs=3)
    assert found.needed_updates == 100 + second > 100 + first


ALONE = ("dense", "conv", "dilated", "groups", "depthwise", "separable", "transposed", "conv1d")
"""Kinds where each layer with weights reads spikes, other weights or the input, and no pool."""


def by_neurobench(graph, run, x):
    """Effective operations and zero values, after NeuroBench: of values and weights made binary."""
    macs, acs, values = 0.0, 0.0, {}
    for name, node in graph.nodes.items():
        if not node.inputs:
            values[name] = np.repeat(x, run.n_steps, axis=0)
        elif node.is_neuron:
            values[name] = run.spikes[name].reshape(-1, *node.shape).astype(float)
        elif isinstance(node.op, Weighted):
            given = values[node.inputs[0]]
            binary = replace(ones(node.op), weight=(node.op.weight != 0).astype(float))
            count = binary.evaluate((given != 0).astype(float)).sum()
            if np.isin(given, (-1, 0, 1)).all():
                acs += count
            else:
                macs += count
            values[name] = without_constants(node.op).evaluate(given)
        else:
            given = [values[source] for source in node.inputs]
            values[name] = without_constants(node.op).evaluate(*given)
    return macs / run.n, acs / run.n


@pytest.mark.parametrize("rate", [100.0, 4000.0], ids=["binary", "graded"])
@pytest.mark.parametrize("kind", ALONE)
def test_metrics_of_neurobench(kind, rate, rng):
    build, settings = KINDS[kind]
    model = sparse(build())
    x = rng.random((2, *model.input_shape[1:]))
    x[:, 0] = 0.0
    spiking = kconvert.convert(model, scale_firing_rates=rate, **settings)
    bench = spiking.energy(x, STEPS).neurobench()
    run = spiking.simulate(x, STEPS, spikes=True)
    graph, counted = spiking.graph, bench["SynapticOperations"]
    macs, acs = by_neurobench(graph, run, x)
    assert counted["Effective_MACs"] == pytest.approx(macs, rel=1e-12)
    assert counted["Effective_ACs"] == pytest.approx(acs, rel=1e-12)
    weights = [node.op.weight for node in graph.nodes.values() if isinstance(node.op, Weighted)]
    zeros = sum((each == 0).sum() for each in weights) / sum(each.size for each in weights)
    assert bench["ConnectionSparsity"] == pytest.approx(zeros) != 0
    dense = sum(targets(graph, n).sum() for n, node in graph.nodes.items()
                if isinstance(node.op, Weighted))  # fmt: skip
    assert counted["Dense"] == STEPS * dense
    largest_spike = max(int(train.max()) for train in run.spikes.values())
    assert (largest_spike > 1) == (rate > 1000)  # else the cases would not be what they say
    assert (acs > 0) == (rate < 1000)


@pytest.mark.parametrize("simulator", ["nengo", "nengo_dl"])
@pytest.mark.parametrize("kind", ["average", "separable"])
def test_spikes_of_other_simulators_are_counted(kind, simulator, rng):
    build, settings = KINDS[kind]
    spiking = kconvert.convert(build(), scale_firing_rates=150.0, **settings)
    x = rng.random((2, 7, 6, 2))
    found = spiking.energy(x, STEPS, simulator=simulator)
    run = spiking.simulate(x, STEPS, simulator=simulator, spikes=True)
    assert found.synaptic_operations == pytest.approx(brute_force(spiking.graph, run), rel=1e-12)
    assert found.synaptic_operations > 0
    assert found.ratio == pytest.approx(spiking.energy(x, STEPS).ratio, rel=0.02)


def test_what_goes_into_the_read_out(rng):
    model = stack(L.Dense(6, "relu"), L.Dense(5, "relu"), L.Dense(3), shape=(4,))
    spiking = kconvert.convert(model, scale_firing_rates=300.0)
    found = spiking.energy(rng.random((2, 4)), STEPS)
    first, last = (each for each in found.layers if each.spikes)
    assert found.read_out_operations == last.synaptic_operations == 3 * last.spikes
    assert first.synaptic_operations == 5 * first.spikes
    both = kconvert.convert(sparse(residual()), scale_firing_rates=300.0)
    found = both.energy(rng.random((2, 7, 6, 2)), STEPS)
    last = [each for each in found.layers if each.spikes][-1]
    assert 0 < found.read_out_operations == last.synaptic_operations < found.synaptic_operations
    # Two readers of the same neurons, of which one is an output.
    x = keras.Input((4,))
    hidden = L.Dense(6, "relu")(x)
    outs = [L.Dense(3)(hidden), L.Dense(2)(L.Dense(5, "relu")(hidden))]
    spiking = kconvert.convert(randomized(keras.Model(x, outs)), scale_firing_rates=300.0)
    found = spiking.energy(rng.random((2, 4)), STEPS)
    first, last = (each for each in found.layers if each.spikes)
    assert first.synaptic_operations == 8 * first.spikes
    assert found.read_out_operations == 3 * first.spikes + 2 * last.spikes


def test_biases_are_counted_apart(rng):
    model = stack(relu(), L.Conv2D(3, 3), L.Flatten())
    found = kconvert.convert(model, scale_firing_rates=100.0).energy(rng.random((2, 7, 6, 2)), 5)
    assert found.biases == 7 * 6 * 4 + 5 * 4 * 3
    assert found.bias_additions == 5 * found.biases
    half = kconvert.convert(sparse(model), scale_firing_rates=100.0)
    assert half.energy(rng.random((2, 7, 6, 2)), 5).biases == 7 * 6 * 2 + 5 * 4 * 1


PUBLISHED = {
    # Howard et al. 2017 (arXiv:1704.04861), table 8: 569 million for MobileNet and 15300 for VGG16.
    "MobileNet": (569e6, 0.5e6),
    "VGG16": (15.3e9, 0.05e9),
    "MobileNetV2": (300e6, 1e6),  # Sandler et al. 2018 (arXiv:1801.04381), table 4
    "ResNet50": (3.8e9, 0.1e9),  # He et al. 2015 (arXiv:1512.03385), table 1
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_macs_of_published_networks(name):
    """The papers count the zeros of padding too, and here they do not count."""
    top = {"include_top": False, "input_shape": (224, 224, 3)} if name == "VGG16" else {}
    model = getattr(keras.applications, name)(weights=None, **top)
    graph = kconvert.convert(model, scale_firing_rates=100.0).graph
    found, padded, inside = Work.of(graph).macs, 0, 0
    for each in (graph.nodes[layer] for layer in found):
        [source] = each.inputs
        cells = int(np.prod(each.shape[:-1]))
        padded += cells * each.op.weight.size
        if isinstance(each.op, Dense):
            inside += each.op.weight.size
            continue
        # One channel is enough: the others are padded alike.
        one = replace(each.op, weight=np.ones((*each.op.kernel, 1, 1)), bias=None, groups=1)
        pairs = one.evaluate(np.ones((1, *graph.nodes[source].shape[:-1], 1))).sum()
        inside += int(pairs) * each.op.weight.shape[-2] * each.op.filters
    published, rounding = PUBLISHED[name]
    assert padded == pytest.approx(published, abs=rounding)
    assert sum(found.values()) == inside
    assert 0.95 * padded < inside < padded


def test_layers_behind_weights_and_maxima_do_work():
    """The cases above have them: what spikes meet first is not all."""
    rng = np.random.default_rng(0)
    for kind in ("separable", "of sums", "of values", "of filtered"):
        build, settings = KINDS[kind]
        spiking = kconvert.convert(build(), scale_firing_rates=150.0, **settings)
        found = spiking.energy(rng.random((2, 7, 6, 2)), STEPS)
        assert any(each.macs and each.synaptic_operations for each in found.layers), kind


def test_the_reference_cnn_by_hand(digits):
    """Kernel, channels and places of each layer, multiplied."""
    spiking = kconvert.convert(load_model())
    found = spiking.energy(digits.x_test[:2], 5)
    assert {each.layer: each.macs for each in found.layers if each.macs} == {
        "conv0": 26 * 26 * 32 * 9,
        "conv1": 24 * 24 * 64 * 9 * 32,
        "conv2": 10 * 10 * 128 * 9 * 64,
        "dense": 5 * 5 * 128 * 10,
    }
    assert found.macs == 18_216_320
    assert found.input_macs == 194_688
    assert found.input_macs_in_every_step == 5 * 194_688
    assert found.neuron_updates == 5 * 71_296
    assert found.footprint == 4 * 124_682
    lines = (digits.x_test[:2] != 0).astype(float)
    conv = ones(spiking.graph.nodes["conv0"].op)
    bench = found.to_dict()["neurobench"]
    assert bench["SynapticOperations"] == {
        "Effective_MACs": 5 * conv.evaluate(lines).sum() / 2,
        "Effective_ACs": found.synaptic_operations,
        "Dense": 5 * found.macs,
    }
    assert bench["ConnectionSparsity"] == 0
    assert list(bench) == [
        "Footprint", "ConnectionSparsity", "ActivationSparsity", "SynapticOperations"
    ]  # fmt: skip


def test_one_of_two_inputs_changes(rng):
    inputs = [keras.Input((4,), name="held"), keras.Input((3,), name="changing")]
    values = [L.Dense(5, activation="relu")(each) for each in inputs]
    model = randomized(keras.Model(inputs, L.Dense(2)(L.Concatenate()(values))))
    spiking = kconvert.convert(model, scale_firing_rates=200.0)
    x = {"held": rng.random((3, 4)), "changing": rng.random((3, 6, 3))}
    found = spiking.energy(x)
    assert found.macs == 6 * (20 + 15 + 20)
    assert found.effective_macs == found.input_macs == 6 * (20 + 15)
    run = spiking.simulate(x, spikes=True)
    assert found.synaptic_operations == pytest.approx(brute_force(spiking.graph, run))
