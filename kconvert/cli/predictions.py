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
    """A record for each sample: its name, and its classes from the largest output on.

    An output whose values are shares of 1, as behind a softmax, has a "probability" for each class;
    another one has a "value".

    Args:
        outputs: What ``predict`` gave.
        samples: What it was given.
        class_names: Names of the classes, or None.
        top: So many classes.
    """
    labels = list(class_names or samples.class_names)
    columns = {name: _cells(np.asarray(each), labels, top) for name, each in _named(outputs)}
    return [
        {
            "sample": samples.names[index] if samples.names else str(index),
            **{name: cells[index] for name, cells in columns.items()},
        }
        for index in range(samples.n)
    ]


def prediction_table(found: Sequence[Mapping[str, Any]]) -> str:
    """The records as text."""
    head = list(found[0]) if found else ["sample"]
    rows = [[_text(record[name]) for name in head] for record in found]
    return table(head, rows)


def write_outputs(
    path: Path,
    outputs: Any,
    found: Sequence[Mapping[str, Any]],
    class_names: Sequence[str] | None = None,
) -> None:
    """Write all outputs to a ``.csv`` file, or the records to a ``.json`` file.

    Raises:
        InputError: The network has several outputs, or several axes in it, which the file cannot
            hold.
        FileError: The file cannot be written.
    """
    kind = path.suffix.lower()
    if kind == ".csv" and isinstance(outputs, list | tuple | Mapping):
        raise InputError("a .csv file holds one output, and there are several: write a .json file")
    if kind == ".csv" and np.ndim(outputs) != 2:
        raise InputError("a .csv file holds one row for each sample: write a .npy or .json file")
    with replacing(path) as new:
        if kind == ".json":
            new.write(json.dumps(plain(list(found)), indent=2).encode())
        else:
            n = outputs.shape[1]
            named = class_names is not None and len(class_names) == n
            text = io.StringIO()
            rows = csv.writer(text)
            rows.writerow(["sample", *(class_names if named and class_names else range(n))])
            names = [each["sample"] for each in found]
            rows.writerows([name, *row] for name, row in zip(names, outputs.tolist(), strict=True))
            new.write(text.getvalue().encode("utf-8", "surrogateescape"))


def _named(outputs: Any) -> list[tuple[str, Any]]:
    if isinstance(outputs, Mapping):
        return list(outputs.items())
    if isinstance(outputs, list | tuple):
        return [(f"output {index}", each) for index, each in enumerate(outputs)]
    return [("output", outputs)]


def _cells(values: np.ndarray, labels: Sequence[str], top: int) -> list[Any]:
    """What there is to say of each row."""
    if values.ndim != 2 or values.shape[1] < 2:
        return [plain(row) for row in values]
    n = values.shape[1]
    shares = (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-4)
    what = "probability" if shares else "value"
    order = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [
        [{"class": labels[k] if len(labels) == n else int(k), what: float(row[k])} for k in chosen]
        for row, chosen in zip(values, order, strict=True)
    ]


def _text(cell: Any) -> str:
    if isinstance(cell, list) and cell and isinstance(cell[0], dict):
        return ", ".join(
            f"{each['class']} {100 * each['probability']:.1f} %"
            if "probability" in each
            else f"{each['class']} {each['value']:.3f}"
            for each in cell
        )
    if isinstance(cell, list) and len(cell) == 1:
        cell = cell[0]
    return _short(cell)


def _short(value: Any) -> str:
    """Values in a line, with four digits."""
    if isinstance(value, list):
        text = f"[{', '.join(map(_short, value))}]"
    else:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
