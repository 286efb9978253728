from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(autouse=True)
def fresh_names_and_seed():
    """Keras counts layer names through the process; tests that name layers start from zero."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
