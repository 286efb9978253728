"""Scaling and shifting values on purpose, and taking it back."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.ir import Correction
from kconvert.ops import Affine, NeuronOp
from kconvert.passes.correct_values import CORRECTED, correct_values, without_corrections


def graph_of(x, y):
    model = keras.Model(x, y)
    rng = np.random.default_rng(2)
    for variable in model.weights:
        values = rng.normal(0.1, 0.5, variable.shape)
        variable.assign(np.abs(values) if "variance" in variable.path else values)
    return kconvert.convert(model, spiking=False, synapse=None).graph


def network():
    """Neurons behind a convolution, a sum, a pool, a normalisation of their own, a dense layer."""
    x = keras.Input((6, 5, 2), name="image")
    a = L.ReLU(name="r0")(L.Conv2D(3, 2, name="conv")(x))
    b = L.Conv2DTranspose(3, 2, strides=2, use_bias=False, name="up")(a)
    c = L.ReLU(name="r1")(L.AveragePooling2D(2, name="pool")(b))
    d = L.ReLU(name="r2")(L.Add(name="sum")([a, c]))
    e = L.ReLU(name="r3")(L.BatchNormalization(name="norm")(d))
    f = L.ReLU(name="r4")(L.Dense(4, name="dense")(L.Flatten()(L.Concatenate()([e, d]))))
    return graph_of(x, [L.Dense(2, name="out")(f), d])


READ = ["conv", "pool", "sum", "norm", "dense", "out"]


@pytest.fixture(scope="module")
def graph():
    return network()


@pytest.fixture
def corrections(graph, rng):
    return {
        name: Correction(
            rng.uniform(0.5, 2, graph.nodes[name].shape[-1]),
            rng.normal(0, 1, graph.nodes[name].shape[-1]),
        )
        for name in READ
    }


def test_every_value_is_scaled_and_shifted(graph, corrections, rng):
    x = rng.standard_normal((3, 6, 5, 2))
    for name, correction in corrections.items():
        changed = correct_values({name: correction})(graph)
        before = graph.evaluate({"image": x})[name]
        place = name + CORRECTED if name + CORRECTED in changed.nodes else name
        after = changed.evaluate({"image": x})[place]
        expected = before * correction.scale + correction.shift
        np.testing.assert_allclose(after, expected, rtol=1e-12, atol=1e-12)
        assert {n.inputs for n in changed.nodes.values() if isinstance(n.op, NeuronOp)} != {
            n.inputs for n in graph.nodes.values() if isinstance(n.op, NeuronOp)
        } or place == name
    kept = [n.name for n in correct_values(corrections)(graph).nodes.values()]
    assert [n for n in kept if n not in graph.nodes] == ["pool" + CORRECTED, "sum" + CORRECTED]


def test_only_the_neurons_read_what_no_linear_layer_takes_in(graph, corrections, rng):
    """A sum that is read elsewhere too keeps its own value there."""
    changed = correct_values({"sum": corrections["sum"]})(graph)
    assert isinstance(changed.nodes["sum" + CORRECTED].op, Affine)
    assert [node.name for node in changed.readers("sum" + CORRECTED)] == ["r2"]
    x = rng.standard_normal((2, 6, 5, 2))
    values = [each.evaluate({"image": x})["sum"] for each in (graph, changed)]
    np.testing.assert_array_equal(*values)


def test_it_can_be_taken_back_and_done_twice(graph, corrections, rng):
    x = rng.standard_normal((3, 6, 5, 2))
    once = correct_values(corrections)(graph)
    twice = correct_values({"conv": corrections["pool"], "out": corrections["out"]})(once)
    for changed in (once, twice):
        assert not np.allclose(
            changed.evaluate({"image": x})["out"], graph.evaluate({"image": x})["out"]
        )
        back = without_corrections(changed).evaluate({"image": x})
        for name, value in graph.evaluate({"image": x}).items():
            np.testing.assert_allclose(back[name], value, rtol=1e-11, atol=1e-11, err_msg=name)
    assert str(without_corrections(graph)) == str(graph)
