"""Models from files, in every format that Keras 3 reads."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.layers import RateLIF


def sequential() -> keras.Model:
    stack = [L.Conv2D(3, 2), L.BatchNormalization(), RateLIF(), L.MaxPooling2D(2), L.Flatten()]
    return randomized(keras.Sequential([keras.Input((6, 5, 2)), *stack, L.Dense(3)]))


def functional() -> keras.Model:
    inner = keras.Sequential([keras.Input((6, 5, 3)), L.DepthwiseConv2D(3), L.LeakyReLU()])
    x = keras.Input((6, 5, 2))
    y = L.Conv2D(3, 1, activation="relu")(x)
    y = L.Concatenate()([y, L.SeparableConv2D(2, 3, padding="same")(y)])
    y = L.Rescaling(0.5)(inner(L.Conv2D(3, 1)(y)))
    return randomized(keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(y))))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("build", [sequential, functional])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras, on writing the old format
def test_loaded_models_convert(build, suffix, tmp_path, rng):
    model = build()
    path = tmp_path / f"model{suffix}"
    model.save(path)
    loaded = keras.models.load_model(path)
    spiking = kconvert.convert(loaded, calibration=False)
    result = spiking.verify(simulator="nengo", n=2)
    assert result.passed, str(result)
    x = rng.standard_normal((2, 6, 5, 2))
    ours, first = (kconvert.convert(each, calibration=False).graph for each in (model, loaded))
    [name] = ours.inputs
    [again] = first.inputs
    np.testing.assert_array_equal(
        ours.evaluate({name: x})[ours.outputs[0]], first.evaluate({again: x})[first.outputs[0]]
    )
