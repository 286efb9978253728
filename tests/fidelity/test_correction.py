"""Means of spikes that are brought to those that were trained."""

from __future__ import annotations

from functools import partial

import keras
import nengo
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.bridge import nengo_dl
from kconvert.data.arrays import check_feeds
from kconvert.errors import InputError
from kconvert.fidelity.correction import FEW, Measured, correct
from kconvert.fidelity.trial import Trial
from kconvert.layers import RateLIF
from kconvert.ops import NeuronOp
from kconvert.passes import run
from kconvert.passes.correct_values import without_corrections
from kconvert.per_layer import PerLayer

FLOORED = {"min_voltage": None, "output_synapse": "ramp"}


def network(activation=L.ReLU):
    """Two residual blocks and a dense layer, with values of all sizes."""
    keras.utils.clear_session(free_memory=False)  # names count from zero again
    keras.utils.set_random_seed(5)
    biased = {"bias_initializer": keras.initializers.RandomNormal(0.0, 0.1, seed=1)}
    x = images = keras.Input((6, 5, 2))
    x = activation(name="a0")(L.Conv2D(6, 3, padding="same", **biased)(x))
    for block in (1, 2):
        y = activation(name=f"b{block}")(L.Conv2D(6, 3, padding="same", **biased)(x))
        y = L.Conv2D(6, 3, padding="same", **biased)(y)
        x = activation(name=f"c{block}")(L.Add()([x, y]))
    x = activation(name="d")(L.Dense(8, **biased)(L.Flatten()(x)))
    return keras.Model(images, L.Dense(3, name="out")(x))


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(4).uniform(-1, 2, (60, 6, 5, 2)).astype(np.float32)


def rates(samples):
    return kconvert.Calibration(samples, rate=1000.0, per_channel=False)


def decision(spiking):
    return [each.text for each in spiking.decisions if each.kind == "correction"]


@pytest.mark.parametrize("mode", ["bias", "affine"])
def test_means_are_those_that_were_trained(samples, mode):
    """On the samples that were measured: of every feature map, and of every layer at once, since
    what corrects a layer does not change those before it.
    """
    spiking = kconvert.convert(network(), calibration=rates(samples), correction=None, **FLOORED)
    feeds = check_feeds(samples, spiking.signature.inputs, 1, 1)
    trial = Trial(spiking.graph, feeds, n_steps=25, dt=0.001)
    measured = Measured(spiking.graph, feeds, trial)
    assert (measured.n, [len(group) for group in measured.groups]) == (34, [1] * 6)
    layers = ["a0", "b1", "c1", "b2", "c2", "d"]
    corrected = run(
        spiking.graph, measured.corrections(spiking.graph, dict.fromkeys(layers, mode), 25)
    )
    bare = run(spiking.graph, measured.corrections(spiking.graph, dict.fromkeys(layers), 25))
    off = {name: [] for name in ("with", "without")}
    for [name] in measured.groups:
        wanted = measured.wanted[name]
        for key, graph in (("with", corrected), ("without", bare)):
            # A sum's correction is behind it.
            place = name if f"{name}/corrected" not in graph.nodes else f"{name}/corrected"
            [found] = measured._run(graph, [place], 25, {})
            x, y = (each.reshape(-1, graph.nodes[name].shape[-1]) for each in (wanted, found))
            off[key].append(np.abs(x.mean(axis=0) - y.mean(axis=0)).max() / x.std())
            if mode == "affine" and key == "with":
                x, y = x - x.mean(axis=0), y - y.mean(axis=0)
                products, squares = (x * y).mean(axis=0), np.square(x).mean(axis=0)
                if len(x) < FEW:  # dense layers: one factor for all units
                    products, squares = products.sum(), squares.sum()
                slope = np.broadcast_to(products / squares, x.shape[1])
                scale = graph.nodes[place].correction.scale
                inside = (scale > 0.51) & (scale < 1.99)
                assert inside.sum() >= 2 and (np.ptp(scale) > 0) == (len(x) >= FEW)
                np.testing.assert_allclose(slope[inside], 1, atol=1e-4)  # sums of float32
    # Sums of float32; without a correction the output itself is left as it is too.
    assert max(off["with"]) < 1e-4 < 1e-2 < max(off["without"]), off


