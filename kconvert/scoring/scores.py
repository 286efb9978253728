"""How good outputs are, at every step, added up a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.arrays import array_of
from ..errors import InputError
from ..ir import Shape
from .task import Task


@dataclass(frozen=True, slots=True)
class Score:
    """A figure that is the mean over samples.

    Args:
        name: Its name.
        of: From labels and outputs, of n samples each, to a value for each sample: shape (n, ...),
            of which the mean over what is not the sample counts.
    """

    name: str
    of: Callable[[np.ndarray, np.ndarray], Any]

    def values(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """The value of each sample, of shape (n,).

        Raises:
            InputError: There is not a value for each sample.
        """
        found = array_of(f"the metric {self.name!r}", self.of(y, outputs))
        if found.ndim == 0 or len(found) != len(y) or found.dtype.kind not in "biuf":
            raise InputError(
                f"the metric {self.name!r} must give a value for each of {len(y)} samples. "
                f"Received: shape {found.shape}, dtype {found.dtype}"
            )
        return found.astype(np.float64).reshape(len(y), -1).mean(axis=1)


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that is no mean over samples: what it needs to know is kept in an object.

    Args:
        name: Its name.
        make: A new object with the methods ``update_state(y, outputs, sample_weight)`` and
            ``result()``, as Keras' metrics have them.
    """

    name: str
    make: Callable[[], Any]


class Tally:
    """Figures of some outputs: of the network at every step, or of Keras.

    Args:
        figures: What is to be found.
        y: Labels of all samples.
        weights: Weight of each sample, or None.
        n_steps: Number of steps.
    """

    def __init__(
        self,
        figures: Sequence[Score | Measure],
        y: np.ndarray,
        weights: np.ndarray | None,
        n_steps: int,
    ) -> None:
        self._y, self._weights = y, weights
        self._scores = [each for each in figures if isinstance(each, Score)]
        self._names = [each.name for each in figures]
        self._sums = {each.name: np.zeros(n_steps) for each in self._scores}
        self._total = np.zeros(n_steps)
        self._objects = {
            each.name: [each.make() for _ in range(n_steps)]
            for each in figures
            if isinstance(each, Measure)
        }
        self.last = {each.name: np.zeros(len(y)) for each in self._scores}
        """The value of each sample at the last step, by figure."""

    def add(self, images: slice, steps: slice, outputs: np.ndarray) -> None:
        """Add outputs of some samples at some steps, of shape (samples, steps, ...)."""
        if not self._names:
            return
        y, n_steps = self._y[images], outputs.shape[1]
        weights = np.ones(len(y)) if self._weights is None else self._weights[images]
        self._total[steps] += weights.sum()
        repeated = np.repeat(y, n_steps, axis=0)
        flat = outputs.reshape(-1, *outputs.shape[2:])
        for score in self._scores:
            values = score.values(repeated, flat).reshape(len(y), n_steps)
            self._sums[score.name][steps] += weights @ values
            self.last[score.name][images] = values[:, -1]
        for objects in self._objects.values():
            for k, each in enumerate(objects[steps]):
                each.update_state(
                    y, outputs[:, k], sample_weight=None if self._weights is None else weights
                )

    def result(self) -> dict[str, np.ndarray]:
        """Name to the figure at each step, of shape (n_steps,); NaN without samples."""
        found = {}
        for name in self._names:
            if name in self._sums:
                with np.errstate(invalid="ignore"):
                    found[name] = self._sums[name] / self._total
            else:
                values = [
                    float(array_of(f"the metric {name!r}", each.result()))
                    for each in self._objects[name]
                ]
                found[name] = np.where(self._total > 0, values, np.nan)
        return found


ACCURACY = ("accuracy", "acc")
"""What Keras calls the share of classes that are right."""


def is_accuracy(wanted: Any) -> bool:
    """Whether a metric is the share of right classes."""
    return isinstance(wanted, str) and wanted.lower() in ACCURACY


def listed(value: Any) -> list[Any]:
    """A list of what may stand alone."""
    return list(value) if isinstance(value, list | tuple) else [value]


