"""Figures of Keras' own, and of functions as Keras calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import keras
import numpy as np

from ..errors import InputError
from ..ir import Shape
from .scores import Figure, Measure, Score, figure_of, is_accuracy, one_hot
from .task import Task


@dataclass(frozen=True, slots=True)
class Wanted:
    """A figure that is wanted, and how.

    Args:
        given: A name, a metric, a loss, a class or a function, as Keras' ``compile`` takes it.
        loss: Whether it was given to ``compile`` as the loss.
        weighting: As for :class:`Score`.
        prefix: What Keras puts in front of the name where the same is found without weights too.
    """

    given: Any
    loss: bool = False
    weighting: str = "mean"
    prefix: str = ""


def keras_figure(wanted: Wanted, task: Task, y: Shape, shape: Shape) -> Figure:
    """A figure of Keras' own, or a function's.

    Args:
        wanted: What.
        task: What the output is for.
        y: Shape of the labels.
        shape: Shape of one sample of the output.

    Raises:
        InputError: Keras knows no metric of this name.
    """
    options: dict[str, Any] = {"weighting": wanted.weighting}
    if is_accuracy(wanted.given):
        # Keras counts one unit as class 1 above 0.5, whatever the loss is.
        counted = figure_of("accuracy", replace(task, threshold=0.5))
        name = "accuracy" if task.classes else str(wanted.given)
        return replace(counted, name=wanted.prefix + name, **options)
    name, made = _resolved(wanted, y, shape)
    own, fit = _fitting(made, shape)
    options.update(as_given=own, mode=_mode(made, loss=wanted.loss), source=made)
    name = wanted.prefix + name
    if isinstance(made, keras.losses.Loss):
        return Score(
            name, lambda y, outputs: made.call(_tensor(fit(y)), _tensor(outputs)), **options
        )
    if _is_mean(made):
        function = partial(made._fn, **made._fn_kwargs)
    elif isinstance(made, keras.metrics.Metric):
        lent = _Lent(made)
        return Measure(name, lambda: _Kept(lent, fit), **options)
    else:
        function = made
    if wanted.loss:  # Keras has the labels of losses in the type of the outputs
        return Score(
            name, lambda y, outputs: function(_tensor(fit(y)), _tensor(outputs)), **options
        )
    return Score(name, lambda y, outputs: function(_labels(fit(y)), _tensor(outputs)), **options)


def _is_mean(made: Any) -> bool:
    """Whether a metric is the mean of a function over samples, as Keras computes it."""
    plain = keras.metrics.MeanMetricWrapper
    return (
        isinstance(made, plain)
        and type(made).update_state is plain.update_state
        and type(made).result is plain.result
        and callable(getattr(made, "_fn", None))
        and isinstance(getattr(made, "_fn_kwargs", None), dict)
    )


def _tensor(values: np.ndarray) -> Any:
    """A tensor in the type in which Keras has outputs."""
    return keras.ops.convert_to_tensor(values, dtype=keras.config.floatx())


def _labels(y: np.ndarray) -> Any:
    """Labels as Keras hands them to metrics: fractions in its own type, the others as they are."""
    return _tensor(y) if y.dtype.kind == "f" else keras.ops.convert_to_tensor(y)


class _Lent:
    """A metric of Keras, whose variables hold in turn what is known of each step.

    It may be the user's object, which is left as it was. A copy would need what a user's own class
    need not have: settings that Keras can write down. Keras' ``stateless_result`` does not give the
    right value where a metric returns one of its variables.
    """

    def __init__(self, metric: keras.metrics.Metric) -> None:
        self.metric = metric
        self._first: list[np.ndarray] | None = None

    def known(self) -> list[np.ndarray]:
        """What the variables hold."""
        return [keras.ops.convert_to_numpy(each) for each in self.metric.variables]

    def first(self, *arguments: Any) -> list[np.ndarray]:
        """What the variables hold at first.

        Some metrics make them as they see the first labels: ``arguments`` are those of the first
        update.
        """
        if self._first is None:
            metric, before = self.metric, self.known()
            metric.update_state(*arguments)
            if not metric.variables:
                raise InputError(
                    f"the metric {metric.name!r} does not keep its state in Keras variables "
                    "(add_weight), so it cannot be kept for each step: give a metric that does, or "
                    "a function with a value for each sample"
                )
            metric.reset_state()
            self._first = self.known()
            self._hold([*before, *self._first[len(before) :]])
        return self._first

    @contextmanager
    def holding(self, values: list[np.ndarray]) -> Iterator[keras.metrics.Metric]:
        """The metric while its variables hold some values."""
        before = self.known()
        self._hold(values)
        try:
            yield self.metric
        finally:
            self._hold(before)

    def _hold(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self.metric.variables, values, strict=True):
            variable.assign(value)


@dataclass(slots=True)
class _Kept:
    """What a metric of Keras knows of one step."""

    lent: _Lent
    fit: Callable[[np.ndarray], np.ndarray]
    values: list[np.ndarray] | None = field(default=None)

    def update_state(self, y: np.ndarray, outputs: np.ndarray, weights: Any) -> None:
        arguments = [_labels(self.fit(y)), _tensor(outputs)]
        if weights is not None:
            arguments.append(_tensor(weights))
        if self.values is None:
            self.values = self.lent.first(*arguments)
        with self.lent.holding(self.values) as metric:
            metric.update_state(*arguments)
            self.values = self.lent.known()

    def result(self) -> Any:
        if self.values is None:
            return np.nan
        with self.lent.holding(self.values) as metric:
            found = metric.result()
            return found if isinstance(found, dict) else keras.ops.convert_to_numpy(found)


def _resolved(wanted: Wanted, y: Shape, shape: Shape) -> tuple[str, Any]:
    """The name of a metric, and the object or function that computes it."""
    given = wanted.given
    if isinstance(given, str) and given.lower() in ("crossentropy", "ce"):
        sparse = len(y) <= len(shape) or y[-1] == 1
        kind = "binary" if shape[-1] == 1 else "sparse_categorical" if sparse else "categorical"
        made = keras.losses.get(f"{kind}_crossentropy")
    else:
        try:
            made = keras.losses.get(given) if wanted.loss else _metric(given)
        except (ValueError, TypeError) as error:
            raise InputError(f"metrics: Keras knows no {given!r:.80}: {error!s:.200}") from error
    if not callable(made) and not isinstance(made, keras.metrics.Metric):
        raise InputError(f"metrics must hold names, metrics or functions. Received: {given!r:.80}")
    own = getattr(made, "name", None) or getattr(made, "__name__", type(made).__name__)
    return "loss" if wanted.loss else given if isinstance(given, str) else str(own), made


def _metric(given: Any) -> Any:
    if isinstance(given, type) and issubclass(given, keras.losses.Loss):
        return given()
    if isinstance(given, str):
        try:
            return keras.metrics.get(given)
        except ValueError:
            return keras.losses.get(given)  # such as "huber", which is no metric of Keras
    return given if isinstance(given, keras.losses.Loss) else keras.metrics.get(given)


def _mode(made: Any, *, loss: bool) -> str | None:
    """Whether a figure should fall ("min") or rise ("max"); None where nothing says it.

    Keras' callbacks read the same attribute for their ``mode="auto"``.
    """
    if loss or isinstance(made, keras.losses.Loss):
        return "min"
    if (direction := getattr(made, "_direction", None)) in ("up", "down"):
        return "max" if direction == "up" else "min"
    name = getattr(made, "__name__", "")
    of_keras = (getattr(made, "__module__", None) or "").startswith("keras.")
    if of_keras and "losses" in made.__module__ and name != "cosine_similarity":
        return "min"
    return "max" if of_keras and "accuracy" in name else None


def _fitting(made: Any, shape: Shape) -> tuple[bool, Callable[[np.ndarray], np.ndarray]]:
    """Whether a figure takes labels as they are given, and how they become what it takes else.

    The user's own take them as they are. Keras' take class numbers or one-hot rows.
    """
    inner = getattr(made, "_fn", None) or getattr(made, "fn", None) or made
    kinds = [getattr(each, "__name__", type(each).__name__) for each in (made, inner)]
    if not _by_keras(made, inner):
        return True, lambda y: y
    if shape[-1] == 1:
        return False, lambda y: y
    sparse = getattr(made, "sparse_y_true", None) or any("sparse" in each.lower() for each in kinds)

    def fit(y: np.ndarray) -> np.ndarray:
        rows = y.shape[1:] == shape
        if sparse:
            return y.argmax(axis=-1) if rows else y.reshape(len(y), *shape[:-1])
        return y if rows else one_hot(y.reshape(len(y), *shape[:-1]), shape[-1])

    return False, fit


def _by_keras(made: Any, inner: Any) -> bool:
    """Whether Keras wrote what computes a figure: its class, and the function in it."""
    is_object = isinstance(made, keras.losses.Loss | keras.metrics.Metric)
    parts = [type(made)] if is_object else []
    parts += [inner] if not is_object or inner is not made else []
    return all((getattr(each, "__module__", None) or "").startswith("keras.") for each in parts)