def test_values_that_are_read_more_than_once():
    """Activations of two layers of neurons, an output in the middle, one that another layer reads:
    what every layer of neurons reads has the mean that was trained.
    """
    keras.utils.set_random_seed(6)
    x = images = keras.Input((12,))
    for activation in (L.ReLU(6.0), L.LeakyReLU(0.3), L.ReLU()):
        x = activation(L.Dense(9, bias_initializer="normal")(x))
    middle = L.Dense(8, name="middle")(x)
    x = L.ReLU()(L.Dense(7)(L.ReLU()(middle)))
    first = L.Dense(3, name="first")(x)
    model = keras.Model(images, [middle, L.Dense(2, name="last")(first), first])
    samples = np.random.default_rng(1).standard_normal((50, 12)) * 2
    spiking = kconvert.convert(model, calibration=rates(samples), correction=None, **FLOORED)
    feeds = check_feeds(samples, spiking.signature.inputs, 1, 1)
    graph = spiking.graph
    measured = Measured(graph, feeds, Trial(graph, feeds, n_steps=25, dt=0.001))
    layers = [node.name for node in graph.nodes.values() if isinstance(node.op, NeuronOp)]
    corrected = run(graph, measured.corrections(graph, dict.fromkeys(layers, "affine"), 25))
    off = {"with": [], "without": []}
    for key, each in (("with", corrected), ("without", graph)):
        for name in [*measured.readers]:
            readers = measured.readers[name]
            place = each.nodes[readers[0]].inputs[0] if readers else name
            [found] = measured._run(each, [place], 25, {})
            wanted = measured.wanted[name]
            off[key].append(np.abs(wanted.mean(axis=0) - found.mean(axis=0)).max() / wanted.std())
    assert len(layers) == 6 and len(off["with"]) == 6  # the first reads no spikes; one output
    assert max(off["with"]) < 1e-4 and np.median(off["without"]) > 1e-2, off
    # An output that is read on is what it was.
    nodes = corrected.nodes
    assert nodes["middle"].correction is nodes["first"].correction is None
    assert nodes["last"].correction is not None


@pytest.mark.parametrize("head", ["pool", "reshape", "sum"])
def test_outputs_of_other_layers(samples, head):
    x = L.ReLU()(L.Conv2D(4, 2)(L.ReLU()(L.Conv2D(4, 2)(images := keras.Input((6, 5, 2))))))
    y = {
        "pool": lambda: L.GlobalAveragePooling2D(name="out")(L.Conv2D(3, 1)(x)),
        "reshape": lambda: L.Reshape((3, 2), name="out")(L.Dense(6)(L.Flatten()(x))),
        "sum": lambda: L.Add(name="out")([L.Dense(4)(L.Flatten()(x)), L.Dense(4)(L.Flatten()(x))]),
    }[head]()
    model = keras.Model(images, y)
    spiking = kconvert.convert(model, calibration=rates(samples), correction="bias", **FLOORED)
    assert spiking.graph.nodes["out"].correction is not None
    assert spiking.verify(samples[:4])
    found = [spiking.predict(samples[:2], 9, simulator=name) for name in ("events", "nengo")]
    np.testing.assert_allclose(*found, rtol=0, atol=1e-4 * np.abs(found[1]).max())


def test_feature_maps_in_front(samples):
    """Models with channels first: a factor for each feature map, and not for each column."""
    keras.utils.set_random_seed(2)
    x = images = keras.Input((2, 6, 5))
    for filters in (3, 4):
        x = L.ReLU()(L.Conv2D(filters, 2, data_format="channels_first")(x))
    model = keras.Model(images, L.Dense(3)(L.Flatten()(x)))
    x = np.moveaxis(samples, -1, 1)
    spiking = kconvert.convert(model, calibration=rates(x), correction="affine", **FLOORED)
    found = [node.correction for node in spiking.graph.nodes.values() if node.correction]
    assert [each.scale.shape for each in found] == [(4,), (3,)]
    assert spiking.verify(x[:4])


