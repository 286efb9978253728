"""How good outputs are, at every step, added up a share of the samples at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
            of which the mean over what is not the sample counts. Or to one value for all of them,
            which must be the mean of what it gives for each.
        mode: "min" if it should fall, "max" if it should rise, None if nothing says it.
        weighting: How weights of samples count: "mean" (in a weighted mean), "product" (each value
            times its weight, as Keras has it for losses) or "none".
        as_given: Whether it takes the labels as the user gave them.
        source: What it was made of, such as a metric of Keras with its settings: it tells figures
            of one name apart.
    """

    name: str
    of: Callable[[np.ndarray, np.ndarray], Any]
    mode: str | None = None
    weighting: str = "mean"
    as_given: bool = False
    source: Any = None

    def values(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """The value of each sample, of shape (n,).

        Raises:
            InputError: There is not a value for each sample.
        """
        found = self._found(y, outputs)
        if found.ndim == 0:
            return self._one_by_one(y, outputs, float(found))
        crossed = found.ndim > 1 and found.shape[1] == len(y) > max(1, *outputs.shape[1:])
        if len(found) != len(y) or crossed:
            hint = (
                f": labels of shape {y.shape} and outputs of shape {outputs.shape} are broadcast "
                "against each other. Give labels of the outputs' shape"
                if crossed
                else ""
            )
            raise InputError(
                f"the metric {self.name!r} must give a value for each of {len(y)} samples. "
                f"Received: shape {found.shape}, dtype {found.dtype}{hint}"
            )
        return found.astype(np.float64).reshape(len(y), -1).mean(axis=1)

    def _found(self, y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        with judging(self.name, y, outputs):
            found = array_of(f"the metric {self.name!r}", self.of(y, outputs))
        if found.dtype.kind not in "biuf":
            raise InputError(
                f"the metric {self.name!r} must give numbers. Received: dtype {found.dtype}"
            )
        return found

    def _one_by_one(self, y: np.ndarray, outputs: np.ndarray, whole: float) -> np.ndarray:
        """The values of a function that gives one for all samples together."""
        each = [self._found(y[k : k + 1], outputs[k : k + 1]) for k in range(len(y))]
        values = np.array([float(value.mean()) for value in each])
        size = max(abs(whole), float(np.abs(values).mean()))
        if not abs(values.mean() - whole) <= 1e-3 * size + 1e-6:
            raise InputError(
                f"the metric {self.name!r} gives one value for a batch, which is not the mean of "
                f"what it gives for each sample ({whole:.6g} and {values.mean():.6g}): it depends "
                "on how samples are put into batches. Give a function with a value for each "
                "sample, or a keras.metrics.Metric; or leave it out with metrics=[...]"
            )
        return values


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that is no mean over samples: what it needs to know is kept in an object.

    Args:
        name: Its name.
        make: A new object with the methods ``update_state(y, outputs, sample_weight)`` and
            ``result()``, as Keras' metrics have them. Of a result of several numbers the mean
            counts.
        mode: As for :class:`Score`, and so the others.
        weighting: See there; "mean" or "none".
        as_given: See there.
        source: See there.
    """

    name: str
    make: Callable[[], Any]
    mode: str | None = None
    weighting: str = "mean"
    as_given: bool = False
    source: Any = None


Figure = Score | Measure


@contextmanager
def judging(name: str, y: np.ndarray, outputs: np.ndarray) -> Iterator[None]:
    """Say in an error which metric failed, and on what."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"the metric {name!r} cannot judge outputs of shape {outputs.shape} by labels of shape "
            f"{y.shape}, dtype {y.dtype}: {type(error).__name__}: {error!s:.300}"
        ) from error


class ShareTally:
    """Figures of one share of the samples: of the network at every step, or of Keras.

    What it finds is plain data. :class:`Tally` adds it up.

    Args:
        figures: What is to be found.
        n_steps: Number of steps.
        y: Labels of these samples, as figures of kconvert and Keras take them.
        given: As the user gave them.
        weights: Their weights, or None.
    """

    def __init__(
        self,
        figures: Sequence[Figure],
        n_steps: int,
        y: np.ndarray,
        given: np.ndarray,
        weights: np.ndarray | None,
    ) -> None:
        self._figures, self._n_steps = figures, n_steps
        self._y, self._given, self._weights = y, given, weights

    def found(self, outputs: np.ndarray) -> dict[str, Any]:
        """What is found in outputs of shape (samples, steps, ...).

        Returns:
            For means over samples "sums" and the values at the "last" step of each sample; for all
            figures the "totals" of the weights. With figures that are no means also the "outputs",
            which these must have one share after the other.
        """
        n, n_steps = outputs.shape[:2]
        sums, totals, last = {}, {}, {}
        for figure in self._figures:
            weights = self._weights_of(figure)
            averaged = figure.weighting == "mean"
            totals[figure.name] = np.full(n_steps, weights.sum() if averaged else float(n))
            if isinstance(figure, Measure):
                continue
            y = self._labels_of(figure)
            if figure.as_given:  # by steps: it may do anything with labels of another shape
                found = [figure.values(y, outputs[:, k]) for k in range(n_steps)]
                values = np.stack(found, axis=1)
            else:
                flat = outputs.reshape(-1, *outputs.shape[2:])
                values = figure.values(np.repeat(y, n_steps, axis=0), flat).reshape(n, n_steps)
            # No product of matrices: its order of adding depends on the number of threads.
            sums[figure.name] = (weights[:, None] * values).sum(axis=0)
            last[figure.name] = values[:, -1] if averaged else values[:, -1] * weights
        kept = any(isinstance(each, Measure) for each in self._figures)
        return {
            "sums": sums,
            "totals": totals,
            "last": last,
            "outputs": outputs if kept else None,
        }

    def update(self, figure: Measure, objects: Sequence[Any], outputs: np.ndarray) -> None:
        """Let the objects of a figure, one for each step, take these samples."""
        y = self._labels_of(figure)
        known = self._weights is not None and figure.weighting == "mean"
        weights = self._weights_of(figure) if known else None
        for k, each in enumerate(objects):
            with judging(figure.name, y, outputs[:, k]):
                each.update_state(y, outputs[:, k], weights)

    def _weights_of(self, figure: Figure) -> np.ndarray:
        if self._weights is None or figure.weighting == "none":
            return np.ones(len(self._y))
        return self._weights

    def _labels_of(self, figure: Figure) -> np.ndarray:
        return self._given if figure.as_given else self._y


class Tally:
    """Figures of all shares of the samples, added up in the order of the samples.

    Args:
        figures: What is to be found.
        n_steps: Number of steps.
    """

    def __init__(self, figures: Sequence[Figure], n_steps: int) -> None:
        self._figures = figures
        self._sums = {each.name: np.zeros(n_steps) for each in figures if isinstance(each, Score)}
        self._totals = {each.name: np.zeros(n_steps) for each in figures}
        self._objects = {
            each.name: [each.make() for _ in range(n_steps)]
            for each in figures
            if isinstance(each, Measure)
        }
        self._kept: dict[str, list[np.ndarray]] = {name: [np.zeros(0)] for name in self._sums}

    def add(self, share: ShareTally, found: Mapping[str, Any]) -> None:
        """Add what was found in a share."""
        for figure in self._figures:
            name = figure.name
            self._totals[name] += found["totals"][name]
            if isinstance(figure, Measure):
                share.update(figure, self._objects[name], found["outputs"])
            else:
                self._sums[name] += found["sums"][name]
                self._kept[name].append(found["last"][name])

    @property
    def last(self) -> dict[str, np.ndarray]:
        """The value of each sample at the last step, by figure."""
        return {name: np.concatenate(parts) for name, parts in self._kept.items()}

    def result(self) -> dict[str, np.ndarray]:
        """Name to the figure at each step, of shape (n_steps,); NaN without samples."""
        found = {}
        for figure in self._figures:
            name, total = figure.name, self._totals[figure.name]
            if isinstance(figure, Score):
                found[name] = self._sums[name] / np.where(total > 0, total, np.nan)
            else:
                values = np.full(len(total), np.nan)
                for k in np.flatnonzero(total > 0):
                    values[k] = _mean_of(name, self._objects[name][k].result())
                found[name] = values
        return found


def _mean_of(name: str, result: Any) -> float:
    """A metric's result as one number: of several the mean."""
    if isinstance(result, Mapping):
        raise InputError(
            f"the metric {name!r} gives a dict with {list(result)}, but must give one number: give "
            "a metric for each of them, or leave it out with metrics=[...]"
        )
    return float(array_of(f"the metric {name!r}", result).astype(np.float64).mean())


def with_own_names(figures: Sequence[Figure], taken: Sequence[str] = ()) -> list[Figure]:
    """Figures no two of which have the same name; they are told apart as Keras does it."""
    found: list[Figure] = []
    names = set(taken)
    for each in figures:
        name, number = each.name, 0
        while name in names:
            number += 1
            name = f"{each.name}_{number}"
        names.add(name)
        found.append(replace(each, name=name))
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
    return (outputs - _like(outputs, y)) ** 2


def absolute(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Sizes of the errors."""
    return np.abs(outputs - _like(outputs, y))


def right(threshold: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Whether classes are right, along the last axis, as Keras' "accuracy" is read.

    Args:
        threshold: Where the last axis has one unit, class 1 begins above it.
    """

    def of(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        if outputs.shape[-1] == 1:
            return np.asarray((outputs > threshold) == y)
        if y.shape == outputs.shape:
            return np.asarray(y.argmax(axis=-1) == outputs.argmax(axis=-1))
        return np.asarray(y.reshape(outputs.shape[:-1]) == outputs.argmax(axis=-1))

    return of


def units_right(y: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Whether each unit is on the right side of 0.5: Keras' binary accuracy."""
    return np.asarray((outputs > 0.5) == _like(outputs, y))


def one_hot(numbers: np.ndarray, units: int) -> np.ndarray:
    """Class numbers as rows with a 1 each, in float32."""
    return np.eye(units, dtype=np.float32)[numbers.astype(np.int64)]


def _like(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Labels in the shape of the outputs: class numbers become one-hot rows."""
    if y.shape == outputs.shape:
        return y
    return one_hot(y.reshape(outputs.shape[:-1]), outputs.shape[-1])


def default_figures(y: np.ndarray, shape: Shape, *, sigmoid: bool) -> list[Figure]:
    """What can be said of an output without classes where nothing says what it is for."""
    task = Task(False)
    if y.shape[1:] != shape:
        return [figure_of("accuracy", task)]
    names = ["binary_accuracy", "mse", "mae"] if sigmoid else ["mse", "mae"]
    return [figure_of(name, task) for name in names]


def with_class_accuracy(figures: Sequence[Figure], task: Task, units: int) -> list[Figure]:
    """Figures of an output with classes, of which the share of right classes is the first.

    It is "accuracy" as Keras has it, except for one unit of logits: Keras counts that as class 1
    above 0.5, and class 1 begins at 0. Then "class_accuracy" stands beside Keras' "accuracy".

    Args:
        figures: What is wanted.
        task: What the output is for.
        units: Number of its units.
    """
    known = next((each for each in figures if each.name == "accuracy"), None)
    if known is not None and (units > 1 or task.threshold == 0.5):
        return [known, *(each for each in figures if each is not known)]
    counted = figure_of("accuracy", task)
    if known is not None:
        counted = replace(counted, name="class_accuracy", weighting=known.weighting)
    return [counted, *figures]


WITHOUT_KERAS = ("accuracy", "binary_accuracy", "mse", "mae")
"""Names of figures that need no Keras."""
_SAME = {
    **dict.fromkeys(("acc", "accuracy"), "accuracy"),
    **dict.fromkeys(("mse", "meansquarederror"), "mse"),
    **dict.fromkeys(("mae", "meanabsoluteerror"), "mae"),
    "binaryaccuracy": "binary_accuracy",
}


def without_keras(name: Any) -> str | None:
    """Which of :data:`WITHOUT_KERAS` a name stands for, in any of the ways that Keras takes it."""
    return _SAME.get(name.replace("_", "").lower()) if isinstance(name, str) else None


def figure_of(wanted: Any, task: Task) -> Figure:
    """A figure that needs no Keras.

    Raises:
        InputError: There is none of this name.
    """
    known: dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], str]] = {
        "mse": (squared, "min"),
        "mae": (absolute, "min"),
        "binary_accuracy": (units_right, "max"),
        "accuracy": (right(task.threshold if task.classes else 0.5), "max"),
    }
    name = without_keras(wanted)
    if name is not None:
        return Score(str(wanted) if name != "accuracy" else name, *known[name])
    if callable(wanted) and not isinstance(wanted, type):
        name = getattr(wanted, "__name__", type(wanted).__name__)
        return Score(name, wanted, as_given=True)
    raise InputError(
        f"metrics must hold functions of labels and outputs, or names of {list(known)}; others "
        f"need the Keras model. Received: {wanted!r:.80}"
    )
