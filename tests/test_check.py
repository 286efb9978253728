"""``check``: every layer at once."""

from __future__ import annotations

import importlib
import operator
import re
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.ops import Affine, Relu, Sum
from kconvert.reader.registry import spelling


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
    assert "cannot be converted as it is" in text
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
    assert kconvert.convert(mixed(), calibration=False, **options)
    with pytest.raises(kconvert.InputError, match=r"no argument 'alow'\. Did you mean 'allow'\?"):
        kconvert.check(mixed(), alow=("tensornode",))


@pytest.mark.parametrize(
    "setting",
    [
        {"synapse": {"hiden": 0.01}},
        {"output_synapse": {"ends": 0.1}},
        {"initial_voltage": {"hiden": 0.5}},
        {"initial_voltage": {"hidden": np.full(7, 0.5)}},
        {"min_voltage": {"hiden": 0.0}},
        {"signed": {"hiden": True}},
        {"correction": {"hiden": None}},
        {"scale_firing_rates": {"hiden": 2.0}},
        {"max_pooling": {"hiden": "sums"}},
    ],
    ids=str,
)
def test_settings_that_fit_no_layer_are_refused_as_convert_does(setting):
    hidden = L.Dense(5, activation="relu", name="hidden")
    model = keras.Sequential([keras.Input((4,)), hidden, L.Dense(3, name="end")])
    errors = []
    for function in (kconvert.check, partial(kconvert.convert, calibration=False)):
        with pytest.raises(kconvert.InputError) as refused:
            function(model, **setting)
        errors.append(str(refused.value))
    assert errors[0] == errors[1]
    assert next(iter(setting)) in errors[0]


def spiking_aware(dt: float = 0.001, *, also: bool = True) -> keras.Model:
    """Layers that say how they spike, as ``fine_tune`` makes them; the second one perhaps not."""
    settings = {"n_steps": 4, "amplitude": 0.002, "spike_values": "binary"}
    first = kconvert.layers.SpikingAware(L.ReLU(), name="first", **settings)
    second = kconvert.layers.SpikingAware(L.ReLU(), name="second", dt=dt, **settings)
    other = second if also else L.ReLU(name="second")
    return keras.Sequential([keras.Input((4,)), L.Dense(5), first, L.Dense(5), other, L.Dense(3)])


@pytest.mark.parametrize(
    ("model", "settings", "error", "match"),
    [
        (spiking_aware(), {"calibration": np.ones((4, 4))}, kconvert.InputError, "'first' and oth"),
        (
            spiking_aware(also=False),
            {},
            kconvert.UnsupportedModelError,
            "'second'.* and 'first' do",
        ),
        (spiking_aware(dt=0.002), {}, kconvert.UnsupportedModelError, "'second'.* have 0.002 s"),
    ],
)
def test_a_fine_tuned_model_is_refused_where_convert_refuses_it(model, settings, error, match):
    with pytest.raises(error, match=match) as refused:
        kconvert.convert(model, **settings)
    if error is kconvert.InputError:
        with pytest.raises(error) as checked:
            kconvert.check(model, **settings)
        assert str(checked.value) == str(refused.value)
    else:
        report = kconvert.check(model, **settings)
        rows = [(row.layer, row.status) for row in report if row.status != "native"]
        assert rows == [("second", "unsupported")]
        assert not report
    assert kconvert.check(spiking_aware())


def test_a_setting_may_name_a_layer_that_is_not_read():
    """convert refuses the model first; until it is repaired, its layers are not all known."""
    report = kconvert.check(mixed(), synapse={"memory": 0.01})
    assert not report


def test_agrees_with_convert_on_what_no_flag_helps():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dense(2)])
    model.layers[1].bias.assign([0.0, float("nan")])
    report = kconvert.check(model, allow=("tensornode",))
    assert [row.status for row in report] == ["native", "unsupported"]
    with pytest.raises(kconvert.UnsupportedModelError):
        kconvert.convert(model, allow=("tensornode",))


def test_a_model_inside_that_is_refused_has_a_line():
    class Doubled(keras.Sequential):
        def call(self, x):
            return 2 * super().call(x)

    inner = Doubled([keras.Input((4,)), L.Dense(3)], name="in")
    x = keras.Input((4,))
    report = kconvert.check(keras.Model(x, inner(x)))
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


class Subclassed(keras.Model):
    def call(self, x):
        return x


class Overridden(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def overridden() -> keras.Model:
    x = keras.Input((4,))
    return Overridden(x, L.Dense(4)(x))


def replaced() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), L.Dense(4)])
    model.call = lambda x, **more: -x
    return model


def of_keras_2() -> object:
    import tf_keras

    return tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(3,))])


def names_twice(nested: bool) -> keras.Model:
    x = keras.Input((4,))
    last = L.ReLU(name="other")
    model = keras.Model(x, last(L.Dense(3)(L.ReLU(name="same")(x))))
    last.name = "same"
    y = keras.Input((4,))
    return keras.Model(y, model(y)) if nested else model


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda: keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(2, 1)]), "every size"),
        (lambda: keras.Sequential([keras.Input((0, 3)), L.Dense(2)]), "holds no values"),
        (lambda: keras.Sequential([L.Dense(2)]), "is not built"),
        (Subclassed, "subclassed model"),
        (overridden, r"overrides call\(\)"),
        (replaced, r"call\(\) was replaced"),
        (of_keras_2, "Keras 2 model"),
        (lambda: names_twice(nested=False), "several layers with the name 'same'"),
        (lambda: names_twice(nested=True), "several layers with the name 'same'"),
    ],
)
def test_a_model_that_cannot_be_read_has_one_row(model, match):
    model = model()
    report = kconvert.check(model)
    [row] = report
    assert not report
    assert (row.layer, row.status) == (model.name, "unsupported")
    assert re.search(match, row.text)
    assert row.fix in str(report)
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.convert(model)


