"""What the outputs of an example were to be, and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..scoring.task import Task
from .packing import packed
from .views import BARS, Mask, Numbers, View

TOP = 10
"""Classes of an example that have a bar, where there are more than fit."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What one output is to be: for the pictures and for the words beside them.

    Args:
        name: Its name.
        task: What it is for.
        classes: Whether its last axis stands for classes.
        class_names: Names of the classes, or None.
        reference: Keras' outputs for the examples, of shape ``(n, *output_shape)``, or None.
        labels: What is right for the examples, or None: class numbers, or values.
    """

    name: str
    task: Task
    classes: bool
    class_names: Sequence[str] | None
    reference: np.ndarray | None
    labels: np.ndarray | None

    def name_of(self, number: int) -> str:
        """A class or unit as people call it."""
        names = self.class_names
        # An output of one unit has two classes, and no name for each.
        return str(number) if names is None or len(names) < 2 else names[number]


def answer(goal: Goal, example: int, values: np.ndarray, view: View) -> dict[str, Any]:
    """One output of one example, for the player.

    Args:
        goal: What it is to be.
        example: Number of the example among the examples.
        values: Outputs at the end of each frame, of shape ``(frames, *output_shape)``.
        view: How they are drawn.
    """
    reference = None if goal.reference is None else goal.reference[example]
    label = None if goal.labels is None else goal.labels[example]
    if values.ndim == 2 and goal.classes:
        return _classes(goal, values, reference, label)
    found: dict[str, Any] = {"values": view.numbers(values)}
    if isinstance(view, Numbers):
        found["rows"] = view.points.tolist()
    if reference is not None:
        found["reference"] = view.numbers(reference[None])
        same = isinstance(view, Mask)
        found["distance"] = [_distance(frame, reference, same=same) for frame in values]
    if label is not None:
        found["label"] = view.numbers(label[None])
    return found


def _classes(
    goal: Goal, values: np.ndarray, reference: np.ndarray | None, label: Any
) -> dict[str, Any]:
    """A bar for each class, or for the largest ones and those that are right or were given."""
    of, units = goal.task.classes_of, values.shape[1]
    chosen = of(values)
    told = {int(chosen[-1])}
    found: dict[str, Any] = {"chosen": chosen.tolist()}
    if reference is not None:
        found["reference_class"] = int(of(reference))
        told.add(found["reference_class"])
    if label is not None:
        found["label_class"] = int(label)
        told.add(found["label_class"])
    rows = np.arange(units)
    if units > BARS:
        known = values[-1] if reference is None else np.maximum(values[-1], reference)
        rows = np.array(sorted({*np.argsort(-known, kind="stable")[:TOP].tolist(), *told}))
    found |= {
        "rows": rows.tolist(),
        "row_names": [goal.name if units == 1 else goal.name_of(int(row)) for row in rows],
        "names": {str(k): goal.name_of(k) for k in {*told, *map(int, chosen)}},
        "values": packed(values[:, rows].astype(np.float32)),
        "note": f"{len(rows)} of {units:,} classes" if len(rows) < units else "",
    }
    if reference is not None:
        found["reference"] = packed(reference[rows].astype(np.float32))
    return found


def _distance(values: np.ndarray, reference: np.ndarray, *, same: bool) -> float:
    """How far an output is from Keras': the share of other classes, or of its size."""
    if same:
        return float((values.argmax(axis=-1) != reference.argmax(axis=-1)).mean())
    size = float(np.linalg.norm(reference))
    return float(np.linalg.norm(values - reference)) / (size or 1.0)
