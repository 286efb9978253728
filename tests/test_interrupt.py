"""Ctrl-C, at points that are set and not by the clock: what is done counts, the rest does not."""

from __future__ import annotations

import signal
import threading

import keras
import nengo
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.layers import RateLIF
from kconvert.running import loops
from kconvert.running.totals import Totals
from kconvert.simulators.events import runner

pytestmark = pytest.mark.usefixtures("two_threads", "listening")
N, STEPS = 40, 12


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    model = keras.Sequential(
        [keras.Input((6,)), L.Dense(9), RateLIF(max_rate=200.0, name="lif"), L.Dense(3)]
    )
    return kconvert.convert(randomized(model), calibration=False)


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.standard_normal((N, 6)), rng.integers(0, 3, N)


def interrupt_after(monkeypatch, chunks: int, how=None) -> None:
    """Interrupt the next run once it has had so many chunks."""

    def interrupted(source, *arguments):
        monkeypatch.undo()
        for number, chunk in enumerate(source):
            if number == chunks:
                (how or signal.raise_signal)(signal.SIGINT)
            yield chunk

    monkeypatch.setattr(loops, "track", interrupted)


def finish() -> None:
    """Wait for the threads of a run, which have been told to end."""
    for each in threading.enumerate():
        if each.name.startswith("kconvert"):
            each.join()


def runs_of(spiking, x, y):
    """Each way to run, as a function of further arguments."""
    return {
        "simulate": lambda **more: spiking.simulate(x, STEPS, **more),
        "predict": lambda **more: spiking.predict(x, STEPS, **more),
        "evaluate": lambda **more: spiking.evaluate(x, y, STEPS, **more),
    }


@pytest.mark.parametrize("chunks", [0, 3])
@pytest.mark.parametrize("way", ["simulate", "predict", "evaluate"])
def test_raise(spiking, samples, monkeypatch, way, chunks):
    run = runs_of(spiking, *samples)[way]
    interrupt_after(monkeypatch, chunks)
    with pytest.raises(KeyboardInterrupt):
        run(batch_size=4)
    finish()
    run(batch_size=4)  # and it runs again


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
def test_return_what_is_done(spiking, samples, monkeypatch, simulator):
    x, y = samples
    size = 1 if simulator == "nengo" else 2
    settings = {"simulator": simulator, "batch_size": size}
    n = 3 * size
    whole = spiking.simulate(x[:n], STEPS, spikes=True, **settings)
    score = spiking.evaluate(x[:n], y[:n], STEPS, **settings)
    settings |= {"on_interrupt": "return"}

    interrupt_after(monkeypatch, 3)
    run = spiking.simulate(x, STEPS, spikes=True, **settings)
    assert not run.complete
    finish()
    np.testing.assert_array_equal(run.outputs, whole.outputs)
    np.testing.assert_array_equal(run.spikes["lif"], whole.spikes["lif"])
    np.testing.assert_array_equal(run.steps, whole.steps)
    assert (run.n_spikes, run.rates) == (whole.n_spikes, whole.rates)
    assert run.n_operations == whole.n_operations

    interrupt_after(monkeypatch, 3)
    found = spiking.predict(x, STEPS, **settings)
    np.testing.assert_array_equal(found, whole.outputs[:, -1])

    interrupt_after(monkeypatch, 3)
    result = spiking.evaluate(x, y, STEPS, **settings)
    assert (result.n, result.complete) == (n, False)
    assert "interrupted" in str(result)
    for name in ("accuracy_per_step", "agreement_per_step", "spikes_per_step", "labels"):
        np.testing.assert_array_equal(getattr(result, name), getattr(score, name), err_msg=name)
    for name in ("reference_accuracy", "mean_steps", "p_value", "n_spikes", "rates"):
        assert getattr(result, name) == getattr(score, name), name
    assert result.interval() == score.interval()


def test_a_batch_that_is_not_done_does_not_count(spiking, samples, monkeypatch):
    """NengoDL may end within a batch: of it nothing is kept."""
    x, y = samples
    monkeypatch.setattr("kconvert.simulators.nengo_dl.CHUNK_BYTES", 4 * 8 * 6 * 4)  # 4 steps
    settings = {"simulator": "nengo_dl", "batch_size": 8}
    spiking = kconvert.convert(
        spiking.keras_model, calibration=False
    )  # whose simulator is not built yet
    first = spiking.evaluate(x[:8], y[:8], STEPS, **settings)
    interrupt_after(monkeypatch, 5)
    result = spiking.evaluate(x, y, STEPS, **settings, on_interrupt="return")
    assert (result.n, result.complete) == (8, False)
    np.testing.assert_array_equal(result.accuracy_per_step, first.accuracy_per_step)
    assert result.n_spikes == first.n_spikes


def while_running(monkeypatch):
    interrupt_after(monkeypatch, 0)


def while_building(monkeypatch):
    monkeypatch.setattr(nengo, "Simulator", lambda *_, **__: signal.raise_signal(signal.SIGINT))