@pytest.mark.parametrize(
    ("activation", "settings"),
    [
        (L.ReLU, FLOORED),
        (L.ReLU, {"swap_activations": {L.ReLU: nengo.LIF()}}),
        (RateLIF, {"scale_firing_rates": 3.0}),
    ],
    ids=["floored", "LIF for ReLU", "scaled LIF"],
)
@pytest.mark.filterwarnings("ignore:calibration")  # that LIF neurons are too different from ReLU
def test_what_is_wrong_on_average_is_made_up_for(samples, activation, settings):
    model = network(activation)
    x = np.random.default_rng(9).uniform(-1, 2, (40, 6, 5, 2)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    errors = []
    for correction in (None, "auto"):
        spiking = kconvert.convert(
            model, calibration=rates(samples), correction=correction, **settings
        )
        errors.append(np.linalg.norm(spiking.predict(x, 60) - expected))
    assert errors[1] < 0.7 * errors[0], errors
    [text] = decision(spiking)
    assert text.startswith("feature maps"), text


def test_where_there_is_nothing_to_make_up_for(samples):
    """ReLU neurons without a floor have the right mean after some steps."""
    assert decision(kconvert.convert(network(), calibration=rates(samples))) == []
    assert decision(kconvert.convert(network(), calibration=False)) == []
    asked = kconvert.convert(network(), calibration=rates(samples), correction={"b*": "bias"})
    assert len(decision(asked)) == 1
    off = kconvert.convert(network(), calibration=rates(samples), correction=None, **FLOORED)
    assert decision(off) == []


def test_layers_by_name(samples):
    chosen = {"a0": None, "b*": "affine", "c*": "bias", "d": None}
    spiking = kconvert.convert(network(), calibration=rates(samples), correction=chosen, **FLOORED)
    found = {
        node.name: (np.ptp(node.correction.scale) > 0, np.ptp(node.correction.shift) > 0)
        for node in spiking.graph.nodes.values()
        if node.correction is not None
    }
    by_neurons = {
        reader.name: what
        for name, what in found.items()
        for reader in spiking.graph.readers(name)
        if reader.name in ("a0", "b1", "c1", "b2", "c2", "d")
    }
    affine, bias = (True, True), (False, True)
    assert by_neurons == {"b1": affine, "b2": affine, "c1": bias, "c2": bias}
    assert found["out"] == bias  # a factor too, which its units share
    assert spiking.graph.nodes["out"].correction.scale[0] != 1


def test_the_conversion_is_still_verified_and_diagnosed(samples):
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED)
    assert decision(spiking)
    assert spiking.verify(samples[:4])
    plain = kconvert.convert(network(), calibration=rates(samples), correction=None, **FLOORED)
    found, before = (each.diagnose(samples, 60) for each in (spiking, plain))
    assert max(layer.curve for layer in found.layers) < 1e-5
    assert found.output_error < 0.7 * before.output_error
    for name, node in without_corrections(spiking.graph).nodes.items():
        weight = getattr(node.op, "weight", None)
        if weight is not None:
            np.testing.assert_allclose(weight, plain.graph.nodes[name].op.weight, rtol=1e-12)


