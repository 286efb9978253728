"""What a Keras model was compiled for, output by output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from .task import Task

CATEGORICAL = (
    *("categoricalcrossentropy", "sparsecategoricalcrossentropy", "categoricalhinge"),
    *("categoricalfocalcrossentropy", "categoricalgeneralizedcrossentropy"),
)
"""Losses of classes of which one is right."""
BINARY = ("binarycrossentropy", "binaryfocalcrossentropy")
"""Losses of units each of which says yes or no."""
VALUES = (
    *("meansquarederror", "meanabsoluteerror", "meanabsolutepercentageerror", "huber", "logcosh"),
    *("meansquaredlogarithmicerror", "cosinesimilarity", "poisson"),
)
"""Losses of numbers."""


def compiled_task(
    model: keras.Model, output: int, name: str, known: Task, shape: tuple[int, ...]
) -> Task:
    """What one output was compiled for, with what the network alone tells of it.

    Args:
        model: A Keras model, compiled or not.
        output: Number of the output.
        name: Its name.
        known: What the network alone tells.
        shape: Shape of one sample of the output.
    """
    loss = for_output(model, getattr(model, "loss", None), output, name)
    if loss is None or len(shape) != 1:
        return known
    kind, from_logits = _loss(loss)
    if kind in CATEGORICAL:
        return replace(known, classes=True)
    if kind in BINARY:
        # A linear output that is compared as a probability is one.
        return Task(shape[0] == 1, threshold=0.0 if from_logits else 0.5)
    if kind in VALUES and not known.classes:
        return replace(known, classes=_asks_for_accuracy(model, output, name) or False)
    return known


def for_output(model: keras.Model, given: Any, output: int, name: str) -> Any:
    """What an argument of ``compile`` says of one output: it may be a list or a dict."""
    if isinstance(given, Mapping):
        names = (name, model.output_names[output])
        return next((given[each] for each in names if each in given), None)
    if isinstance(given, list | tuple):
        return given[output] if output < len(given) else None
    return given


def _loss(loss: Any) -> tuple[str, bool]:
    """A loss's name, without case and underscores, and whether it takes logits."""
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):
            return "", False
        loss = keras.losses.get(loss)
    kind = getattr(loss, "__name__", None) or type(loss).__name__
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    return kind.replace("_", "").lower(), bool(config.get("from_logits"))


def _asks_for_accuracy(model: keras.Model, output: int, name: str) -> bool:
    """Whether accuracy is among the metrics of one output."""
    config = model.get_compile_config() or {}
    for kind in ("metrics", "weighted_metrics"):
        given = config.get(kind)
        alone = len(model.outputs) == 1 and isinstance(given, list)
        found = given if alone else for_output(model, given, output, name)
        if any(str(each).lower() in ("acc", "accuracy") for each in _listed(found)):
            return True
    return False


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
