"""The reference CNN with its committed weights, on real digits it was not trained on."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from reference import (
    N_TRAIN,
    PLAN,
    QUICK,
    Answered,
    Digits,
    _training_model,
    _without_normalization,
    build_model,
    distorted,
    error,
    imitation,
    load_model,
    occluded,
    stroked,
    train,
)

import kconvert


def test_split(digits):
    """4,000 and 1,000 digits, no image in both, every class in both."""
    assert digits.x_train.shape == (N_TRAIN, 28, 28, 1)
    assert digits.x_test.shape == (1000, 28, 28, 1)
    train = {image.tobytes() for image in digits.x_train}
    assert not any(image.tobytes() in train for image in digits.x_test)
    for labels in (digits.y_train, digits.y_test):
        assert set(labels.tolist()) == set(range(10))
    assert 0 <= digits.x_test.min() < digits.x_test.max() == 1.0


def test_keras_error(digits):
    assert error(load_model(), digits.x_test, digits.y_test) <= 2.0
    assert error(build_model(), digits.x_test, digits.y_test) > 70.0


def test_size():
    spiking = kconvert.convert(build_model())
    assert sum(ensemble.n_neurons for ensemble in spiking.net.ensembles) == 71_296
    assert build_model().count_params() == 124_682


@pytest.mark.parametrize("simulator", ["nengo", "nengo_dl"])
def test_rates_are_keras(simulator):
    result = kconvert.convert(load_model()).verify(simulator=simulator)
    assert result.max_difference <= 1e-5, str(result)
    assert len(result.layers) == 8


def test_spikes_keep_the_class(digits):
    """At 30 steps of the defaults; one digit in a hundred may be another's."""
    spiking = kconvert.convert(load_model())
    result = spiking.evaluate(digits.x_test[:100], digits.y_test[:100], 30)
    assert result.agreement_per_step[-1] >= 0.98
    assert result.accuracy >= result.reference_accuracy - 0.01
    assert result.agreement_per_step[0] < 0.5  # at the first step nothing has arrived yet


def test_simulators_agree_spike_by_spike(digits):
    """float32 against float64, 3 digits x 30 steps."""
    spiking = kconvert.convert(load_model())
    core = spiking.simulate(digits.x_test[:3], 30, simulator="nengo", spikes=True)
    fast = spiking.simulate(digits.x_test[:3], 30, simulator="nengo_dl", spikes=True)
    for layer, spikes in core.spikes.items():
        assert spikes.sum() > 10_000
        # Where a voltage meets the threshold to seven digits, a spike falls a step apart.
        assert np.count_nonzero(spikes != fast.spikes[layer]) <= 1e-3 * spikes.sum(), layer


def test_normalization_becomes_part_of_the_convolutions(digits):
    keras.utils.set_random_seed(0)
    trained = _training_model(PLAN.stages[-1])
    rng = np.random.default_rng(0)
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, each.shape) for each in layer.get_weights()])
    x = digits.x_test[:8]
    expected = trained.predict(x, verbose=0)
    found = _without_normalization(trained).predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_training_changes_digits_and_keeps_them_images(digits):
    x = digits.x_train[:40]
    for change in (distorted, stroked, occluded):
        found, again = (change(x, np.random.default_rng(1)) for _ in range(2))
        assert found.shape == x.shape and found.dtype == np.float32
        assert 0.0 <= found.min() <= found.max() <= 1.0
        np.testing.assert_array_equal(found, again)
        assert not np.array_equal(found, x)
        # Still the digit: nearer to it than to the one after it, for nearly all.
        own = np.square(found - x).sum(axis=(1, 2, 3))
        other = np.square(found - np.roll(x, 1, axis=0)).sum(axis=(1, 2, 3))
        assert (own < other).mean() > 0.8, change.__name__


def test_training_gives_the_reference_cnn(digits):
    """A few digits and an epoch of each part; the same layers, with other weights."""
    few = Digits(digits.x_train[:100], digits.y_train[:100], digits.x_test, digits.y_test)
    model = train(QUICK._replace(stages=QUICK.stages[-1:]), few)
    keras.utils.set_random_seed(0)
    fresh = build_model()
    assert [layer.name for layer in model.layers] == [layer.name for layer in fresh.layers]
    for found, first in zip(model.trainable_variables, fresh.trainable_variables, strict=True):
        assert found.shape == first.shape
        assert np.isfinite(found).all()
    assert np.abs(model.predict(digits.x_test[:8], verbose=0)).max() > 0


def test_the_answers_are_the_mean_probabilities_of_the_teachers(digits):
    few = Digits(digits.x_train[:100], digits.y_train[:100], digits.x_test, digits.y_test)
    teachers = [build_model(), build_model()]
    images, targets = Answered(few, teachers, changes=2, seed=0)[0]
    mean = sum(keras.ops.softmax(each.predict(images, verbose=0)) for each in teachers) / 2
    np.testing.assert_allclose(np.exp(targets), mean, atol=1e-5)
    # Nothing is left to learn where the answers are the same, up to a constant.
    logits = keras.ops.convert_to_tensor(targets)
    best = np.asarray(imitation(logits, logits + 3.0))
    assert (best <= np.asarray(imitation(logits, 0.9 * logits)) + 1e-6).all()
