"""What cannot be allocated is refused before it is run, with a setting that fits: it is tried."""

from __future__ import annotations

import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert import InputError, memory
from kconvert.simulators import SIMULATORS
from kconvert.simulators.events.compiler import plan
from kconvert.simulators.sizes import events
from kconvert.verification import samples_at_a_time

pytestmark = pytest.mark.usefixtures("two_threads")
HUGE = 10**12
X = np.linspace(0, 1, 4 * 8 * 8, dtype=np.float32).reshape(4, 8, 8, 1)
Y = np.arange(4) % 3


def build(size: int = 8, filters: int = 16, units: int = 3) -> keras.Model:
    stack = [keras.Input((size, size, 1))]
    stack += [L.Conv2D(filters, 3, padding="same"), L.ReLU(name="relu")]
    stack += [L.MaxPooling2D(2), L.Flatten(), L.Dense(units)]
    return randomized(keras.Sequential(stack))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build()


@pytest.fixture(scope="module")
def spiking(model) -> kconvert.SpikingModel:
    return kconvert.convert(model, scale_firing_rates=100.0)


@pytest.fixture
def free(monkeypatch):
    """Sets what is free."""

    def set_free(n_bytes: float | None) -> None:
        for module in ("memory", "pipeline", "results.measuring", "report.recording"):
            monkeypatch.setattr(f"kconvert.{module}.free_memory", lambda: n_bytes)

    return set_free


def advised(error: pytest.ExceptionInfo[InputError], setting: str) -> int:
    """The value that an error says fits; it also names what is needed and what there is."""
    text = str(error.value)
    assert re.search(r" need \S+ (KiB|GiB), and \S+ (KiB|GiB) of memory are free\. ", text)
    return int(re.search(rf"{setting} <= ([\d,]+) fits", text)[1].replace(",", ""))


EXIT = kconvert.EarlyExit(stable=2)
STEPS = [  # call, what it needs besides n_steps
    ("simulate", {"x": X}),
    ("simulate", {"x": X, "spikes": True}),
    ("simulate", {"x": X, "spikes": True, "simulator": "nengo"}),
    ("simulate", {"x": X, "simulator": "nengo_dl"}),
    ("predict", {"x": X, "early_exit": EXIT}),
    ("predict", {"x": X, "on_interrupt": "return", "simulator": "nengo"}),
    ("predict", {"x": X, "on_interrupt": "return", "simulator": "nengo_dl"}),
    ("evaluate", {"x": X, "y": Y}),
    ("evaluate", {"x": X, "y": Y, "simulator": "nengo"}),
    ("energy", {"x": X}),
    ("report", {"x": X, "y": Y}),
]