def test_every_simulator_runs_it(samples):
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED)
    events, core, dl = (
        spiking.simulate(samples[:2], 30, simulator=name, dtype=dtype, spikes=True).spikes
        for name, dtype in (("events", "float64"), ("nengo", None), ("nengo_dl", None))
    )
    assert events.keys() == core.keys() == dl.keys()
    first, last = dl["a0"].sum(), dl["d"].sum()
    assert (first, last) == (core["a0"].sum(), pytest.approx(core["d"].sum(), rel=0.02))  # float32
    for layer, train in events.items():
        np.testing.assert_array_equal(train, core[layer])


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # TensorFlow, through warns
def test_untrained_weights_come_back_as_they_were(samples):
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED)
    with (
        nengo_dl.Simulator(spiking.net, progress_bar=False, device="/cpu:0") as sim,
        pytest.warns(UserWarning, match="converted with correction=None"),
    ):
        spiking.update_from(sim)
    for before, after in zip(
        network().get_weights(), spiking.to_keras().get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    assert spiking.verify(samples[:4])


def test_few_samples_are_measured_and_tried_alike(samples):
    spiking = kconvert.convert(network(), calibration=rates(samples[:6]), **FLOORED)
    assert "of 6 samples" in decision(spiking)[0]


def test_what_cannot_be_done_is_refused(samples):
    with pytest.raises(InputError, match="pass them as calibration=x"):
        kconvert.convert(network(), correction={"d": "bias"})
    with pytest.raises(InputError, match="must be None, 'bias', 'affine' or 'auto'"):
        kconvert.convert(network(), calibration=samples, correction="threshold")
    with pytest.raises(InputError, match=r"names layers that have no neurons: \['out'\]"):
        kconvert.convert(network(), calibration=samples, correction={"out": "bias"})
    triangle = {"synapse": nengo.synapses.Triangle(0.005)}
    with pytest.raises(InputError, match="'a0', 'b1', 'c1' and 3 more: the event"):
        kconvert.convert(network(), calibration=rates(samples), correction="bias", **triangle)
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED, **triangle)
    assert decision(spiking)[0].startswith("not tried: 'a0', 'b1', 'c1' and 3 more: the event")
    graph = kconvert.convert(network(), spiking=False, calibration=samples, **FLOORED).graph
    assert all(node.correction is None for node in graph.nodes.values())
    assert correct(graph, graph, PerLayer("correction", None), None, n_steps=3, dt=0.001) is graph


def test_a_network_so_large_that_it_would_take_long_is_left_alone(samples, monkeypatch):
    monkeypatch.setattr("kconvert.fidelity.correction.MOST_WORK", 1e5)
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED)
    assert "correction='affine' tries it" in decision(spiking)[0]
    assert all(node.correction is None for node in spiking.graph.nodes.values())
    asked = kconvert.convert(network(), calibration=rates(samples), correction="affine", **FLOORED)
    assert decision(asked)[0].startswith("feature maps corrected")


def test_tune_takes_a_correction(samples):
    model = network()
    labels = model.predict(samples, verbose=0).argmax(axis=1)
    found = kconvert.tune(model, samples, labels, max_steps=12, correction="bias", **FLOORED)
    assert all("calibration" in each.settings for each in found.candidates)


@pytest.mark.parametrize(
    ("activation", "settings"),
    [
        (L.ReLU, {}),
        (L.ReLU, {"synapse": 0.003, "spike_values": "graded"}),
        (RateLIF, {"synapse": nengo.Alpha(0.002)}),
    ],
    ids=["ReLU", "graded, a filter", "LIF, another filter"],
)
def test_spikes_that_are_replayed_equal_those_of_a_whole_run(samples, activation, settings):
    """Equal to the bit: the same events, in the same order."""
    model = network(activation)
    spiking = kconvert.convert(model, calibration=samples, correction=None, **settings)
    graph = spiking.graph
    feeds = check_feeds(samples, spiking.signature.inputs, 1, 1)
    measured = Measured(graph, feeds, Trial(graph, feeds, n_steps=25, dt=0.001))
    spikes = {}
    for group in measured.groups:
        parts = measured._run(graph, group, 25, spikes)
        for part, whole in zip(parts, measured._run(graph, group, 25, {}), strict=True):
            assert np.ptp(part) > 0
            np.testing.assert_array_equal(part, whole)
    assert spikes.keys() == {node.name for node in graph.neurons()} - {"d"}


def test_spikes_that_do_not_fit_into_memory_are_refused(samples, monkeypatch):
    convert = partial(kconvert.convert, network(RateLIF), calibration=samples)
    assert any(decision(convert()))
    # Enough for the outputs of the trials, and not for the spikes of every step.
    monkeypatch.setattr("kconvert.memory.free_memory", lambda: 100_000)
    with pytest.raises(InputError, match="the spikes that corrections measure need"):
        convert()
    convert(correction=None)
