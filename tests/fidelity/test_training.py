"""Regularizers, the callback and spiking-aware training, in model.fit."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.callbacks import FiringRates
from kconvert.layers import RateLIF, SpikingAware
from kconvert.regularizers import DeadUnits, FiringRate


def lif_model(lif=None, regularizer=None, seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            L.Conv2D(5, 3, name="conv", activity_regularizer=regularizer),
            lif or RateLIF(max_rate=200.0, name="lif"),
            L.Flatten(),
            L.Dense(3),
        ]
    )


@pytest.fixture
def data(rng):
    return rng.standard_normal((64, 6, 6, 1)).astype(np.float32), rng.integers(0, 3, 64)


def fit(model, data, epochs=30, rate=0.02, **settings):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(*data, epochs=epochs, batch_size=16, verbose=0, **settings)
    return model


@pytest.mark.parametrize("percentile", [None, 90.0])
def test_the_penalty_is_what_it_says(percentile, rng):
    x = rng.uniform(0, 1, (8, 4, 5, 3)).astype(np.float32)
    regularizer = FiringRate((20, 45), l1=0.3, l2=0.02, percentile=percentile)
    rates = x.reshape(-1, 3) / 0.01
    unit = rates.mean(axis=0) if percentile is None else np.percentile(rates, percentile, axis=0)
    outside = np.maximum(20 - unit, 0) + np.maximum(unit - 45, 0)
    expected = (0.3 * outside + 0.02 * outside**2).mean()
    layer = L.Activation("linear", activity_regularizer=regularizer)
    layer(x)
    # Keras divides by the number of samples, which the regularizer multiplies by.
    assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-4)
    assert FiringRate(np.array([20, 45])).target == regularizer.target
    again = keras.regularizers.deserialize(keras.regularizers.serialize(regularizer))
    assert again.get_config() == regularizer.get_config()


@pytest.mark.parametrize(("target", "low", "high"), [(5.0, 0, 12), ((60, 70), 50, 80)])
def test_rates_are_drawn_into_the_range(target, low, high, data):
    regularizer = FiringRate(target, l2=1e-2)
    lif = RateLIF(max_rate=200.0, name="lif", activity_regularizer=regularizer)
    rates, plain = (FiringRates(data[0], every=60, verbose=False) for _ in range(2))
    fit(lif_model(lif), data, epochs=60, callbacks=[rates])
    fit(lif_model(), data, epochs=60, callbacks=[plain])
    assert low <= rates.history[-1]["lif/rate"] <= high
    assert not low <= plain.history[-1]["lif/rate"] <= high


def test_dead_units_come_back(data):
    def dead(regularizer):
        hard = RateLIF(max_rate=200.0, smoothing=0.0, name="lif")
        model = lif_model(hard, regularizer)
        kernel, bias = model.get_layer("conv").get_weights()
        model.get_layer("conv").set_weights([0.1 * kernel, bias - 3.0])
        rates = FiringRates(data[0], every=80, verbose=False)
        fit(model, data, epochs=80, callbacks=[rates])
        [report] = rates.history
        return report["lif/dead"]

    # Without smoothing a dead unit has no gradient at all.
    assert dead(None) == 1.0
    # Every feature map fires somewhere; a neuron is one position of one.
    assert dead(DeadUnits(0.2, weight=10.0)) < 0.5


def test_the_callback_reports_the_rates_of_the_conversion(data, capsys):
    model = lif_model(RateLIF(max_rate=200.0, smoothing=0.0, name="lif"))
    rates = FiringRates(data[0], every=2)
    seen = []
    log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    fit(model, data, epochs=4, callbacks=[rates, log])
    assert [report["epoch"] for report in rates.history] == [1, 3]
    assert seen[3]["lif/rate"] == rates.history[1]["lif/rate"]
    assert "firing rates: lif" in capsys.readouterr().out
    lif = keras.Model(model.inputs, model.get_layer("lif").output)
    hertz = lif.predict(data[0], verbose=0) / 0.01
    # The converted network computes the same in another order.
    assert rates.history[1]["lif/rate"] == pytest.approx(hertz.mean(), rel=1e-4)
    assert rates.history[1]["lif/rate_99"] == pytest.approx(
        np.percentile(hertz[hertz > 0], 99), rel=0.02
    )


def test_the_callback_scales_relu_and_says_what_cannot_be_read(data):
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), L.Flatten(), L.Dense(4, activation="relu", name="one"), L.Dense(3)]
    )
    rates = FiringRates(data[0], scale_firing_rates=100.0, verbose=False)
    fit(model, data, epochs=1, callbacks=[rates])
    one = keras.Model(model.inputs, model.get_layer("one").output)
    [report] = rates.history
    [name] = [key for key in report if key.endswith("/rate")]
    assert report[name] == pytest.approx(100 * one.predict(data[0], verbose=0).mean(), rel=1e-4)
    bad = keras.Sequential([keras.Input((6, 6, 1)), L.Flatten(), L.Dense(3, activation="gelu")])
    before = bad.get_weights()
    with pytest.raises(kconvert.UnsupportedModelError, match="gelu"):
        fit(bad, data, callbacks=[FiringRates(data[0])])
    for old, new in zip(before, bad.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_callback_knows_the_unit_of_swapped_neurons(data):
    """Neurons whose spikes are 0.5 / s of output each: half the output in Hz is twice as many."""
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), L.Flatten(), L.Dense(4, activation="gelu", name="one"), L.Dense(3)]
    )
    found = []
    for amplitude in (1.0, 0.5):
        swap = {"gelu": nengo.LIF(tau_rc=0.02, amplitude=amplitude)}
        rates = FiringRates(data[0], verbose=False, swap_activations=swap)
        fit(keras.models.clone_model(model), data, epochs=1, rate=0.0, callbacks=[rates])
        found.append(rates.history[0])
        # A LIF neuron cannot fire faster than once in its refractory period.
        [fastest] = [value for key, value in found[-1].items() if key.endswith("/rate_99")]
        assert 0 < fastest <= 500


@pytest.mark.parametrize("phase", [0.0, 0.5])
@pytest.mark.parametrize("rate", [30.0, 190.0, 340.0])
def test_training_sees_the_spikes_of_integrate_and_fire(phase, rate):
    """The number of spikes in closed form is what Nengo's neurons do with a constant input."""
    model = keras.Sequential([keras.Input((1,)), L.ReLU(name="relu")])
    spiking = kconvert.convert(
        model,
        scale_firing_rates=rate,
        initial_voltage=phase,
        synapse=None,
        output_synapse=None,
    )
    x = np.linspace(-0.5, 1.0, 37, dtype=np.float32)[:, None] + 0.003
    train = spiking.simulate(x, 12, simulator="nengo", spikes=True).spikes["relu"]
    for n_steps in (1, 3, 12):
        layer = SpikingAware(L.ReLU(), n_steps=n_steps, amplitude=1 / rate, phase=phase)
        seen = np.asarray(layer(x, training=True)) * rate * n_steps * 0.001
        np.testing.assert_allclose(seen, train[:, :n_steps].sum(axis=1), atol=1e-4)


