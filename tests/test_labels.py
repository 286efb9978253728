"""Labels as users bring them: what Keras' evaluate takes gives its figures, what fits nothing is
refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert

N = 30
X = np.random.default_rng(0).standard_normal((N, 6)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((N, 4, 3, 2)).astype(np.float32)
RNG = np.random.default_rng(2)
NUMBERS = np.arange(N) % 3
ROWS = np.eye(3)[NUMBERS]
BITS = np.arange(N) % 2
MASK = RNG.integers(0, 3, (N, 4, 3))
VALUES = RNG.normal(size=(N, 1))
HOTS = RNG.integers(0, 2, (N, 3))
HOTS[:2] = [[0, 0, 0], [1, 1, 0]]

# Units, activation, loss, input.
KINDS = {
    "classes": (3, "softmax", "sparse_categorical_crossentropy", X),
    "one-hot": (3, "softmax", "categorical_crossentropy", X),
    "binary": (1, "sigmoid", "binary_crossentropy", X),
    "logits": (1, None, keras.losses.BinaryCrossentropy(from_logits=True), X),
    "multi-label": (3, "sigmoid", "binary_crossentropy", X),
    "regression": (1, None, "mse", X),
    "values": (3, None, "mae", X),
    "mask": (3, "softmax", "sparse_categorical_crossentropy", IMAGES),
}


def model_of(kind):
    units, activation, loss, x = KINDS[kind]
    keras.utils.set_random_seed(0)
    layer = (
        L.Conv2D(units, 1, activation=activation)
        if x.ndim == 4
        else L.Dense(units, activation=activation)
    )
    hidden = L.Conv2D(4, 1, activation="relu") if x.ndim == 4 else L.Dense(8, activation="relu")
    model = keras.Sequential([keras.Input(x.shape[1:]), hidden, layer])
    metrics = ["accuracy"] if kind not in ("regression", "values") else ["mse"]
    model.compile("adam", loss, metrics=metrics)
    return model, x


@pytest.fixture(scope="module")
def networks():
    made = {}

    def of(kind):
        if kind not in made:
            model, x = model_of(kind)
            made[kind] = kconvert.convert(model, calibration=x), x
        return made[kind]

    return of


def tensor(values):
    return keras.ops.convert_to_tensor(values)


def series(values):
    import pandas as pd

    return pd.Series(values, index=range(100, 100 + len(values)))


def frame(values):
    import pandas as pd

    return pd.DataFrame(values)


RIGHT = {
    "int8": ("classes", NUMBERS.astype(np.int8)),
    "uint64": ("classes", NUMBERS.astype(np.uint64)),
    "whole floats": ("classes", NUMBERS.astype(np.float64)),
    "column": ("classes", NUMBERS[:, None]),
    "list": ("classes", NUMBERS.tolist()),
    "list of lists": ("classes", NUMBERS[:, None].tolist()),
    "series with an index": ("classes", series(NUMBERS)),
    "tensor": ("classes", tensor(NUMBERS)),
    "list of one array": ("classes", [NUMBERS]),
    "mask that hides nothing": ("classes", np.ma.masked_array(NUMBERS)),
    "rows": ("one-hot", ROWS),
    "rows of ints": ("one-hot", ROWS.astype(int)),
    "rows of bools": ("one-hot", ROWS.astype(bool)),
    "rows in float16": ("one-hot", ROWS.astype(np.float16)),
    "rows in a frame": ("one-hot", frame(ROWS)),
    "rows in lists": ("one-hot", ROWS.tolist()),
    "smoothed rows": ("one-hot", 0.9 * ROWS + 0.1 / 3),
    "bools": ("binary", BITS.astype(bool)),
    "column of bools": ("binary", BITS[:, None].astype(bool)),
    "bits as floats": ("binary", BITS.astype(np.float32)),
    "bits of logits": ("logits", BITS),
    "several hots": ("multi-label", HOTS),
    "several hots as bools": ("multi-label", HOTS.astype(bool)),
    "soft hots": ("multi-label", 0.8 * HOTS + 0.1),
    "numbers in a frame": ("regression", frame(VALUES)),
    "numbers in a series": ("regression", series(VALUES[:, 0])),
    "ints for numbers": ("regression", BITS),
    "vectors in float16": ("values", np.tile(VALUES, 3).astype(np.float16)),
    "mask": ("mask", MASK),
    "mask with an axis": ("mask", MASK[..., None]),
    "mask in uint8": ("mask", MASK.astype(np.uint8)),
    "mask as a tensor": ("mask", tensor(MASK)),
}


@pytest.mark.parametrize("case", RIGHT)
def test_labels_that_keras_takes_give_its_figures(case, networks):
    kind, y = RIGHT[case]
    spiking, x = networks(kind)
    result = spiking.evaluate(x, y, 3)
    arrays = np.asarray(y[0] if case == "list of one array" else y)
    plain = arrays.astype(np.float32) if arrays.dtype.kind in "fb" else arrays.astype(np.int64)
    spiking.keras_model.make_test_function(force=True)  # for labels of another shape
    expected = spiking.keras_model.evaluate(x, plain, batch_size=N, return_dict=True, verbose=0)
    for name, value in expected.items():
        assert result.reference_metrics[name] == pytest.approx(value, rel=1e-4), name


WRONG = {
    "multi-hot for one-hot": ("one-hot", HOTS, r"Row 0 is \[0, 0, 0\].*'binary_crossentropy'"),
    "multi-hot for class numbers": ("classes", HOTS, "must be one-hot.*binary_accuracy"),
    "logits for rows": ("one-hot", RNG.normal(size=(N, 3)), "one-hot.*metrics=.'mse'."),
    "a row of NaN": ("one-hot", np.where(np.arange(N)[:, None] == 4, np.nan, ROWS), "Row 4 is"),
    "NaN for a class": ("classes", np.where(NUMBERS == 2, np.nan, 0), "NaN.*first in sample 2"),
    "infinite": ("regression", np.full(N, np.inf), "NaN or infinite values, first in sample 0"),
    "too few": ("classes", NUMBERS[:-1], r"one label for each of the 30.*\(29,\)"),
    "too many": ("regression", np.zeros((31, 1)), r"must have the shape \(30, 1\).*\(31, 1\)"),
    "too large": ("classes", NUMBERS + 1, "class numbers from 0 to 2.*from 1 to 3"),
    "from 1 on": ("binary", BITS + 1, "class numbers from 0 to 1"),
    "fractions": ("classes", NUMBERS + 0.5, "class numbers from 0 to 2"),
    "-1 for ignore": ("classes", np.where(NUMBERS == 2, -1, NUMBERS), "-1 marks labels to ignore"),
    "-1 and 1": ("binary", 2 * BITS - 1, "class numbers from 0 to 1"),
    "255 for ignore": ("mask", np.where(MASK == 2, 255, MASK), "255 marks labels to ignore"),
    "names": ("classes", np.array(["cat", "dog", "eel"])[NUMBERS], "np.unique.y, return_inverse"),
    "names in a list": ("classes", ["cat"] * N, r"hold numbers.*\(from list\)"),
    "numbers as text": ("regression", [["1"]] * N, "must hold numbers"),
    "ragged": ("classes", [[0], [1, 2]] * 15, "is not an array"),
    "None in a list": ("classes", [None] * N, "must hold numbers.*dtype object"),
    "complex": ("regression", VALUES + 1j, "must hold numbers.*complex"),
    "dates": ("regression", np.full(N, "2020-01-01", dtype="datetime64[D]"), "hold numbers"),
    "hidden": ("classes", np.ma.masked_array(NUMBERS, NUMBERS == 2), "hides 10 of its values"),
    "one number": ("classes", 1, "one label for each of the 30 samples"),
    "nothing": ("classes", None, "must hold numbers.*dtype object"),
    "empty": ("classes", [], "one label for each of the 30"),
    "too many axes": ("classes", NUMBERS[:, None, None], r"shape \(30,\) or \(30, 1\) or one-hot"),
    "too many columns": ("classes", np.eye(4)[NUMBERS], r"one-hot of shape \(30, 3\).*\(30, 4\)"),
    "two columns for one unit": ("binary", np.eye(2)[BITS], r"or \(30, 1\)\. Received"),
    "wrong axis": ("classes", ROWS.T, r"one label for each.*\(3, 30\)"),
    "vectors for numbers": ("regression", ROWS, r"must have the shape \(30, 1\).*\(30, 3\)"),
    "numbers for vectors": ("values", VALUES, r"must have the shape \(30, 3\)"),
    "classes for labels": ("multi-label", NUMBERS, r"must have the shape \(30, 3\)"),
    "a smaller mask": ("mask", MASK[:, :2], r"must have the shape \(30, 4, 3, 3\), or class"),
    "a mask too large": ("mask", MASK + 1, "class numbers from 0 to 2"),
    "a mask of fractions": ("mask", MASK + 0.5, "class numbers from 0 to 2"),
    "one label for a mask": ("mask", NUMBERS, r"or class numbers of shape \(30, 4, 3\)"),
    "another name": ("classes", {"other": NUMBERS}, r"names of outputs.*Received the keys"),
    "two arrays": ("classes", [NUMBERS, NUMBERS], "one label for each of the 30"),
}


@pytest.mark.parametrize("case", WRONG)
def test_labels_that_fit_nothing_are_refused(case, networks):
    kind, y, match = WRONG[case]
    spiking, x = networks(kind)
    with pytest.raises(kconvert.InputError, match=match):
        spiking.evaluate(x, y, 3)


def test_advice_for_labels_of_several_classes():
    units, _, _, x = KINDS["one-hot"]
    model = keras.Sequential([keras.Input((6,)), L.Dense(units, activation="sigmoid")])
    spiking = kconvert.convert(model, calibration=False)
    asked = spiking.evaluate(x, HOTS, 2, metrics=["binary_accuracy"])
    model.compile("adam", "binary_crossentropy")
    assert "loss" in spiking.evaluate(x, HOTS, 2).metrics
    assert list(asked.metrics) == ["binary_accuracy"]
    # Numbers and no classes.
    model = keras.Sequential([keras.Input((6,)), L.Dense(units)])
    values = RNG.normal(size=(N, 3))
    result = kconvert.convert(model, calibration=False).evaluate(x, values, 2, metrics=["mse"])
    assert result.reference_metrics["mse"] == pytest.approx(
        np.mean((model.predict(x, verbose=0) - values) ** 2)
    )
