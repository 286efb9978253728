"""The operating point that tune finds."""

from __future__ import annotations

import types

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.layers import RateLIF
from kconvert.tuning import Criterion, _operating_point


def classifier(activation):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((6,)), L.Dense(30), activation, L.Dense(20), L.ReLU(), L.Dense(3)]
    )


@pytest.fixture
def data(rng):
    x = rng.standard_normal((150, 6)).astype(np.float32)
    return x, rng.integers(0, 3, 150)


@pytest.mark.parametrize("goal", ["steps", "spikes"])
def test_the_operating_point(goal, data):
    x, _ = data
    model = classifier(L.ReLU())
    y = model.predict(x, verbose=0).argmax(axis=1)
    found = kconvert.tune(model, x, y, max_steps=40, max_loss=0.05, goal=goal)
    assert found.met
    assert found.reference_accuracy == 1.0
    assert len(found.candidates) > 5
    for each in found.candidates:
        curve = each.evaluation.accuracy_per_step
        if each.n_steps is None:
            assert curve[-1] < 0.95
            continue
        # From there on and not a step earlier
        assert (curve[each.n_steps - 1 :] >= 0.95 - 0.5 / 150).all()
        assert each.n_steps == 1 or curve[each.n_steps - 2] < 0.95
        assert each.accuracy == curve[each.n_steps - 1]
        spikes = each.evaluation.spikes_per_step
        assert each.spikes_per_sample == pytest.approx(spikes[: each.n_steps].sum())
        assert spikes.sum() == pytest.approx(each.evaluation.spikes_per_sample)
    costs = [
        each.n_steps if goal == "steps" else each.spikes_per_sample
        for each in found.candidates
        if each.n_steps
    ]
    chosen = found.best.n_steps if goal == "steps" else found.best.spikes_per_sample
    assert chosen == min(costs)
    again = found.convert().evaluate(x, y, found.best.n_steps)
    assert again.accuracy == found.best.accuracy
    assert "->" in str(found)


def test_lif_and_settings_for_all(data):
    x, y = data
    model = classifier(RateLIF())
    found = kconvert.tune(model, x, y, max_steps=10, max_loss=1.0, initial_voltage=0.25)
    assert found.best.n_steps == 1  # any accuracy will do
    assert all(each.settings["initial_voltage"] == 0.25 for each in found.candidates)
    assert {each.settings.get("synapse", 0) for each in found.candidates} >= {None, 0.001, 0.005}


def test_own_candidates_and_what_cannot_be_reached(data):
    x, _ = data
    model = classifier(L.ReLU())
    y = model.predict(x, verbose=0).argmax(axis=1)
    poor = [{"scale_firing_rates": 1.0}, {"scale_firing_rates": 2.0}]
    found = kconvert.tune(model, x, y, max_steps=5, max_loss=0.0, candidates=poor)
    assert not found.met
    assert [each.settings for each in found.candidates] == poor
    assert found.best.accuracy == max(each.accuracy for each in found.candidates)
    assert "no candidate" in str(found)


def test_samples_in_a_list_and_one_of_several_outputs(data):
    x, _ = data
    inputs = keras.Input((6,), name="image")
    hidden = L.Dense(12, activation="relu")(inputs)
    outputs = {"coarse": L.Dense(2, name="coarse")(hidden), "fine": L.Dense(4, name="fine")(hidden)}
    model = keras.Model(inputs, outputs)
    y = model.predict(x, verbose=0)["fine"].argmax(axis=1)
    settings = {"max_steps": 8, "max_loss": 0.2, "candidates": [{"calibration": x}]}
    found = kconvert.tune(model, [x], y, output="fine", **settings)
    assert found.reference_accuracy == 1.0
    assert found.best.evaluation.accuracy == found.best.evaluation.accuracy_per_step[-1]
    with pytest.raises(kconvert.InputError, match="output"):
        kconvert.tune(model, [x], y, **settings)
    # The default candidates calibrate on the first of the samples.
    assert kconvert.tune(model, x.tolist(), y, output="fine", max_steps=2).candidates


