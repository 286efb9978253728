"""What an output is for, and that Keras and spikes are compared on one scale."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert


def model_of(units: int, activation: str | None = None) -> keras.Model:
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(12, activation="relu"), L.Dense(units, activation=activation)]
    )
    model.set_weights([rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


X = np.random.default_rng(1).standard_normal((120, 6)).astype(np.float32)
BINARY = keras.losses.BinaryCrossentropy


@pytest.mark.parametrize(
    ("activation", "loss", "threshold"),
    [
        ("sigmoid", "binary_crossentropy", 0.5),
        ("sigmoid", None, 0.5),
        (None, BINARY(from_logits=True), 0.0),
        (None, BINARY(from_logits=False), 0.5),
        (None, None, 0.0),
    ],
)
def test_classes_of_one_unit(activation, loss, threshold):
    model = model_of(1, activation)
    if loss is not None:
        model.compile("adam", loss)
    outputs = model.predict(X, verbose=0)[:, 0]
    y = (outputs > threshold).astype(int)
    assert 0.2 < y.mean() < 0.8  # else it says nothing
    y[:6] = 1 - y[:6]
    spiking = kconvert.convert(model, calibration=X[:50])
    result = spiking.evaluate(X, y, 60)
    assert result.reference_accuracy == pytest.approx(1 - 6 / 120)
    # The read-out is near Keras' value: with another threshold the share would be near a half.
    assert result.agreement_per_step[-1] > 0.9
    np.testing.assert_array_equal(result.classes, spiking.predict(X, 60)[:, 0] > threshold)
    found = kconvert.tune(model, X, y, max_steps=20, max_loss=0.01, candidates=[{"calibration": X}])
    assert found.reference_accuracy == result.reference_accuracy


@pytest.mark.parametrize(
    ("units", "activation", "loss", "classes"),
    [
        (1, None, "mse", False),
        (1, None, None, False),
        (1, "sigmoid", "binary_crossentropy", True),
        (1, "sigmoid", None, True),
        (3, None, None, True),
        (3, None, "mse", False),
        (3, None, "sparse_categorical_crossentropy", True),
        (3, "softmax", "mse", True),
        (3, "sigmoid", "binary_crossentropy", False),
        (3, "sigmoid", None, False),
    ],
)
def test_diagnose_speaks_of_classes_where_there_are_any(units, activation, loss, classes):
    model = model_of(units, activation)
    if loss is not None:
        model.compile("adam", loss)
    found = kconvert.convert(model, calibration=X[:50]).diagnose(X[:16], 60)
    assert (found.agreement is not None) == classes
    assert ("class" in str(found)) == classes
    if classes:
        assert found.agreement > 0.8  # on another scale than Keras' it would be a share by chance


def test_diagnose_with_metrics_of_accuracy():
    model = model_of(3)
    model.compile("adam", "mse", metrics=["accuracy"])
    assert kconvert.convert(model, calibration=X[:50]).diagnose(X[:16], 30).agreement is not None


def test_early_exit_is_refused_where_zero_is_no_threshold():
    model = model_of(1)
    model.compile("adam", BINARY(from_logits=False))
    with pytest.raises(kconvert.InputError, match=r"class 1 begins at 0\.5"):
        kconvert.convert(model, calibration=False).predict(
            X[:2], 5, early_exit=kconvert.EarlyExit(stable=3)
        )


@pytest.mark.parametrize(
    "row",
    [[np.nan] * 3, [0, 0, 0], [1, 0, 1], [-0.3, -0.1, -0.4], [2.0, -1.0, 0.0], [0.5, 0.5, 0]],
    ids=str,
)
def test_rows_that_are_not_one_hot_are_refused(row):
    y = np.eye(3)[np.arange(120) % 3]
    spiking = kconvert.convert(model_of(3), calibration=False)
    assert spiking.evaluate(X, 0.9 * y + 0.1 / 3, 2).labels.tolist() == [0, 1, 2] * 40
    y[7] = row
    with pytest.raises(kconvert.InputError, match=r"must be one-hot.*Row 7 is"):
        spiking.evaluate(X, y, 2)
