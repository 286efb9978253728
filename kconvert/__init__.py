"""Keras 3 CNNs as spiking networks for Nengo and NengoDL that keep their accuracy.

Example:
    >>> import keras, kconvert
    >>> lif = kconvert.layers.RateLIF()
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), lif], name="tiny")
    >>> kconvert.convert(model)
    <SpikingModel 'tiny': spiking, 3 neurons>

Only the names below are public; everything else may change. They are imported when they are first
used (PEP 562): a stored network runs without Keras, TensorFlow, Nengo and NengoDL.
"""

# ruff: noqa: F401 - the imports below are for type checkers; a test holds them to _HOMES
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import keras_objects as _keras_objects

if TYPE_CHECKING:
    from . import callbacks, layers, plot, regularizers
    from .checking import Check, CheckedLayer, check
    from .diagnosis import Cause, Diagnosis, LayerDiagnosis
    from .errors import (
        BridgeError,
        ClusterError,
        FileError,
        InputError,
        KconvertError,
        MissingPackageError,
        Unsupported,
        UnsupportedModelError,
    )
    from .fidelity import Calibration
    from .files.store import load
    from .fine_tuning import fine_tune
    from .ir import Decision, Graph
    from .model import SpikingModel
    from .network import SpikingNetwork
    from .ops import Window
    from .passes.receipts import Receipt
    from .pipeline import REFERENCE_WORK, convert
    from .reader import LAYERS, read_h5, register
    from .results.devices import Device
    from .results.energy import Energy
    from .results.evaluation import Evaluation
    from .results.simulation import Simulation
    from .simulators import EarlyExit
    from .simulators.events.runner import warm_up
    from .tuning import Candidate, Tuning, tune
    from .verification import Verification

__version__ = "0.2.0"

_HOMES = {
    "checking": ("Check", "CheckedLayer", "check"),
    "errors": (
        "BridgeError",
        "ClusterError",
        "FileError",
        "InputError",
        "KconvertError",
        "MissingPackageError",
        "Unsupported",
        "UnsupportedModelError",
    ),
    "results.devices": ("Device",),
    "results.energy": ("Energy",),
    "results.evaluation": ("Evaluation",),
    "diagnosis": ("Cause", "Diagnosis", "LayerDiagnosis"),
    "fidelity": ("Calibration",),
    "ir": ("Decision", "Graph"),
    "model": ("SpikingModel",),
    "network": ("SpikingNetwork",),
    "ops": ("Window",),
    "passes.receipts": ("Receipt",),
    "pipeline": ("REFERENCE_WORK", "convert"),
    "reader": ("LAYERS", "read_h5", "register"),
    "results.simulation": ("Simulation",),
    "simulators": ("EarlyExit",),
    "simulators.events.runner": ("warm_up",),
    "files.store": ("load",),
    "fine_tuning": ("fine_tune",),
    "tuning": ("Candidate", "Tuning", "tune"),
    "verification": ("Verification",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("callbacks", "layers", "plot", "regularizers")

__all__ = [
    *sorted(_HOME_OF),
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES and name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .packages import needed

    with needed(f"kconvert.{name}"):
        home = import_module(f".{_HOME_OF.get(name, name)}", __name__)
    value = home if name in _MODULES else getattr(home, name)
    globals()[name] = value  # the next use costs nothing
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_keras_objects.register_with_keras()
