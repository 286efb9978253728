"""What is installed and works on this machine, and what to do about the rest."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import __version__
from ..packages import BACKENDS, EXTRAS, NENGO_DL, PACKAGES, Package, install_lines
from ..results.tables import table
from . import quiet_tensorflow

CPU_ONLY = "not needed: the event simulator runs on the processor's cores"


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at.

    Args:
        what: Its name.
        works: Whether it is there and works.
        found: Its version, or what is wrong.
        fix: What to do, where something is missing.
        required: Whether kconvert cannot convert and run networks without it.
    """

    what: str
    works: bool
    found: str
    fix: str = ""
    required: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data that ``json.dumps`` takes."""
        return asdict(self)


def examine() -> list[Examined]:
    """Look at everything. Nothing that is broken ends it."""
    return [
        Examined("kconvert", True, f"{__version__} in {Path(__file__).parents[1]}", required=True),
        _python(),
        *_packages(),
        _backend(),
        *_extras(),
        *_simulators(),
        _tried("cores", _cores, "reinstall Numba"),
        _tried("GPU", _gpu, CPU_ONLY),
        _tried("compiled code", _cache, "set NUMBA_CACHE_DIR to a folder that can be written to"),
    ]


def examined_text(found: list[Examined]) -> str:
    """The rows as text, and the verdict."""
    rows = [
        [each.what, "yes" if each.works else "NO" if each.required else "no", each.found, each.fix]
        for each in found
    ]
    broken = [each.what for each in found if each.required and not each.works]
    verdict = (
        f"kconvert does not work here yet: {', '.join(broken)}"
        if broken
        else "kconvert works here. Only some functions need the parts that are marked 'no'."
    )
    return f"{table(['', 'works', 'found', 'what to do'], rows)}\n{verdict}"


def _python() -> Examined:
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    fix = "" if fits else "use Python 3.11, 3.12 or 3.13"
    found = f"{platform.python_version()} in {sys.prefix}"
    return Examined("Python", fits, found, fix, required=True)


def _packages() -> Iterator[Examined]:
    for module, package in PACKAGES.items():
        yield _package(module, package, required=True)


def _extras() -> Iterator[Examined]:
    for module, package in {**NENGO_DL, **EXTRAS}.items():
        if module not in BACKENDS:
            yield _package(module, package)


def _package(module: str, package: Package, *, required: bool = False) -> Examined:
    """Whether a package is installed, in a version that suits."""
    if find_spec(module) is None:
        return Examined(package.name, False, "not installed", _line(package), required)
    try:
        from packaging.requirements import Requirement

        wanted = Requirement(package.requirement)
        version = metadata.version(wanted.name)
    except (ImportError, metadata.PackageNotFoundError):
        return Examined(package.name, True, "of an unknown version", required=required)
    fits = wanted.specifier.contains(version, prereleases=True)
    fix = "" if fits else _line(package)
    return Examined(package.name, fits, version, fix, required)


def _line(package: Package) -> str:
    return " && ".join(install_lines([package.requirement]))


def _backend() -> Examined:
    """What Keras runs on: the one that is set must be there."""
    there = [name for name in BACKENDS if find_spec(name)]
    try:
        chosen = os.environ.get("KERAS_BACKEND") or _configured()
    except (OSError, ValueError) as error:
        return Examined(
            "Keras backend", False, f"keras.json: {error}", "repair or delete that file", True
        )
    if chosen in there:
        found = f"{chosen} (installed: {', '.join(there)})"
        return _tried("Keras backend", partial(_starts, found), _line(BACKENDS[chosen]), True)
    found = f"Keras is set to {chosen}, which is not installed"
    if chosen in BACKENDS:
        fix = _line(BACKENDS[chosen])
    else:
        fix = f"set KERAS_BACKEND to one of {', '.join(BACKENDS)}"
    if there:
        fix += f", or set KERAS_BACKEND={there[0]}"
    return Examined("Keras backend", False, found, fix, required=True)


def _starts(found: str) -> tuple[bool, str, str]:
    """Keras is there, and starts with what it runs on."""
    quiet_tensorflow()
    import keras

    keras.ops.convert_to_tensor(0.0)
    return True, found, ""


def _configured() -> str:
    """The backend in Keras' configuration file; TensorFlow where there is none."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    file = home / "keras.json"
    if not file.is_file():
        return "tensorflow"
    return str(json.loads(file.read_text()).get("backend", "tensorflow"))


