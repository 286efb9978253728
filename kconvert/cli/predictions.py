"""Outputs as tables and files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files.replacing import replacing
from ..results.display import plain
from ..results.tables import table
from .samples import Samples


def predictions_of(
    outputs: Any, samples: Samples, class_names: Sequence[str] | None, top: int
) -> list[dict[str, Any]]:
    """A record for each sample: its name, and its classes from the most likely on.

    Args:
        outputs: What ``predict`` gave.
        samples: What it was given.
        class_names: Names of the classes, or None.
        top: So many classes.
    """
    labels = list(class_names or samples.class_names)
    found = []
    for index in range(samples.n):
        name = samples.names[index] if samples.names else str(index)
        record: dict[str, Any] = {"sample": name}
        for output, values in _named(outputs).items():
            value = np.asarray(values[index])
            key = "output" if output == "" else output
            record[key] = _top(value, labels, top) if _is_classes(value) else plain(value)
        found.append(record)
    return found


def prediction_table(found: Sequence[Mapping[str, Any]]) -> str:
    """The records as text."""
    head = list(found[0]) if found else ["sample"]
    rows = [[_cell(record[name]) for name in head] for record in found]
    return table(head, rows)


def write_outputs(path: Path, outputs: Any, found: Sequence[Mapping[str, Any]]) -> None:
    """Write all outputs to a ``.npy`` or ``.csv`` file, or the records to a ``.json`` file.

    Raises:
        InputError: The network has several outputs, or several axes in it, which the file cannot
            hold.
    """
    if path.suffix != ".json" and (isinstance(outputs, list | tuple | Mapping)):
        raise InputError(f"{path.suffix} files hold one output: write a .json file")
    if path.suffix == ".csv" and np.ndim(outputs) != 2:
        raise InputError("a .csv file holds one row for each sample: write a .npy or .json file")
    with replacing(path) as new:
        if path.suffix == ".npy":
            np.save(new, np.asarray(outputs))
        elif path.suffix == ".json":
            new.write(json.dumps(plain(list(found)), indent=2).encode())
        else:
            names = [each["sample"] for each in found]
            text = io.StringIO()
            rows = csv.writer(text)
            rows.writerow(["sample", *range(outputs.shape[1])])
            rows.writerows([name, *row] for name, row in zip(names, outputs.tolist(), strict=True))
            new.write(text.getvalue().encode())


def _named(outputs: Any) -> dict[str, Any]:
    if isinstance(outputs, Mapping):
        return dict(outputs)
    if isinstance(outputs, list | tuple):
        return {f"output {index}": each for index, each in enumerate(outputs)}
    return {"": outputs}


def _is_classes(value: np.ndarray) -> bool:
    return value.ndim == 1 and value.size > 1


def _top(value: np.ndarray, labels: Sequence[str], top: int) -> list[dict[str, Any]]:
    order = np.argsort(-value, kind="stable")[:top]
    return [
        {"class": labels[k] if len(labels) == value.size else int(k), "value": float(value[k])}
        for k in order
    ]


def _cell(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return ", ".join(f"{each['class']} {each['value']:.3f}" for each in value)
    return str(value) if isinstance(value, str) else _short(value)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
