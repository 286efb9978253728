"""Advice that errors print is taken here, and works."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from cases import CASES, Refused, functional, randomized
from keras import layers as L

import kconvert
from kconvert.ops import Relu

REFUSED = [name for name, case in CASES.items() if isinstance(case, Refused)]


@pytest.mark.parametrize("name", REFUSED)
def test_a_flag_that_is_offered_helps(name, rng):
    """On the NumPy oracle; the same in NengoDL is in test_options.py."""
    model = CASES[name].build()
    report = kconvert.check(model)
    assert not report
    if any(row.status == "unsupported" for row in report):
        with pytest.raises(kconvert.UnsupportedModelError):
            kconvert.convert(model, allow=("tensornode",))
        return
    graph = kconvert.convert(model, allow=("tensornode",)).graph
    x = [rng.standard_normal((3, *tensor.shape[1:])) for tensor in model.inputs]
    values = graph.evaluate(dict(zip(graph.inputs, x, strict=True)))
    removed = {each.node: each.op for each in graph.activations}
    batch = [array.astype(np.float32) for array in x]
    expected = keras.tree.flatten(model(batch if len(batch) > 1 else batch[0]))
    for output, wanted in zip(graph.outputs, expected, strict=True):
        found = values[output]
        found = removed[output].evaluate(found) if output in removed else found
        # Keras computes in float32.
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


class Renamed(L.DepthwiseConv2D):
    """A subclass that changes no computation."""


def my_relu(x):
    return keras.ops.maximum(x, 0)


def swish(x):
    return x * keras.ops.sigmoid(x)


def test_a_subclass_is_read_as_its_parent():
    model = randomized(keras.Sequential([keras.Input((6, 5, 3)), Renamed(2)]))
    with pytest.raises(
        kconvert.UnsupportedModelError, match=r"layers=\{Renamed: keras.layers.DepthwiseConv2D\}"
    ):
        kconvert.convert(model)
    layers = {Renamed: keras.layers.DepthwiseConv2D}
    assert kconvert.convert(model, calibration=False, layers=layers).verify(simulator="nengo")


def test_an_activation_of_ones_own():
    model = functional((5,), lambda x: L.Dense(3)(L.Dense(4, activation=my_relu)(x))).build()
    with pytest.raises(
        kconvert.UnsupportedModelError,
        match=r"layers=\{my_relu: importer\}.*swap_activations=\{my_relu: 'relu'\}",
    ):
        kconvert.convert(model)
    options = (
        {"layers": {my_relu: lambda function, b, x: b.add(Relu(), x)}},
        {"swap_activations": {my_relu: "relu"}},
        {"swap_activations": {"my_relu": "relu"}},
    )
    for each in options:
        assert kconvert.convert(model, calibration=False, **each).verify(simulator="nengo")


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (tf.nn.relu, ["ReLU"]),
        (tf.nn.relu6, ["ReLU", "ReLU"]),
        (tf.nn.leaky_relu, ["ReLU", "ReLU"]),
        (tf.sigmoid, ["Sigmoid"]),
        (tf.tanh, ["Sigmoid"]),
        (partial(keras.activations.relu, max_value=0.5), ["ReLU", "ReLU"]),
        (partial(keras.ops.leaky_relu, negative_slope=0.3), ["ReLU", "ReLU"]),
    ],
)
def test_functions_that_are_activations_of_keras(function, kinds):
    model = functional((5,), lambda x: L.Dense(3)(L.Dense(4, activation=function)(x))).build()
    spiking = kconvert.convert(model, calibration=False)
    assert [node.op.kind for node in spiking.graph.neurons()] == kinds
    assert spiking.verify(simulator="nengo")


@pytest.mark.parametrize(
    "function", [tf.nn.crelu, tf.sin, partial(tf.nn.leaky_relu, alpha=0.1), partial(swish)]
)
def test_functions_that_are_none(function):
    model = functional((5,), lambda x: L.Dense(4, activation=function)(x)).build()
    with pytest.raises(
        kconvert.UnsupportedModelError, match="kconvert cannot see what it computes"
    ):
        kconvert.convert(model)


@pytest.mark.parametrize("key", [swish, "swish"])
def test_an_activation_of_ones_own_with_a_name_of_keras(key):
    model = keras.Sequential([keras.Input((5,)), L.Dense(4, activation=swish)])
    spiking = kconvert.convert(model, calibration=False, swap_activations={key: "relu"})
    assert [node.op.kind for node in spiking.graph.neurons()] == ["ReLU"]


def test_a_pool_over_time_is_the_only_problem_and_can_be_left_out(rng):
    x = keras.Input((5, 6, 6, 1))
    y = L.TimeDistributed(L.Conv2D(2, 3, activation="relu"))(x)
    y = L.TimeDistributed(L.Flatten(), name="flat")(y)
    y = L.Dense(3, name="end")(L.GlobalAveragePooling1D(name="mean")(y))
    model = keras.Model(x, y)
    assert {row.layer: row.status for row in kconvert.check(model)} == {
        "time_distributed": "rewritten",
        "flat": "rewritten",
        "mean": "unsupported",
        "end": "not read",
    }
    with pytest.raises(kconvert.UnsupportedModelError, match=r"\(1 problem\).*") as caught:
        kconvert.convert(model)
    assert "keras.Model(model.inputs, the value that it reads)" in str(caught.value)
    cut = keras.Model(model.inputs, model.get_layer("flat").output)
    spiking = kconvert.convert(cut, spiking=False, synapse=None, output_synapse=None)
    images = rng.random((2, 5, 6, 6, 1)).astype(np.float32)
    mean = spiking.simulate(images, simulator="nengo").outputs.mean(axis=1)
    end = model.get_layer("end")(mean.astype(np.float32))
    np.testing.assert_allclose(end, model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_files_of_keras_2(tmp_path, rng):
    """Its convolutions have ``groups`` where Keras 3 takes none."""
    import tf_keras

    old_layers = tf_keras.layers
    old = tf_keras.Sequential(
        [
            old_layers.Input((9, 8, 3)),
            old_layers.DepthwiseConv2D(3, activation="relu"),
            old_layers.SeparableConv2D(4, 2),
            old_layers.Conv2DTranspose(2, 2),
            old_layers.Reshape((42, 2)),
            old_layers.SeparableConv1D(3, 2),
            old_layers.DepthwiseConv1D(2),
            old_layers.Conv1DTranspose(2, 2),
            old_layers.Flatten(),
            old_layers.Dense(3),
        ]
    )
    with pytest.raises(kconvert.InputError, match=r"kconvert.read_h5\('model.h5'\)"):
        kconvert.convert(old)
    old.save(tmp_path / "model.h5")
    new = kconvert.read_h5(tmp_path / "model.h5")
    x = rng.standard_normal((2, 9, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(new(x), old(x), rtol=1e-4, atol=1e-5)
    assert kconvert.convert(new, calibration=False).verify(simulator="nengo")


def test_files_that_are_none(tmp_path):
    with pytest.raises(kconvert.FileError, match=r"none.h5"):
        kconvert.read_h5(tmp_path / "none.h5")


class GpuOnly(L.Layer):
    """Keras computes some layers on GPUs only, TensorFlow's with channels first among them."""

    absent = False

    def call(self, x):
        if self.absent:
            raise RuntimeError("no GPU")
        return keras.ops.relu(x)


def test_what_keras_cannot_compute_is_said(monkeypatch):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), GpuOnly()], name="theirs")
    own = {GpuOnly: lambda layer, b, x: b.add(Relu(), x)}
    spiking = kconvert.convert(model, calibration=False, layers=own)
    monkeypatch.setattr(GpuOnly, "absent", True)
    for compare in (
        lambda: spiking.verify(simulator="nengo"),
        lambda: spiking.evaluate(np.ones((2, 4)), [0, 1], 2, simulator="nengo"),
    ):
        with pytest.raises(kconvert.InputError, match=r"(?s)Keras cannot compute .*no GPU"):
            compare()
