"""Keras on JAX instead of TensorFlow, in a process of its own: Keras has one for its life."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import keras
import numpy as np
from keras import layers as L

import kconvert
from kconvert.reader import read_keras

assert keras.backend.backend() == "jax"
image = keras.Input((7, 6, 2), name="image")
x = L.Conv2D(5, (3, 2), name="conv")(image)
x = L.BatchNormalization(name="norm")(x)
x = kconvert.layers.RateLIF(max_rate=200.0, name="lif")(x)
y = L.ReLU(name="relu")(L.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
x = L.MaxPooling2D(2, name="pool")(L.Add(name="sum")([x, y]))
x = L.Dense(6, activation="relu", name="hidden")(L.Flatten()(x))
model = keras.Model(image, L.Dense(4, name="classes")(x))
rng = np.random.default_rng(0)
for variable in model.weights:
    positive = "variance" in variable.path
    variable.assign(rng.uniform(0.5 if positive else -0.6, 0.8, variable.shape))
x = rng.standard_normal((5, 7, 6, 2)).astype(np.float32)

# The oracle: the graph in float64 NumPy.
reading = read_keras(model)
oracle = reading.graph.evaluate({"image": x})["classes"]
# Keras computes in float32: 1e-5 is its rounding over sums of some tens of values, in five layers.
tolerance = 1e-5 * np.abs(oracle).max()
np.testing.assert_allclose(model.predict(x, verbose=0), oracle, rtol=0, atol=tolerance)

rates = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
spiking = kconvert.convert(model, scale_firing_rates={"relu": 200.0, "hidden": 200.0})
runs = {}
for simulator in ("events", "nengo", "nengo_dl"):
    # And through the network: two more layers, of neurons.
    found = rates.predict(x, 1, simulator=simulator)
    np.testing.assert_allclose(found, oracle, rtol=0, atol=2 * tolerance)
    assert spiking.verify(x, simulator=simulator).passed, spiking.verify(x, simulator=simulator)
    dtype = "float64" if simulator == "events" else None
    runs[simulator] = spiking.simulate(x, 30, simulator=simulator, dtype=dtype, spikes=True)
for layer, train in runs["nengo"].spikes.items():
    assert train.sum() > 100, layer
    np.testing.assert_array_equal(runs["events"].spikes[layer], train, err_msg=layer)
    # float32 moves a spike by a step where a voltage meets the threshold to seven digits.
    assert np.mean(runs["nengo_dl"].spikes[layer] != train) < 1e-3, layer
result = spiking.evaluate(x, oracle.argmax(axis=1), 100)
assert result.reference_accuracy == 1.0
assert spiking.diagnose(x, 20).findings is not None
assert all(np.array_equal(a, b) for a, b in
           zip(spiking.to_keras().get_weights(), model.get_weights(), strict=True))

# Fine-tuning: what was validated last, by spikes in JAX, is what the result converts to.
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True),
              metrics=["accuracy"])
x = rng.standard_normal((64, 7, 6, 2)).astype(np.float32)
y = rng.integers(0, 4, 64)
tuned = kconvert.fine_tune(model, x, y, n_steps=4, epochs=8, learning_rate=0.01, verbose=0, seed=0,
                           validation_data=(x, y))
history = tuned.history.history
assert history["loss"][-1] < 0.8 * history["loss"][0]
found = kconvert.convert(tuned).evaluate(x, y, 4).accuracy
assert abs(found - history["val_accuracy"][-1]) <= 2 / 64, (found, history)
"""


@pytest.fixture(scope="module")
def jax_path(tmp_path_factory) -> list[str]:
    """Where JAX is to be imported from: a folder of its own, if it is not installed."""
    if importlib.util.find_spec("jax") is not None:
        return []
    folder = tmp_path_factory.mktemp("jax")
    # What it needs beside itself, Keras and TensorFlow need too, and is there.
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*install, "--target", str(folder), "jax", "jaxlib"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"JAX cannot be installed here: {done.stderr.strip()[-300:]}")
    return [str(folder)]


@pytest.mark.slow
def test_jax(jax_path):
    """A small network through the reader, the simulators and back, against the NumPy oracle."""
    root = str(Path(__file__).parent.parent)
    path = [root, *jax_path, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
