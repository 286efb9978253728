"""Memory does not grow with the samples, beyond what is given back, nor from run to run."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import keras
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.layers import RateLIF

pytestmark = pytest.mark.usefixtures("two_threads")
CLASSES, STEPS = 50, 40
SAMPLE = CLASSES * STEPS * 4
"""Bytes of a sample's outputs at every step in float32: what must not be kept."""
FEW = {"events": 40, "nengo": 4, "nengo_dl": 8}
SETTINGS = {"events": {"batch_size": 2}, "nengo": {}, "nengo_dl": {"batch_size": 4}}


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(20), RateLIF(max_rate=200.0, name="lif"), L.Dense(CLASSES)]
    )
    return kconvert.convert(randomized(model), calibration=False)


def peak(run) -> int:
    """Most bytes that Python and NumPy hold during a call, beyond those before it."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def growth(run, few: int) -> float:
    """Bytes that each of many more samples adds to the peak."""
    run(few)  # what is built once
    return (peak(lambda: run(5 * few)) - peak(lambda: run(few))) / (4 * few)


@pytest.mark.parametrize("simulator", FEW)
@pytest.mark.parametrize("on_interrupt", ["raise", "return"])
def test_a_run_keeps_nothing_of_a_sample(spiking, simulator, on_interrupt, rng, monkeypatch):
    # The outputs of a share are held until it is judged: here of no more samples than are compared.
    monkeypatch.setattr("kconvert.jobs.shares.MOST", 2)
    few = FEW[simulator]
    x, y = rng.standard_normal((5 * few, 6)), rng.integers(0, CLASSES, 5 * few)
    how = {"simulator": simulator, "on_interrupt": on_interrupt, **SETTINGS[simulator]}
    # A sample's input, classes and outputs of Keras and of the last step: some hundred numbers, a
    # tenth of what is kept wrongly. The pieces that threads have at a time differ a little.
    predicted = growth(lambda n: spiking.predict(x[:n], STEPS, **how), few)
    assert predicted < SAMPLE / 2
    evaluated = growth(lambda n: spiking.evaluate(x[:n], y[:n], STEPS, **how), few)
    assert evaluated < SAMPLE / 2


@pytest.mark.parametrize("simulator", FEW)
def test_a_run_keeps_what_it_gives_back(spiking, simulator, rng):
    few = FEW[simulator]
    x = rng.standard_normal((5 * few, 6))
    how = {"simulator": simulator, "spikes": True, **SETTINGS[simulator]}
    given = 2 * SAMPLE + 20 * STEPS  # outputs in float64, and a byte for a neuron and step
    grown = growth(lambda n: spiking.simulate(x[:n], STEPS, **how), few)
    assert 0.9 * given < grown < given + SAMPLE / 2


@pytest.mark.parametrize("simulator", FEW)
def test_nothing_is_left_of_a_run(spiking, simulator, rng):
    x = rng.standard_normal((FEW[simulator], 6))
    how = {"simulator": simulator, **SETTINGS[simulator]}

    def run(times: int) -> None:
        for _ in range(times):
            spiking.predict(x, STEPS, **how)

    run(2)
    tracemalloc.start()
    try:
        run(1)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        run(5)
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # Some hundred numbers a run that TensorFlow keeps; the chunks of five runs were 200 kB.
    assert left < 100_000


CODE = """
import resource
import sys

import keras
import numpy as np

import kconvert

layers = [keras.Input((300,)), keras.layers.Dense(200), kconvert.layers.RateLIF(max_rate=200.0),
          keras.layers.Dense(400)]
spiking = kconvert.convert(keras.Sequential(layers))
x = np.random.default_rng(0).standard_normal((2000, 300)).astype(np.float32)
y = np.arange(2000) % 400
unit = 1 if sys.platform == "darwin" else 1024


def peak(n):
    spiking.evaluate(x[:n], y[:n], 50, batch_size=4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


peak(200)
before = peak(200)
print(peak(2000) - before)
"""


def test_the_process_does_not_grow():
    """What compiled code holds, too."""
    pytest.importorskip("resource")  # not on Windows
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_NUM_THREADS": "2"},
        cwd=Path(__file__).parent.parent,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    kept = 1800 * 400 * 50 * 4  # outputs in float32, were they held to the end
    assert int(done.stdout) < kept / 4
