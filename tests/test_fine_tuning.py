"""``fine_tune``: training runs the network that the result converts to, spike for spike."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.fine_tuning import _trainer
from kconvert.layers import RateLIF, SpikingAware
from kconvert.options import read_options
from kconvert.preparation import prepare

LOSS = "sparse_categorical_crossentropy"
ENDS = {"activation": "softmax", "name": "classes"}


def dense(activation="relu", ends=ENDS) -> keras.Model:
    activations = [L.Activation(activation) if isinstance(activation, str) else activation]
    return keras.Sequential([keras.Input((6,)), L.Dense(24), *activations, L.Dense(3, **ends)])


def residual() -> keras.Model:
    """Batch normalisation, a maximum, a sum, groups, padding, several kinds of ReLU."""
    image = keras.Input((8, 7, 2), name="image")
    x = L.BatchNormalization()(L.Conv2D(6, 3, padding="same", use_bias=False)(image))
    x = L.MaxPooling2D(2, padding="same")(L.ReLU(name="first")(x))
    y = L.Conv2D(6, 3, padding="same", groups=2, activation="relu", name="grouped")(x)
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=1)(y)
    x = L.ReLU(6.0)(L.Add()([x, y]))
    x = L.AveragePooling2D(2, padding="same")(x)
    x = L.Conv2DTranspose(3, 2, strides=2, activation="relu6")(x)
    x = L.Concatenate()([x, L.ZeroPadding2D(((0, 0), (0, 1)))(L.Cropping2D(((0, 0), (0, 1)))(x))])
    x = L.Permute((2, 1, 3))(x)
    return keras.Model(image, L.Dense(3, **ENDS)(L.Flatten()(x)))


def nested() -> keras.Model:
    """A model in the model, and one layer of neurons that is called twice."""
    relu = L.ReLU(name="relu")
    inner_in = keras.Input((9,))
    inner = keras.Model(inner_in, L.ReLU(name="own")(L.Dense(8)(inner_in)), name="inner")
    x = keras.Input((6,), name="left")
    z = keras.Input((4,), name="right")
    y = inner(relu(L.Dense(9)(L.Concatenate()([x, z]))))
    y = relu(L.Dense(9)(y))
    outputs = {"a": L.Dense(3, activation="softmax", name="a")(y), "b": L.Dense(1, name="b")(y)}
    return keras.Model({"left": x, "right": z}, outputs)


def lif() -> keras.Model:
    image = keras.Input((6, 6, 1))
    x = RateLIF(max_rate=250.0, amplitude=0.02, noise=10.0, name="lif")(L.Conv2D(5, 3)(image))
    x = RateLIF(max_rate=150.0, smoothing=0.0)(L.Dense(7)(L.Flatten()(x)))
    return keras.Model(image, L.Dense(3, **ENDS)(x))


def shifted() -> keras.Model:
    """Offsets in front of layers of weights, which conversion merges into them."""
    rescaled = L.Rescaling(0.5, offset=-0.25)
    stack = [
        L.Conv2D(5, 3),
        L.ReLU(),
        L.BatchNormalization(),
        L.Conv2D(4, 2),
        L.ReLU(),
        L.Flatten(),
    ]
    ends = [L.BatchNormalization(), L.Dense(3, **ENDS)]
    return keras.Sequential([keras.Input((6, 6, 1)), rescaled, *stack, *ends])


def compiled(model: keras.Model, **settings) -> keras.Model:
    model.compile("adam", **({"loss": LOSS, "metrics": ["accuracy"]} | settings))
    return model


def data(model: keras.Model, n: int = 48):
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal((n, *tensor.shape[1:])).astype("float32") for tensor in model.inputs
    ]
    x = dict(zip(("left", "right"), arrays, strict=True)) if len(arrays) > 1 else arrays[0]
    return x, rng.integers(0, 3, n)


def task(n: int = 600, seed: int = 1):
    """Classes that a small network learns: the largest of three sums."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 6)).astype("float32")
    return x, (x[:, :3] + 0.5 * x[:, 3:]).argmax(axis=1)


