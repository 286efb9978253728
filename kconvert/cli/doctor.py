"""What is installed and works on this machine, and what to do about the rest."""

from __future__ import annotations

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
from ..errors import KconvertError
from ..packages import BACKENDS, EXTRAS, NENGO_DL, PACKAGES, Package, install_lines
from ..results.tables import table
from . import quiet_tensorflow

UNFIT = (KconvertError, ImportError, OSError, ValueError, RuntimeError, AttributeError)
"""What a part that does not work raises when it is tried."""


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
    """Look at everything."""
    quiet_tensorflow()
    return [
        Examined("kconvert", True, __version__, required=True),
        _python(),
        *_packages(),
        *_simulators(),
        *_machine(),
    ]


def examined_table(found: list[Examined]) -> str:
    """The rows as text."""
    rows = [
        [each.what, "yes" if each.works else "NO" if each.required else "no", each.found, each.fix]
        for each in found
    ]
    return table(["", "works", "found", "what to do"], rows)


def _python() -> Examined:
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    fix = "" if fits else "use Python 3.11, 3.12 or 3.13"
    return Examined("Python", fits, platform.python_version(), fix, required=True)


def _packages() -> Iterator[Examined]:
    for module, package in PACKAGES.items():
        yield _package(module, package, required=True)
    found = [name for name in BACKENDS if find_spec(name)]
    fix = "" if found else f"install one: {', or '.join(_line(each) for each in BACKENDS.values())}"
    backend = Examined("Keras backend", bool(found), ", ".join(found) or "none", fix, required=True)
    yield backend
    for module, package in {**NENGO_DL, **EXTRAS}.items():
        if module not in BACKENDS:
            yield _package(module, package)


def _package(module: str, package: Package, *, required: bool = False) -> Examined:
    if find_spec(module) is None:
        return Examined(package.name, False, "not installed", _line(package), required)
    name = package.requirement.partition("=")[0].rstrip("<>")
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = "of an unknown version"
    return Examined(package.name, True, version, required=required)


def _line(package: Package) -> str:
    return " && ".join(install_lines([package.requirement]))


def _simulators() -> Iterator[Examined]:
    """Each simulator runs a tiny network."""
    for name in ("events", "nengo", "nengo_dl"):
        fix = {"nengo_dl": _line(NENGO_DL["nengo_dl"])}.get(name, "reinstall kconvert")
        yield _tried(f"simulator {name!r}", partial(_runs, name), fix, name == "events")


def _runs(simulator: str) -> str:
    import numpy as np

    from ..ir import Graph, Node
    from ..network import Signature, SpikingNetwork
    from ..ops import Dense, Input, Relu

    nodes = {
        "x": Node("x", Input((2,)), (), (2,)),
        "dense": Node("dense", Dense(np.eye(2), None), ("x",), (2,)),
        "relu": Node("relu", Relu(gain=1000.0, amplitude=0.001), ("dense",), (2,)),
    }
    network = SpikingNetwork(
        Graph(nodes, ("relu",)), Signature({"x": (2,)}, ("relu",), 0), (None,), name="doctor"
    )
    network.predict(np.ones((1, 2)), 2, simulator=simulator)
    return "runs"


def _tried(what: str, run: Callable[[], str], fix: str, required: bool) -> Examined:
    try:
        return Examined(what, True, run(), required=required)
    except UNFIT as error:
        return Examined(what, False, str(error).splitlines()[0], fix, required)


def _machine() -> Iterator[Examined]:
    from numba import config

    threads = config.NUMBA_NUM_THREADS
    cores = os.cpu_count() or 1
    fix = "" if threads == cores else "unset NUMBA_NUM_THREADS to use all cores"
    yield Examined("cores", True, f"{cores}, of which the event simulator uses {threads}", fix)
    yield _gpu()
    yield _cache()


def _gpu() -> Examined:
    """Keras and NengoDL can use one; the event simulator runs on the processor's cores."""
    if find_spec("tensorflow") is None:
        return Examined("GPU", False, "not looked for: TensorFlow is not installed")
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    text = f"{len(found)} in TensorFlow" if found else "none in TensorFlow"
    return Examined("GPU", bool(found), text, "" if found else "not needed: kconvert runs on cores")


def _cache() -> Examined:
    """Compiled code on the disk."""
    from ..simulators.events.machine.store import folders

    for folder in folders():
        nearest = next(each for each in (folder, *folder.parents) if each.exists())
        if os.access(nearest, os.W_OK):
            return Examined("compiled simulator", True, f"{_size(folder):.1f} MB in {folder}")
    return Examined(
        "compiled simulator",
        False,
        "no folder can be written to, so every process compiles for itself",
        "set NUMBA_CACHE_DIR to a folder that can be written to",
    )


def _size(folder: Path) -> float:
    files = [each for each in folder.glob("*") if each.is_file()] if folder.is_dir() else []
    return sum(each.stat().st_size for each in files) / 1e6
