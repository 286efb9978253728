"""Each pass: the same outputs, the expected ops, and a case that it must leave alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.errors import InputError
from kconvert.ir import Graph, replace_op
from kconvert.layers import RateLIF
from kconvert.ops import Lif, Lowpass, Relu
from kconvert.passes import SIMPLIFY, run
from kconvert.passes.fold_affine_into_linear import (
    fold_affine_into_linear,
    fold_affine_into_next,
    merge_affines,
)
from kconvert.passes.keep_logits import keep_logits
from kconvert.passes.merge_padding import merge_padding
from kconvert.passes.merge_rearrangements import merge_rearrangements
from kconvert.passes.receipts import receipts
from kconvert.passes.set_spiking import (
    scale_firing_rates,
    set_initial_voltages,
    set_synapses,
    without_synapses,
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
    low_pass = Lowpass(0.1)
    one = set_synapses({"b": low_pass})(two())
    assert [op.synapse for op in neurons(one).values()] == [None, low_pass]
    assert [op.synapse for op in neurons(without_synapses(one)).values()] == [None, None]


def test_spread_voltages_cover_the_interval():
    op = neurons(set_initial_voltages({"a": "spread"})(read(L.Conv2D(7, 2), L.ReLU(name="a"))))["a"]
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
        set_initial_voltages({"a": value})(two())


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


def kept_values(before: Graph, after: Graph, rng) -> set[str]:
    """Check every value that both graphs have, and return their names."""
    feeds = {name: rng.standard_normal((3, *before.nodes[name].shape)) for name in before.inputs}
    old, new = before.evaluate(feeds), after.evaluate(feeds)
    for name in old.keys() & new.keys():
        np.testing.assert_allclose(new[name], old[name], rtol=1e-12, atol=1e-12)
    return old.keys() & new.keys()


def test_rearrangements_become_one(rng):
    graph = read(L.Permute((3, 1, 2)), L.Cropping2D(1), L.Reshape((-1,)), L.Dense(2))
    merged = merge_rearrangements(graph)
    assert kinds(merged) == ["Input", "Gather", "Dense"]
    check_same_outputs(graph, merged, rng)


def test_rearrangements_that_undo_each_other_go(rng):
    graph = read(L.Permute((3, 1, 2)), L.Permute((2, 3, 1)), L.Conv2D(2, 2))
    merged = merge_rearrangements(graph)
    assert kinds(merged) == ["Input", "Conv"]
    check_same_outputs(graph, merged, rng)


def test_rearrangements_keep_zeros(rng):
    graph = read(L.ZeroPadding2D((1, 2)), L.Permute((2, 1, 3)), L.UpSampling2D(2), L.Flatten())
    merged = merge_rearrangements(graph)
    assert kinds(merged) == ["Input", "Gather"]
    check_same_outputs(graph, merged, rng)


def test_rearrangements_leave_what_others_read():
    x = keras.Input((4, 3))
    y = L.Permute((2, 1))(x)
    graph = read_keras(keras.Model(x, [L.Flatten()(y), L.Dense(2)(y)])).graph
    assert merge_rearrangements(graph) is graph


def test_padding_goes_into_the_convolution(rng):
    graph = read(L.ZeroPadding2D(((1, 0), (2, 1))), L.Conv2D(3, (2, 3), strides=2, name="conv"))
    merged = merge_padding(graph)
    assert kinds(merged) == ["Input", "Conv"]
    assert merged.nodes["conv"].op.pads == ((1, 0), (2, 1))
    assert kept_values(graph, merged, rng) >= {"conv"}


def test_padding_goes_into_max_pooling_of_values_that_are_not_negative(rng):
    after_relu = read(L.ReLU(), L.ZeroPadding2D(1), L.MaxPooling2D(3, 2))
    merged = merge_padding(after_relu)
    assert kinds(merged) == ["Input", "Relu", "MaxPool"]
    check_same_outputs(after_relu, merged, rng)
    for stack in (
        [L.ZeroPadding2D(1), L.MaxPooling2D(3, 2)],  # values may be negative
        [L.ReLU(), L.ZeroPadding2D(3), L.MaxPooling2D(3, 2)],  # a window of nothing but zeros
        [L.ReLU(), L.ZeroPadding2D(1), L.AveragePooling2D(2)],  # zeros count in the average
    ):
        graph = read(*stack)
        assert merge_padding(graph) is graph


def test_padding_with_two_readers(rng):
    x = keras.Input((5, 4, 2))
    y = L.ZeroPadding2D(1)(x)
    both = randomized(keras.Model(x, [L.Conv2D(2, 3)(y), L.Conv2D(3, 2)(y)]))
    graph = read_keras(both).graph
    merged = merge_padding(graph)
    assert kinds(merged) == ["Input", "Conv", "Conv"]
    check_same_outputs(graph, merged, rng)


def test_fold_affine_into_next(rng):
    graph = read(L.BatchNormalization(name="bn"), L.Conv2D(4, (3, 2), name="conv"))
    folded = fold_affine_into_next(graph)
    assert kinds(folded) == ["Input", "Conv"]
    assert [(d.kind, d.layer, d.node) for d in folded.decisions] == [("folded", "bn", "conv")]
    check_same_outputs(graph, folded, rng)


def test_fold_affine_into_next_behind_a_flatten(rng):
    graph = read(L.BatchNormalization(axis=1), L.Flatten(name="flat"), L.Dense(3, name="end"))
    folded = fold_affine_into_next(graph)
    assert kinds(folded) == ["Input", "Reshape", "Dense"]
    assert "flat" not in folded.nodes  # nothing has Keras' value of it any more
    check_same_outputs(graph, folded, rng)


def test_fold_affine_into_next_with_groups(rng):
    for layer in (L.DepthwiseConv2D(2, depth_multiplier=2), L.Conv2D(6, 2, groups=3)):
        graph = read(L.BatchNormalization(), layer)
        folded = fold_affine_into_next(graph)
        assert kinds(folded) == ["Input", "Conv"]
        check_same_outputs(graph, folded, rng)


def test_fold_affine_into_next_leaves_a_shift_before_zeros():
    graph = read(L.BatchNormalization(), L.Conv2D(4, 3, padding="same"))
    assert fold_affine_into_next(graph) is graph
    scale_only = read(L.Rescaling(0.5), L.Conv2D(4, 3, padding="same"))
    assert kinds(fold_affine_into_next(scale_only)) == ["Input", "Conv"]


def test_merge_affines(rng):
    graph = read(L.Rescaling(2.0, 0.3), L.BatchNormalization(), L.BatchNormalization(axis=1))
    merged = merge_affines(graph)
    assert kinds(merged) == ["Input", "Affine"]
    check_same_outputs(graph, merged, rng)


def test_channels_first_models_are_folded_like_others(rng):
    first = {"data_format": "channels_first"}
    graph = read(
        L.Conv2D(4, (3, 2), **first),
        L.BatchNormalization(axis=1, name="norm"),
        L.ReLU(),
        L.Conv2D(2, 2, **first),
        shape=(3, 6, 7),
    )
    simple = run(graph, SIMPLIFY)
    assert "Affine" not in kinds(simple)
    assert kinds(simple).count("Gather") == 4
    assert [d.layer for d in simple.decisions if d.kind == "folded"] == ["norm"]
    assert {"norm", "re_lu"} <= kept_values(graph, simple, rng)


def test_receipts(rng):
    model = randomized(
        keras.Sequential(
            [
                keras.Input((6, 5, 3)),
                L.ZeroPadding2D(1),
                L.Conv2D(4, 3),
                L.BatchNormalization(),
                L.ReLU(),
                L.MaxPooling2D(2),
                L.Permute((2, 1, 3)),
                L.Flatten(),
                L.Dense(2, activation="softmax"),
            ]
        )
    )
    written = kconvert.convert(model, max_pooling="circuit", calibration=False).receipts()
    assert [receipt.name for receipt in written] == [
        "keep_logits",
        "merge_rearrangements",
        "fold_affine_into_linear",
        "merge_padding",
        "set_max_pooling",
    ]
    # Float64 on both sides: its rounding over sums of a few dozen terms.
    assert all(0 <= receipt.max_difference < 1e-13 for receipt in written)
    assert "merge_padding" in str(written[3])


def test_a_receipt_shows_a_wrong_pass(rng):
    graph = read(L.Dense(4, name="a"), L.ReLU(), shape=(5,))

    def wrong(graph: Graph) -> Graph:
        op = graph.nodes["a"].op
        return graph.rewrite(swap={"a": replace_op(graph.nodes["a"], weight=op.weight * 1.001)})

    feeds = {name: rng.standard_normal((2, 5)) for name in graph.inputs}
    [receipt] = receipts(graph, [wrong], feeds)
    assert receipt.max_difference > 1e-4
