"""Causes of an error, planted in a network alone and in pairs: what is named, and what helps.

What a cause really costs is measured by taking it away: the same network is converted without it.
"""

from __future__ import annotations

import itertools
from functools import cache

import keras
import nengo
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.diagnosis.causes import Shares, orders
from kconvert.diagnosis.remedies import Remedy, Variant

pytestmark = pytest.mark.filterwarnings("ignore:calibration.*with LIF neurons")

N_STEPS = 50
FEW, FLOOR, LATE, SYNAPSE = "too few spikes", "floor", "late start", "synapse"
SATURATION, CURVE, POOLING, UNEVEN = "saturation", "curve", "max pooling", "unevenness"
CAUSES = (FEW, FLOOR, LATE, SYNAPSE, SATURATION, CURVE, POOLING, UNEVEN)
HIDDEN = ((FLOOR, LATE), (FLOOR, SATURATION), (POOLING, UNEVEN))
"""Pairs of which one hides the other: without the first, the error is as large or larger."""
RATE = 4000.0
A_STEP_LATE = nengo.LinearFilter([1.0], [1.0, 0.0], analog=False)


def my_relu(x):
    """Is swapped by itself, so that ``relu`` can have LIF neurons in its place."""
    return keras.ops.maximum(x, 0)


@cache
def samples() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((24, 8, 8, 2)).astype(np.float32)


@cache
def network(lif: str, *, sigmoid: bool) -> keras.Model:
    """Two branches from the input, then dense layers.

    Args:
        lif: "" for a branch of ReLU, "slow" or "fast" for one of LIF neurons: the same curve, of
            which the fast ones would have to spike several times a step.
        sigmoid: Whether one of the layers is a sigmoid, whose curve is far from straight.
    """

    def relu(name):
        return L.Activation(my_relu, name=name)

    def neurons(speed):
        return kconvert.layers.RateLIF(
            tau_rc=4 / speed, tau_ref=0.08 / speed, max_rate=speed, amplitude=1 / speed, name="lif"
        )

    x = keras.Input((8, 8, 2))
    one = L.Conv2D(6, 3)(x)
    one = {"": relu("lif"), "slow": neurons(200.0), "fast": neurons(800.0)}[lif](one)
    other = L.Activation("relu", name="first")(L.Conv2D(6, 3)(x))
    y = L.Concatenate()([L.MaxPool2D(2, name="plain")(one), L.MaxPool2D(2, name="pool")(other)])
    y = L.Flatten()(relu("second")(L.Conv2D(16, 2)(y)))
    y = relu("third")(L.Dense(64)(y))
    y = L.Dense(64)(y)
    y = L.Activation("sigmoid", name="tail0")(y) if sigmoid else relu("tail0")(y)
    for name in ("tail1", "tail2", "tail3"):
        y = relu(name)(L.Dense(64)(y))
    model = keras.Model(x, L.Dense(6)(y))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.weights
            kernel.assign(rng.normal(0, (2 / np.prod(kernel.shape[:-1])) ** 0.5, kernel.shape))
            bias.assign(rng.normal(0, 0.1, bias.shape))
    return model


def settings(lif: str, planted: frozenset[str], *, sigmoid: bool) -> dict:
    """A good conversion, but for what is planted."""
    others = {"*": None}
    scales = {"second": 1000 / RATE, "third": 1000 / RATE}
    if not lif:
        scales["lif"] = 1000 / RATE
    if CURVE in planted:
        scales["first"] = 3.0
    if FEW in planted:
        scales["tail1"] = 50 / RATE
    synapses = {"first": 0.03} if SYNAPSE in planted else {}
    if sigmoid and UNEVEN not in planted:
        synapses["third"] = 0.005
    if LATE in planted:
        others = {"*": A_STEP_LATE}
    floor = FLOOR in planted
    rates = {"first": 500.0 if CURVE in planted else 1000.0, "*": RATE}
    return {
        "calibration": kconvert.Calibration(samples(), rate=rates, per_channel=False),
        "initial_voltage": {"lif": "spread", "*": 0.5},
        "signed": {"third": False, "*": True} if floor else {"*": True},
        "min_voltage": {"third": None, "*": -np.inf} if floor else {"*": -np.inf},
        "synapse": synapses | others,
        "correction": None,
        "max_pooling": {"pool": "values" if POOLING in planted else "sums", "plain": "sums"},
        "output_synapse": kconvert.Window(),
        "scale_firing_rates": scales,
        "swap_activations": {my_relu: "relu"} | ({"relu": nengo.LIF()} if CURVE in planted else {}),
    }


@cache
def converted(planted: frozenset[str], *, lif: bool, sigmoid: bool) -> kconvert.SpikingModel:
    """The network with some causes."""
    kind = ("fast" if SATURATION in planted else "slow") if lif else ""
    model = network(kind, sigmoid=sigmoid)
    return kconvert.convert(model, **settings(kind, planted, sigmoid=sigmoid))


def with_causes(planted, possible) -> kconvert.SpikingModel:
    """The network with some causes, of those that it may have."""
    return converted(frozenset(planted), lif=SATURATION in possible, sigmoid=UNEVEN in possible)


@cache
def squared_error(spiking: kconvert.SpikingModel) -> float:
    wanted = spiking.keras_model.predict(samples(), verbose=0)
    got = spiking.predict(samples(), N_STEPS, logits=True)
    return float(np.square(got - wanted).sum() / np.square(wanted - wanted.mean(axis=0)).sum())


