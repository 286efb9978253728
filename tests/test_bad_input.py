"""Everything that can be wrong with what a user brings is said at the door."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert import InputError, UnsupportedModelError
from kconvert.layers import RateLIF


def small() -> keras.Model:
    return keras.Sequential(
        [keras.Input((4, 3, 2), name="image"), L.Conv2D(3, 2), RateLIF(), L.Flatten(), L.Dense(2)],
        name="small",
    )


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    return kconvert.convert(small(), calibration=False)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


class MyDense(L.Dense):
    def call(self, x):
        return -super().call(x)


def overridden() -> keras.Model:
    from cases.structure import OverriddenCall

    x = keras.Input((4,))
    return OverriddenCall(x, L.Dense(4)(x))


def broken(value: float) -> keras.Model:
    model = small()
    kernel = model.layers[0].kernel
    changed = keras.ops.convert_to_numpy(kernel).copy()
    changed[0, 1, 0, 2] = value
    kernel.assign(changed)
    return model


def built_subclass() -> keras.Model:
    model = Subclassed()
    model(np.ones((1, 3)))
    return model


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda: keras.Sequential([L.Dense(3)]), "is not built"),
        (built_subclass, r"subclassed model \(Subclassed\).*functional model"),
        (Subclassed, "subclassed model"),
        (lambda: keras.Sequential([keras.Input((4, None, 3)), L.Dense(2)]), r"\(4, None, 3\)"),
        (lambda: keras.layers.Dense(3), "takes a keras.Model"),
        (overridden, r"overrides call\(\)"),
        (lambda: None, "takes a keras.Model"),
        (lambda: "model.keras", "takes a keras.Model .*'model.keras'"),
    ],
)
def test_models_without_a_graph(model, match):
    with pytest.raises(InputError, match=match):
        kconvert.convert(model(), calibration=False)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda: broken(np.nan), r"'conv2d' \(Conv2D\): kernel holds 1 NaN or infinite values of"),
        (lambda: broken(np.inf), r"'conv2d' \(Conv2D\): kernel holds 1 NaN"),
        (
            lambda: keras.Sequential([keras.Input((3,)), MyDense(2, name="mine")]),
            r"'mine' \(MyDense\): a subclass of Dense .*layers=\{MyDense: importer\}",
        ),
    ],
)
def test_models_with_a_problem(model, match):
    with pytest.raises(UnsupportedModelError, match=match):
        kconvert.convert(model(), calibration=False)


def test_all_problems_are_in_one_error():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Conv2D(4, 3, activation="gelu", name="one"),
            L.LayerNormalization(name="two"),
            L.ReLU(threshold=0.5, name="three"),
            L.Dense(3, activation="softmax", name="four"),
            L.Dense(2, name="fine"),
        ]
    )
    with pytest.raises(UnsupportedModelError) as caught:
        kconvert.convert(model, calibration=False)
    assert [problem.layer for problem in caught.value.problems] == ["one", "two", "three", "four"]
    assert "(4 problems)" in str(caught.value)
    for problem in caught.value.problems:
        assert problem.reason
        assert problem.fix
        assert str(problem) in str(caught.value)


def test_keras_2_models_are_named_as_such():
    import tf_keras

    model = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))])
    with pytest.raises(InputError, match=r"Keras 2 model .* kconvert.read_h5\('model.h5'"):
        kconvert.convert(model)


IMAGES = np.random.default_rng(0).random((5, 4, 3, 2))


@pytest.mark.parametrize(
    ("x", "arguments", "match"),
    [
        (IMAGES[..., :1], {}, r"'image' must have the shape \(n, 4, 3, 2\).*Received: \(5, 4, 3,"),
        (IMAGES[0], {}, r"This is one sample: add a batch axis with x\[None\]"),
        (IMAGES[:0], {}, "x is empty"),
        (np.zeros((2, 0, 4, 3, 2)), {}, "0 steps"),
        (IMAGES.astype(str), {}, "must hold real numbers. Received: dtype <U"),
        (IMAGES.astype(complex), {}, "must hold real numbers. Received: dtype complex128"),
        (IMAGES.astype(object), {}, "dtype object"),
        ([[1, 2], [3]], {}, "inhomogeneous|not an array"),
        (None, {}, "dtype object"),
        (IMAGES * 1e39, {}, "values that float32 cannot hold"),
        (
            np.where(IMAGES > 0.99, np.nan, IMAGES),
            {},
            "holds NaN.* first in sample",
        ),
        ({"picture": IMAGES}, {}, r"inputs \['image'\]. Received the keys \['picture'\]"),
        (IMAGES, {"n_steps": 0}, "n_steps must be an integer >= 1. Received: n_steps=0"),
        (IMAGES, {"n_steps": -3}, "n_steps must be"),
        (IMAGES, {"n_steps": 2.5}, "n_steps must be"),
        (IMAGES, {"n_steps": True}, "n_steps must be"),
        (np.zeros((2, 7, 4, 3, 2)), {"n_steps": 5}, "has 7 steps, and the run has n_steps=5"),
        (IMAGES, {"simulator": "loihi"}, "simulator must be one of 'auto', 'events', 'nengo_dl'"),
        (IMAGES, {"batch_size": 0}, "batch_size must be an integer >= 1"),
        (IMAGES, {"batch_size": 2.0}, "batch_size must be an integer >= 1"),
        (IMAGES, {"dt": 0.0}, "dt must be a time in seconds >= 1e-09 and < 1. Received: dt=0.0"),
        (IMAGES, {"dt": "1ms"}, "dt must be"),
    ],
)
def test_bad_runs(spiking, x, arguments, match):
    for method in (spiking.predict, spiking.simulate):
        with pytest.raises(InputError, match=match):
            method(x, **arguments)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ([0, 1], r"one label for each of the 5 samples. Received: shape \(2,\)"),
        (np.zeros((5, 3)), r"one-hot of shape \(5, 2\). Received: shape \(5, 3\)"),
        ([0, 1, 2, 1, 0], "class numbers from 0 to 1. Received values from 0 to 2"),
        ([0, 1, -1, 1, 0], "class numbers from 0 to 1"),
        ([0, 0.5, 1, 1, 0], "class numbers from 0 to 1"),
        (["a"] * 5, "must hold numbers: turn names of classes into their numbers"),
        ([[0], [1, 1], 0, 1, 0], "is not an array"),
        (1, "one label for each"),
    ],
)
def test_bad_labels(spiking, y, match):
    with pytest.raises(InputError, match=match):
        spiking.evaluate(IMAGES, y, 2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"synapse": "fast"}, "synapse must be None, a time constant"),
        ({"synapse": -0.1}, "synapse must be"),
        ({"synapse": {"rate_lif": True}}, r"synapse\['rate_lif'\] must be"),
        ({"synapse": {"conv2d": 0.1}}, r"no neurons: \['conv2d'\]. Layers with neurons: \['rate"),
        ({"output_synapse": float("nan")}, "output_synapse must be"),
        ({"initial_voltage": 1.5}, "initial_voltage must be"),
        ({"initial_voltage": object()}, "initial_voltage must be"),
        ({"initial_voltage": np.zeros((2, 3, 3))}, r"whose shape is \(3, 2, 3\)"),
        ({"scale_firing_rates": 0}, "scale_firing_rates must be"),
        ({"seed": -1}, "seed must be an integer"),
        ({"seed": 1.5}, "seed must be an integer"),
    ],
)
def test_bad_options(arguments, match):
    with pytest.raises(InputError, match=match):
        kconvert.convert(small(), **arguments)


def test_rate_networks_have_no_spikes():
    with pytest.raises(InputError, match="has no spikes to record"):
        kconvert.convert(small(), spiking=False).simulate(IMAGES, spikes=True)


def test_inputs_in_a_nested_dict():
    a, b, c, d = (keras.Input((n,), name=name) for n, name in enumerate("abcd", 1))
    given = {"a": a, "others": {"b": b, "more": [c, d]}}
    model = keras.Model(given, L.Concatenate()([a, b, c, d]))
    rng = np.random.default_rng(0)
    x = {n: rng.random((2, n)).astype(np.float32) for n in (1, 2, 3, 4)}
    x = {"a": x[1], "others": {"b": x[2], "more": [x[3], x[4]]}}
    spiking = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    np.testing.assert_allclose(
        spiking.predict(x, 1, simulator="nengo"), model(x), rtol=1e-6, atol=1e-6
    )
    assert spiking.verify(x, simulator="nengo")
    with pytest.raises(InputError, match=r"inputs \['a', 'others/b', 'others/more/0', .*/1'\]"):
        spiking.predict({"a": x["a"], "others": {"b": x["a"]}}, 1)


def test_several_inputs_want_names_or_order():
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], L.Dense(1)(a))
    two = kconvert.convert(model, calibration=False)
    with pytest.raises(InputError, match=r"inputs \['a', 'b'\]: x must be a list in this order"):
        two.predict(np.ones((1, 2)))
    with pytest.raises(InputError, match="must have 2 arrays"):
        two.predict([np.ones((1, 2))])
    with pytest.raises(InputError, match="different numbers of samples"):
        two.predict([np.ones((1, 2)), np.ones((2, 3))])