def _fails(layer, b, x):
    raise RuntimeError("odd")


@pytest.mark.parametrize(
    ("importer", "match"),
    [
        (lambda layer, b, x: None, "returned None"),
        (lambda layer, b, x: 3, "returned 3"),
        (lambda layer, b, x: [x, None], r"returned \['.*', None\]"),
        (lambda layer, b, x: "nope", "returned 'nope'"),
        (lambda layer, b, x: [x, x], "1 outputs, read as 2"),
        (lambda layer, b, x: b.add(3, x), "adds 3, which is not an op"),
        (lambda layer, b, x: b.add(Relu, x), "is not an op"),
        (lambda layer, b, x: b.add(Relu(), "nope"), "reads 'nope'"),
        (lambda layer, b, x: b.add(Affine(np.full(3, np.nan), np.zeros(3)), x), "NaN"),
        (lambda layer, b, x: b.add(Sum((np.inf * 0,)), x), "NaN"),
        (_fails, "its importer _fails failed, .*: RuntimeError: odd"),
        (lambda layer, b: None, "reads 1 values of the network, and its importer .* takes 0"),
    ],
)
def test_importers_that_return_rubbish(importer, match):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.ReLU(name="mine")])
    rows = {row.layer: row for row in kconvert.check(model, layers={L.ReLU: importer})}
    assert rows["mine"].status in ("unsupported", "needs flag")
    assert re.search(match, rows["mine"].text)
    with pytest.raises(kconvert.UnsupportedModelError, match=r"'mine' \(ReLU\)") as caught:
        kconvert.convert(model, layers={L.ReLU: importer})
    if importer is _fails:
        assert isinstance(caught.value.__cause__, RuntimeError)


def test_what_keras_does_in_training_only_is_listed():
    x = keras.Input((4,))
    y = L.Dense(3, kernel_regularizer="l2", bias_constraint="non_neg", name="penalised")(x)
    rates = kconvert.regularizers.FiringRate()
    y = L.ReLU(activity_regularizer=rates, name="sparse")(
        L.Dropout(0.5, name="d")(y, training=True)
    )
    spiking = kconvert.convert(keras.Model(x, y), calibration=False)
    found = [(d.kind, d.layer, d.text) for d in spiking.decisions]
    training = {layer: text for kind, layer, text in found if kind == "training"}
    assert list(training) == ["penalised", "sparse"]
    assert "kernel's regularizer L2, bias's constraint NonNeg" in training["penalised"]
    assert "activity regularizer FiringRate" in training["sparse"]
    assert [layer for kind, layer, _ in found if kind == "inference"] == ["d"]


def test_a_model_that_cannot_be_read_is_an_error():
    with pytest.raises(kconvert.InputError, match=r"takes a keras\.Model"):
        kconvert.check(None)


def one_call(call, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, call(*inputs))


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda: one_call(keras.ops.ndim, (3,)), "this operation is not supported"),
        (
            lambda: one_call(lambda x, y: keras.ops.slice(x, y[0], (1, 1)), (3,), (2,)),
            "reads 2 values of the network, and its importer rearranging takes 1",
        ),
        (lambda: one_call(lambda x: keras.ops.slice(x, (1, 1), (2, 2)), (3,)), "batch"),
        (lambda: one_call(lambda x: keras.ops.take(x, [0], axis=0), (3,)), "samples of a batch"),
    ],
)
def test_what_importers_do_not_expect_is_refused(model, match):
    rows = [row for row in kconvert.check(model()) if row.status in ("unsupported", "needs flag")]
    assert any(re.search(match, row.text) for row in rows), rows
    assert not any("defect" in row.text for row in rows)


def test_training_goes_to_layers_without_such_an_argument():
    model = one_call(lambda x: L.Conv1D(2, 2)(x, training=True), (5, 3))
    assert kconvert.check(model)
    assert not kconvert.convert(model, calibration=False).decisions


def test_why_a_layer_is_not_read_goes_before_how_it_was_called():
    model = one_call(lambda x: L.MultiHeadAttention(1, 2)(x, value=x, use_causal_mask=True), (5, 3))
    [row] = [row for row in kconvert.check(model) if row.fix]
    assert "it multiplies two signals" in row.text


def test_operations_are_named_as_users_write_them():
    rooms = [importlib.import_module(f"keras.src.ops.{each}") for each in ("nn", "numpy", "image")]
    classes = [
        cls
        for room in rooms
        for cls in vars(room).values()
        if isinstance(cls, type)
        and issubclass(cls, keras.Operation)
        and cls.__module__ == room.__name__
    ]
    assert len(classes) > 200
    for cls in classes:
        found = spelling(cls)
        assert found == "x[...]" or callable(operator.attrgetter(found[6:])(keras)), cls