@pytest.mark.parametrize(("call", "given"), STEPS)
def test_too_many_steps_are_refused_with_a_number_that_fits(
    call, given, spiking, free, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    spiking._runners.forget()
    free(2**30)
    with pytest.raises(InputError) as refused:
        getattr(spiking, call)(**given, n_steps=HUGE)
    fits = advised(refused, "n_steps")
    assert 1000 < fits < HUGE
    assert not list(tmp_path.iterdir())  # no page was begun
    # With memory for a handful of steps the advice is taken.
    name = given.get("simulator", "events")
    spec = spiking._spec(0.001, record=given.get("spikes", False))
    batch = len(X) if name == "nengo_dl" else 1
    free(SIMULATORS[name].room(spec, batch).total + 100_000)
    with pytest.raises(InputError) as refused:
        getattr(spiking, call)(**given, n_steps=HUGE)
    fits = advised(refused, "n_steps")
    if call != "report" and fits < 1000:
        getattr(spiking, call)(**given, n_steps=fits)
        with pytest.raises(InputError, match="is too much"):
            spiking._runners.forget()
            getattr(spiking, call)(**given, n_steps=fits + 1)


def test_tune_says_so_before_it_converts(model, free, monkeypatch):
    def never(*given, **more):
        raise AssertionError("it was converted")

    monkeypatch.setattr("kconvert.tuning.convert", never)
    free(2**20)
    with pytest.raises(InputError, match=r"^max_steps=1,000,000,000,000 is too much") as refused:
        kconvert.tune(model, X, Y, max_steps=HUGE)
    monkeypatch.undo()
    free(2**20)
    with pytest.raises(InputError, match=r"_steps=[\d,]+ is too much"):
        kconvert.tune(model, X, Y, max_steps=advised(refused, "max_steps") + 1)


def test_predictions_of_too_many_samples(spiking, free, monkeypatch):
    spiking._runners.forget()
    room = SIMULATORS["events"].room(spiking._spec(0.001), 1).total
    free(room + 3 * 24)
    with pytest.raises(InputError, match=r"^len\(x\)=4 is too much.*parts of x") as refused:
        spiking.predict(X, 2)
    fits = advised(refused, r"len\(x\)")
    assert spiking.predict(X[:fits], 2).shape == (3, 3)


def test_a_batch_that_finds_no_place(spiking, free, monkeypatch):
    spiking._runners.forget()
    spec = spiking._spec(0.001)
    free(SIMULATORS["nengo_dl"].room(spec, 2).total + 1000)
    with pytest.raises(InputError, match=r"^batch_size=4 is too much: 256 neurons") as refused:
        spiking.predict(X, 2, simulator="nengo_dl", batch_size=4)
    fits = advised(refused, "batch_size")
    assert fits == 2
    assert "simulator='events' needs" in str(refused.value)
    found = spiking.predict(X, 2, simulator="nengo_dl", batch_size=fits)
    assert found.shape == (4, 3)


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
def test_a_network_that_finds_no_place(simulator, model, spiking, free, monkeypatch):
    spiking._runners.forget()
    free(1000)
    setting = "NUMBA_NUM_THREADS" if simulator == "events" else "batch_size"
    with pytest.raises(InputError, match=f"not even {setting}=1 fits"):
        spiking.predict(X, 2, simulator=simulator)
    with pytest.raises(InputError, match=r"^NUMBA_NUM_THREADS=2 is too much"):
        kconvert.convert(model, calibration=X)


def test_fewer_threads_fit(spiking, free, monkeypatch):
    spiking._runners.forget()
    room = events(spiking._spec(0.001), 1)
    free(room.total - room.each / 2)
    with pytest.raises(InputError) as refused:
        spiking.predict(X, 2)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", advised(refused, "NUMBA_NUM_THREADS"))
    assert spiking.predict(X, 2).shape == (4, 3)


def test_start_voltages_that_find_no_place(model, free):
    free(8 * 256 - 1)
    with pytest.raises(InputError, match=r"256 neurons need 2 KiB, and 2 KiB .*=0\.5, which"):
        kconvert.convert(model, calibration=False)
    assert kconvert.convert(model, calibration=False, initial_voltage=0.5).n_neurons == 256


@pytest.mark.slow
def test_a_model_for_large_images(free):
    """ResNet50 at 1024 pixels: refused in each simulator, before more than its weights is held."""
    model = keras.applications.ResNet50(weights=None, input_shape=(1024, 1024, 3))
    free(2**30)
    with pytest.raises(InputError, match=r"^initial_voltage: .* GiB.* 1 GiB"):
        kconvert.convert(model, calibration=False)
    spiking = kconvert.convert(model, calibration=False, initial_voltage=0.5)
    x = np.zeros((1, 1024, 1024, 3), dtype=np.float32)
    for simulator in ("events", "nengo", "nengo_dl"):
        with pytest.raises(InputError, match=r"is too much: 177,\S+ neurons in simulator="):
            spiking.predict(x, 2, simulator=simulator)
    assert samples_at_a_time(spiking._reading.graph) == 1


@pytest.mark.parametrize("signed", [False, True])
def test_what_events_need_is_what_its_program_has(signed):
    spiking = kconvert.convert(
        build(size=24, filters=32, units=64),
        scale_firing_rates=100.0,
        signed=signed,
        max_pooling="sums",
    )
    spec = spiking._spec(0.001)
    program, room = plan(spec, held=spec.graph.inputs), events(spec, 1)
    lists = int(program.lists[-1])
    each = 4 * program.initial.size + 8 * lists
    assert room.each <= each < 1.3 * room.each
    fixed = program.initial.nbytes + program.weights.nbytes
    assert room.fixed <= fixed < 1.5 * room.fixed


def test_a_large_model_is_computed_by_keras_some_samples_at_a_time(spiking, monkeypatch):
    values = sum(node.size for node in spiking._reading.graph.nodes.values())
    whole = spiking.verify(X)
    monkeypatch.setattr("kconvert.verification.VALUES", 2 * values)
    assert samples_at_a_time(spiking._reading.graph) == 2
    found = spiking.verify(X)
    assert found.n == 4
    assert [each.scale for each in found.layers] == pytest.approx(
        [each.scale for each in whole.layers], rel=1e-5
    )
    assert found.passed


@pytest.mark.parametrize(
    ("cgroup", "where", "files", "left"),
    [
        ("0::/job/step", "job", ("memory.max", "memory.current", "inactive_file"), 600),
        ("0::/", "", ("memory.max", "memory.current", "inactive_file"), 600),
        (
            "4:cpu,memory:/job",
            "memory/job",
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            600,
        ),
        ("4:cpu:/job", "job", ("memory.limit_in_bytes", "memory.usage_in_bytes", "x"), 2048_000),
    ],
)
def test_control_groups_are_respected(cgroup, where, files, left, tmp_path, monkeypatch):
    proc, mount = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemAvailable:    2000 kB\n")
    (proc / "self" / "cgroup").write_text(f"{cgroup}\n")
    folder = mount / where
    folder.mkdir(parents=True)
    (folder / files[0]).write_text("1000\n")
    (folder / files[1]).write_text("500\n")
    (folder / "memory.stat").write_text(f"anon 400\n{files[2]} 100\n")
    monkeypatch.setattr(memory, "PROC", proc)
    monkeypatch.setattr(memory, "GROUPS", mount)
    assert memory.free_memory() == left


def test_a_group_without_a_limit(tmp_path, monkeypatch):
    (tmp_path / "self").mkdir()
    (tmp_path / "meminfo").write_text("MemAvailable:    2000 kB\nSwapFree:  1 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(memory, "PROC", tmp_path)
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    assert memory.free_memory() == 2001 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux'")
def test_the_limit_of_the_process_is_respected():
    code = (
        "import resource\n"
        "from kconvert.memory import free_memory, require_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "assert 2**29 < free_memory() < 2**31\n"
        "require_memory('the outputs', 2**32, 'n_steps', 64)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.search(
        r"InputError: n_steps=64 is too much: .* need 4 GiB, and 1\.\d+ GiB", run.stderr
    )
