"""Imports are within the fixtures: the process that only hands tests to workers needs none."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np
import pytest

try:
    import fcntl
except ImportError:  # not on Windows: there each worker compiles for itself
    fcntl = None


def pytest_collection_finish() -> None:
    """What was imported stays to the end: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory) -> None:
    """Workers share out the compiling of the event simulator, and load the rest from the disk."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None or fcntl is None:
        return
    import keras

    import kconvert

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), kconvert.layers.RateLIF()])
    spiking = kconvert.convert(model)
    dtypes = ["float32", "float64"]
    for dtype in dtypes if worker.endswith("0") else reversed(dtypes):
        with Path(tmp_path_factory.getbasetemp().parent / dtype).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
            spiking.predict(np.ones((1, 2)), 1, dtype=dtype)


@pytest.fixture(scope="session")
def digits():
    """Reading them takes two seconds. No test may change them for the next."""
    from reference import load_digits

    digits = load_digits()
    for array in digits:
        array.flags.writeable = False
    return digits


@pytest.fixture
def two_threads():
    """Of the event simulator, on any machine: pieces of work are as large as tests say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("numba.config.NUMBA_NUM_THREADS", 2)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(autouse=True)
def fresh_names_and_seed():
    """Keras counts layer names through the process; tests that name layers start from zero."""
    import keras

    # Collecting garbage at every test would be most of the work.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)


@pytest.fixture
def listening() -> Iterator[None]:
    """A shell without job control starts what is in the background deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
