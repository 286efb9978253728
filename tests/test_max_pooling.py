"""Every way to take a maximum in time: exact in rate mode, the same on both simulators."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from cases import functional, randomized
from keras import layers as L

import kconvert
from kconvert.layers import RateLIF
from kconvert.ops import MaxPool
from kconvert.passes.set_max_pooling import CHOICES
from kconvert.targets.nengo.max_pooling import MaxPooling

EXACT = [choice for choice in CHOICES if choice != "average"]


def pooled(activation=None) -> keras.Model:
    return randomized(
        keras.Sequential(
            [
                keras.Input((7, 6, 2), name="image"),
                L.Conv2D(3, 2, name="conv"),
                activation or L.ReLU(name="relu"),
                L.MaxPooling2D((3, 2), (2, 1), padding="same", name="pool"),
                L.Flatten(),
                L.Dense(4, name="end"),
            ]
        )
    )


@pytest.mark.parametrize("simulator", ["nengo", "nengo_dl"])
@pytest.mark.parametrize("choice", EXACT)
def test_exact_in_rate_mode(choice, simulator):
    spiking = kconvert.convert(pooled(), max_pooling=choice, calibration=False)
    result = spiking.verify(simulator=simulator, n=3)
    assert result.passed, str(result)
    assert "pool" in {layer.layer for layer in result.layers}
    assert [d.layer for d in spiking.decisions if d.kind == "max_pooling"] == ["pool"]


@pytest.mark.parametrize("choice", EXACT)
def test_exact_before_lif_neurons(choice):
    model = pooled(RateLIF(smoothing=0, name="lif"))
    assert kconvert.convert(model, max_pooling=choice, calibration=False).verify(simulator="nengo")


def test_before_takes_fewer_neurons():
    def neurons(choice: str) -> int:
        return sum(
            e.n_neurons
            for e in kconvert.convert(pooled(), max_pooling=choice, calibration=False).net.ensembles
        )

    conv, pool = 6 * 5 * 3, 3 * 5 * 3
    assert neurons("sums") == conv
    assert neurons("before") == pool
    assert neurons("circuit") == conv + 5 * pool  # windows of six values, five pairs


def test_before_falls_back_where_there_are_no_neurons_of_its_own(rng):
    build = functional((4, 4, 2), lambda x: L.MaxPooling2D(2)(L.Conv2D(3, 1)(x))).build
    spiking = kconvert.convert(build(), max_pooling="before", calibration=False)
    [decision] = [d for d in spiking.decisions if d.kind == "max_pooling"]
    assert "running sums" in decision.text
    assert spiking.verify(simulator="nengo")


def test_average_is_the_average(rng):
    model = pooled()
    spiking = kconvert.convert(
        model, max_pooling="average", spiking=False, synapse=None, output_synapse=None
    )
    x = rng.standard_normal((3, 7, 6, 2)).astype(np.float32)
    relu = L.ReLU()(model.get_layer("conv")(x))
    average = L.AveragePooling2D((3, 2), (2, 1), padding="same")(relu)
    expected = model.get_layer("end")(L.Flatten()(average))
    found = spiking.simulate(x, 1, simulator="nengo").outputs[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("choice", ["sums", "values", "circuit", "before"])
def test_spikes_are_the_same_on_both_simulators(choice, rng):
    """Spiking ReLU: float32 moves few spikes over so few steps, and the output hardly."""
    scale = {"relu": 50.0} if choice != "before" else {"pool": 50.0}
    spiking = kconvert.convert(pooled(), max_pooling=choice, scale_firing_rates=scale)
    x = rng.standard_normal((2, 12, 7, 6, 2))  # changes in time
    core = spiking.simulate(x, simulator="nengo").outputs
    fast = spiking.simulate(x, simulator="nengo_dl").outputs
    assert np.ptp(core) > 0
    np.testing.assert_allclose(fast, core, atol=0.02 * np.abs(core).max())


def test_running_sums_pick_the_largest_rate(rng):
    """Of noisy inputs, the mean of the output is the largest mean, not the mean of the largest."""
    rates = np.array([0.1, 0.3, 0.25, 0.2])
    spikes = (rng.random((400, 4)) < rates).astype(float)

    def mean(over: str) -> float:
        process = MaxPooling(MaxPool((4,), (4,), ((0, 0),), over=over), (4, 1))
        state = process.make_state((4,), (1,), 0.001)
        step = process.make_step((4,), (1,), 0.001, None, state)
        return float(np.mean([step(0.0, spike) for spike in spikes]))

    # The sum of the winner, divided by the steps: exactly that.
    assert mean("sums") == pytest.approx(spikes.sum(axis=0).max() / 400, abs=1e-12)
    assert mean("values") > 0.55  # 1 - product of (1 - rate) = 0.62


def test_by_layer():
    x = keras.Input((8, 8, 2))
    y = L.MaxPooling2D(2, name="one")(L.ReLU()(L.Conv2D(2, 3, padding="same")(x)))
    y = L.MaxPooling2D(2, name="two")(L.ReLU()(L.Conv2D(2, 3, padding="same")(y)))
    model = keras.Model(x, y)
    spiking = kconvert.convert(model, max_pooling={"two": "circuit"}, calibration=False)
    texts = {d.layer: d.text for d in spiking.decisions if d.kind == "max_pooling"}
    assert "in front of the neurons" in texts["one"]
    assert "circuit" in texts["two"]


def test_sums_do_not_run_across_frames():
    x = keras.Input((3, 4, 1))
    model = keras.Model(x, L.TimeDistributed(L.MaxPooling1D(2))(x))
    with pytest.raises(kconvert.InputError, match="adds up the steps"):
        kconvert.convert(model, max_pooling="sums", calibration=False)
    for choice in ("before", "values", "circuit"):
        assert kconvert.convert(model, max_pooling=choice, calibration=False).verify(
            simulator="nengo"
        )


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ("largest", "max_pooling must be one of 'sums'.*Received: 'largest'"),
        (None, "Received: None"),
        ({"pool": "max"}, "Received: 'max'"),
        ({"conv": "sums"}, r"no max pooling: \['conv'\].*\['pool'\]"),
    ],
)
def test_bad_choices(choice, match):
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.convert(pooled(), max_pooling=choice, calibration=False)


def test_a_relu_in_front_of_the_pool_is_its_neurons():
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), L.Conv2D(2, 3), L.ReLU(name="relu"), L.MaxPooling2D(2, name="mp")]
    )
    layers = kconvert.convert(model, calibration=False).layers
    assert isinstance(layers["relu"], nengo.Ensemble)
    assert layers["relu"] is layers["mp"]
