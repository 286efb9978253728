"""What a Keras model was compiled for, output by output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from ..errors import InputError
from .keras_figures import Wanted
from .scores import WITHOUT_KERAS, is_accuracy, without_keras
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
    loss = _loss_of(model, output, name)
    if loss is None:
        return known
    kind, from_logits = _loss(loss)
    vector = len(shape) == 1
    if kind in CATEGORICAL:
        return replace(known, classes=vector)
    if kind in BINARY:
        # A linear output that is compared as a probability is one.
        return replace(
            known, classes=vector and shape[0] == 1, threshold=0.0 if from_logits else 0.5
        )
    if kind in VALUES and not known.classes:
        classes = vector and _asks_for_accuracy(model, output, name)
        # Numbers that are trained to be 0 and 1 are told apart in the middle.
        return replace(known, classes=classes, threshold=0.5 if classes else known.threshold)
    return known


def tasks_of(model: keras.Model, names: Sequence[str], known: Sequence[Task]) -> tuple[Task, ...]:
    """What is kept of a model's compilation without the model: tasks with names of figures.

    Args:
        model: A Keras model, compiled or not.
        names: Its outputs.
        known: What each output is for.
    """
    found = []
    for output, (name, task) in enumerate(zip(names, known, strict=True)):
        wanted = [_name(each) for each in _known_metrics(model, output, name)]
        kept = tuple(each for each in WITHOUT_KERAS if each in wanted)
        found.append(replace(task, metrics=kept or task.metrics))
    return tuple(found)


def _name(wanted: Wanted) -> str | None:
    """The figure without Keras that is the same as one of Keras."""
    given = wanted.given
    if isinstance(given, keras.losses.Loss | keras.metrics.Metric):
        kind = type(given)
        plain = (
            *(keras.losses.MeanSquaredError, keras.losses.MeanAbsoluteError),
            *(keras.metrics.MeanSquaredError, keras.metrics.MeanAbsoluteError),
        )
        return without_keras(kind.__name__) if kind in plain else None
    return without_keras(given)


def _loss_of(model: keras.Model, output: int, name: str) -> Any:
    """The loss that an output was compiled with, or None."""
    given = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    return for_output(model, given, output, name)


def for_output(model: keras.Model, given: Any, output: int, name: str) -> Any:
    """What an argument of ``compile`` says of one output: it may be a list or a dict."""
    if isinstance(given, Mapping):
        names = (name, model.output_names[output])
        return next((given[each] for each in names if each in given), None)
    if isinstance(given, list | tuple):
        return given[output] if output < len(given) else None
    return given


def compiled_metrics(model: keras.Model, output: int, name: str) -> list[Wanted] | None:
    """The metrics and the loss that an output was compiled with; None if it has neither.

    Weights of samples count as in Keras: for ``weighted_metrics`` and the loss, and not for
    ``metrics``.
    """
    found: list[Wanted] = []
    for kind, weighting in (("metrics", "none"), ("weighted_metrics", "mean")):
        given = given_to_compile(model)[kind]
        if isinstance(given, Mapping) or len(model.outputs) > 1:
            given = for_output(model, given, output, name)
        known = [each.given for each in found]
        for each in keras.tree.flatten(given):
            if each is not None:
                prefix = "weighted_" if isinstance(each, str) and each in known else ""
                found.append(Wanted(each, weighting=weighting, prefix=prefix))
    loss = _loss_of(model, output, name)
    if loss is not None:
        by_weights = _reduction(loss) == "mean_with_sample_weight"
        found.append(Wanted(loss, loss=True, weighting="mean" if by_weights else "product"))
    return found or None


def given_to_compile(model: keras.Model) -> Mapping[str, Any]:
    """What ``compile`` was given, ``metrics`` and ``weighted_metrics`` at least.

    Keras' public ``get_compile_config`` has names and settings, and of functions the names only.
    The objects themselves are in a private attribute. Without that, what the public one can give
    back is taken.

    Raises:
        InputError: Neither gives them.
    """
    nothing: dict[str, Any] = {"metrics": None, "weighted_metrics": None}
    if not getattr(model, "compiled", False):
        return nothing
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    if isinstance(config, Mapping):
        return {**nothing, **config}
    try:
        written = model.get_compile_config() or {}
        return {kind: keras.saving.deserialize_keras_object(written.get(kind)) for kind in nothing}
    except Exception as error:
        raise InputError(
            f"this version of Keras does not tell what {model.name!r} was compiled with "
            f"({type(error).__name__}: {error!s:.200}): name the metrics with metrics=[...]"
        ) from error


def _reduction(loss: Any) -> str | None:
    return getattr(loss, "reduction", None)


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
    return any(is_accuracy(each.given) for each in _known_metrics(model, output, name))


def _known_metrics(model: keras.Model, output: int, name: str) -> list[Wanted]:
    """The compiled metrics as far as Keras gives them back: who asks for others needs none."""
    try:
        return compiled_metrics(model, output, name) or []
    except InputError:
        return []
