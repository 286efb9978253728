"""What a Keras model was compiled for, output by output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from ..errors import InputError
from ..ir import Shape
from .scores import Measure, Score, figure_of, is_accuracy, listed
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


@dataclass(frozen=True, slots=True)
class CompiledLoss:
    """The loss of an output, as it was given to ``compile``."""

    loss: Any


def compiled_metrics(model: keras.Model, output: int, name: str) -> list[Any] | None:
    """The metrics and the loss that an output was compiled with; None if it has neither."""
    found = []
    compiled = getattr(model, "_compile_metrics", None)
    for kind in ("_user_metrics", "_user_weighted_metrics"):
        given = getattr(compiled, kind, None)
        if isinstance(given, Mapping) or len(model.outputs) > 1:
            given = for_output(model, given, output, name)
        found += [each for each in listed(given) if each is not None]
    loss = for_output(model, getattr(model, "loss", None), output, name)
    return [*found, CompiledLoss(loss)] if loss is not None else found or None


def keras_figure(wanted: Any, task: Task, y: Shape, shape: Shape) -> Score | Measure:
    """A figure of Keras' own, or a function's.

    Args:
        wanted: A name, a metric, a loss or a function.
        task: What the output is for.
        y: Shape of the labels.
        shape: Shape of one sample of the output.

    Raises:
        InputError: Keras knows no metric of this name.
    """
    if is_accuracy(wanted):
        return figure_of(wanted, task)
    name, made = _resolved(wanted, y, shape)
    fit = _fitting(made, shape)
    if isinstance(made, keras.losses.Loss):
        return Score(name, lambda labels, outputs: made.call(fit(labels), _floats(outputs)))
    function = getattr(made, "_fn", None)
    if isinstance(made, keras.metrics.MeanMetricWrapper) and function is not None:
        function = partial(function, **made._fn_kwargs)
    elif isinstance(made, keras.metrics.Metric):
        return Measure(name, lambda: _Fitted(type(made).from_config(made.get_config()), fit))
    else:
        function = made
    return Score(name, lambda labels, outputs: function(fit(labels), _floats(outputs)))


def _floats(outputs: np.ndarray) -> np.ndarray:
    """Outputs in the type in which Keras has them: some of its metrics take no other."""
    return outputs.astype(keras.config.floatx())


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A metric of Keras that gets labels in the form that it wants."""

    metric: Any
    fit: Callable[[np.ndarray], np.ndarray]

    def update_state(self, y: np.ndarray, outputs: np.ndarray, sample_weight: Any) -> None:
        self.metric.update_state(self.fit(y), _floats(outputs), sample_weight=sample_weight)

    def result(self) -> Any:
        return self.metric.result()


def _resolved(wanted: Any, y: Shape, shape: Shape) -> tuple[str, Any]:
    """The name of a metric, and the object or function that computes it."""
    compiled = isinstance(wanted, CompiledLoss)
    given = wanted.loss if isinstance(wanted, CompiledLoss) else wanted
    if isinstance(given, str) and given.lower() in ("crossentropy", "ce"):
        sparse = len(y) <= len(shape) or y[-1] == 1
        kind = "binary" if shape[-1] == 1 else "sparse_categorical" if sparse else "categorical"
        made = keras.losses.get(f"{kind}_crossentropy")
    else:
        try:
            made = keras.losses.get(given) if compiled else _metric(given)
        except (ValueError, TypeError) as error:
            raise InputError(f"metrics: Keras knows no {given!r:.80}: {error!s:.200}") from error
    if not callable(made):
        raise InputError(f"metrics must hold names, metrics or functions. Received: {given!r:.80}")
    own = getattr(made, "name", None) or getattr(made, "__name__", type(made).__name__)
    return "loss" if compiled else given if isinstance(given, str) else str(own), made


def _metric(given: Any) -> Any:
    return given if isinstance(given, keras.losses.Loss) else keras.metrics.get(given)


def _fitting(made: Any, shape: Shape) -> Callable[[np.ndarray], np.ndarray]:
    """From labels to the form in which a figure of Keras takes them: class numbers or one-hot.

    The user's own take them as they are.
    """
    inner = getattr(made, "_fn", None) or getattr(made, "fn", None) or made
    kinds = [getattr(each, "__name__", type(each).__name__) for each in (made, inner)]
    modules = [getattr(each, "__module__", None) or "" for each in (type(made), made, inner)]
    own = not any(each.startswith("keras.") for each in modules)
    if own or shape[-1] == 1:
        return lambda y: y
    sparse = getattr(made, "sparse_y_true", None) or any("sparse" in each.lower() for each in kinds)

    def fit(y: np.ndarray) -> np.ndarray:
        one_hot = y.shape[1:] == shape
        if sparse:
            return y.argmax(axis=-1) if one_hot else y.reshape(len(y), *shape[:-1])
        numbers = y.reshape(len(y), *shape[:-1]) if not one_hot else y
        return y if one_hot else np.eye(shape[-1], dtype=np.float32)[numbers]

    return fit


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
    return any(map(is_accuracy, compiled_metrics(model, output, name) or ()))
