"""Each pass: the same outputs, the expected ops, and a case that it must leave alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

from kconvert.errors import InputError
from kconvert.ir import Graph
from kconvert.layers import RateLIF
from kconvert.ops import Lif, Relu
from kconvert.passes.fold_affine_into_linear import fold_affine_into_linear
from kconvert.passes.keep_logits import keep_logits
from kconvert.passes.set_spiking import (
    scale_firing_rates,
    set_initial_voltages,
    set_synapses,
)
from kconvert.reader import read_keras


def read(*stack, shape=(6, 5, 3)) -> Graph:
    return read_keras(randomized(keras.Sequential([keras.Input(shape), *stack]))).graph


def kinds(graph: Graph) -> list[str]:
    return [type(node.op).__name__ for node in graph.nodes.values()]


def check_same_outputs(before: Graph, after: Graph, rng) -> None:
    """Float64 on both sides: 1e-12 is its rounding over these sums."""
    feeds = {name: rng.standard_normal((3, *before.nodes[name].shape)) for name in before.inputs}
    old, new = before.evaluate(feeds), after.evaluate(feeds)
    for a, b in zip(before.outputs, after.outputs, strict=True):
        assert np.ptp(old[a]) > 0
        np.testing.assert_allclose(new[b], old[a], rtol=1e-12, atol=1e-12)


def test_fold_affine(rng):
    graph = read(L.Conv2D(4, (3, 2)), L.BatchNormalization(name="bn"), L.ReLU())
    folded = fold_affine_into_linear(graph)
    assert kinds(folded) == ["Input", "Conv", "Relu"]
    assert "bn" in folded.nodes
    assert [d.kind for d in folded.decisions] == ["folded"]
    check_same_outputs(graph, folded, rng)


def test_fold_affine_twice(rng):
    graph = read(L.Dense(4), L.BatchNormalization(), L.BatchNormalization(), shape=(5,))
    folded = fold_affine_into_linear(graph)
    assert kinds(folded) == ["Input", "Dense"]
    check_same_outputs(graph, folded, rng)


def test_fold_affine_leaves_a_value_that_is_read_elsewhere():
    x = keras.Input((5,))
    y = L.Dense(4)(x)
    graph = read_keras(keras.Model(x, [L.BatchNormalization()(y), L.ReLU()(y)])).graph
    assert fold_affine_into_linear(graph) is graph


def test_fold_affine_leaves_an_output():
    x = keras.Input((5,))
    y = L.Dense(4)(x)
    graph = read_keras(keras.Model(x, [L.BatchNormalization()(y), y])).graph
    assert fold_affine_into_linear(graph) is graph


def test_fold_affine_leaves_what_follows_neurons():
    graph = read(L.Dense(4, activation="relu"), L.BatchNormalization(), shape=(5,))
    assert fold_affine_into_linear(graph) is graph


def test_keep_logits():
    graph = read(L.Dense(4, activation="softmax", name="end"), shape=(5,))
    kept = keep_logits(graph)
    assert kinds(kept) == ["Input", "Dense"]
    [decision] = kept.decisions
    assert (decision.kind, decision.layer, decision.node) == ("logits", "end", "end/dense")


def test_keep_logits_leaves_a_softmax_that_is_read():
    graph = read(L.Dense(4, activation="softmax"), L.Dense(3), shape=(5,))
    assert keep_logits(graph) is graph


def neurons(graph: Graph):
    return {n.name: n.op for n in graph.nodes.values() if isinstance(n.op, Lif | Relu)}


def two() -> Graph:
    return read(L.Dense(4), L.ReLU(name="a"), L.Dense(3), RateLIF(name="b"), shape=(5,))


def test_set_synapses():
    both = neurons(set_synapses(0.1)(two()))
    assert [op.synapse for op in both.values()] == [0.1, 0.1]
    one = neurons(set_synapses({"b": 0.1})(two()))
    assert [op.synapse for op in one.values()] == [None, 0.1]


def test_spread_voltages_cover_the_interval():
    op = neurons(set_initial_voltages("spread")(read(L.Conv2D(7, 2), L.ReLU(name="a"))))["a"]
    voltages = np.sort(op.initial_voltage)
    n = len(voltages)
    assert n == 5 * 4 * 7
    # The golden sequence's discrepancy is below 2.2 / n at all n: each is near its even place.
    assert np.abs(voltages - (np.arange(n) + 0.5) / n).max() < 2.2 / n
    assert (voltages >= 0).all()
    assert (voltages < 1).all()


def test_voltages_by_layer_and_array():
    given = np.linspace(0, 0.9, 4)
    ops = neurons(set_initial_voltages({"a": given})(two()))
    np.testing.assert_array_equal(ops["a"].initial_voltage, given)
    assert ops["b"].initial_voltage == 0.0


@pytest.mark.parametrize("value", [1.0, -0.1, "random", [0.1, 0.2], float("nan")])
def test_bad_voltages(value):
    with pytest.raises(InputError, match="initial_voltage must be a number in"):
        set_initial_voltages(value)(two())


def test_scaling_is_exact_for_relu_and_said_not_to_be_for_lif(rng):
    graph = two()
    scaled = scale_firing_rates({"a": 50.0})(graph)
    assert neurons(scaled)["a"].gain == 50.0
    check_same_outputs(graph, scaled, rng)
    assert [d.text for d in scaled.decisions] == ["firing rates times 50 (exact)"]
    lif = scale_firing_rates({"b": 2.0})(graph)
    assert "not exact" in lif.decisions[0].text
    feeds = {name: rng.standard_normal((3, 5)) for name in graph.inputs}
    assert not np.allclose(lif.evaluate(feeds)["b"], graph.evaluate(feeds)["b"])


@pytest.mark.parametrize("value", [0, -1.0, "2", float("inf"), True, {"a": None}])
def test_bad_scales(value):
    with pytest.raises(InputError, match="scale_firing_rates must be a number > 0"):
        scale_firing_rates(value)(two())


def test_unknown_layer_names():
    with pytest.raises(InputError, match=r"names layers that have no neurons: \['c'\]"):
        set_synapses({"c": 0.1})(two())
