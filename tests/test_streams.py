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
    found, wanted = spiking.evaluate(make(X, Y), n_steps=STEPS), spiking.evaluate(X, Y, STEPS)
    for field in wanted.__slots__:
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


def test_metrics_that_batches_cannot_tell(spiking, monkeypatch):
    rmse = [keras.metrics.RootMeanSquaredError(name="rmse")]
    with pytest.raises(InputError, match=r"the metrics \['rmse'\] are no means.*as arrays"):
        spiking.evaluate(Batches(X, X[:, :3]), n_steps=STEPS, metrics=rmse)
    with pytest.raises(InputError, match="to use sample_weight, give arrays"):
        spiking.evaluate(Batches(X, Y), n_steps=STEPS, sample_weight=np.ones(23))
    monkeypatch.setattr(streams, "SAMPLES", 1000)  # then it is one run
    found = spiking.evaluate(Batches(X, X[:, :3]), n_steps=STEPS, metrics=rmse)
    assert found.metrics.keys() == {"rmse"}


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
    with pytest.raises(InputError, match="tune: leave y out where x is a generator"):
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
    predict = type(spiking).predict

    def watched(self, x, *arguments, **keywords):
        if isinstance(x, dict):
            seen.append(len(x["image"]))
        return predict(self, x, *arguments, **keywords)

    monkeypatch.setattr(type(spiking), "predict", watched)
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
        (lambda: dataset(X).repeat(), "x goes on for ever.*dataset.take"),
        (Endless, "x goes on for ever"),
        (unbatched, r"batch 0 of x: .*Received: \(6,\). This is one sample: add a batch"),
        (lambda: generator(BROKEN), r"samples 14 to 22 of x, counted from 14: .*in sample 3"),
        (lambda: iter([X, "b"]), "batch 1 of x: x for the input 'image' must hold real numbers"),
        (lambda: iter([X, 1.0]), r"batch 1 of x: .*must have the shape \(n, 6\)"),
        (lambda: iter([(X, Y, Y, Y)]), "must be x, .*Received: 4 parts"),
        (lambda: iter([(X, {"end": Y})]), "batch 0 of x: y must be the labels of one output"),
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
    with pytest.raises(InputError, match=r"y must be left out where x is a generator.*n_steps=30"):
        spiking.evaluate(generator(X, Y), Y, STEPS)
    with pytest.raises(InputError, match="x yields no labels"):
        spiking.evaluate(iter([(X, Y), X]), n_steps=STEPS)
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
