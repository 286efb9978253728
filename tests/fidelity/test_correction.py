"""Means of spikes that are brought to those that were trained."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.bridge import nengo_dl
from kconvert.data import check_feeds
from kconvert.errors import InputError
from kconvert.fidelity.correction import Measured, correct
from kconvert.fidelity.trial import Trial
from kconvert.layers import RateLIF
from kconvert.passes.correct_values import without_corrections
from kconvert.targets.window import RAMP

FLOORED = {"min_voltage": None, "output_synapse": "ramp"}


def network(activation=L.ReLU):
    """Two residual blocks and a dense layer, with values of all sizes."""
    keras.backend.clear_session()  # layers without a name have the same one each time
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
    feeds = check_feeds(samples, spiking._input_shapes, 1, 1)
    trial = Trial(spiking.graph, feeds, RAMP, n_steps=25, dt=0.001)
    measured = Measured(spiking.graph, feeds, trial)
    assert (measured.n, [len(group) for group in measured.groups]) == (44, [1] * 6)
    layers = ["a0", "b1", "c1", "b2", "c2", "d"]
    corrected = measured.corrected(spiking.graph, dict.fromkeys(layers, mode), 25)
    bare = measured.corrected(spiking.graph, dict.fromkeys(layers), 25)
    off = {name: [] for name in ("with", "without")}
    for [name] in measured.groups:
        wanted = measured.wanted[name]
        for key, graph in (("with", corrected), ("without", bare)):
            # A sum's correction is behind it.
            place = name if f"{name}/corrected" not in graph.nodes else f"{name}/corrected"
            [found] = measured._means(graph, [place], 25)
            x, y = (each.reshape(-1, graph.nodes[name].shape[-1]) for each in (wanted, found))
            off[key].append(np.abs(x.mean(axis=0) - y.mean(axis=0)).max() / x.std())
            if mode == "affine" and key == "with":
                x, y = x - x.mean(axis=0), y - y.mean(axis=0)
                slope = (x * y).mean(axis=0) / np.square(x).mean(axis=0)
                scale = graph.nodes[place].correction.scale
                inside = (scale > 0.51) & (scale < 1.99)
                assert inside.sum() >= 2
                np.testing.assert_allclose(slope[inside], 1, atol=1e-4)  # sums of float32
    # Sums of float32; without a correction the output itself is left as it is too.
    assert max(off["with"]) < 1e-4 < 1e-2 < max(off["without"]), off


@pytest.mark.parametrize(
    ("activation", "settings"),
    [
        (L.ReLU, FLOORED),
        (L.ReLU, {"swap_activations": {L.ReLU: nengo.LIF()}}),
        (RateLIF, {"scale_firing_rates": 3.0}),
    ],
    ids=["floored", "LIF for ReLU", "scaled LIF"],
)
@pytest.mark.filterwarnings("ignore:calibration")  # that LIF neurons are not near enough
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
    assert decision(kconvert.convert(network())) == []
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
    assert found["out"] == affine  # as the strongest of the layers


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
    events, core = (
        spiking.simulate(samples[:2], 30, simulator=name, dtype=dtype, spikes=True).spikes
        for name, dtype in (("events", "float64"), ("nengo", None))
    )
    assert events.keys() == core.keys()
    for layer, train in events.items():
        np.testing.assert_array_equal(train, core[layer])


def test_untrained_weights_come_back_as_they_were(samples):
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED)
    with nengo_dl.Simulator(spiking.net, progress_bar=False, device="/cpu:0") as sim:
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
    with pytest.raises(InputError, match="cannot be run so"):
        kconvert.convert(network(), calibration=rates(samples), correction="bias", **triangle)
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED, **triangle)
    assert decision(spiking) == []
    graph = kconvert.convert(network(), spiking=False, calibration=samples, **FLOORED).graph
    assert all(node.correction is None for node in graph.nodes.values())
    assert correct(graph, graph, None, None, n_steps=3, dt=0.001) is graph


def test_a_network_so_large_that_it_would_take_long_is_left_alone(samples, monkeypatch):
    monkeypatch.setattr("kconvert.fidelity.correction.MOST_WORK", 1e5)
    spiking = kconvert.convert(network(), calibration=rates(samples), **FLOORED)
    assert "correction='affine' measures it" in decision(spiking)[0]
    assert all(node.correction is None for node in spiking.graph.nodes.values())
    asked = kconvert.convert(network(), calibration=rates(samples), correction="affine", **FLOORED)
    assert decision(asked)[0].startswith("feature maps corrected")
