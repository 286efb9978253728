"""Several neurons for each unit: one after the other, the same in every simulator, exact."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert

X = np.random.default_rng(3).random((24, 7, 6, 2))
CALIBRATION = kconvert.Calibration(X, percentile=99, per_channel=False)


def cnn(activation: str = "relu") -> keras.Model:
    """Convolutions, a residual sum, pooling and a dense layer of neurons."""
    x = images = keras.Input((7, 6, 2))
    x = L.Conv2D(4, (3, 2), padding="same", activation=activation, name="first")(x)
    y = L.Conv2D(4, (2, 3), padding="same")(x)
    x = L.Activation(activation, name="sum")(L.Add()([x, y]))
    x = L.Flatten()(L.MaxPooling2D(2, name="pool")(x))
    x = L.Dense(5, activation=activation, name="dense")(x)
    return randomized(keras.Model(images, L.Dense(3, name="out")(x)))


MODELS = {
    "images": (cnn(), X),
    "ceiling": (cnn("relu6"), X),
    "sequences": (
        randomized(
            keras.Sequential(
                [
                    keras.Input((9, 2)),
                    L.Conv1D(4, 3, activation="relu"),
                    L.BatchNormalization(),
                    L.GlobalAveragePooling1D(),
                    L.Dense(3),
                ]
            )
        ),
        X.reshape(24, -1)[:, :18].reshape(24, 9, 2),
    ),
}


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
@pytest.mark.parametrize("case", MODELS)
def test_rates_stay(case, simulator):
    model, x = MODELS[case]
    spiking = kconvert.convert(model, calibration=x, neurons_per_unit=3)
    assert spiking.n_neurons == 3 * kconvert.convert(model, calibration=x).n_neurons
    assert spiking.verify(x[:4], simulator=simulator).passed


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
@pytest.mark.parametrize("values", ["binary", "ternary", "graded"])
def test_spikes_are_those_of_every_simulator(values, simulator):
    spiking = kconvert.convert(
        cnn(), calibration=X, spike_values=values, neurons_per_unit={"first": 2, "dense": 3}
    )
    sizes = {name: each[0, 0].size for name, each in _run(spiking, "events").items()}
    assert sizes == {"first/neurons": 2 * 168, "pool": 36, "dense/neurons": 15}
    for name, spikes in _run(spiking, simulator).items():
        largest = {"binary": 1, "ternary": 1}.get(values, np.inf)
        assert 0 < np.abs(spikes.astype(int)).max() <= largest
        assert values != "binary" or spikes.astype(int).min() == 0
        # Where a sum ends at the threshold to the last digit, a spike falls a step apart.
        assert np.mean(spikes != _run(spiking, "events")[name]) < 0.002


def _run(spiking, simulator):
    dtype = "float64" if simulator == "events" else None
    return spiking.simulate(X[:2], 20, simulator=simulator, spikes=True, dtype=dtype).spikes


@pytest.mark.parametrize("n", [2, 3, 5])
def test_they_are_one_neuron_with_smaller_steps(n):
    """Hermite's identity: the spikes of a unit are those of a neuron of n times the rate."""
    model = randomized(keras.Sequential([keras.Input((4,)), L.Dense(40, activation="relu")]))
    settings = {"calibration": False, "min_voltage": -np.inf, "output_synapse": None}
    x = np.random.default_rng(0).standard_normal((6, 4)) * 0.6
    for start in (0.5, "spread"):
        many = kconvert.convert(
            model,
            scale_firing_rates=200.0,
            neurons_per_unit=n,
            initial_voltage=start,
            **settings,
        )
        one = kconvert.convert(
            model, scale_firing_rates=200.0 * n, initial_voltage=start, **settings
        )
        found, expected = (
            next(iter(each.simulate(x, 30, spikes=True, dtype="float64").spikes.values()))
            for each in (many, one)
        )
        assert expected.sum() > 300
        found = found.reshape(6, 30, 40, n).astype(int)
        np.testing.assert_array_equal(found.sum(axis=-1), expected)


