"""What goes into a run, checked at the door: images, labels, numbers of steps."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import count, nearest
from ..errors import InputError
from ..ir import Shape, product

FLOAT32_MAX = np.finfo(np.float32).max
CHECKED = 2**22  # values looked at together when searching for NaN


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

    def some(self, numbers: slice | Sequence[int]) -> Feeds:
        """Some of the samples, by their numbers."""
        chosen = numbers if isinstance(numbers, slice) else list(numbers)
        arrays = {name: array[chosen] for name, array in self.arrays.items()}
        n = len(next(iter(arrays.values())))
        return Feeds(arrays, n, self.n_steps, self.held)

    def as_given(self, shapes: InputShapes) -> dict[str, np.ndarray]:
        """The arrays in the shapes in which users give them: held ones without an axis of time."""
        return {
            name: array.reshape(self.n, *array.shape[1:2][array.shape[1] == 1 :], *shapes[name])
            for name, array in self.arrays.items()
        }


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
    if n_steps is not None:
        n_steps = count("n_steps", n_steps)
    arrays = {
        name: input_array(name, value) for name, value in by_name(x, shapes, what="x").items()
    }
    lengths = {}
    for name, array in arrays.items():
        length = steps_of(name, array, shapes[name])
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


def steps_of(name: str, array: np.ndarray, shape: Shape) -> int | None:
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
    """Sort an array, list or dict of inputs by the inputs' names.

    Raises:
        InputError: There are not as many as inputs, or they have other names.
    """
    names = tuple(shapes)
    if isinstance(x, Mapping):
        x = _flat(x, names)
        if set(x) != set(names):
            hint = nearest([key for key in x if key not in names], names)
            raise InputError(
                f"{what} must have one entry for each of the inputs {list(names)}. Received the "
                f"keys {list(x)}{hint}"
            )
        return {name: x[name] for name in names}
    if not isinstance(x, list | tuple):
        if len(names) > 1:
            raise InputError(
                f"the model has the inputs {list(names)}: {what} must be a list in this order, or "
                f"a dict by name. Received: {type(x).__name__}"
            )
        return {names[0]: x}
    # Keras reads a list of arrays as inputs. A list of numbers or lists is one array here.
    if len(names) == 1 and not any(map(has_axes, x)):
        return {names[0]: x}
    if len(x) != len(names):
        hint = ". Put samples into one array, as np.stack does" if len(names) == 1 else ""
        raise InputError(
            f"{what} must have {len(names)} {'arrays' if len(names) > 1 else 'array'}, for the "
            f"inputs {list(names)}: a list of arrays has one for each input, as in Keras. "
            f"Received: {len(x)} arrays{hint}"
        )
    return dict(zip(names, x, strict=True))


def has_axes(value: Any) -> bool:
    """Whether it is an array, of whatever library, and no number."""
    try:
        return len(value.shape) > 0
    except (AttributeError, TypeError, ValueError):
        return False


def _flat(x: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """A dict that holds dicts or lists, by the ways to its values: ``others/left``."""
    found = {}
    for key, value in x.items():
        inside = any(name.startswith(f"{key}/") for name in names)
        if inside and isinstance(value, Mapping | list | tuple):
            parts = value if isinstance(value, Mapping) else dict(enumerate(value))
            ways = [name.removeprefix(f"{key}/") for name in names if name.startswith(f"{key}/")]
            deeper = _flat({str(part): each for part, each in parts.items()}, ways)
            found.update({f"{key}/{way}": each for way, each in deeper.items()})
        else:
            found[str(key)] = value
    return found


def array_of(what: str, value: Any) -> np.ndarray:
    """An array from what Keras takes as one: of NumPy, a backend or pandas, a list, sparse.

    Args:
        what: What users call it, for errors.
        value: It.

    Raises:
        InputError: It is no array, or hides some of its values.
    """
    if hidden := _hidden(value):
        raise InputError(
            f"{what} is a masked array that hides {hidden} of its values, but a network cannot "
            "leave values out: give them a value with filled(value), or leave these samples out"
        )
    try:
        array = np.asarray(_plain(value))
    except Exception as error:
        raise InputError(f"{what} is not an array: {error}") from error
    if array.dtype.name in ("bfloat16", "float16") or array.dtype.name.startswith("float8"):
        array = array.astype(np.float32)
    return array


def input_array(name: str, value: Any) -> np.ndarray:
    """The array of an input, which holds real numbers."""
    what = f"x for the input {name!r}"
    array = array_of(what, value)
    if array.dtype.kind not in "biuf":
        kind = "" if isinstance(value, np.ndarray) else f" (from {type(value).__name__})"
        raise InputError(f"{what} must hold real numbers. Received: dtype {array.dtype}{kind}")
    return array


def _hidden(value: Any) -> int:
    """How many values are hidden by masks."""
    if isinstance(value, np.ma.MaskedArray):
        return int(np.ma.getmaskarray(value).sum())
    if isinstance(value, list | tuple):
        return sum(map(_hidden, value))
    return 0


def _plain(value: Any) -> Any:
    """Something that NumPy reads, from arrays that it does not read as what they are."""
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # no mask, no matrix
    if getattr(value, "is_sparse", False) is True:  # torch
        value = value.to_dense()
    if callable(getattr(value, "detach", None)) and callable(getattr(value, "cpu", None)):
        return value.detach().cpu()  # a torch tensor that records gradients refuses np.asarray
    if type(value).__name__ == "SparseTensor" and "tensorflow" in sys.modules:
        sparse = sys.modules["tensorflow"].sparse
        return sparse.to_dense(sparse.reorder(value))
    for dense in ("toarray", "todense"):  # SciPy, JAX
        if callable(method := getattr(value, dense, None)) and hasattr(value, "shape"):
            return method()
    return value


def _require_finite(name: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    at_a_time = max(1, CHECKED * len(array) // max(array.size, 1))
    for first in range(0, len(array), at_a_time):
        rows = array[first : first + at_a_time]
        finite = np.abs(rows) <= FLOAT32_MAX
        if not finite.all():
            image = first + int(np.argwhere(~finite)[0][0])
            raise InputError(
                f"x for the input {name!r} holds NaN or infinite values, or values that float32 "
                f"cannot hold, first in sample {image}"
            )


def _join(shape: Shape) -> str:
    return ", ".join(map(str, shape))
