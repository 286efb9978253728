"""The machine of the event simulator: its parts, and what is kept of them on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import kconvert
from kconvert.simulators.events.compiler import instructions
from kconvert.simulators.events.compiler.instructions import Lif, Reads, Scale, State, record
from kconvert.simulators.events.machine import build, store
from kconvert.simulators.events.machine.kernels import KERNELS
from kconvert.simulators.events.machine.layout import (
    WAITING,
    Fed,
    Listing,
    Machine,
    Memory,
    Recorded,
    Shared,
)
from kconvert.simulators.events.runner import warm_up

PARTS = {"run", "Scale"}


@pytest.fixture
def process(monkeypatch, tmp_path):
    """Stands for a new process: compiles a small machine or loads it, and runs it."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def start() -> None:
        monkeypatch.setattr(build, "_built", {})
        monkeypatch.setattr(build, "store", store.Store())
        runs(build.machine([Scale], "float32"))

    return start


def runs(machine: build.Machine) -> None:
    """It multiplies three of four values by -2 in each of three steps."""
    line = instructions.encoded(Scale(target=State(1), size=3, decay=-2.0), np.float32)
    real, integers = np.zeros(0, np.float32), np.zeros(0, np.int64)
    step = Listing(np.array([machine.kernels[Scale]]), np.array([line.ctypes.data]))
    state = np.zeros(4, np.float32)
    machine.run(
        Listing(integers, integers),
        step,
        np.array([0, 1]),
        Machine(
            Shared(integers, real, np.zeros(0, np.int32), np.arange(1, 5, dtype=np.float32)),
            Fed(real.reshape(0, 0), real.reshape(0, 0, 0)),
            Memory(
                state,
                np.zeros(0, WAITING),
                integers,
                np.zeros(0, np.uint32),
                real,
                np.zeros((1, 1), np.int64),
                real,
                real,
            ),
            Recorded(
                np.zeros((1, 1, 0), np.float32),
                np.zeros((1, 1, 0)),
                *(np.zeros((1, 1, 0), np.int64) for _ in range(3)),
                np.zeros((1, 0, 0), np.int32),
                integers,
            ),
        ),
        3,
        0,
        0.0,
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
    )
    np.testing.assert_array_equal(state, [1, -16, -24, -32])


def kept(folder: Path) -> dict[str, Path]:
    """Part to its file."""
    return {path.name.split("-")[0]: path for path in (folder / "kconvert").iterdir()}


def test_what_is_kept_is_not_compiled_again(process, tmp_path, capsys):
    process()
    assert "compiling the event simulator (once): 1 of 2 ..." in capsys.readouterr().err
    assert kept(tmp_path).keys() == PARTS
    process()
    assert capsys.readouterr().err == ""


DAMAGE = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a bit": lambda content: content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
    "not code": lambda content: hashlib.sha256(b"no").digest() + b"no",
    "other data": lambda content: (
        hashlib.sha256(pickle.dumps((1, 2))).digest() + pickle.dumps((1, 2))
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(damage, process, tmp_path, capsys):
    """They are said once, not used, and replaced."""
    process()
    capsys.readouterr()
    for path in kept(tmp_path).values():
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    process()
    said = capsys.readouterr().err
    assert said.count("without the copy on the disk") == 1
    process()
    assert capsys.readouterr().err == ""


def test_a_full_disk(process, tmp_path, monkeypatch, capsys):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(store, "_write", full)
    process()
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert kept(tmp_path) == {}


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(number, mode):
        os.close(number)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.os, "fdopen", full)
    with pytest.raises(OSError, match="No space left"):
        store._write(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_to_write_to(process, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    process()
    assert capsys.readouterr().err.count("without the copy on the disk") == 1


def test_the_next_folder_takes_what_the_first_cannot(process, tmp_path, monkeypatch, capsys):
    """As where the package belongs to root."""
    (tmp_path / "file").touch()
    places = [tmp_path / "file" / "no", tmp_path / "user"]
    monkeypatch.setattr(store, "folders", lambda: places)
    process()
    assert "without" not in capsys.readouterr().err
    assert len(list((tmp_path / "user").iterdir())) == 2
    process()
    assert capsys.readouterr().err == ""


def test_another_version_is_not_looked_at(process, tmp_path, monkeypatch, capsys):
    process()
    for path in list(kept(tmp_path).values()):
        path.write_bytes(b"")
    capsys.readouterr()
    monkeypatch.setattr(store, "_origin", lambda: "another")
    process()
    said = capsys.readouterr().err
    assert "1 of 2" in said
    assert "without" not in said


def test_a_change_of_any_source_is_another_version(tmp_path, monkeypatch):
    """What the kernels are made of is all of the machine, and two files of the compiler."""
    machine = Path(store.__file__).parent
    assert {path for path in store.sources() if path.parent == machine} == set(machine.glob("*.py"))
    assert {"program.py", "instructions.py"} <= {path.name for path in store.sources()}
    copies = [Path(shutil.copy(path, tmp_path)) for path in store.sources()]
    monkeypatch.setattr(store, "sources", lambda: copies)
    found = {store._origin.__wrapped__()}
    for path in copies:
        path.write_text(path.read_text() + "\n# changed\n")
        found.add(store._origin.__wrapped__())
    assert len(found) == len(copies) + 1


def test_two_processes_at_once(process, tmp_path, capsys):
    code = (
        "from kconvert.simulators.events.compiler.instructions import Scale\n"
        "from kconvert.simulators.events.machine import build\n"
        "build.machine([Scale], 'float32')\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for one in running:
        _, said = one.communicate()
        assert one.returncode == 0, said.decode()[-2000:]
        assert b"without what is kept" not in said
    assert kept(tmp_path).keys() == PARTS
    process()
    assert capsys.readouterr().err == ""


def test_the_count_of_parts(process, monkeypatch, capsys):
    monkeypatch.setattr(build, "_part", lambda kind, dtype, kept: None)
    monkeypatch.setattr(build, "_built", {})
    with pytest.raises(AttributeError):  # nothing was built
        build.machine([Scale, Lif], "float32", True)
    said = capsys.readouterr().err
    assert [f"{part} of 3" in said for part in (1, 2, 3)] == [True] * 3
    monkeypatch.setattr(build, "_built", {})
    with pytest.raises(AttributeError):
        build.machine([Scale, Lif], "float32", False)
    assert capsys.readouterr().err == ""


def test_every_instruction_has_a_kernel():
    """But for those that others are made of."""
    every = {
        thing
        for thing in vars(instructions).values()
        if isinstance(thing, type) and issubclass(thing, instructions.Instruction)
    }
    made_of = {parent for thing in every for parent in thing.__bases__} - {object}
    assert set(KERNELS) == every - made_of


def test_the_record_of_an_instruction():
    found = record(Lif, np.float32)
    assert found["voltage"] == found["drive"]["of_sample"] == np.int64
    assert found["leak"] == np.float32
    assert found.isalignedstruct
    assert issubclass(instructions.Window, Reads)


def test_warm_up_compiles_every_kernel(monkeypatch):
    asked = []
    monkeypatch.setattr(build, "machine", lambda *arguments: asked.append(arguments))
    warm_up("float64", progress=False)
    [(kinds, dtype, progress)] = asked
    assert set(kinds) == set(KERNELS)
    assert (dtype, progress) == ("float64", False)
    with pytest.raises(kconvert.InputError, match="dtype must be one of"):
        warm_up("float16")