def test_gradients_are_those_of_the_rate(rng):
    import tensorflow as tf

    x = tf.constant(rng.standard_normal((4, 7)).astype(np.float32))
    gradients = []
    for layer in (RateLIF(), SpikingAware(RateLIF(), n_steps=4, seed=1)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(layer(x, training=True) * tf.range(7, dtype=tf.float32))
        gradients.append(tape.gradient(y, x).numpy())
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-6)


def test_random_phases_are_right_on_average():
    layer = SpikingAware(RateLIF(), n_steps=4, seed=1)
    x = np.full((200_000, 1), 0.6, np.float32)
    seen = np.asarray(layer(x, training=True))
    assert len(np.unique(seen)) == 2
    # Standard error of a mean of 200,000 spikes of probability 0.2: 0.001 of a spike of 2.5
    assert seen.mean() == pytest.approx(float(layer(x[:1])[0, 0]), abs=0.01)


def test_a_spiking_aware_model_is_saved_and_converted(data, tmp_path):
    lif = SpikingAware(RateLIF(max_rate=200.0), n_steps=5, name="lif")
    model = fit(lif_model(lif), data, epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict(data[0], verbose=0), model.predict(data[0], verbose=0)
    )
    spiking = kconvert.convert(again, calibration=False)
    assert spiking.verify(data[0])
    assert "lif" in spiking.layers
    assert any("spikes of 5 steps" in str(decision) for decision in spiking.decisions)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: FiringRate(-1.0), "target"),
        (lambda: FiringRate((5, 2)), "target"),
        (lambda: FiringRate("low"), "target"),
        (lambda: FiringRate(5, l1=-1.0), "l1"),
        (lambda: FiringRate(5, l2=np.nan), "l2"),
        (lambda: FiringRate(5, percentile=0), "percentile"),
        (lambda: FiringRate(5, amplitude=0.0), "amplitude"),
        (lambda: DeadUnits(np.inf), "threshold"),
        (lambda: DeadUnits(weight=-1.0), "weight"),
        (lambda: FiringRates(np.zeros(3), every=0), "every"),
        (lambda: FiringRates(np.zeros(3), calibration=np.zeros(3)), "calibration"),
        (lambda: SpikingAware("relu", n_steps=3), "layer"),
        (lambda: SpikingAware(L.ReLU(), n_steps=3), "amplitude"),
        (lambda: SpikingAware(RateLIF(), n_steps=0), "n_steps"),
        (lambda: SpikingAware(RateLIF(), n_steps=2.5), "n_steps"),
        (lambda: SpikingAware(RateLIF(), n_steps=2, dt=0.0), "dt"),
        (lambda: SpikingAware(RateLIF(), n_steps=2, phase=1.0), "phase"),
    ],
)
def test_bad_arguments_are_refused(make, match):
    with pytest.raises(kconvert.InputError, match=match):
        make()