@pytest.mark.parametrize(
    ("build", "spike_values"),
    [(residual, "binary"), (nested, "ternary"), (lif, "binary"), (shifted, "ternary")],
)
def test_training_runs_the_network_that_the_result_converts_to(build, spike_values, tmp_path):
    model = randomized(build())
    losses = {"a": LOSS, "b": "mse"} if build is nested else LOSS
    metrics = (
        {"a": ["accuracy"]} if build is nested else [keras.metrics.SparseCategoricalAccuracy()]
    )
    compiled(model, loss=losses, metrics=metrics)
    x, y = data(model)
    y = {"a": y, "b": y.astype("float32")[:, None]} if build is nested else y
    before = [each.copy() for each in model.get_weights()]
    config = model.to_json()
    tuned = kconvert.fine_tune(
        model, x, y, n_steps=5, spike_values=spike_values, epochs=1, verbose=0, learning_rate=1e-3
    )
    # The user's model is as it was; every kernel of the result has moved.
    assert model.to_json() == config
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    for old, variable in zip(before, tuned.weights, strict=True):
        if "kernel" in variable.path:
            assert not np.array_equal(old, keras.ops.convert_to_numpy(variable)), variable.path

    # Spike for spike: both are float32 and add up in another order, so that of a few thousand
    # neurons a spike may fall on either side of its threshold.
    spiking = kconvert.convert(tuned)
    trainer, untrained = _trainer(tuned, spiking, prepare(model, read_options()).reading, 5)
    assert not untrained
    wanted = keras.tree.flatten(trainer.predict(x, verbose=0))
    found = keras.tree.flatten(spiking.predict(x, 5))
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.ptp(theirs, axis=0).max() > 0.01
        same = np.isclose(ours, theirs, rtol=1e-4, atol=1e-5).reshape(len(ours), -1).all(axis=1)
        assert same.mean() > 0.9
    for node in spiking.graph.neurons():
        assert node.op.max_spikes == 1
        assert getattr(node.op, "signed", False) == (spike_values == "ternary")

    # Saved and loaded it is the same network, and the rate network is Keras'.
    tuned.save(tmp_path / "tuned.keras")
    loaded = keras.models.load_model(tmp_path / "tuned.keras")
    again = kconvert.convert(loaded)
    for one, other in zip(found, keras.tree.flatten(again.predict(x, 5)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.verify(x).passed, str(again.verify(x))


@pytest.mark.parametrize("activation", ["relu", "lif"])
def test_the_loss_of_conversion_falls(activation):
    """Two steps, of which the read-out sees one: a network of zeros and ones."""
    model = compiled(dense(RateLIF(max_rate=200.0) if activation == "lif" else activation))
    model.optimizer.learning_rate = 0.01
    x, y = task()
    model.fit(x, y, epochs=20, verbose=0)
    unseen = task(1000, seed=2)
    calibration = kconvert.Calibration(x[:100], n_steps=2)
    free = kconvert.convert(model, calibration=calibration, spike_values="binary")
    before = free.evaluate(*unseen, 2)
    tuned = kconvert.fine_tune(
        model, x, y, n_steps=2, epochs=8, learning_rate=0.01, verbose=0, seed=0
    )
    after = kconvert.convert(tuned).evaluate(*unseen, 2)
    lost, left = (before.reference_accuracy - each.accuracy for each in (before, after))
    assert lost > 0.05
    assert left < 0.75 * lost
    assert tuned.history.history["loss"][-1] < tuned.history.history["loss"][0]


def test_a_result_can_be_trained_on():
    x, y = task(200)
    model = compiled(dense())
    settings = {"n_steps": 3, "epochs": 1, "verbose": 0}
    tuned = kconvert.fine_tune(model, x, y, **settings)
    more = kconvert.fine_tune(tuned, x, y, **settings)
    [first], [second] = (
        [layer for layer in each.layers if isinstance(layer, SpikingAware)]
        for each in (tuned, more)
    )
    assert second.amplitude == first.amplitude
    assert not np.array_equal(tuned.get_weights()[0], more.get_weights()[0])
    with pytest.raises(kconvert.InputError, match="was trained with spike_values='binary'"):
        kconvert.fine_tune(tuned, x, y, spike_values="ternary", **settings)


def test_a_stream_of_batches_and_validation(rng):
    x, y = task(64)
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return batches[index]

    tuned = kconvert.fine_tune(
        compiled(dense()), Batches(), n_steps=2, epochs=2, verbose=0, validation_data=(x, y)
    )
    history = tuned.history.history
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    # Validation is by spikes: what the converted network is right at.
    found = kconvert.convert(tuned).evaluate(x, y, 2).accuracy
    assert history["val_accuracy"][-1] == pytest.approx(found, abs=1 / 64)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # TensorFlow, through warns
def test_weights_that_cannot_be_trained_are_told():
    """Two normalisations in a row become one, which has no shift of a single layer."""
    names = [L.BatchNormalization(name="one"), L.BatchNormalization(name="two")]
    model = keras.Sequential([keras.Input((6,)), L.Dense(8), L.ReLU(), *names, L.Dense(3, **ENDS)])
    x, y = task(32)
    with pytest.warns(UserWarning, match="'one/beta', 'two/beta' stay as they are") as told:
        tuned = kconvert.fine_tune(compiled(model), x, y, n_steps=3, epochs=1, verbose=0)
    [warning] = [each for each in told if "stay as they are" in str(each.message)]
    assert warning.filename == __file__
    kernels = [tuned.layers[index].get_weights()[0] for index in (0, -1)]
    before = [model.layers[index].get_weights()[0] for index in (0, -1)]
    for old, now in zip(before, kernels, strict=True):
        assert not np.array_equal(old, now)


def aware(**settings) -> keras.Model:
    return dense(SpikingAware(L.ReLU(), n_steps=4, amplitude=0.002, phase=0.5, **settings))


def test_convert_takes_over_what_the_layer_says():
    layer = SpikingAware(
        L.ReLU(6.0), n_steps=4, amplitude=0.004, dt=0.002, phase=0.25, spike_values="ternary"
    )
    model = dense(layer)
    x = np.linspace(-1, 8, 10, dtype="float32")[None]
    np.testing.assert_allclose(layer(x), np.clip(x, 0, 2))
    spiking = kconvert.convert(model)
    [node] = spiking.graph.neurons()
    assert (node.op.gain, node.op.amplitude, node.op.max_spikes) == (250.0, 0.004, 1)
    assert (node.op.initial_voltage, node.op.signed, node.op.synapse) == (0.25, True, None)
    assert node.op.min_voltage == -np.inf
    assert spiking.graph.calibrated_dt == 0.002
    assert spiking.read_outs == {"classes": kconvert.Window(growing=True)}
    changed = kconvert.convert(model, initial_voltage=0.0, output_synapse=0.1)
    assert changed.graph.neurons()[0].op.initial_voltage == 0
    assert kconvert.convert(aware(spike_values="binary")).graph.neurons()[0].op.signed is False


ERRORS = [
    ({"n_steps": 1}, "n_steps must be an integer >= 2"),
    ({"n_steps": 4, "spike_values": "graded"}, "spike_values must be 'binary' or 'ternary'"),
    ({"n_steps": 4, "spike_values": "binry"}, "Did you mean 'binary'"),
    ({"n_steps": 4, "learning_rate": 0}, "learning_rate must be a number > 0"),
    ({"n_steps": 4, "epochs": 0}, "epochs must be an integer >= 1"),
    ({"n_steps": 4, "epoch": 3}, "Did you mean 'epochs'"),
    ({"n_steps": 4, "y": None}, "y is missing"),
]


@pytest.mark.parametrize(("settings", "message"), ERRORS)
def test_bad_arguments(settings, message):
    x, y = task(8)
    with pytest.raises(kconvert.InputError, match=message):
        kconvert.fine_tune(compiled(dense()), x, **({"y": y, "verbose": 0} | settings))


def softplus_like() -> keras.Model:
    x = keras.Input((6,))
    y = L.LeakyReLU(name="leaky")(L.Dense(4)(x))
    y = keras.ops.relu(L.Dense(4)(y))
    return keras.Model(x, L.Dense(3)(y))


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (lambda: dense(), {}, "is not compiled with a loss"),
        (lambda: compiled(softplus_like()), {}, "2 problems"),
        (lambda: compiled(softplus_like()), {}, "'leaky'.*ReLU without slope"),
        (
            lambda: compiled(dense(RateLIF())),
            {"spike_values": "ternary"},
            "LIF neurons send 0 or 1",
        ),
        (lambda: compiled(dense("sigmoid")), {}, "Sigmoid"),
        (lambda: compiled(dense("linear")), {}, "has no neurons"),
    ],
)
def test_models_that_cannot_be_fine_tuned(model, settings, message):
    x, y = task(8)
    with pytest.raises(kconvert.KconvertError, match="(?s)" + message):
        kconvert.fine_tune(model(), x, y, n_steps=3, verbose=0, **settings)


def half_aware() -> keras.Model:
    model = dense(SpikingAware(L.ReLU(), n_steps=4, amplitude=0.002, spike_values="binary"), {})
    return keras.Sequential([keras.Input((6,)), *model.layers, L.ReLU(name="plain")])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: aware(spike_values="graded"), "spike_values must be None, 'binary' or 'ternary'"),
        (
            lambda: SpikingAware(RateLIF(), n_steps=2, spike_values="ternary"),
            "LIF neurons send 0 or 1",
        ),
        (
            lambda: SpikingAware(L.LeakyReLU(), n_steps=2, amplitude=1.0, spike_values="binary"),
            "must be a RateLIF, a ReLU without slope",
        ),
        (
            lambda: kconvert.convert(aware(spike_values="binary"), calibration=np.ones((4, 6))),
            "Leave calibration out",
        ),
        (lambda: kconvert.convert(half_aware()), "'plain' .*: it does not say how"),
    ],
)
def test_bad_layers(make, message):
    with pytest.raises(kconvert.KconvertError, match=message):
        make()
