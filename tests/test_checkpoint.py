"""Runs that are ended in the middle go on, and give what they would have given, to the bit."""

from __future__ import annotations

import errno
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import killing
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.files import replacing
from kconvert.jobs import shares
from kconvert.jobs.checkpoint import Checkpoint, checkpoint_at
from kconvert.jobs.plain import packed

N, STEPS = 22, 7


@pytest.fixture(autouse=True)
def small_shares(monkeypatch) -> None:
    monkeypatch.setattr(shares, "MOST", 4)


def small_network() -> kconvert.SpikingModel:
    layers = [L.Dense(9, activation="relu", name="relu"), L.Dense(3, activation="softmax")]
    model = randomized(keras.Sequential([keras.Input((4,)), *layers], name="small"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(1).standard_normal((20, 4))
    return kconvert.convert(model, calibration=x, initial_voltage="uniform")


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    return small_network()


@pytest.fixture(scope="module")
def network(spiking, tmp_path_factory) -> kconvert.SpikingNetwork:
    path = tmp_path_factory.mktemp("network") / "small.kconvert"
    spiking.save(path)
    return kconvert.load(path)


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.standard_normal((N, 4)), rng.integers(0, 3, N)


class EndedError(Exception):
    """What ends a run here."""


def end_after(monkeypatch, n: int) -> None:
    """End the next run once it has saved so many results."""
    save, saved = Checkpoint.save, []

    def saving(checkpoint, name, result):
        if len(saved) == n:
            monkeypatch.setattr(Checkpoint, "save", save)
            raise EndedError
        save(checkpoint, name, result)
        saved.append(name)

    monkeypatch.setattr(Checkpoint, "save", saving)


def bits(result) -> bytes:
    """A result, such that equal means every bit of it."""
    if isinstance(result, dict):
        return packed({name: bits(each).hex() for name, each in result.items()})
    if isinstance(result, np.ndarray):
        return packed(result)
    return packed({name: getattr(result, name) for name in result.__dataclass_fields__})


def distance(y, outputs):
    return np.abs(outputs[:, 0] - y)


def batches(x, y, size=6):
    return ((x[k : k + size], y[k : k + size]) for k in range(0, len(x), size))


RUNS = {
    "a file": lambda s, n, x, y, **more: n.evaluate(x, y, STEPS, **more),
    "beside Keras": lambda s, n, x, y, **more: s.evaluate(x, y, STEPS, **more),
    "figures that are no means": lambda s, n, x, y, **more: s.evaluate(
        x,
        np.eye(3)[y],
        STEPS,
        metrics=[keras.metrics.AUC(name="auc"), "mse", distance_of_rows],
        sample_weight=np.linspace(0, 1, N),
        **more,
    ),
    "batches": lambda s, n, x, y, **more: s.evaluate(batches(x, y), n_steps=STEPS, **more),
    "nengo": lambda s, n, x, y, **more: n.evaluate(x, y, 3, simulator="nengo", **more),
    "early exit": lambda s, n, x, y, **more: n.evaluate(
        x, y, STEPS, early_exit=kconvert.EarlyExit(stable=2), dtype="float64", **more
    ),
    "predict": lambda s, n, x, y, **more: s.predict(x, STEPS, **more),
    "predict logits of batches": lambda s, n, x, y, **more: n.predict(
        batches(x, y), STEPS, logits=True, **more
    ),
}


def distance_of_rows(y, outputs, shift=0.0):
    return np.abs(outputs - y - shift).max(axis=1)


@pytest.mark.parametrize("way", RUNS)
def test_ended_and_begun_again(spiking, network, samples, monkeypatch, tmp_path, way):
    def run(**more):
        return RUNS[way](spiking, network, *samples, **more)

    expected = run()
    for n in (0, 2, 5):
        folder = tmp_path / str(n)
        end_after(monkeypatch, n)
        with pytest.raises(EndedError):
            run(checkpoint=folder)
        assert len(list(folder.glob("*.share"))) == n
        assert bits(run(checkpoint=folder)) == bits(expected)
        # All is there now: nothing is run.
        with monkeypatch.context() as patch:
            patch.setattr("kconvert.simulators.events.runner.EventRunner.run", None)
            patch.setattr("kconvert.simulators.nengo.NengoRunner.run", None)
            assert bits(run(checkpoint=folder)) == bits(expected)


def test_shares_do_not_depend_on_threads(spiking, samples, monkeypatch):
    x, y = samples
    found = []
    for threads, size in ((1, None), (3, 2), (5, 1)):
        monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", threads)
        found.append(bits(spiking.evaluate(x, y, STEPS, metrics=["mse"], batch_size=size)))
    assert found[0] == found[1] == found[2]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs os.fork")
def test_kills(network, tmp_path):
    network.save(tmp_path / "small.kconvert")
    code = [killing.__file__, str(tmp_path / "small.kconvert"), str(tmp_path / "run.ckpt")]
    done = subprocess.run([sys.executable, *code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(killing.STAGES) * killing.WRITES >= 20
    for write, stage, killed, saved, *sound in lines:
        assert killed == "True", (write, stage)
        before = max(0, int(write) - 1)
        assert int(saved) == before + (stage == "replaced" and int(write) > 0), (write, stage)
        # What was saved stays as it is, no half file is left, and the result is the same.
        assert sound == ["True"] * 3, (write, stage)


def other_network(network):
    changed = kconvert.SpikingNetwork(
        network.graph, network.signature, network.filters, name="other"
    )
    return lambda x, y, **more: changed.evaluate(x, y, STEPS, **more)


def newer(network, monkeypatch):
    monkeypatch.setattr(kconvert.SpikingNetwork, "_versions", lambda _: {"kconvert": "9.9"})
    return lambda x, y, **more: network.evaluate(x, y, STEPS, **more)


REFUSED = {
    "another network": lambda n, m: other_network(n),
    r"other settings \(n_steps: 7 there, 8 here": (
        lambda n, m: lambda x, y, **more: n.evaluate(x, y, 8, **more)
    ),
    "other metrics": (
        lambda n, m: lambda x, y, **more: n.evaluate(x, y, STEPS, metrics=["mae"], **more)
    ),
    r"other versions \(.*9.9 here": newer,
    "other samples": lambda n, m: lambda x, y, **more: n.evaluate(x + 1, y, STEPS, **more),
    "other samples.": lambda n, m: lambda x, y, **more: n.evaluate(x[:8], y[:8], STEPS, **more),
    "other samples. .*delete": lambda n, m: (
        lambda x, y, **more: n.evaluate(x, (y + 1) % 3, STEPS, **more)
    ),
    "another function": lambda n, m: lambda x, y, **more: n.predict(x, STEPS, **more),
}


SAME_NAME = {
    "a metric of Keras": lambda t: keras.metrics.BinaryAccuracy(threshold=t),
    "a loss of Keras": lambda t: keras.losses.Huber(delta=t, name="huber"),
    "a function with its arguments": lambda t: partial(distance_of_rows, shift=t),
}


@pytest.mark.parametrize("made", SAME_NAME)
def test_another_metric_of_the_same_name(spiking, samples, tmp_path, made):
    x, y = samples

    def run(t):
        metric = [SAME_NAME[made](t)]
        return spiking.evaluate(x, np.eye(3)[y], 2, metrics=metric, checkpoint=tmp_path / "c")

    assert bits(run(0.5)) == bits(run(0.5))
    with pytest.raises(kconvert.FileError, match="of other metrics"):
        run(0.9)


def test_a_keras_model_that_was_trained_on(samples, tmp_path):
    x, y = samples
    model = randomized(keras.Sequential([keras.Input((4,)), L.Dense(3, activation="softmax")]))
    spiking = kconvert.convert(model)
    spiking.evaluate(x, y, 2, checkpoint=tmp_path / "c")
    model.layers[-1].bias.assign_add([9.0, 0.0, 0.0])
    with pytest.raises(kconvert.FileError, match="of another Keras model"):
        spiking.evaluate(x, y, 2, checkpoint=tmp_path / "c")


@pytest.mark.parametrize("streamed", [False, True])
def test_predict_into_a_file(network, samples, monkeypatch, tmp_path, streamed):
    """An old file stays until the new one is complete, whatever ends the run."""
    x, y = samples
    out, folder = tmp_path / "scores.npy", tmp_path / "c"

    def run(**more):
        given = batches(x, y) if streamed else x
        return network.predict(given, STEPS, out=out, checkpoint=folder, **more)

    expected = network.predict(x, STEPS)
    out.write_text("old")
    end_after(monkeypatch, 4)
    with pytest.raises(EndedError):
        run()
    with monkeypatch.context() as patch, pytest.raises(kconvert.FileError, match="No space left"):
        failing(patch, errno.ENOSPC, 0)
        run()
    assert out.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"scores.npy", "c"}
    found = run()
    assert isinstance(found, np.memmap)
    assert bits(np.load(out)) == bits(np.array(found)) == bits(expected)
    monkeypatch.setattr("kconvert.memory.free_memory", lambda: 100)
    with pytest.raises(kconvert.InputError, match=r"too much: .* write them to a file with out="):
        network.predict(x, STEPS)


def test_no_file_for_outputs(network, samples, tmp_path):
    with pytest.raises(kconvert.InputError, match=r"out must be the name of a \.npy file"):
        network.predict(samples[0], STEPS, out=tmp_path / "scores.csv")
    inputs = keras.Input((4,))
    two = kconvert.convert(keras.Model(inputs, [L.Dense(2)(inputs), L.Dense(3)(inputs)]))
    with pytest.raises(kconvert.InputError, match="holds one output, and the network has 2"):
        two.predict(samples[0], STEPS, out=tmp_path / "scores.npy")


@pytest.mark.parametrize("text", REFUSED)
def test_a_checkpoint_of_another_run(network, samples, monkeypatch, tmp_path, text):
    x, y = samples
    expected = bits(network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c"))
    before = {path: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    with monkeypatch.context() as patch, pytest.raises(kconvert.FileError, match=f"is of {text}"):
        REFUSED[text](network, patch)(x, y, checkpoint=tmp_path / "c")
    assert before == {path: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    assert bits(network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")) == expected


def test_two_runs_on_one_checkpoint(network, samples, tmp_path):
    x, y = samples
    with (
        checkpoint_at(tmp_path / "c", {"run": "evaluate"}),
        pytest.raises(kconvert.FileError, match="in use by another run"),
    ):
        network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")


def failing(monkeypatch, number: int, after: int) -> None:
    """Let the system refuse to write, after so many files, in the middle of one."""
    opened = []

    def opening(path, mode):
        opened.append(path)
        file = open(path, mode)  # noqa: SIM115
        if len(opened) > after:
            file.write(b"half")
            file.close()
            raise OSError(number, __import__("os").strerror(number))
        return file

    monkeypatch.setattr(replacing, "open", opening, raising=False)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_full_disk(network, samples, monkeypatch, tmp_path, after):
    x, y = samples
    expected = bits(network.evaluate(x, y, STEPS))
    with monkeypatch.context() as patch, pytest.raises(kconvert.FileError, match="No space left"):
        failing(patch, errno.ENOSPC, after)
        network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")
    saved = {path: path.stat().st_mtime_ns for path in (tmp_path / "c").glob("*.share")}
    assert len(saved) == max(0, after - 1)
    assert not list((tmp_path / "c").glob(".*"))
    assert bits(network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")) == expected
    assert (
        saved.items()
        <= {path: path.stat().st_mtime_ns for path in (tmp_path / "c").glob("*.share")}.items()
    )


def test_a_read_only_folder(network, samples, monkeypatch, tmp_path):
    x, y = samples
    failing(monkeypatch, errno.EROFS, 0)
    with pytest.raises(kconvert.FileError, match="cannot be written: Read-only file system"):
        network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")


def a_file(path: Path) -> Path:
    path.write_text("x")
    return path


def a_folder_of_something(path: Path) -> Path:
    path.mkdir()
    (path / "notes.txt").write_text("x")
    return path


BAD = {
    "must be the name of a folder, or None. Received: 3": lambda path: 3,
    "must be a folder, and is a file": a_file,
    "holds 'notes.txt': give a new or an empty one": a_folder_of_something,
    "does not exist": lambda path: path / "deeper",
}


@pytest.mark.parametrize("text", BAD)
def test_no_checkpoint(network, samples, tmp_path, text):
    with pytest.raises(kconvert.KconvertError, match=text):
        network.predict(samples[0], STEPS, checkpoint=BAD[text](tmp_path / "c"))


def test_damage(network, samples, tmp_path):
    x, y = samples
    expected = bits(network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c"))
    share = sorted((tmp_path / "c").glob("0*.share"))[2]
    data = bytearray(share.read_bytes())
    data[len(data) // 2] ^= 1
    share.write_bytes(data)
    with pytest.raises(kconvert.FileError, match=f"{share.name}' is damaged.*Delete this file"):
        network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")
    share.unlink()
    assert bits(network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")) == expected
    (tmp_path / "c" / "about.json").write_text("{")
    with pytest.raises(kconvert.FileError, match=r"'about.json' is damaged"):
        network.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")


@pytest.mark.usefixtures("listening")
def test_interrupted_and_returned(network, samples, monkeypatch, tmp_path):
    """What is returned is of whole and of half shares; only whole ones are kept."""
    x, y = samples
    expected = bits(network.evaluate(x, y, STEPS))
    with monkeypatch.context() as patch:
        from test_interrupt import interrupt_after

        patch.setattr("numba.config.NUMBA_NUM_THREADS", 1)
        interrupt_after(patch, 5)
        found = network.evaluate(
            *(x, y, STEPS), batch_size=1, on_interrupt="return", checkpoint=tmp_path / "c"
        )
    assert (found.n, found.complete) == (5, False)
    assert len(list((tmp_path / "c").glob("0*.share"))) == 1
    again = network.evaluate(x, y, STEPS, batch_size=1, checkpoint=tmp_path / "c")
    assert bits(again) == expected


def test_other_network_that_no_file_holds(samples, tmp_path):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.LayerNormalization()])
    opaque = kconvert.convert(model, allow=("tensornode",))
    with pytest.raises(kconvert.FileError, match="cannot be saved"):
        opaque.predict(samples[0], STEPS, checkpoint=tmp_path / "c")
