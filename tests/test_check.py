"""``check``: every layer at once."""

from __future__ import annotations

import keras
import pytest
from keras import layers as L

import kconvert


def mixed() -> keras.Model:
    x = keras.Input((8, 8, 3), name="image")
    y = L.ZeroPadding2D(1, name="pad")(x)
    y = L.Conv2D(4, 3, name="conv")(y)
    y = L.BatchNormalization(name="norm")(y)
    y = L.ReLU(name="relu")(y)
    y = L.Dropout(0.5, name="drop")(y)
    y = L.MaxPooling2D(2, name="pool")(y)
    y = L.Conv2D(4, 1, activation="gelu", name="curved")(y)
    y = L.Flatten(name="flat")(y)
    y = L.LSTM(3, name="memory")(L.Reshape((8, 8), name="shape")(y))
    return keras.Model(x, L.Dense(3, activation="softmax", name="end")(y))


def test_every_status():
    report = kconvert.check(mixed())
    assert {row.layer: row.status for row in report} == {
        "pad": "folded",
        "conv": "folded",
        "norm": "folded",
        "relu": "native",
        "drop": "removed",
        "pool": "rewritten",
        "curved": "needs flag",
        "flat": "folded",
        "shape": "native",
        "memory": "needs flag",
        "end": "rewritten",
    }
    assert not report
    assert not report.passed


def test_text_and_data():
    report = kconvert.check(mixed())
    text = str(report)
    assert "does not convert as it stands" in text
    for row in report.as_dicts():
        assert row["layer"] in text
        assert row["text"]
        assert bool(row["fix"]) == (row["status"] == "needs flag")
    assert "allow=('tensornode',)" in text


def test_options_are_those_of_convert():
    options = {"swap_activations": {"gelu": "relu"}, "allow": ("tensornode",), "seed": 3}
    report = kconvert.check(mixed(), **options)
    assert report
    statuses = {row.layer: row.status for row in report}
    assert statuses["curved"] == "rewritten"
    assert statuses["memory"] == "kept"
    assert kconvert.convert(mixed(), **options)
    with pytest.raises(kconvert.InputError, match="no argument 'alow'; did you mean 'allow'"):
        kconvert.check(mixed(), alow=("tensornode",))


def test_agrees_with_convert_on_what_no_flag_helps():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dense(2)])
    model.layers[1].bias.assign([0.0, float("nan")])
    report = kconvert.check(model, allow=("tensornode",))
    assert [row.status for row in report] == ["native", "unsupported"]
    with pytest.raises(kconvert.UnsupportedModelError):
        kconvert.convert(model, allow=("tensornode",))


def test_a_model_inside_that_is_refused_has_a_line():
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3)], name="in")
    x = keras.Input((4,))
    report = kconvert.check(keras.Model(x, inner(x, training=True)))
    assert [(row.layer, row.status) for row in report] == [("in", "unsupported")]


def test_repeated_names_are_told_apart():
    def block(name: str) -> keras.Model:
        stack = [L.Dense(4, name="e"), L.BatchNormalization(name="bn"), L.Dense(4, name="a")]
        return keras.Sequential([keras.Input((4,)), *stack], name=name)

    x = keras.Input((4,))
    report = kconvert.check(keras.Model(x, L.Identity(name="bn")(block("b2")(block("b1")(x)))))
    texts = {row.layer: (row.status, row.text) for row in report}
    assert texts["b2/e"] == ("folded", "merged into 'b2/bn'")
    assert texts["bn"] == ("removed", "changes nothing")


def test_models_inside_have_their_layers_listed():
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, name="d"), L.ReLU(name="r")], name="in")
    x = keras.Input((4,))
    report = kconvert.check(keras.Model(x, L.Add(name="sum")([inner(x), inner(x)])))
    assert [row.layer for row in report] == ["in/d", "in/r", "in/d.1", "in/r.1", "sum"]
    assert all(row.status == "native" for row in report)


def test_a_model_that_cannot_be_read_is_an_error():
    with pytest.raises(kconvert.InputError, match=r"takes a keras\.Model"):
        kconvert.check(None)