def test_a_loss_of_exactly_so_many_samples_is_accepted():
    """0.52 - 0.04 is more than 0.48 in floating point."""
    evaluation = types.SimpleNamespace(
        accuracy_per_step=np.array([0.3, 0.48, 0.48]),
        metrics={"accuracy": np.array([0.3, 0.48, 0.48])},
        spikes_per_step=np.ones(3),
    )
    assert 0.52 - 0.04 > 0.48
    for max_loss, n_steps in ((0.04, 2), (0.035, None)):
        criterion = Criterion("accuracy", "max", True, max_loss, 0.52)
        assert _operating_point({}, evaluation, criterion).n_steps == n_steps


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ("binary", {"binary"}),
        ("ternary", {"ternary"}),
        ("graded", {"graded"}),
        (["ternary", "binary"], {"binary", "ternary"}),
        ("auto", {"binary", "ternary", "graded"}),
    ],
)
def test_the_spikes_that_are_asked_for(asked, kinds, data):
    x, _ = data
    model = classifier(L.ReLU())
    y = model.predict(x, verbose=0).argmax(axis=1)
    found = kconvert.tune(model, x, y, max_steps=8, max_loss=1.0, spike_values=asked)
    assert {each.spike_values for each in found.candidates} == kinds
    sent = {"binary": (0, 1), "ternary": (-1, 1)}
    for each in found.candidates:
        low, high = each.spike_range
        least, most = sent.get(each.spike_values, (-np.inf, np.inf))
        assert least <= low <= high <= most
        assert high > 0
    settings = [str(each.settings) for each in found.candidates]
    assert len(set(settings)) == len(settings)
    frame = found.to_frame()
    assert set(frame["spike_values"]) == kinds
    assert list(frame["max_spikes"]) == [each.spike_range[1] for each in found.candidates]
    assert all(f" {kind} " in str(found) for kind in kinds)


def test_signs_and_rates_of_the_user_leave_out_kinds(data):
    x, y = data
    model = classifier(L.ReLU())
    for settings in ({"signed": True}, {"calibration": kconvert.Calibration(x[:50], rate=3000)}):
        found = kconvert.tune(model, x, y, max_steps=2, max_loss=1.0, **settings)
        assert {each.spike_values for each in found.candidates} == {"graded"}


def test_kinds_of_lif_neurons_and_own_candidates(data):
    x, y = data
    own = [{"calibration": x[:50]}, {"calibration": x[50:]}]
    kinds = ["binary", "graded"]
    found = kconvert.tune(
        classifier(L.ReLU()), x, y, max_steps=2, max_loss=1.0, candidates=own, spike_values=kinds
    )
    tried = [each.settings["spike_values"] for each in found.candidates]
    assert tried == ["binary", "binary", "graded", "graded"]
    lif = keras.Sequential([keras.Input((6,)), L.Dense(9), RateLIF(), L.Dense(3)])
    for asked in ("auto", "binary"):
        found = kconvert.tune(lif, x, y, max_steps=2, max_loss=1.0, spike_values=asked)
        assert {each.spike_values for each in found.candidates} == {"binary"}
        assert len(found.candidates) > 5


def test_advice_where_no_binary_spikes_do(data):
    x, _ = data
    model = classifier(L.ReLU())
    y = model.predict(x, verbose=0).argmax(axis=1)
    found = kconvert.tune(model, x, y, max_steps=1, max_loss=0.0, spike_values="binary")
    assert not found.met
    text = str(found)
    assert "no candidate with binary spikes" in text
    assert "spike_values='ternary'" in text
    assert "kconvert.fine_tune(model, x, y, n_steps=..., spike_values='binary')" in text


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"spike_values": "binery"}, "Did you mean 'binary'"),
        ({"spike_values": ["binary", "auto"]}, "or a list of these"),
        ({"spike_values": []}, "spike_values is empty"),
        ({"spike_values": None}, "spike_values must be 'auto', one of"),
        ({"spike_values": "binary", "signed": True}, "contradict each other"),
        (
            {"spike_values": "binary", "candidates": [{"spike_values": "graded"}]},
            "some have one of their own",
        ),
        ({"calibration": kconvert.Calibration(np.zeros((4, 6)), dt=0.002)}, "0.002 s"),
        ({"max_steps": 0}, "max_steps"),
        ({"max_loss": -0.1}, "max_loss"),
        ({"max_loss": "little"}, "max_loss"),
        ({"max_loss": np.inf}, "max_loss"),
        ({"max_loss": 1.5}, "max_loss is what may be lost of 'accuracy', from 0 to 1"),
        ({"goal": "speed"}, "goal"),
        ({"mode": "up"}, "mode must be one of"),
        ({"metrics": []}, "metrics is empty"),
        ({"metrics": ["speed"]}, "Keras knows no 'speed'"),
        ({"metrics": [lambda y, p: p[:, 0]]}, "should fall or rise: pass mode='min'"),
        ({"candidates": []}, "candidates"),
        ({"candidates": [{"tau": 3}]}, "tau"),
        ({"candidates": ["ramp"]}, "ramp"),
        ({"synapses": 0.1}, "synapses"),
    ],
)
def test_bad_arguments_are_refused(settings, match, data):
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.tune(classifier(L.ReLU()), *data, **settings)
