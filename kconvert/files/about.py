"""What a network says of how it was made, as plain data: settings, numbers, versions."""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ..errors import is_integer, is_number
from ..results.evaluation import Evaluation

PACKAGES = ("numpy", "scipy", "numba", "keras", "tensorflow", "nengo")
MOST_ENTRIES = 20
"""Entries of a list that are written out."""


def settings_of(arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call that are not the defaults, as JSON has them.

    Numbers, strings, None, bools, lists and dicts stay. Arrays become their shape; other objects
    become a short text.

    Args:
        arguments: Name to value.
        defaults: Name to default.
    """
    return {
        name: _samples(value) if name == "calibration" else _plain(value)
        for name, value in arguments.items()
        if not _is_default(value, defaults.get(name, MISSING))
    }


def numbers_of(evaluation: Evaluation) -> dict[str, Any]:
    """The numbers of an evaluation, without what there is for each sample or step."""
    agreement = evaluation.agreement_per_step
    found = {
        "accuracy": evaluation.accuracy,
        "reference_accuracy": evaluation.reference_accuracy,
        "agreement": None if agreement is None else agreement[-1],
        "n": evaluation.n,
        "metrics": {name: float(each[-1]) for name, each in evaluation.metrics.items()},
        "reference_metrics": evaluation.reference_metrics,
        "n_steps": evaluation.n_steps,
        "mean_steps": evaluation.mean_steps,
        "spikes_per_sample": evaluation.spikes_per_sample,
        "operations_per_sample": evaluation.operations_per_sample,
        "spike_values": evaluation.spike_values,
        "spike_range": evaluation.spike_range,
        "output": evaluation.output,
        "simulator": evaluation.simulator,
        "complete": evaluation.complete,
    }
    return {name: _plain(value) for name, value in found.items()}


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that have a part in the numbers."""
    from .. import __version__

    # Not of the installed package: the code may run from a folder.
    found = {"python": platform.python_version(), "kconvert": __version__}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _is_default(value: Any, default: Any) -> bool:
    if value is default:
        return True
    return (
        type(value) is type(default)
        and isinstance(value, str | float | int | tuple)
        and (value == default)
    )


def _samples(value: Any) -> Any:
    """What calibrates: samples by their number and shape."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): _samples(each) for name, each in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(each, np.ndarray) for each in value):
        return [_samples(each) for each in value]
    shape = tuple(getattr(value, "shape", ()))
    return f"{shape[0]} samples of shape {shape[1:]}" if shape else _text(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if is_integer(value):
        return int(value)
    if is_number(value):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {_key(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and len(value) <= MOST_ENTRIES:
        return [_plain(each) for each in value]
    return _text(value)


def _key(value: Any) -> str:
    return value if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    """An object in a few words that are the same in every process."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)} values"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__name__")):
        return value.__name__
    if is_dataclass(value):
        parts = [
            f"{each.name}={_samples(current) if each.name == 'x' else _plain(current)}"
            for each in fields(value)
            if not _is_default(current := getattr(value, each.name), each.default)
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))[:200]
