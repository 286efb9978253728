"""Data as Keras takes it: arrays, batches from datasets and loaders, and what looks like data."""

from __future__ import annotations

import io
import itertools

import keras
import numpy as np
import pytest
import scipy.sparse
from keras import layers as L

import kconvert
from kconvert import InputError
from kconvert.data import streams
from kconvert.running import predicting

X = np.random.default_rng(0).random((23, 6)).astype(np.float32)
Y = np.arange(23) % 3
STEPS = 6


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6,), name="image"), L.Dense(9, activation="relu", name="hidden"), L.Dense(3)]
    )


@pytest.fixture(scope="module")
def spiking(model) -> kconvert.SpikingModel:
    return kconvert.convert(model, scale_firing_rates=200)


@pytest.fixture(scope="module")
def two() -> kconvert.SpikingModel:
    a, b = keras.Input((6,), name="a"), keras.Input((2,), name="b")
    joined = L.Concatenate()([a, b])
    outputs = {"end": L.Dense(3, name="end")(joined), "other": L.Dense(2, name="other")(joined)}
    return kconvert.convert(keras.Model([a, b], outputs), calibration=False)


class Batches(keras.utils.PyDataset):
    """Batches of x, or of x and y."""

    def __init__(self, *arrays, size=8):
        super().__init__()
        self.arrays, self.size = arrays, size

    def __len__(self):
        return -(-len(self.arrays[0]) // self.size)

    def __getitem__(self, number):
        rows = slice(number * self.size, (number + 1) * self.size)
        parts = tuple(array[rows] for array in self.arrays)
        return parts if len(parts) > 1 else parts[0]


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, number):
        return X[:5]


