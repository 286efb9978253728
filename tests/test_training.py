"""Fine-tuning the emitted network in NengoDL, and the way back into Keras."""

from __future__ import annotations

import warnings

import keras
import nengo
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.bridge import nengo_dl
from kconvert.layers import RateLIF


def model() -> keras.Model:
    x = keras.Input((6, 5, 2), name="image")
    y = L.Conv2D(4, (3, 2), use_bias=False, name="conv")(x)
    y = L.BatchNormalization(name="norm")(y)
    y = RateLIF(max_rate=200.0, name="lif")(y)
    y = L.Conv2D(3, 2, strides=(1, 2), name="conv2", activation="relu")(y)
    y = L.Dense(4, activation="relu", name="pointwise")(y)
    y = L.Flatten()(y)
    y = L.Dense(7, name="hidden")(y)
    y = RateLIF(name="lif2")(y)
    return randomized(keras.Model(x, L.Dense(3, activation="softmax", name="end")(y)))


@pytest.fixture
def data(rng):
    x = rng.standard_normal((40, 6, 5, 2)).astype(np.float32)
    return x, rng.integers(0, 3, 40)


def fit(spiking: kconvert.SpikingModel, x, y, epochs: int) -> tuple[list[float], object]:
    import tf_keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sim = nengo_dl.Simulator(spiking.net, minibatch_size=20, progress_bar=False)
    probe = spiking.raw_outputs["end"]
    sim.compile(
        optimizer=tf_keras.optimizers.RMSprop(0.01),
        loss={probe: _cross_entropy()},
    )
    [node] = spiking.inputs.values()
    inputs = {node: x.reshape(len(x), 1, -1)}
    if epochs == 0:
        return [], sim
    history = sim.fit(inputs, {probe: y.reshape(-1, 1, 1)}, epochs=epochs, verbose=0)
    return history.history["loss"], sim


@pytest.mark.parametrize("train_biases", [False, True])
def test_trained_weights_come_back(data, train_biases):
    x, y = data
    original = model()
    before = original.get_weights()
    spiking = kconvert.convert(original, synapse=None, train_biases=train_biases, calibration=False)
    losses, sim = fit(spiking, x, y, 15)
    assert losses[-1] < 0.8 * losses[0]
    with sim:
        spiking.update_from(sim)
    back = spiking.to_keras()

    # The user's own model is left alone.
    for old, now in zip(before, original.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)

    # The same function in Keras and in the updated network, value by value.
    assert spiking.verify(x).passed, str(spiking.verify(x))
    assert spiking.verify(simulator="nengo").passed
    probabilities = back.predict(x, verbose=0)
    np.testing.assert_array_equal(probabilities, spiking.keras_model.predict(x, verbose=0))
    assert np.abs(probabilities - original.predict(x, verbose=0)).max() > 0.05

    moved = {
        variable.path: not np.array_equal(old, keras.ops.convert_to_numpy(variable))
        for old, variable in zip(before, back.weights, strict=True)
    }
    assert moved["conv/kernel"]
    assert moved["conv2/kernel"]
    assert moved["pointwise/kernel"]
    assert moved["hidden/bias"]
    assert moved["end/bias"]
    assert moved["norm/beta"] == train_biases
    assert moved["conv2/bias"] == train_biases
    assert not moved["norm/gamma"]
    assert not moved["norm/moving_mean"]


@pytest.mark.parametrize("calibrated", [False, True])
def test_keras_computes_what_nengo_dl_trained(calibrated, data):
    """The loss that the trained simulator reports in training mode is Keras' loss."""
    x, y = data
    # Corrections are for spikes: with them the rates that NengoDL trains are not Keras'.
    how = {"calibration": x, "min_voltage": None, "correction": None}
    settings = how if calibrated else {}
    spiking = kconvert.convert(model(), synapse=None, train_biases=True, **settings)
    balanced = [decision.layer for decision in spiking.decisions if decision.kind == "balanced"]
    assert balanced == (["conv2", "pointwise"] if calibrated else [])
    _, sim = fit(spiking, x, y, 3)
    with sim:
        spiking.update_from(sim)
        # A last epoch without learning: its loss is that of the weights as they are.
        inputs = {spiking.inputs["image"]: x.reshape(40, 1, -1)}
        sim.compile(optimizer=_still(), loss={spiking.raw_outputs["end"]: _cross_entropy()})
        targets = {spiking.raw_outputs["end"]: y.reshape(-1, 1, 1)}
        loss = sim.fit(inputs, targets, verbose=0).history["loss"][-1]
    probabilities = spiking.to_keras().predict(x, verbose=0)
    expected = -np.log(probabilities[np.arange(40), y]).mean()
    # float32 sums over 40 samples
    assert loss == pytest.approx(expected, rel=1e-5)


def _still():
    import tf_keras

    return tf_keras.optimizers.SGD(0.0)


def _cross_entropy():
    import tf_keras

    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize("calibrated", [False, True])