def _simulators() -> Iterator[Examined]:
    """Each simulator runs a tiny network."""
    fixes = {"nengo": _line(PACKAGES["nengo"]), "nengo_dl": _line(NENGO_DL["nengo_dl"])}
    for name in ("events", "nengo", "nengo_dl"):
        fix = fixes.get(name, _line(PACKAGES["numba"]))
        yield _tried(f"simulator {name!r}", partial(_runs, name), fix, name == "events")


def _runs(simulator: str) -> tuple[bool, str, str]:
    import numpy as np

    from ..ir import Graph, Node
    from ..network import SpikingNetwork
    from ..ops import Dense, Input, Relu
    from ..signature import Signature

    if simulator == "nengo_dl":
        quiet_tensorflow()
    nodes = {
        "x": Node("x", Input((2,)), (), (2,)),
        "dense": Node("dense", Dense(np.eye(2), None), ("x",), (2,)),
        "relu": Node("relu", Relu(gain=1000.0, amplitude=0.001), ("dense",), (2,)),
    }
    network = SpikingNetwork(
        Graph(nodes, ("relu",)), Signature({"x": (2,)}, ("relu",), 0), (None,), name="doctor"
    )
    network.predict(np.ones((1, 2)), 2, simulator=simulator, progress=False)
    return True, "runs", ""


def _tried(
    what: str, look: Callable[[], tuple[bool, str, str]], fix: str, required: bool = False
) -> Examined:
    """What a function finds, or how it fails."""
    try:
        works, found, to_do = look()
    except Exception as error:  # noqa: BLE001 - whatever is broken, the rest is looked at
        lines = str(error).strip().splitlines() or [""]
        return Examined(what, False, f"{type(error).__name__}: {lines[0]}", fix, required)
    return Examined(what, works, found, to_do, required)


def _cores() -> tuple[bool, str, str]:
    from numba import config

    threads, cores = config.NUMBA_NUM_THREADS, os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    text = f"{cores}, of which the event simulator uses {threads}"
    if threads >= allowed:
        return True, text, ""
    return True, text, "unset NUMBA_NUM_THREADS to use all of them"


def _gpu() -> tuple[bool, str, str]:
    """Keras and NengoDL can use one."""
    if find_spec("tensorflow") is None:
        return False, "not looked for: TensorFlow is not installed", CPU_ONLY
    quiet_tensorflow()
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    return bool(found), f"{len(found) or 'none'} in TensorFlow", "" if found else CPU_ONLY


def _cache() -> tuple[bool, str, str]:
    """Compiled code on the disk, where the event simulator keeps it."""
    from ..simulators.events.machine.store import folders

    kept = [(each, _megabytes(each)) for each in folders()]
    for folder, size in kept:
        nearest = next(each for each in (folder, *folder.parents) if each.exists())
        if os.access(nearest, os.W_OK):
            fix = (
                ""
                if size
                else "kconvert warm-up compiles it now, so that the first run starts at once"
            )
            return True, f"{size:.1f} MB in {folder}", fix
    used = [f"{size:.1f} MB in {folder}" for folder, size in kept if size]
    found = "; ".join(used) or "none"
    return (
        bool(used),
        f"{found}; no folder can be written to: {', '.join(str(each) for each, _ in kept)}",
        "set NUMBA_CACHE_DIR to a folder that can be written to",
    )


def _megabytes(folder: Path) -> float:
    files = list(folder.glob("*.kernel")) if folder.is_dir() else []
    return sum(each.stat().st_size for each in files) / 1e6
