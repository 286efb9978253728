"""What goes into a run, checked at the door: images, labels, numbers of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError, is_integer
from .ir import Shape, product

FLOAT32_MAX = np.finfo(np.float32).max
CHECK_ROWS = 256  # images looked at together when searching for NaN


InputShapes = Mapping[str, Shape]
"""Input name to the shape of one sample, in Keras' order."""


@dataclass(frozen=True, slots=True)
class Feeds:
    """Checked input.

    Args:
        arrays: Input name to an array of shape (n, 1, size), held, or (n, n_steps, size).
        n: Number of images.
        n_steps: Number of steps.
        held: Whether no input changes in time.
    """

    arrays: Mapping[str, np.ndarray]
    n: int
    n_steps: int
    held: bool


def check_feeds(x: Any, shapes: InputShapes, n_steps: int | None, default_steps: int) -> Feeds:
    """Check ``x`` against the model's inputs.

    Args:
        x: An array, or for several inputs a list in Keras' order or a dict by input name.
        shapes: The model's inputs.
        n_steps: Number of steps, or None: as many as an input that changes in time has, else
            ``default_steps``.
        default_steps: See ``n_steps``.

    Raises:
        InputError: A shape, type, value or count does not fit.
    """
    if n_steps is not None and not (is_integer(n_steps) and n_steps >= 1):
        raise InputError(f"n_steps must be an integer >= 1. Received: n_steps={n_steps!r}")
    arrays = {name: _numeric(name, value) for name, value in by_name(x, shapes, what="x").items()}
    lengths = {}
    for name, array in arrays.items():
        length = _length(name, array, shapes[name])
        if length is not None:
            lengths[name] = length
    counts = {name: len(array) for name, array in arrays.items()}
    n = next(iter(counts.values()))
    if any(count != n for count in counts.values()):
        raise InputError(f"the inputs have different numbers of samples: {counts}")
    if n == 0:
        raise InputError("x is empty: it holds no samples")
    steps = int(n_steps or max(lengths.values(), default=default_steps))
    for name, length in lengths.items():
        if length != steps:
            raise InputError(
                f"x for the input {name!r} has {length} steps, and the run has n_steps={steps}"
            )
    for name, array in arrays.items():
        _require_finite(name, array)
    feeds = {
        name: array.reshape(n, lengths.get(name, 1), product(shapes[name]))
        for name, array in arrays.items()
    }
    return Feeds(feeds, n, steps, not lengths)


def _length(name: str, array: np.ndarray, shape: Shape) -> int | None:
    """Number of steps of an input that changes in time, None for one that is held."""
    if array.ndim == len(shape) + 2 and array.shape[2:] == shape:
        if array.shape[1] == 0:
            raise InputError(f"x for the input {name!r} is empty: it has 0 steps")
        return int(array.shape[1])
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        return None
    hint = ". This is one sample: add a batch axis with x[None]" if array.shape == shape else ""
    sizes = _join(shape)
    raise InputError(
        f"x for the input {name!r} must have the shape (n, {sizes}), held for all steps, or "
        f"(n, n_steps, {sizes}). Received: {array.shape}{hint}"
    )


def by_name(x: Any, shapes: InputShapes, what: str) -> dict[str, Any]:
    """Sort an array, list or dict of inputs by the inputs' names."""
    names = tuple(shapes)
    if isinstance(x, Mapping):
        if set(x) != set(names):
            raise InputError(
                f"{what} must have one entry for each of the inputs {list(names)}. Received the "
                f"keys {list(x)}"
            )
        return {name: x[name] for name in names}
    one_array = isinstance(x, list | tuple) and len(x) == 1 and hasattr(x[0], "shape")
    if one_array or (isinstance(x, list | tuple) and len(names) > 1):
        if len(x) != len(names):
            raise InputError(
                f"{what} must have {len(names)} arrays, for the inputs {list(names)}. Received: "
                f"{len(x)}"
            )
        return dict(zip(names, x, strict=True))
    if len(names) > 1:
        raise InputError(
            f"the model has the inputs {list(names)}: {what} must be a list in this order, or a "
            f"dict by name. Received: {type(x).__name__}"
        )
    return {names[0]: x}


def check_labels(y: Any, n: int, classes: int, name: str) -> np.ndarray:
    """Class numbers from integer labels of shape (n,) or (n, 1), or one-hot of (n, classes).

    For an output of one unit (``classes`` 1) the classes are 0 and 1. One-hot rows may be smoothed:
    they hold no negative numbers, sum to 1, and one of them is the largest.
    """
    try:
        labels = to_numpy(y)
    except (TypeError, ValueError) as error:
        raise InputError(f"y for the output {name!r} is not an array: {error}") from error
    where = f"y for the output {name!r}"
    if labels.dtype.kind not in "biuf":
        raise InputError(f"{where} must hold class numbers. Received: dtype {labels.dtype}")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if len(labels) != n if labels.ndim else True:
        raise InputError(
            f"{where} must have one label for each of the {n} samples. Received: shape "
            f"{labels.shape}"
        )
    if labels.ndim == 2 and labels.shape[1] == classes:
        return _from_one_hot(labels, where)
    if labels.ndim != 1:
        raise InputError(
            f"{where} must be class numbers of shape ({n},) or one-hot of shape ({n}, {classes}). "
            f"Received: shape {labels.shape}"
        )
    highest = max(classes, 2)
    if not np.all((labels >= 0) & (labels < highest) & (labels == np.floor(labels))):
        raise InputError(
            f"{where} must be class numbers from 0 to {highest - 1}. Received values from "
            f"{labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int64)


def _from_one_hot(labels: np.ndarray, where: str) -> np.ndarray:
    """The class of each row, each of which must stand for one."""
    rows = labels.astype(np.float64)
    largest = rows.max(axis=1, keepdims=True)
    # NaN fails each of these. Float32 sums to 1 within 1e-6; half precision within 1e-3.
    fits = (rows.min(axis=1) >= 0) & (abs(rows.sum(axis=1) - 1) < 1e-3)
    fits &= (rows == largest).sum(axis=1) == 1
    if not fits.all():
        bad = int(np.flatnonzero(~fits)[0])
        raise InputError(
            f"{where} has the shape {labels.shape}, so each row must be one-hot: numbers >= 0 that "
            f"sum to 1, of which one is the largest. Row {bad} is {labels[bad].tolist()!s:.80}"
        )
    return np.asarray(labels.argmax(axis=1))


def _numeric(name: str, value: Any) -> np.ndarray:
    try:
        array = to_numpy(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"x for the input {name!r} is not an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"x for the input {name!r} must hold real numbers. Received: dtype {array.dtype}"
        )
    return array


def to_numpy(value: Any) -> np.ndarray:
    """An array of what may be a tensor."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "detach"):  # a torch tensor that records gradients refuses np.asarray
        value = value.detach().cpu()
    array = np.asarray(value)
    if array.dtype.name in ("bfloat16", "float16"):
        array = array.astype(np.float32)
    return array


def _require_finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    for first in range(0, len(array), CHECK_ROWS):
        rows = array[first : first + CHECK_ROWS]
        finite = np.abs(rows) <= FLOAT32_MAX
        if not finite.all():
            image = first + int(np.argwhere(~finite)[0][0])
            raise InputError(
                f"x for the input {name!r} holds NaN or infinite values, or values that float32 "
                f"does not hold, first in sample {image}"
            )


def _join(shape: Shape) -> str:
    return ", ".join(map(str, shape))
