"""Activations that replace others are measured on the samples, before there is a spike."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert


def network(activation):
    layers = [L.Dense(20, activation=activation, name="hidden"), L.Dense(3, activation="softmax")]
    return randomized(keras.Sequential([keras.Input((6,)), *layers]))


@pytest.mark.filterwarnings("ignore:__array__")  # of TensorFlow, which pytest.warns repeats
def test_a_swap_that_changes_the_outputs_is_told_with_figures(rng):
    x, model = 2 * rng.standard_normal((50, 6)), network("selu")
    with pytest.warns(UserWarning, match=r"swap_activations: .*instead of selu.*Train the model"):
        spiking = kconvert.convert(model, calibration=x, swap_activations={"selu": "relu"})
    [text] = [each.text for each in spiking.decisions if "instead of selu" in each.text]
    wanted = model.predict(x, verbose=0)
    model.get_layer("hidden").activation = keras.activations.relu
    model.predict_function = None
    found = model(x).numpy()
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted - wanted.mean(axis=0))
    assert f"by {error:.2g}," in text
    changed = 100 * (found.argmax(1) != wanted.argmax(1)).mean()
    assert f"{changed:.0f} % of the 50 samples" in text


def test_a_swap_that_changes_nothing_is_not_told_aloud(rng):
    x = rng.standard_normal((50, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        spiking = kconvert.convert(
            network("relu"), calibration=x, swap_activations={"relu": "relu"}
        )
    assert not any("0.5" in each.text for each in spiking.decisions if each.kind == "swapped")
