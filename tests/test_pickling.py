"""Graphs, networks, results and errors go through pickle and ``copy.deepcopy`` unharmed."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from types import MappingProxyType

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.errors import GraphError, Problem

X = np.random.default_rng(0).random((6, 4, 4, 2)).astype(np.float32)
Y = np.arange(6) % 2
WAYS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(3)
    stack = [L.Conv2D(3, 2, name="conv"), kconvert.layers.RateLIF(name="lif"), L.Flatten()]
    stack += [L.Dense(4, activation="relu", name="hidden"), L.Dense(2, name="end")]
    return keras.Sequential([keras.Input((4, 4, 2), name="image"), *stack], name="small")


@pytest.fixture(scope="module")
def spiking(model) -> kconvert.SpikingModel:
    return kconvert.convert(model, calibration=X, correction={"lif": "affine"})


def same(a, b) -> bool:
    """Whether two values are equal, down to the last bit of arrays in dataclasses."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, keras.Model):
        return all(map(same, a.get_weights(), b.get_weights()))
    if dataclasses.is_dataclass(a):
        names = [each.name for each in dataclasses.fields(a)]
        return type(a) is type(b) and all(same(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, Mapping | MappingProxyType):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


RESULTS = {
    "Graph": lambda spiking: spiking.graph,
    "Decision": lambda spiking: spiking.decisions,
    "Simulation": lambda spiking: spiking.simulate(X, 5, spikes=True),
    "Evaluation": lambda spiking: spiking.evaluate(X, Y, 5),
    "Verification": lambda spiking: spiking.verify(n=1),
    "Diagnosis": lambda spiking: spiking.diagnose(X, 5),
    "Receipt": lambda spiking: spiking.receipts(n=1),
    "Check": lambda spiking: kconvert.check(spiking.keras_model),
    "Calibration": lambda spiking: kconvert.Calibration(X, percentile={"lif": 99.5}),
    "EarlyExit": lambda spiking: kconvert.EarlyExit(stable=4, confidence=0.5),
    "Window": lambda spiking: kconvert.Window(0.01, growing=True),
    "Tuning": lambda spiking: kconvert.tune(
        spiking.keras_model, X, Y, max_steps=4, candidates=[{}, {"synapse": None}]
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", RESULTS)
def test_results(name, way, spiking):
    value = RESULTS[name](spiking)
    found = WAYS[way](value)
    assert found is not value or isinstance(value, tuple)
    assert same(value, found)
    assert str(found) == str(value)


def test_the_comparison_finds_differences(spiking):
    """The tests above could not fail with a comparison that finds nothing."""
    a, b = spiking.simulate(X, 2), spiking.simulate(X, 2)
    assert same(a, b)
    b.outputs[0, 0, 0] += 1
    assert not same(a, b)
    assert not same(spiking.graph, kconvert.convert(spiking.keras_model, calibration=False).graph)


@pytest.mark.parametrize("way", WAYS)
def test_models(way, spiking):
    _ = spiking.net  # what is built for Nengo does not go along
    found = WAYS[way](spiking)
    assert type(found) is kconvert.SpikingModel
    np.testing.assert_array_equal(found.predict(X, 8), spiking.predict(X, 8))
    assert found.about == spiking.about
    assert found.verify(n=1)
    assert same(found.to_keras(), spiking.keras_model)


@pytest.mark.parametrize("way", WAYS)
def test_networks(way, spiking, tmp_path):
    spiking.save(tmp_path / "net.kconvert", class_names=["a", "b"])
    network = kconvert.load(tmp_path / "net.kconvert")
    expected = network.predict(X, 8)  # with a runner in place
    found = WAYS[way](network)
    assert type(found) is kconvert.SpikingNetwork
    assert found.class_names == ("a", "b")
    np.testing.assert_array_equal(found.predict(X, 8), expected)
    found.save(tmp_path / "again.kconvert")
    assert (tmp_path / "again.kconvert").read_bytes() == (tmp_path / "net.kconvert").read_bytes()


PROBLEM = Problem("conv", "Conv2D", "is odd", fix="make it even", flag="tensornode")
ERRORS = (
    kconvert.KconvertError("text"),
    kconvert.InputError("text"),
    kconvert.FileError("text"),
    kconvert.MissingPackageError("text"),
    kconvert.BridgeError("text"),
    kconvert.ClusterError("text"),
    GraphError("text"),
    kconvert.Unsupported("is odd", "make it even", final=True),
    kconvert.UnsupportedModelError("'net' cannot be converted", [PROBLEM]),
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors(error, way):
    found = WAYS[way](error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)


def test_every_public_error_is_tested():
    public = {
        value
        for name in kconvert.__all__
        if isinstance(value := getattr(kconvert, name), type) and issubclass(value, Exception)
    }
    assert public <= {type(error) for error in ERRORS}
