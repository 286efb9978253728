"""Start voltages that a short run of samples finds."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from keras import layers as L
from reference import load_model

import kconvert
from kconvert.data.arrays import check_feeds
from kconvert.errors import InputError
from kconvert.layers import RateLIF
from kconvert.ops import NeuronOp
from kconvert.simulators import Job, RunSpec
from kconvert.simulators.events.runner import EventRunner


def network():
    keras.utils.set_random_seed(3)
    biased = {"bias_initializer": keras.initializers.RandomUniform(0.0, 1.2, seed=1)}
    return keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            L.Conv2D(7, 3, **biased),
            RateLIF(name="lif"),
            L.Conv2D(5, 2, **biased),
            L.ReLU(name="relu"),
            L.Flatten(),
            L.Dense(9, activation="sigmoid", name="sigmoid"),
            L.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(4).uniform(0, 2, (60, 6, 5, 2)).astype(np.float32)


def voltages(spiking):
    nodes = spiking.graph.nodes.values()
    return {n.name.split("/")[0]: n.op.initial_voltage for n in nodes if isinstance(n.op, NeuronOp)}


@pytest.mark.parametrize("settings", [{}, {"min_voltage": -np.inf, "scale_firing_rates": 900.0}])
def test_membranes_are_those_of_nengo(samples, settings):
    spiking = kconvert.convert(network(), **settings)
    graph, n_steps = spiking.graph, 13
    runner = EventRunner(RunSpec(graph, (None,), dtype="float64"), 1)
    feeds = check_feeds(samples[:3], spiking.signature.inputs, n_steps, n_steps)
    found = runner.voltages(Job(feeds.arrays, n_steps))
    ensembles = spiking.net.ensembles
    assert len(ensembles) == len(found) == 3
    source = next(node for node in spiking.net.nodes if node.size_in == 0)
    for number, sample in enumerate(samples[:3]):
        source.output = sample.ravel()
        with nengo.Simulator(spiking.net, progress_bar=False) as sim:
            sim.run_steps(n_steps)
            for ensemble, values in zip(ensembles, found.values(), strict=True):
                expected = sim.signals[sim.model.sig[ensemble.neurons]["voltage"]]
                # Float64, and sums in another order.
                np.testing.assert_allclose(values[number], expected, rtol=0, atol=1e-9)


def test_neurons_start_where_samples_leave_them(samples):
    """Each at the rank that the even spread has for it, among its own voltages."""
    model = network()
    common = {"calibration": samples, "synapse": None, "min_voltage": None, "correction": None}
    before = kconvert.convert(model, **common, initial_voltage="spread")
    after = kconvert.convert(model, **common, initial_voltage="equilibrium")
    run = EventRunner(RunSpec(before.graph, (None,)), 1)
    feeds = check_feeds(samples[:48], before.signature.inputs, 20, 20)
    left = run.voltages(Job(feeds.arrays, 20))
    for name, start in voltages(after).items():
        values = next(v for key, v in left.items() if key.split("/")[0] == name)
        share = (np.arange(start.size) + 0.5) * (5**0.5 - 1) / 2 % 1
        rank = (share * 48).astype(int)
        np.testing.assert_array_equal(
            start, np.sort(values, axis=0)[rank, np.arange(start.size)].astype(np.float64)
        )
        assert start.min() >= 0 and start.max() < 1
    assert "voltages at which the calibration samples left them" in " ".join(
        map(str, after.decisions)
    )


def test_by_layer(samples):
    chosen = {"re*": "equilibrium", "lif": 0.25}
    starts = voltages(kconvert.convert(network(), calibration=samples, initial_voltage=chosen))
    assert (starts["lif"], starts["sigmoid"]) == (0.25, 0.0)
    assert np.unique(starts["relu"]).size > 10


def test_two_steps_are_nearer_to_keras(digits):
    model = load_model()
    x, expected = digits.x_test[:60], model.predict(digits.x_test[:60], verbose=0)
    common = {"calibration": digits.x_train[:50], "synapse": None}
    errors = [
        np.square(
            kconvert.convert(model, **common, initial_voltage=start).predict(x, 2) - expected
        ).mean()
        for start in ("spread", "equilibrium")
    ]
    assert errors[1] < 0.9 * errors[0], errors


def test_what_cannot_be_run_is_refused(samples):
    with pytest.raises(InputError, match="pass them as calibration=x"):
        kconvert.convert(network(), initial_voltage={"lif": "equilibrium"})
    with pytest.raises(InputError, match="which cannot run this network"):
        kconvert.convert(
            network(),
            calibration=samples,
            initial_voltage="equilibrium",
            synapse=nengo.synapses.Triangle(0.005),
        )
    rates = kconvert.convert(
        network(), spiking=False, calibration=samples, initial_voltage="equilibrium"
    )
    assert np.isfinite(rates.predict(samples[:2], 2)).all()
