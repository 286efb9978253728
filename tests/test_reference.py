"""The reference CNN with its committed weights, on real digits it was not trained on."""

from __future__ import annotations

import numpy as np
import pytest
from reference import N_TRAIN, build_model, error, load_model

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
    for layer, train in core.spikes.items():
        assert train.sum() > 10_000
        # Where a voltage meets the threshold to seven digits, a spike falls a step apart.
        assert np.count_nonzero(train != fast.spikes[layer]) <= 1e-3 * train.sum(), layer