def squared(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Squares of the errors."""
    return (outputs - y) ** 2


def absolute(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Sizes of the errors."""
    return np.abs(outputs - y)


def right(threshold: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Whether classes are right, along the last axis, as Keras' "accuracy" is read.

    Args:
        threshold: Where the last axis has one unit, class 1 begins above it.
    """

    def of(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        if outputs.shape[-1] == 1:
            return (outputs > threshold) == (y > 0.5)
        if y.shape == outputs.shape:
            return y.argmax(axis=-1) == outputs.argmax(axis=-1)
        return y.reshape(outputs.shape[:-1]) == outputs.argmax(axis=-1)

    return of


def units_right(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Whether each unit is on the right side of 0.5: Keras' binary accuracy."""
    return (outputs > 0.5) == (y > 0.5)


def default_figures(y: np.ndarray, shape: Shape, *, sigmoid: bool) -> list[Score | Measure]:
    """What can be said of an output without classes where nothing says what it is for."""
    if y.shape[1:] != shape:
        return [Score("accuracy", right(0.0))]
    errors: list[Score | Measure] = [Score("mse", squared), Score("mae", absolute)]
    return [Score("binary_accuracy", units_right), *errors] if sigmoid else errors


def check_targets(y: Any, n: int, shape: Shape, name: str) -> np.ndarray:
    """Labels of an output that is no vector of classes.

    Args:
        y: Of the shape of the output; for one unit without it; or class numbers along the last
            axis of an output of several axes.
        n: Number of samples.
        shape: Shape of one sample of the output.
        name: The output.

    Returns:
        ``y`` in one of these shapes, (n, *shape) or (n, *shape[:-1]).

    Raises:
        InputError: The labels do not fit the output.
    """
    where = f"y for the output {name!r}"
    found = array_of(where, y)
    if found.dtype.kind not in "biuf":
        raise InputError(f"{where} must hold numbers. Received: dtype {found.dtype}")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        bad = int(np.argwhere(~np.isfinite(found))[0][0])
        raise InputError(f"{where} holds NaN or infinite values, first in sample {bad}")
    units = shape[-1] if shape else 1
    if found.shape == (n, *shape):
        return found
    if units == 1 and found.shape == (n, *shape[:-1]):
        return found[..., None]
    if len(shape) > 1 and found.shape in ((n, *shape[:-1]), (n, *shape[:-1], 1)):
        whole = (found >= 0) & (found < units) & (found == np.floor(found))
        if not whole.all():
            raise InputError(
                f"{where} must be class numbers from 0 to {units - 1}, or of the shape "
                f"{(n, *shape)}. Received values from {found.min()} to {found.max()}"
            )
        return found.reshape(n, *shape[:-1]).astype(np.int64)
    also = f", or class numbers of shape {(n, *shape[:-1])}" if len(shape) > 1 else ""
    raise InputError(f"{where} must have the shape {(n, *shape)}{also}. Received: {found.shape}")


def check_weights(weights: Any, n: int) -> np.ndarray | None:
    """The weight of each sample, or None.

    Raises:
        InputError: They are not n numbers >= 0 with one above 0.
    """
    if weights is None:
        return None
    found = array_of("sample_weight", weights)
    if found.dtype.kind not in "biuf":
        raise InputError(f"sample_weight must hold numbers. Received: dtype {found.dtype}")
    found = found.astype(np.float64)
    if found.shape == (n, 1):
        found = found[:, 0]
    fits = found.shape == (n,) and np.isfinite(found).all() and (found >= 0).all() and found.any()
    if not fits:
        raise InputError(
            f"sample_weight must hold a number >= 0 for each of the {n} samples, not all 0. "
            f"Received: shape {found.shape}"
        )
    return found


def labels_tell(y: Any, shape: Shape, threshold: float, wanted: Sequence[Any] | None) -> bool:
    """Whether an output is for classes, where only its labels and what is asked for tell.

    Args:
        y: The labels, as given.
        shape: Shape of one sample of the output.
        threshold: Of the output: above 0 behind a sigmoid.
        wanted: The metrics that are asked for, or None.
    """
    if len(shape) != 1:
        return False
    if wanted is not None:
        return any(map(is_accuracy, wanted))
    try:
        found = array_of("y", y)
    except InputError:
        return True  # and are refused as such
    if shape[0] > 1 and not threshold:
        return True
    whole = bool(np.isin(found, (0, 1)).all())
    if shape[0] == 1:
        return whole
    return not (whole and found.shape[1:] == shape and (found.sum(axis=1) != 1).any())


def figure_of(wanted: Any, task: Task) -> Score | Measure:
    """A figure that needs no Keras.

    Raises:
        InputError: There is none of this name.
    """
    known: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
        "mse": squared,
        "mae": absolute,
        "binary_accuracy": units_right,
        **dict.fromkeys(ACCURACY, right(task.threshold)),
    }
    if isinstance(wanted, str) and wanted in known:
        return Score(wanted, known[wanted])
    if callable(wanted) and not isinstance(wanted, type):
        return Score(getattr(wanted, "__name__", type(wanted).__name__), wanted)
    raise InputError(
        f"metrics must hold functions of labels and outputs, or names of {list(known)}; others "
        f"need the Keras model. Received: {wanted!r:.80}"
    )