def test_values_are_finer():
    model = randomized(keras.Sequential([keras.Input((4,)), L.Dense(200, activation="relu")]))
    x = np.random.default_rng(0).standard_normal((20, 4))
    wanted = model.predict(x, verbose=0)
    errors = []
    for n in (1, 2, 4):
        spiking = kconvert.convert(
            model, calibration=x, spike_values="binary", neurons_per_unit=n, output_synapse="window"
        )
        errors.append(np.sqrt(np.mean(np.square(spiking.predict(x, 8) - wanted))))
    # Rounding falls to 1/n; a value that is cut off stays so.
    assert errors[1] < 0.65 * errors[0] and errors[2] < 0.65 * errors[1]


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_neurons_of_a_unit_spike_in_turn(activation):
    layers = [L.Dense(30, activation=activation), L.Dense(3)]
    model = randomized(keras.Sequential([keras.Input((4,)), *layers]))
    swapped = {"relu": nengo.LIF()} if activation == "relu" else None
    x = np.abs(np.random.default_rng(0).standard_normal((6, 4)))
    spiking = kconvert.convert(model, calibration=x, swap_activations=swapped, neurons_per_unit=2)
    spikes = next(iter(spiking.simulate(x, 200, spikes=True).spikes.values()))
    first, second = np.moveaxis(spikes.reshape(6, 200, 30, 2).astype(int), -1, 0)
    assert first.sum() > 500
    ahead = np.cumsum(first - second, axis=1)
    assert np.abs(ahead).max() == 1
    assert (ahead != 0).mean() > 0.2  # they would be equal if they spiked together


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_what_else_is_done_with_a_network(tmp_path, activation):
    model = cnn(activation)
    spiking = kconvert.convert(model, calibration=X, spike_values="binary", neurons_per_unit=2)
    spiking.save(tmp_path / "net.kconvert")
    again = kconvert.load(tmp_path / "net.kconvert")
    np.testing.assert_array_equal(again.predict(X[:3], 9), spiking.predict(X[:3], 9))
    assert "2 neurons for each unit" in str(again)
    found = spiking.diagnose(X[:6], n_steps=40)
    assert [each.layer.endswith("/neurons") for each in found.layers] == [True] * 3
    assert found.output_correlation > 0.95
    assert max(each.curve for each in found.layers) < 1e-3
    work = spiking.energy(X[:3], 9).layers
    assert sum(each.neuron_updates for each in work) == 9 * spiking.n_neurons


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (0, r"neurons_per_unit must be an integer >= 1. Received: neurons_per_unit=0"),
        (1.5, "neurons_per_unit must be an integer >= 1"),
        (65, "neurons_per_unit must be at most 64"),
        ({"firts": 2}, r"neurons_per_unit names layers that have no neurons: \['firts'\].*'first'"),
        ({"first": True}, r"neurons_per_unit\['first'\] must be an integer"),
    ],
)
def test_refused(wrong, message):
    with pytest.raises(kconvert.InputError, match=message):
        kconvert.convert(cnn(), calibration=X, neurons_per_unit=wrong)


def test_refused_for_neurons_that_start_alike():
    model = cnn()
    with pytest.raises(kconvert.InputError, match=r"neurons_per_unit=2: AdaptiveLIF neurons"):
        kconvert.convert(model, swap_activations={"relu": nengo.AdaptiveLIF()}, neurons_per_unit=2)


def test_diagnosis_of_a_ceiling_without_calibration():
    """There a ReLU6 is two layers of neurons, and stays so."""
    spiking = kconvert.convert(
        cnn("relu6"), calibration=False, scale_firing_rates=500.0, neurons_per_unit=2
    )
    found = spiking.diagnose(X[:4], n_steps=30)
    assert len(found.layers) == 6
    assert max(each.curve for each in found.layers) < 1e-3
