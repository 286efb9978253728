"""What an accuracy is worth, and whether it differs from Keras'."""

from __future__ import annotations

from math import comb, sqrt

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert


@pytest.fixture(scope="module")
def found():
    """A network that spikes too little in 15 steps to agree with Keras on every sample."""
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(12, activation="relu"), L.Dense(4, name="classes")]
    )
    model.set_weights([rng.standard_normal(w.shape) for w in model.get_weights()])
    x, y = rng.standard_normal((150, 6)), rng.integers(0, 4, 150)
    y[:90] = model.predict(x, verbose=0).argmax(axis=1)[:90]
    spiking = kconvert.convert(model, scale_firing_rates=40.0)
    return spiking, x, y, spiking.evaluate(x, y, 15, batch_size=16)


def test_classes_of_every_sample(found):
    spiking, x, y, result = found
    classes = spiking.predict(x, 15).argmax(axis=1)
    reference = spiking.keras_model.predict(x, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(result.classes, classes)
    np.testing.assert_array_equal(result.labels, y)
    np.testing.assert_array_equal(result.changed, np.flatnonzero(classes != reference))
    assert result.accuracy == (classes == y).mean()
    assert result.agreement_per_step[-1] == pytest.approx(1 - len(result.changed) / 150)


def test_interval_of_wilson(found):
    *_, result = found
    z, n, p = 1.959963984540054, result.n, result.accuracy
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert result.interval() == pytest.approx((middle - half, middle + half), abs=1e-9)
    low, high = result.interval(0.5)
    assert middle - half < low < p < high < middle + half


def test_paired_comparison_of_mcnemar(found):
    *_, result = found
    lost, gained = result.lost_and_gained
    assert lost > gained > 0  # else this says nothing
    assert lost - gained == round(150 * (result.reference_accuracy - result.accuracy))
    n = lost + gained
    tail = sum(comb(n, k) for k in range(gained + 1)) / 2**n
    assert result.p_value == pytest.approx(min(1.0, 2 * tail))
    assert f"{lost} lost, {gained} gained" in str(result)


def test_nothing_to_compare_with(found):
    spiking, x, y, _ = found
    moving = spiking.evaluate(x[:, None].repeat(4, axis=1), y)
    assert moving.changed is moving.lost_and_gained is moving.p_value is None
    assert "McNemar" not in str(moving)
    equal = spiking.evaluate(x[:1], spiking.keras_model.predict(x[:1], verbose=0).argmax(1), 400)
    assert equal.lost_and_gained == (0, 0)
    assert equal.p_value == 1.0