def test_untrained_weights_come_back_to_the_bit(calibrated, data):
    x, y = data
    original = model()
    settings = {"calibration": x, "correction": None} if calibrated else {}
    spiking = kconvert.convert(original, synapse=None, train_biases=True, **settings)
    _, sim = fit(spiking, x, y, 0)
    with sim:
        spiking.update_from(sim)
    for old, new in zip(original.get_weights(), spiking.to_keras().get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_dense_kernels_come_back_to_the_bit(data):
    x, y = data
    spiking = kconvert.convert(model(), synapse=None, calibration=False)
    _, sim = fit(spiking, x, y, 2)
    with sim:
        kernel = sim.data[spiking.layers["hidden"]].weights.T
        spiking.update_from(sim)
    np.testing.assert_array_equal(spiking.to_keras().get_layer("hidden").get_weights()[0], kernel)


def test_spikes_use_the_trained_weights(data):
    x, y = data
    spiking = kconvert.convert(model(), synapse=None, calibration=False)
    before = spiking.predict(x, 10)
    _, sim = fit(spiking, x, y, 5)
    with sim:
        spiking.update_from(sim)
    after = spiking.predict(x, 10)
    assert np.abs(after - before).max() > 1e-3
    again = kconvert.convert(spiking.to_keras(), synapse=None, calibration=False).predict(x, 10)
    # The same weights to float32 rounding, which may move single spikes.
    assert np.mean(np.abs(again - after) > 1e-4) < 0.05


def test_shared_layers_are_not_trained():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = L.Dense(3, name="shared")
    two = keras.Model([a, b], [L.ReLU(name="p")(shared(a)), L.ReLU(name="q")(shared(b))])
    spiking = kconvert.convert(two, calibration=False)
    frozen = [spiking.net.config[connection].trainable for connection in spiking.net.connections]
    assert frozen == [False] * 4  # both calls, and the way through the synapses to the outputs
    assert any("called more than once" in decision.text for decision in spiking.decisions)


def test_what_keras_has_frozen_stays_frozen(data):
    x, y = data
    original = model()
    original.get_layer("hidden").trainable = False
    spiking = kconvert.convert(original, synapse=None, train_biases=True, calibration=False)
    assert [d.layer for d in spiking.decisions if "not trainable in Keras" in d.text] == [
        "hidden"
    ] * 2
    _, sim = fit(spiking, x, y, 2)
    with sim:
        spiking.update_from(sim)
    before, after = original.get_layer("hidden"), spiking.to_keras().get_layer("hidden")
    for old, new in zip(before.get_weights(), after.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_inputs_without_a_name(data):
    """Keras gives the inputs of a clone other names."""
    x, y = data
    image = keras.Input((6, 5, 2))
    end = L.Dense(3, name="end")(L.Flatten()(RateLIF()(L.Conv2D(4, 2)(image))))
    original = randomized(keras.Model(image, end))
    spiking = kconvert.convert(original, synapse=None, calibration=False)
    [name] = spiking.inputs
    _, sim = fit(spiking, x, y, 1)
    with sim:
        spiking.update_from(sim)
    assert spiking.verify(simulator="nengo").passed
    assert spiking.predict(x, 2).shape == (40, 3)
    assert spiking.evaluate(x, y, 2).reference_accuracy is not None
    assert list(kconvert.convert(spiking.to_keras(), calibration=False).inputs) == [name]


def test_dilated_kernels_are_not_trained(data):
    """NengoDL would train the zeros between their values, which Keras has no place for."""
    x, y = data
    stack = [L.Conv2D(4, 2, dilation_rate=2), RateLIF(), L.Flatten(), L.Dense(3, name="end")]
    original = randomized(keras.Sequential([keras.Input((6, 5, 2), name="image"), *stack]))
    spiking = kconvert.convert(original, synapse=None, calibration=False)
    _, sim = fit(spiking, x, y, 2)
    with sim:
        spiking.update_from(sim)
    # What NengoDL does not train is known once the network was built.
    assert any("zeros written out" in decision.text for decision in spiking.decisions)
    before, after = original.get_weights(), spiking.to_keras().get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])


def test_clone_before_any_training(rng):
    original = model()
    clone = kconvert.convert(original, calibration=False).to_keras()
    assert clone is not original
    x = rng.standard_normal((3, 6, 5, 2))
    np.testing.assert_array_equal(clone.predict(x, verbose=0), original.predict(x, verbose=0))


def test_wrong_simulators():
    spiking, other = (
        kconvert.convert(model(), calibration=False),
        kconvert.convert(model(), calibration=False),
    )
    with pytest.raises(kconvert.InputError, match=r"takes a nengo_dl.Simulator"):
        spiking.update_from(None)
    with (
        nengo.Simulator(spiking.net, progress_bar=False) as sim,
        pytest.raises(kconvert.InputError, match=r"takes a nengo_dl.Simulator"),
    ):
        spiking.update_from(sim)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sim = nengo_dl.Simulator(other.net, progress_bar=False)
    with sim, pytest.raises(kconvert.InputError, match="built from another network"):
        spiking.update_from(sim)
    with pytest.raises(kconvert.InputError, match="the simulator is closed"):
        other.update_from(sim)


def test_a_bias_along_the_wrong_axis_is_not_trained(data):
    """Where Keras adds it along the last axis, a correction holds that is made of its value."""
    x, y = data
    depthwise = L.DepthwiseConv2D((2, 5), data_format="channels_first", name="depthwise")
    stack = [L.Permute((3, 2, 1)), depthwise, L.ReLU(), L.Flatten(), L.Dense(3, name="end")]
    original = randomized(keras.Sequential([keras.Input((6, 5, 2), name="image"), *stack]))
    spiking = kconvert.convert(original, synapse=None, train_biases=True, calibration=False)
    assert any(d.kind == "bias" and "not trained" in d.text for d in spiking.decisions)
    _, sim = fit(spiking, x, y, 2)
    with sim:
        spiking.update_from(sim)
    before, after = original.get_weights(), spiking.to_keras().get_weights()
    np.testing.assert_array_equal(before[1], after[1])
    assert not np.array_equal(before[0], after[0])
    result = spiking.verify(simulator="nengo")
    assert result.passed, str(result)
