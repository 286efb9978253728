"""Networks converted without samples: what the model says about its input, and what comes of it."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.fidelity.synthetic import expected_values, synthetic_samples, textures
from kconvert.layers import RateLIF
from kconvert.reader import read_keras

RGB = (16, 12, 3)


def convolution(*first, shape=RGB):
    body = [L.Conv2D(6, 3, activation="relu", name="conv"), L.GlobalAveragePooling2D(), L.Dense(4)]
    return keras.Sequential([keras.Input(shape), *first, *body])


def made_up(model, seed=0):
    reading = read_keras(model)
    samples, source = synthetic_samples(reading.graph, reading.statistics, seed)
    return next(iter(samples.values())), source


@pytest.mark.parametrize(
    ("first", "low", "high"),
    [
        ([], 0, 1),
        ([L.Rescaling(1 / 255)], 0, 255),
        ([L.Rescaling(1 / 127.5, -1)], 0, 255),
        ([L.Rescaling(1 / 255, -0.5)], 0, 255),
        ([L.Rescaling(0.5, 0.5)], -1, 1),
        ([L.Rescaling(1 / 127.5), L.Rescaling(1, -1)], 0, 255),
    ],
)
def test_the_range_is_that_from_which_the_model_rescales(first, low, high):
    x, _ = made_up(convolution(*first))
    assert x.min() == pytest.approx(low, abs=1e-4)
    assert x.max() == pytest.approx(high, rel=1e-5)


def test_statistics_go_before_a_range():
    """As in Keras' EfficientNet: x / 255, then the mean and variance of its data."""
    mean, variance = [0.4, 0.5, 0.6], [0.04, 0.05, 0.06]
    x, source = made_up(
        convolution(L.Rescaling(1 / 255), L.Normalization(mean=mean, variance=variance))
    )
    assert "statistics" in source
    # 32 samples of smooth noise: a mean is known to a tenth of a deviation or so.
    assert np.allclose(x.mean(axis=(0, 1, 2)), 255 * np.array(mean), atol=15)
    assert np.allclose(x.std(axis=(0, 1, 2)), 255 * np.sqrt(variance), rtol=0.2)


def test_the_statistics_behind_the_first_convolution_set_the_size(rng):
    """A model of inputs from 100 to 140 that nothing rescales."""
    images = keras.Input(RGB)
    y = L.Conv2D(8, 3, name="conv")(images)
    z = L.BatchNormalization(name="norm")(y)
    model = keras.Model(images, L.Dense(2)(L.GlobalAveragePooling2D()(L.ReLU()(z))))
    x = 120 + 10 * textures(rng, 20, RGB)
    values = keras.Model(images, y).predict(x, verbose=0)
    norm = model.get_layer("norm")
    norm.moving_mean.assign(values.mean(axis=(0, 1, 2)))
    norm.moving_variance.assign(values.var(axis=(0, 1, 2)))
    found, source = made_up(model)
    assert "batch normalisation" in source
    assert found.mean() == pytest.approx(120, rel=0.1)
    assert found.std() == pytest.approx(10, rel=0.5)


def test_vectors_have_mean_0_and_variance_1_and_each_input_its_own():
    one, two = keras.Input((400,), name="one"), keras.Input((6, 5, 1), name="two")
    scaled = L.Flatten()(L.Rescaling(0.1)(two))
    joined = L.Concatenate()([one, scaled])
    graph = read_keras(keras.Model([one, two], L.Dense(2)(joined))).graph
    samples, source = synthetic_samples(graph, {}, 0)
    assert abs(samples["one"].mean()) < 0.05
    assert samples["one"].std() == pytest.approx(1, rel=0.05)
    assert samples["two"].max() == pytest.approx(10)
    assert source.count(";") == 1


def test_made_up_samples_are_the_same_by_seed_and_differ_from_one_another():
    model = convolution()
    (x, _), (again, _), (other, _) = made_up(model), made_up(model), made_up(model, 1)
    assert np.array_equal(x, again)
    assert not np.array_equal(x, other)
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)
    # Neighbours are alike, which independent values would not be.
    assert np.corrcoef(x[:, 1:].ravel(), x[:, :-1].ravel())[0, 1] > 0.3


def test_a_factor_of_zero_tells_nothing():
    graph = read_keras(convolution(L.Rescaling([0.0, 1.0, 1.0]))).graph
    values = expected_values(graph, graph.inputs[0], {}, np.zeros((2, *RGB)))
    assert "does not say" in values.source


def test_a_relu_network_just_works_and_one_warning_says_how(rng):
    x = rng.random((40, *RGB)).astype(np.float32)
    model = convolution()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        spiking = kconvert.convert(model)
    [told] = [each for each in seen if "calibration" in str(each.message)]
    assert "calibration=x" in str(told.message)
    assert "calibration=False" in str(told.message)
    assert told.filename == __file__
    assert any("smoothed noise" in each.text for each in spiking.decisions)
    wanted = model.predict(x, verbose=0)

    def error(network):
        return np.linalg.norm(network.predict(x, 32) - wanted) / np.linalg.norm(wanted)

    plain = kconvert.convert(model, calibration=False)
    assert error(spiking) < 0.1
    assert error(plain) > 0.5
    assert plain.graph.calibrated_dt is None
    assert plain.about["settings"] == {"calibration": False}


@pytest.mark.parametrize(
    "settings",
    [
        {"scale_firing_rates": 1.0},
        {"scale_firing_rates": {"conv": 100.0}},
        {"spiking": False},
        dict(kconvert.REFERENCE_WORK),
    ],
)
def test_who_has_chosen_gets_no_made_up_samples(settings):
    """Warnings are errors in these tests."""
    assert kconvert.convert(convolution(), **settings).graph.calibrated_dt is None


def test_one_of_the_settings_of_the_reference_work_can_be_changed(rng):
    x = rng.random((5, *RGB)).astype(np.float32)
    spiking = kconvert.convert(
        convolution(), **(kconvert.REFERENCE_WORK | {"calibration": x, "output_synapse": "ramp"})
    )
    assert spiking.graph.calibrated_dt is not None
    assert all(node.op.synapse is None for node in spiking.graph.neurons())
    assert spiking.about["settings"]["output_synapse"] == "ramp"


@pytest.mark.parametrize(
    "settings",
    [
        {"scale_firing_rates": {"nothing": 2.0}, "calibration": None, "spiking": True},
        {"synapse": {"nothing": 0.1}},
        {"output_synapse": {"nothing": 0.1}},
        {"initial_voltage": {"nothing": 0.1}},
        {"correction": {"nothing": None}},
        {"signed": {"nothing": True}},
        {"seed": -1},
    ],
)
def test_errors_of_other_arguments_come_without_the_warning(settings):
    """Warnings are errors in these tests, and would be raised in the place of this one."""
    with pytest.raises(kconvert.InputError):
        kconvert.convert(convolution(), **settings)


def test_networks_with_lif_neurons_stay_as_trained():
    model = convolution(L.Conv2D(4, 3), RateLIF())
    assert kconvert.convert(model).graph.calibrated_dt is None


@pytest.mark.filterwarnings("ignore:__array__")  # of TensorFlow, which pytest.warns repeats
def test_large_networks_are_left_alone_and_told(monkeypatch):
    monkeypatch.setattr("kconvert.fidelity.synthetic.LARGE", 100)
    with pytest.warns(UserWarning, match=r"840 neurons.*calibration=x"):
        spiking = kconvert.convert(convolution())
    assert spiking.graph.calibrated_dt is None
    assert any("840 neurons" in each.text for each in spiking.decisions)
