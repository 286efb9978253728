"""Labels and weights of samples, checked against the output that they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data.arrays import array_of, has_axes
from ..errors import InputError
from ..ir import Shape
from .scores import is_accuracy


def label_array(y: Any, where: str) -> np.ndarray:
    """Labels as an array of numbers.

    Raises:
        InputError: They are none.
    """
    found = array_of(where, y)
    if found.dtype.kind not in "biuf":
        kind = "" if isinstance(y, np.ndarray) else f" (from {type(y).__name__})"
        hint = (
            ": turn names of classes into their numbers, as np.unique(y, return_inverse=True) does"
            if found.dtype.kind in "OSU"
            else ""
        )
        raise InputError(
            f"{where} must hold numbers{hint}. Received: dtype {found.dtype}{kind}, shape "
            f"{found.shape}"
        )
    return found


def _require_finite(found: np.ndarray, where: str) -> None:
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        bad = np.argwhere(~np.isfinite(found))[0]
        sample = f", first in sample {int(bad[0])}" if len(bad) else ""
        raise InputError(f"{where} holds NaN or infinite values{sample}")


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
    found = label_array(y, where)
    _require_finite(found, where)
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
                f"{_ignored(found)}"
            )
        return found.reshape(n, *shape[:-1]).astype(np.int64)
    also = f", or class numbers of shape {(n, *shape[:-1])}" if len(shape) > 1 else ""
    raise InputError(f"{where} must have the shape {(n, *shape)}{also}. Received: {found.shape}")


def check_classes(y: Any, n: int, classes: int, name: str) -> np.ndarray:
    """Class numbers of shape (n, 1), or one-hot rows of shape (n, classes).

    Args:
        y: Class numbers of shape (n,) or (n, 1), or one-hot rows. Rows may be smoothed: they hold
            no negative numbers, sum to 1, and one of them is the largest. For an output of one
            unit (``classes`` 1) the classes are 0 and 1.
        n: Number of samples.
        classes: Number of units of the output.
        name: The output.

    Raises:
        InputError: The labels are none of these.
    """
    where = f"y for the output {name!r}"
    labels = label_array(y, where)
    if not labels.ndim or len(labels) != n:
        raise InputError(
            f"{where} must have one label for each of the {n} samples. Received: shape "
            f"{labels.shape}"
        )
    if labels.ndim == 2 and labels.shape[1] == classes > 1:
        return _one_hot(labels, where)
    _require_finite(labels, where)
    if labels.shape not in ((n,), (n, 1)):
        rows = f" or one-hot of shape ({n}, {classes})" if classes > 1 else ""
        raise InputError(
            f"{where} must be class numbers of shape ({n},) or ({n}, 1){rows}. Received: shape "
            f"{labels.shape}"
        )
    highest = max(classes, 2)
    if not np.all((labels >= 0) & (labels < highest) & (labels == np.floor(labels))):
        raise InputError(
            f"{where} must be class numbers from 0 to {highest - 1}. Received values from "
            f"{labels.min()} to {labels.max()}{_ignored(labels)}"
        )
    return labels.reshape(n, 1).astype(np.int64)


def _ignored(labels: np.ndarray) -> str:
    """What to do with -1 or 255, where such labels stand for "leave this out"."""
    odd = np.unique(labels[(labels == -1) | (labels == 255)])
    if not len(odd):
        return ""
    return (
        f". If {odd[0]:g} marks labels to ignore, leave these samples out, or pass metrics=[...] "
        "that ignore it: functions or a keras.metrics.Metric"
        if labels.ndim > 1
        else f". If {odd[0]:g} marks labels to ignore, leave these samples out"
    )


def _one_hot(labels: np.ndarray, where: str) -> np.ndarray:
    """One-hot rows, each of which must stand for one class."""
    rows = labels.astype(np.float64)
    largest = rows.max(axis=1, keepdims=True)
    # NaN fails each of these. Float32 sums to 1 within 1e-6; half precision within 1e-3.
    fits = (rows.min(axis=1) >= 0) & (abs(rows.sum(axis=1) - 1) < 1e-3)
    fits &= (rows == largest).sum(axis=1) == 1
    if fits.all():
        return labels
    bad = int(np.flatnonzero(~fits)[0])
    hint = ""
    if np.isin(rows, (0, 1)).all():
        hint = (
            ". If several classes of a sample may be right, compile the model with "
            "'binary_crossentropy', or ask for metrics=['binary_accuracy']"
        )
    elif not fits.any():
        hint = ". If these are numbers and not classes, ask for metrics=['mse']"
    raise InputError(
        f"{where} has the shape {labels.shape}, so each row must be one-hot: numbers >= 0 that "
        f"sum to 1, of which one is the largest. Row {bad} is {labels[bad].tolist()!s:.80}{hint}"
    )


def check_weights(weights: Any, n: int, all_zero: bool) -> np.ndarray | None:
    """The weight of each sample, or None.

    Args:
        weights: Numbers >= 0, of shape (n,) or (n, 1).
        n: Number of samples.
        all_zero: Whether they may all be 0, as in a batch of several.

    Raises:
        InputError: They are not such numbers.
    """
    if weights is None:
        return None
    found = array_of("sample_weight", weights)
    if found.dtype.kind not in "biuf":
        raise InputError(f"sample_weight must hold numbers. Received: dtype {found.dtype}")
    found = found.astype(np.float64)
    if found.shape == (n, 1):
        found = found[:, 0]
    fits = found.shape == (n,) and np.isfinite(found).all() and (found >= 0).all()
    if not fits or not (all_zero or found.any()):
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
    try:
        found = array_of("y", y)
    except InputError:
        return True  # and are refused as such
    if wanted is not None and not any(map(is_accuracy, wanted)):
        # Labels of one number for several units can be nothing but classes.
        return shape[0] > 1 and (found.ndim == 1 or found.shape[1:] == (1,))
    if wanted is not None:
        return True
    if shape[0] > 1 and not threshold:
        return True
    if found.dtype.kind not in "biuf":
        return False
    whole = bool(np.isin(found, (0, 1)).all())
    if shape[0] == 1:
        return whole
    return not (whole and found.shape[1:] == shape and (found.sum(axis=1) != 1).any())


def by_output(given: Any, names: Sequence[str], output: str | None, what: str) -> dict[int, Any]:
    """Labels or weights by the number of the output that they are for.

    Args:
        given: For one output an array, also in a list of one or in a dict by name. For several a
            list in their order, or a dict by name, also of some of them.
        names: The outputs.
        output: The one that is meant, or None.
        what: What users call it, for errors.

    Raises:
        InputError: It is for other outputs, or does not say for which.
    """
    several = len(names) > 1
    parts: dict[int, Any] | None = None
    if isinstance(given, Mapping):
        if unknown := [name for name in given if name not in names]:
            raise InputError(
                f"{what} must be an array, or a dict by the names of outputs, which are "
                f"{list(names)}. Received the keys {unknown}"
            )
        parts = {names.index(name): given[name] for name in names if name in given}
    elif _is_by_output(given, len(names), all_of_them=several and output is None):
        parts = dict(enumerate(given))
    if output is None and several:
        if not parts:
            raise InputError(
                f"output must name one of the model's outputs, {list(names)}, or {what} must be a "
                f"list in this order or a dict by name. Received: output=None and a "
                f"{type(given).__name__}"
            )
        return parts
    index = 0 if output is None else names.index(output)
    if parts is None:
        return {index: given}
    if index not in parts:
        raise InputError(f"{what} has nothing for the output {names[index]!r}: {list(given)}")
    return {index: parts[index]}


def _is_by_output(given: Any, n: int, *, all_of_them: bool) -> bool:
    """Whether a list has an entry for each output. One of numbers, or of lists, is one array."""
    if not isinstance(given, list | tuple) or len(given) != n:
        return False
    return all_of_them or any(map(has_axes, given))


def check_class_names(names: Any, sizes: list[int]) -> tuple[str, ...]:
    """Names of the classes of a model with one output.

    Args:
        names: As the user gave them.
        sizes: Units of each output.

    Raises:
        InputError: They are no list of strings, or not as many as units.
    """
    if not isinstance(names, Sequence | np.ndarray) or isinstance(names, str):
        raise InputError(f"class_names must be a list of strings. Received: {names!r}")
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"class_names must be a list of strings. Received: {names!r}")
    if len(sizes) != 1 or len(names) != sizes[0]:
        raise InputError(
            f"class_names must have one name for each unit of the output: the outputs have {sizes} "
            f"units. Received: {len(names)} names"
        )
    return tuple(names)