class Loader:
    """Has what a torch DataLoader has: a length, and an iterator that gives lists."""

    def __init__(self, *arrays):
        self.arrays = arrays

    def __len__(self):
        return -(-len(self.arrays[0]) // 5)

    def __iter__(self):
        for first in range(0, len(self.arrays[0]), 5):
            yield [Tensor(array[first : first + 5]) for array in self.arrays]


class Tensor:
    """Has what a torch tensor has that records gradients."""

    def __init__(self, values):
        self.values, self.shape = values, values.shape

    def __array__(self, *arguments, **keywords):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad")

    def detach(self):
        return self

    def cpu(self):
        return self.values


def generator(*arrays, size=7):
    """Batches whose parts are in a tuple."""
    for first in range(0, len(arrays[0]), size):
        yield tuple(array[first : first + size] for array in arrays)


def dataset(*arrays, size=8):
    import tensorflow as tf

    slices = arrays if len(arrays) > 1 else arrays[0]
    return tf.data.Dataset.from_tensor_slices(slices).batch(size)


STREAMS = {
    "tf.data.Dataset": dataset,
    "PyDataset": Batches,
    "DataLoader": Loader,
    "generator": generator,
    "iterator": lambda *arrays: iter(list(generator(*arrays))),
    "map": lambda *arrays: map(tuple, generator(*arrays)),
    "zip": lambda *arrays: zip(*(np.split(array, [4, 9]) for array in arrays), strict=True),
    "with weights": lambda *arrays: generator(*arrays, *((Y,) if len(arrays) > 1 else (Y, Y))),
    "batches of different sizes": lambda *arrays: zip(
        *(np.split(array, [1, 1, 20]) for array in arrays), strict=True
    ),
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """A run of several pieces, of which the last one is smaller."""
    monkeypatch.setattr(streams, "SAMPLES", 10)


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_run_like_arrays(kind, spiking):
    make = STREAMS[kind]
    assert np.array_equal(spiking.predict(make(X), STEPS), spiking.predict(X, STEPS))
    # As in Keras, predict leaves labels out.
    assert np.array_equal(spiking.predict(make(X, Y), STEPS), spiking.predict(X, STEPS))
    weights = Y if kind == "with weights" else None
    found = spiking.evaluate(make(X, Y), n_steps=STEPS)
    wanted = spiking.evaluate(X, Y, STEPS, sample_weight=weights)
    assert (found.unweighted, found.modes) == (wanted.unweighted, wanted.modes)
    for field in set(wanted.__slots__) - {"unweighted", "modes"}:
        one, other = getattr(found, field), getattr(wanted, field)
        if isinstance(other, dict):
            assert list(one) == list(other), field
            for key, value in other.items():
                np.testing.assert_allclose(one[key], value, err_msg=f"{field}: {key}")
        elif other is None or isinstance(other, str):
            assert one == other, field
        else:
            np.testing.assert_allclose(one, other, err_msg=field)
    assert str(found) == str(wanted)
    assert spiking.about["evaluation"]["n"] == len(X)


def test_metrics_of_streams():
    keras.utils.set_random_seed(0)
    layers = [L.Dense(9, activation="relu"), L.Dense(2)]
    model = keras.Sequential([keras.Input((6,), name="image"), *layers])
    model.compile("adam", "mse", metrics=["mae"])
    spiking, y = kconvert.convert(model, calibration=X), X[:, :2] * 3
    found, wanted = spiking.evaluate(Batches(X, y), n_steps=STEPS), spiking.evaluate(X, y, STEPS)
    assert list(found.metrics) == ["mae", "loss"]
    assert (found.accuracy, found.labels, found.agreement_per_step) == (None, None, None)
    for name, values in wanted.metrics.items():
        np.testing.assert_allclose(found.metrics[name], values)
        assert found.reference_metrics[name] == pytest.approx(wanted.reference_metrics[name])
        np.testing.assert_allclose(found.scores[name], wanted.scores[name])
    assert found.difference("loss") == pytest.approx(wanted.difference("loss"))
    only = spiking.evaluate(Batches(X, y), n_steps=STEPS, metrics=["mse"])
    np.testing.assert_allclose(only.metrics["mse"], wanted.metrics["loss"], rtol=1e-5)


class Largest(keras.metrics.Metric):
    """A user's own: it has no get_config, and needs its argument."""

    def __init__(self, power, name="largest"):
        super().__init__(name=name)
        self.power = power
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        errors = keras.ops.abs(keras.ops.cast(y_true, "float32") - y_pred) ** self.power
        self.total.assign(keras.ops.maximum(self.total, keras.ops.max(errors)))

    def result(self):
        return self.total


def square(y, p):
    return (y - p) ** 2


NO_MEANS = [
    keras.metrics.RootMeanSquaredError(name="rmse"),
    keras.metrics.F1Score(threshold=0.5, name="f1"),
    keras.metrics.AUC(name="auc"),
    keras.metrics.Precision(name="precision"),
    keras.metrics.Recall(class_id=1, name="recall"),
    keras.metrics.MeanIoU(3, sparse_y_true=False, sparse_y_pred=False, name="iou"),
    keras.metrics.R2Score(name="r2"),
    keras.metrics.R2Score(class_aggregation=None, name="r2_of_each"),
    keras.metrics.TopKCategoricalAccuracy(2, name="top2"),
    keras.metrics.CosineSimilarity(name="cosine"),
    keras.metrics.MeanMetricWrapper(square, name="wrapped"),
    keras.metrics.TruePositives(name="hits"),
    Largest(3),
]


def one_hot_model():
    keras.utils.set_random_seed(0)
    layers = [L.Dense(9, activation="relu"), L.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((6,), name="image"), *layers])
    model.compile("adam", "categorical_crossentropy", metrics=NO_MEANS, weighted_metrics=["mse"])
    return model


def test_metrics_that_are_no_means_over_samples():
    model, y, w = one_hot_model(), np.eye(3, dtype=np.float32)[Y], np.linspace(0.5, 2, 23)
    expected = model.evaluate(X, y, sample_weight=w, return_dict=True, verbose=0)
    before = [keras.ops.convert_to_numpy(each.result()) for each in NO_MEANS]
    spiking = kconvert.convert(model, calibration=X)
    wanted = spiking.evaluate(X, y, STEPS, sample_weight=w)
    found = spiking.evaluate(generator(X, y, w), n_steps=STEPS)
    for name, value in expected.items():
        value = np.mean(value)  # of several numbers the mean counts
        assert wanted.reference_metrics[name] == pytest.approx(value, rel=1e-5), name
        assert found.reference_metrics[name] == pytest.approx(value, rel=1e-5), name
        np.testing.assert_allclose(found.metrics[name], wanted.metrics[name], rtol=1e-4)
    assert set(found.metrics) == {*expected, "accuracy"}
    assert all(each.shape == (STEPS,) for each in found.metrics.values())
    # At each step they are Keras' own, of what the network gives there.
    logits = spiking.simulate(X, STEPS).outputs
    for steps in (2, STEPS):
        outputs = keras.ops.softmax(logits[:, steps - 1].astype(np.float32))
        for metric in (keras.metrics.AUC(), keras.metrics.R2Score(), Largest(3)):
            metric.update_state(y, outputs)
            named = {"auc": "auc", "r2_score": "r2", "largest": "largest"}
            name = next(full for part, full in named.items() if metric.name.startswith(part))
            assert found.metrics[name][steps - 1] == pytest.approx(float(metric.result()), rel=1e-4)
    # The user's objects are left as they were.
    for one, other in zip(before, NO_MEANS, strict=True):
        np.testing.assert_array_equal(one, keras.ops.convert_to_numpy(other.result()))


class Forgetful(keras.metrics.Metric):
    """Keeps what it knows where Keras does not see it."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen = float(np.mean(y_pred))

    def result(self):
        return self.seen


class Several(Largest):
    def result(self):
        return {"one": self.total, "two": self.total}


@pytest.mark.parametrize(
    ("metric", "match"),
    [
        (Forgetful(name="forgetful"), "'forgetful' does not keep its state in Keras variables"),
        (Several(1), "'largest' gives a dict with .'one', 'two'.*a metric for each"),
        (keras.metrics.MeanIoU(2, name="iou"), "'iou' cannot judge outputs of shape"),
    ],
)
def test_metrics_that_cannot_be_found(metric, match, spiking):
    with pytest.raises(InputError, match=match):
        spiking.evaluate(generator(X, np.eye(3)[Y]), n_steps=2, metrics=[metric])


def test_weights_of_streams(spiking):
    with pytest.raises(InputError, match="sample_weight must be left out: x is a"):
        spiking.evaluate(Batches(X, Y), n_steps=STEPS, sample_weight=np.ones(23))
    with pytest.raises(InputError, match="some batches of x have sample weights and some have"):
        spiking.evaluate(iter([(X, Y, Y), (X, Y)]), n_steps=STEPS)
    with pytest.raises(InputError, match="sample_weight is 0 for all samples"):
        spiking.evaluate(generator(X, Y, 0 * Y), n_steps=STEPS)
    with pytest.raises(InputError, match="sample_weight must have one entry for each of the 23"):
        spiking.evaluate(iter([(X, Y, Y[:2])]), n_steps=STEPS)


def two_outputs():
    """Two inputs, and two outputs by name."""
    keras.utils.set_random_seed(0)
    a, b = keras.Input((6,), name="a"), keras.Input((2,), name="b")
    hidden = L.Dense(9, activation="relu")(L.Concatenate()([a, b]))
    outputs = {
        "kind": L.Dense(3, activation="softmax", name="kind")(hidden),
        "size": L.Dense(1, name="size")(hidden),
    }
    model = keras.Model([a, b], outputs)
    model.compile(
        "adam",
        {"kind": "sparse_categorical_crossentropy", "size": "mse"},
        metrics={"kind": ["accuracy"], "size": ["mae", keras.metrics.R2Score(name="r2")]},
        weighted_metrics={"size": ["mse"]},
    )
    return model


def test_streams_of_several_inputs_and_outputs():
    import tensorflow as tf

    model, sizes = two_outputs(), X[:, :1] * 2
    x, y = {"a": X, "b": X[:, :2]}, {"kind": Y, "size": sizes}
    w = np.linspace(0.5, 2, 23)
    spiking = kconvert.convert(model, calibration=x)
    for weights in (None, w, {"kind": w, "size": w[::-1].copy()}):
        parts = (x, y) if weights is None else (x, y, weights)
        data = tf.data.Dataset.from_tensor_slices(parts).batch(8)
        # Keras' losses of outputs are means over batches, so that its batches must be alike.
        how = {"batch_size": 23, "return_dict": True, "verbose": 0}
        expected = model.evaluate(x, y, sample_weight=weights, **how)
        found = spiking.evaluate(data, n_steps=STEPS)
        arrays = spiking.evaluate(x, y, STEPS, sample_weight=weights)
        for output, result in found.items():
            for name, value in result.reference_metrics.items():
                assert value == pytest.approx(expected[f"{output}_{name}"], rel=1e-4)
                np.testing.assert_allclose(
                    result.metrics[name], arrays[output].metrics[name], rtol=1e-5
                )
            assert result.n == 23
    batches = (((X[k : k + 5], X[k : k + 5, :2]), [Y[k : k + 5], sizes[k : k + 5]]) for k in (0, 5))
    assert {name: each.n for name, each in spiking.evaluate(batches, n_steps=2).items()} == {
        "kind": 10,
        "size": 10,
    }
    one = spiking.evaluate(data, n_steps=STEPS, output="size")
    np.testing.assert_allclose(one.metrics["mae"], found["size"].metrics["mae"])
    tuned = kconvert.tune(
        model, data, output="size", metrics=["mae"], max_steps=4, max_loss=1, progress=False
    )
    assert tuned.metric == "mae"
    assert tuned.reference == pytest.approx(
        np.average(abs(model.predict(x, verbose=0)["size"] - sizes)[:, 0], weights=w[::-1]),
        rel=1e-5,
    )
    gains = [
        [node.op.gain for node in kconvert.convert(model, calibration=c).graph.neurons()]
        for c in (data, x)
    ]
    assert gains[0] == gains[1]


def test_labels_of_batches_that_say_different_things():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), L.Dense(9, activation="relu"), L.Dense(1)])
    spiking = kconvert.convert(model, calibration=X)
    y = np.where(np.arange(23) < 16, np.arange(23) % 2, 0.5)  # classes, as far as can be seen
    with pytest.raises(InputError, match="labels of some batches of x are class numbers"):
        spiking.evaluate(Batches(X, y), n_steps=STEPS)
    found = spiking.evaluate(Batches(X, y), n_steps=STEPS, metrics=["mse"])
    wanted = spiking.evaluate(X, y, STEPS, metrics=["mse"])
    np.testing.assert_allclose(found.metrics["mse"], wanted.metrics["mse"])


def test_simulate_joins_outputs_spikes_and_rates(spiking):
    found, wanted = (spiking.simulate(x, STEPS, spikes=True) for x in (Batches(X), X))
    assert np.array_equal(found.outputs, wanted.outputs)
    assert np.array_equal(found.spikes["hidden"], wanted.spikes["hidden"])
    assert found.n_spikes == wanted.n_spikes
    assert found.n_operations == wanted.n_operations
    assert found.rates == pytest.approx(wanted.rates)
    assert np.array_equal(found.steps, wanted.steps)
    assert found.complete


def test_several_inputs_and_outputs(two):
    other = X[:, :2]
    wanted = two.predict([X, other], STEPS)
    by_name = ({"a": a, "b": b} for a, b in generator(X, other))
    in_order = (((a, b), a) for a, b in generator(X, other))
    for stream in (by_name, in_order):
        found = two.predict(stream, STEPS)
        assert found.keys() == wanted.keys()
        for name, values in wanted.items():
            assert np.array_equal(found[name], values)
    with pytest.raises(InputError, match=r"batch 0 of x: the model has the inputs \['a', 'b'\]"):
        two.predict(generator(X, other), STEPS)  # (x, y), as Keras reads it


def test_input_that_changes_in_time(spiking):
    moving = np.random.default_rng(1).random((4, 5, 6))
    assert np.array_equal(spiking.predict(iter([moving[:3], moving[3:]])), spiking.predict(moving))
    with pytest.raises(InputError, match=r"different numbers of steps, \[4, 5\]"):
        spiking.simulate(iter([moving, moving[:, :4]]))


@pytest.mark.parametrize("kind", STREAMS)
def test_the_first_samples(kind, model, monkeypatch):
    monkeypatch.setattr(streams.first_samples, "__defaults__", (9,))
    make = STREAMS[kind]
    gains = [
        [node.op.gain for node in kconvert.convert(model, calibration=x).graph.neurons()]
        for x in (make(X, Y), X[:9], kconvert.Calibration(make(X)))
    ]
    assert gains[0] == gains[1] == gains[2]
    spiking = kconvert.convert(model, calibration=X)
    assert spiking.verify(make(X)).n == 9
    assert str(spiking.diagnose(make(X), 4)) == str(spiking.diagnose(X[:9], 4))


def test_streams_without_an_end_have_first_samples(model):
    spiking = kconvert.convert(model, calibration=Endless())
    assert spiking.verify(itertools.repeat(X[:7])).n == streams.FIRST


def test_tune_takes_a_stream(model):
    settings = {"max_steps": 4, "progress": False}
    found = kconvert.tune(model, generator(X, Y), calibration=generator(X), **settings)
    wanted = kconvert.tune(model, X, Y, calibration=X, **settings)
    assert str(found) == str(wanted)
    with pytest.raises(InputError, match="tune: x yields no labels"):
        kconvert.tune(model, generator(X), **settings)
    with pytest.raises(InputError, match="tune: leave out y: x is a generator"):
        kconvert.tune(model, generator(X, Y), Y, **settings)


def test_callbacks_keep_the_samples_of_a_generator(model):
    rates = kconvert.callbacks.FiringRates(generator(X), verbose=False)
    rates.set_model(model)
    rates.on_train_begin()
    rates.on_epoch_end(0)
    rates.on_epoch_end(1)
    assert rates.history[0]["hidden/rate"] == rates.history[1]["hidden/rate"] > 0


def test_memory_does_not_grow_with_a_stream(spiking, monkeypatch):
    seen = []
    predicted = predicting._predicted

    def watched(*arguments):
        seen.append(len(arguments[-1]["image"]))
        return predicted(*arguments)

    monkeypatch.setattr(predicting, "_predicted", watched)
    spiking.predict(Batches(X, size=3), STEPS)
    assert seen == [12, 11]
    monkeypatch.setattr(streams, "BYTES", 3 * 6 * 4)
    seen.clear()
    spiking.predict(Batches(X, size=3), STEPS)
    assert seen == [3] * 7 + [2]


def interrupted(*arrays):
    yield from itertools.islice(generator(*arrays), 2)
    raise KeyboardInterrupt


def test_an_interrupt_between_batches(spiking):
    done = spiking.evaluate(interrupted(X, Y), n_steps=STEPS, on_interrupt="return")
    assert (done.n, done.complete) == (14, False)
    assert len(spiking.predict(interrupted(X), STEPS, on_interrupt="return")) == 14
    assert not spiking.simulate(interrupted(X), STEPS, on_interrupt="return").complete
    with pytest.raises(KeyboardInterrupt):
        spiking.predict(interrupted(X), STEPS)


def unbatched():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(X)


BROKEN = np.where(np.arange(23)[:, None] == 17, np.nan, X)


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (lambda: iter(()), "x is empty: it yields no batches"),
        (lambda: dataset(X).repeat(), "x never ends.*dataset.take"),
        (Endless, "x never ends"),
        (unbatched, r"batch 0 of x: .*Received: \(6,\). This is one sample: add a batch"),
        (lambda: generator(BROKEN), r"samples 14 to 22 of x, counted from 14: .*in sample 3"),
        (lambda: iter([X, "b"]), "batch 1 of x: x for the input 'image' must hold real numbers"),
        (lambda: iter([X, 1.0]), r"batch 1 of x: .*must have the shape \(n, 6\)"),
        (lambda: iter([(X, Y, Y, Y)]), "must be x, .*Received: 4 parts"),
        (lambda: iter([(X, {"end": Y[:4]})]), r"batch 0 of x: y\['end'\] must have one entry for"),
        (lambda: iter([(X, Y[:4])]), r"y must have one entry for each of the 23 .*\(4,\)"),
        (lambda: iter([{"picture": X}]), r"keys \['picture'\]"),
    ],
)
def test_streams_that_do_not_fit(x, match, spiking):
    with pytest.raises(InputError, match=match):
        spiking.predict(x(), STEPS)


def test_labels_of_streams(spiking):
    with pytest.raises(InputError, match="x yields no labels: batches must be"):
        spiking.evaluate(generator(X), n_steps=STEPS)
    with pytest.raises(InputError, match=r"y must be left out: x is a generator.*n_steps=30"):
        spiking.evaluate(generator(X, Y), Y, STEPS)
    with pytest.raises(InputError, match="x yields no labels"):
        spiking.evaluate(iter([(X, Y), X]), n_steps=STEPS)
    with pytest.raises(InputError, match=r"by the names of outputs.*keys \['end'\]"):
        spiking.evaluate(iter([(X, {"end": Y})]), n_steps=STEPS)
    with pytest.raises(InputError, match="class numbers from 0 to 2"):
        spiking.evaluate(generator(X, Y + 1), n_steps=STEPS)


def frame(values):
    import pandas as pd

    return pd.DataFrame(values, columns=list("abcdef"))


def sparse_tensor():
    import tensorflow as tf

    return tf.sparse.from_dense(X)


ARRAYS = {
    "list of lists": X.tolist,
    "tuple of tuples": lambda: tuple(map(tuple, X.tolist())),
    "tensor": lambda: keras.ops.convert_to_tensor(X),
    "variable": lambda: keras.Variable(X),
    "torch tensor with gradients": lambda: Tensor(X),
    "frame": lambda: frame(X),
    "mask that hides nothing": lambda: np.ma.masked_array(X, np.zeros_like(X, dtype=bool)),
    "sparse matrix": lambda: scipy.sparse.csr_matrix(X),
    "sparse array": lambda: scipy.sparse.coo_array(X),
    "sparse tensor": sparse_tensor,
    "list of one array": lambda: [X],
    "dict": lambda: {"image": X},
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_other_kinds(kind, spiking):
    assert np.array_equal(spiking.predict(ARRAYS[kind](), STEPS), spiking.predict(X, STEPS))


HIDDEN = np.ma.masked_array(np.where(X > 0.9, np.nan, X), X > 0.9)


def ragged():
    import tensorflow as tf

    return tf.ragged.constant([[1.0] * 6, [1.0]])


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (lambda: HIDDEN, r"masked array that hides \d+ of its values.*filled\(value\)"),
        (lambda: [HIDDEN], "masked array that hides"),
        (lambda: [list(row) for row in HIDDEN], "masked array that hides"),
        (lambda: {"image": HIDDEN}, "masked array that hides"),
        (lambda: iter([HIDDEN]), "batch 0 of x: .*masked array that hides"),
        (
            lambda: [X, X],
            r"must have 1 array, for the inputs \['image'\].*as in Keras. Received: 2",
        ),
        (lambda: (X, Y), "must have 1 array.*Received: 2 arrays. Put samples into one array"),
        (lambda: list(X), "Received: 23 arrays. Put samples into one array, as np.stack does"),
        (lambda: {"imgae": X}, r"keys \['imgae'\]. Did you mean 'image'\?"),
        (dict, "one entry for each of the inputs"),
        (lambda: [[1.0] * 6, [1.0]], "is not an array"),
        (ragged, "is not an array|must hold real numbers"),
        (lambda: "images.npy", "must hold real numbers. Received: dtype <U10 .from str"),
        (lambda: b"images", r"must hold real numbers. Received: dtype \|S6 .from bytes"),
        (lambda: [["1"] * 6], "must hold real numbers. Received: dtype <U1 .from list"),
        (lambda: io.StringIO("1"), "must hold real numbers.*from StringIO"),
        (lambda: io.BytesIO(b"1"), "must hold real numbers.*from BytesIO"),
        (lambda: frame(X).astype(str), "must hold real numbers. Received: dtype"),
        (lambda: {1.0, 2.0}, "must hold real numbers.*from set"),
        (lambda: {"a": X}.values(), "must hold real numbers.*from dict_values"),
        (lambda: keras.Input((6,)), "is not an array"),
        (lambda: object(), "must hold real numbers.*from object"),
    ],
)
def test_look_alikes(x, match, model, spiking):
    for run in (
        lambda: spiking.predict(x(), STEPS),
        lambda: spiking.verify(x()),
        lambda: kconvert.convert(model, calibration=x()),
    ):
        with pytest.raises(InputError, match=match):
            run()


def test_labels_behind_a_mask(spiking):
    with pytest.raises(InputError, match=r"y for the output .* is a masked array that hides 1 of"):
        spiking.evaluate(X, np.ma.masked_equal(Y[:23], Y[0])[[0] + [1] * 22], STEPS)
