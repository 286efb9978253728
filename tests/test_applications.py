"""Whole models of keras.applications. All of them: ``python -m pytest -m slow``."""

from __future__ import annotations

import keras
import pytest
from applications import SETTINGS, SIZES, TOLERANCE, build

import kconvert

FAST = ("MobileNetV2", "ResNet50V2")
MODELS = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in SIZES]


@pytest.mark.parametrize("name", MODELS)
def test_rate_network_equals_keras(name):
    model, images = build(name, SIZES[name])
    options = SETTINGS.get(name, {})
    assert kconvert.check(model, **options)
    spiking = kconvert.convert(model, calibration=False, **options)
    simulator = "nengo_dl" if options else "nengo"
    result = spiking.verify(images[:2], simulator=simulator, tolerance=TOLERANCE)
    assert result.passed, str(result)


def test_efficientnet_says_what_it_needs():
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=4)
    problems = [row for row in kconvert.check(model) if row.status != "native" and row.fix]
    assert {row.layer_class for row in problems} == {
        "Activation",
        "Conv2D",
        "Multiply",
    }
    assert all(row.status == "needs flag" for row in problems)