@pytest.mark.parametrize("cause", CAUSES)
def test_a_planted_cause_is_named_first(cause):
    spiking = with_causes([cause], [cause])
    found = spiking.diagnose(samples(), N_STEPS)
    assert found.output_error**2 == pytest.approx(squared_error(spiking), rel=1e-3)
    assert sum(each.share for each in found.causes) == pytest.approx(1)
    first, *others = found.causes
    assert first.name == cause
    gain = 1 - squared_error(with_causes([], [cause])) / squared_error(spiking)
    assert first.share > 0.85
    assert first.share == pytest.approx(gain, abs=0.1)
    assert all(each.share < 0.15 for each in others)
    assert first.text in found.findings[1]


@pytest.mark.parametrize("pair", itertools.combinations(CAUSES, 2), ids=" and ".join)
def test_two_planted_causes_are_named_in_the_order_of_what_they_cost(pair):
    both = squared_error(with_causes(pair, pair))
    # Without one, the other is left.
    left = {cause: squared_error(with_causes({*pair} - {cause}, pair)) for cause in pair}
    by_gain = sorted(pair, key=left.__getitem__)
    found = with_causes(pair, pair).diagnose(samples(), N_STEPS)
    # Causes that hide each other (one adds, the other takes away) gain nothing one by one.
    gains = [cause for cause in by_gain if 1 - left[cause] / both > 0.05] or by_gain[:1]
    assert [each.name for each in found.causes[: len(gains)]] == gains
    if pair not in HIDDEN:
        assert {each.name for each in found.causes[:2]} == set(pair)
    assert sum(each.share for each in found.causes) == pytest.approx(1)


def test_in_most_pairs_either_cause_costs_something():
    """Else the test above would show little."""
    pairs = list(itertools.combinations(CAUSES, 2))
    costly = [
        pair
        for pair in pairs
        if all(
            squared_error(with_causes({*pair} - {cause}, pair))
            < 0.95 * squared_error(with_causes(pair, pair))
            for cause in pair
        )
    ]
    assert len(costly) > len(pairs) / 2


def taken(spiking: kconvert.SpikingModel, planted: frozenset[str], change: str, possible):
    """The error of the read-out with a change that was printed."""
    given = eval(f"dict({change})", {"np": np})
    run = {name: given.pop(name) for name in ("n_steps", "dt") if name in given}
    kind = ("fast" if SATURATION in planted else "slow") if SATURATION in possible else ""
    said = settings(kind, planted, sigmoid=UNEVEN in possible)
    for name, value in given.items():
        if name == "scale_firing_rates":  # factors on the rates that there are
            value = {layer: said[name].get(layer, 1.0) * by for layer, by in value.items()}
        said[name] = {**value, **{k: v for k, v in said[name].items() if k not in value}}
    model = kconvert.convert(spiking.keras_model, **said)
    return model.diagnose(samples(), **{"n_steps": N_STEPS, **run}).output_error


@pytest.mark.filterwarnings("ignore:the rates of LIF neurons were calibrated for dt")
@pytest.mark.parametrize("cause", [each for each in CAUSES if each != CURVE])
def test_the_change_that_is_printed_leaves_the_error_that_is_printed(cause):
    planted = frozenset([cause])
    spiking = with_causes(planted, planted)
    found = spiking.diagnose(samples(), N_STEPS)
    first = found.causes[0]
    assert first.change in str(found)
    assert first.without < 0.6 * found.output_error
    error = taken(spiking, planted, first.change, planted)
    assert error == pytest.approx(first.without, rel=0.05)


def game(interactions):
    """Squared errors of causes that add up, and of pairs of them that add something together."""

    def error(variant):
        here = variant.graph
        return sum(by for names, by in interactions.items() if set(names) <= here)

    return error


def test_shares_are_shapley_values_where_causes_interact_in_pairs():
    """Against the mean over all orders, in a game without a network."""
    names = ["a", "b", "c", "d"]
    single = {(name,): 1.0 + k for k, name in enumerate(names)}
    pairs = {pair: 0.3 * k for k, pair in enumerate(itertools.combinations(names, 2), start=1)}
    error = game(single | pairs)

    def without(name):
        def apply(variant):
            return Variant(graph=variant.graph - {name}, read_outs=(), n_steps=1, dt=1.0)

        return Remedy(layers=(), apply=apply)

    start = Variant(graph=frozenset(names), read_outs=(), n_steps=1, dt=1.0)
    found = Shares(start, {name: without(name) for name in names}, error).parts()
    every = list(itertools.permutations(names))
    for name in names:
        gains = [
            error(Variant(graph=frozenset(order[k:]), read_outs=(), n_steps=1, dt=1.0))
            - error(Variant(graph=frozenset(order[k + 1 :]), read_outs=(), n_steps=1, dt=1.0))
            for order in every
            for k in [order.index(name)]
        ]
        assert found[name] == pytest.approx(np.mean(gains))
    assert sum(found.values()) == pytest.approx(error(start))


def test_what_makes_no_error_by_itself_is_no_cause():
    def apply(variant):
        return Variant(graph=variant.graph - {"a"}, read_outs=(), n_steps=1, dt=1.0)

    error = game({("a",): -1.0, (): 3.0})
    start = Variant(graph=frozenset("a"), read_outs=(), n_steps=1, dt=1.0)
    assert "a" not in Shares(start, {"a": Remedy(layers=(), apply=apply)}, error).parts()


def test_each_pair_of_causes_is_taken_away_in_both_orders():
    names = [SATURATION, CURVE, SYNAPSE, FEW, LATE, "read-out", POOLING, FLOOR]
    first, second = orders(names)
    fixed = {(SYNAPSE, LATE), (FEW, LATE)} | {
        (name, UNEVEN) for name in names if name not in (SATURATION, CURVE)
    }
    for one, other in itertools.combinations([*names, UNEVEN], 2):
        same = (first.index(one) < first.index(other)) == (second.index(one) < second.index(other))
        assert same == ((one, other) in fixed)
    assert len(first) == len(second)