def while_keras_predicts(monkeypatch):
    """The answers of Keras that evaluate compares with."""
    monkeypatch.setattr(
        kconvert.SpikingModel, "_reference_outputs", lambda *_: signal.raise_signal(signal.SIGINT)
    )


@pytest.mark.parametrize("when", [while_running, while_building, while_keras_predicts])
def test_return_before_anything_is_done(samples, spiking, monkeypatch, when):
    """A result of no samples. Warnings are errors here: NaN comes without one."""
    x, y = samples
    new = kconvert.convert(spiking.keras_model, calibration=False)
    settings = {"on_interrupt": "return", "simulator": "nengo"}
    when(monkeypatch)
    result = new.evaluate(x, y, STEPS, **settings)
    assert (result.n, result.complete) == (0, False)
    assert result.n_spikes == {"lif": 0}
    for name in ("accuracy_per_step", "agreement_per_step", "spikes_per_step"):
        value = getattr(result, name)
        assert value.shape == (STEPS,), name
        assert np.isnan(value).all(), name
    for name in ("accuracy", "reference_accuracy", "mean_steps", "p_value", "spikes_per_sample"):
        assert np.isnan(getattr(result, name)), name
    assert np.isnan([*result.interval(), *result.rates.values()]).all()
    assert list(result.rates) == ["lif"]
    assert len(result.labels) == len(result.classes) == len(result.reference_classes) == 0
    assert len(result.changed) == 0
    assert result.lost_and_gained == (0, 0)
    assert "0 samples" in str(result)
    assert "interrupted" in str(result)
    if when is while_keras_predicts:
        return
    when(monkeypatch)
    run = new.simulate(x, STEPS, spikes=True, **settings)
    assert not run.complete
    assert run.outputs.shape == (0, STEPS, 3)
    assert run.spikes["lif"].shape == (0, STEPS, 9)
    assert run.steps.shape == (0,)
    assert np.isnan(run.rates["lif"])
    when(monkeypatch)
    assert new.predict(x, STEPS, **settings).shape == (0, 3)
    monkeypatch.undo()
    assert new.evaluate(x[:2], y[:2], STEPS, **settings).complete  # and it runs again


def test_no_reference_and_nothing_done(spiking, samples, monkeypatch):
    """Input that changes in time has no reference, done or not."""
    x, y = samples
    interrupt_after(monkeypatch, 0)
    result = spiking.evaluate(x[:, None].repeat(4, axis=1), y, on_interrupt="return")
    assert result.reference_accuracy is result.agreement_per_step is result.p_value is None
    assert result.n == 0
    assert "0 samples" in str(result)


def test_a_share_is_added_up_whole(spiking, samples, monkeypatch):
    """Ctrl-C while the sums of a share are half done waits for the rest of them."""
    x, y = samples
    size = 5
    monkeypatch.setattr("kconvert.jobs.shares.MOST", size)
    expected = spiking.evaluate(x[: 2 * size], y[: 2 * size], STEPS, batch_size=size)
    add, calls = Totals.add, []

    def interrupted(totals, found):
        calls.append(found)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        add(totals, found)

    monkeypatch.setattr(Totals, "add", interrupted)
    # One thread: pieces of work are shares.
    monkeypatch.setattr(runner, "PIECES", 1)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 1)
    result = spiking.evaluate(x, y, STEPS, batch_size=size, on_interrupt="return")
    assert (result.n, len(calls)) == (2 * size, 2)
    np.testing.assert_array_equal(result.accuracy_per_step, expected.accuracy_per_step)
    np.testing.assert_array_equal(result.agreement_per_step, expected.agreement_per_step)
    np.testing.assert_array_equal(result.spikes_per_step, expected.spikes_per_step)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, "mine"])
def test_handlers_of_others(spiking, samples, handler):
    """One that ignores Ctrl-C, or does something else with it, is asked and stays."""
    x, _ = samples
    came = []
    handler = (lambda *_: came.append(1)) if handler == "mine" else handler
    signal.signal(signal.SIGINT, handler)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 1)
        assert spiking.simulate(x, STEPS, on_interrupt="return", batch_size=4).complete
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(came) == callable(handler)


def test_in_another_thread(spiking, samples):
    """Handlers are the main thread's: a run in another one leaves them alone."""
    x, _ = samples
    found = []
    thread = threading.Thread(target=lambda: found.append(spiking.predict(x, STEPS)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], spiking.predict(x, STEPS))


def test_threads_stop_within_a_sample(spiking, samples, monkeypatch):
    """Not when it is done: that would be after half a minute here."""
    x, _ = samples
    spiking.predict(x[:1], 2)  # compiles
    machine, done = runner._Loaded.run, []

    def interrupting(*arguments):
        if not done:
            # Of the process, and not of this thread, as the terminal would send it.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        done.append(0)
        done.append(machine(*arguments))

    monkeypatch.setattr(runner._Loaded, "run", interrupting)
    found = spiking.predict(x, 100_000_000, on_interrupt="return")
    assert len(found) == 0
    finish()
    assert done
    assert not any(done)  # samples that were run to their end
