"""Data that comes in batches: datasets, loaders and generators, as Keras' ``predict`` takes them.

A run goes through a stream some batches at a time, so that memory does not grow with the number of
samples. What looks at some samples only, such as calibration, takes the first ones.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..errors import InputError
from .arrays import InputShapes, array_of, by_name, has_axes, input_array, steps_of
from .ray_data import is_ray_data, ray_batches

T = TypeVar("T")
FIRST = 100
"""Samples that calibration and the like take of a stream."""
TUNED = 1000
"""Samples that tune takes of a stream."""
SAMPLES = 1024
"""Batches are put together to at least so many samples, unless they get too large."""
BYTES = 256 * 2**20
"""What the batches that are put together may take."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples of a stream.

    Args:
        x: Input name to an array whose first axis is the samples.
        y: Labels with the same first axis, or None; for several outputs a list or dict of them.
        first: Number of samples that came before.
        weights: Weights of the samples, or None, in the same way.
    """

    x: Mapping[str, np.ndarray]
    y: Any
    first: int
    weights: Any = None

    @property
    def n(self) -> int:
        """Number of samples."""
        return max(map(len, self.x.values()))

    @property
    def shapes(self) -> tuple[Any, ...]:
        """What must be equal in batches that are put together."""
        parts = [self.x, self.y, self.weights]
        return tuple((where, array.shape[1:]) for part in parts for where, array in _leaves(part))


def is_stream(x: Any) -> bool:
    """Whether data comes in batches: datasets, loaders, generators and other iterators."""
    if isinstance(x, io.IOBase) or hasattr(x, "__array__") or hasattr(x, "shape"):
        return False
    if _is_py_dataset(x) or is_ray_data(x):
        return True
    return isinstance(x, Iterable) and not isinstance(x, Collection) and not hasattr(x, "read")


def first_samples(x: Any, shapes: InputShapes, n: int = FIRST) -> Any:
    """The first samples of a stream, as a dict of arrays; other data as it is."""
    return dict(first_batch(x, shapes, n).x) if is_stream(x) else x


def first_batch(x: Any, shapes: InputShapes, n: int) -> Batch:
    """The first samples of a stream, with their labels and weights if it has any."""
    found: list[Batch] = []
    for batch in _batches(x, shapes):
        found.append(batch)
        if batch.first + batch.n >= n:
            break
    if not found:
        raise InputError("x is empty: it yields no batches")
    _require_alike(found)
    whole = _joined(found)

    def some(part: Any) -> Any:
        return _mapped(lambda arrays: arrays[0][:n], [part])

    return Batch(some(whole.x), some(whole.y), 0, some(whole.weights))


def run_in_pieces(
    x: Any,
    shapes: InputShapes,
    run: Callable[[Batch], T],
    *,
    stopped: Callable[[T, Batch], bool],
    returns: bool,
) -> tuple[list[T], bool]:
    """Run a stream to its end, some batches at a time.

    Args:
        x: The stream.
        shapes: The model's inputs.
        run: Runs some samples.
        stopped: Whether the result of some samples says that its run was interrupted.
        returns: Whether Ctrl-C ends the stream like its end, once there is a result.

    Returns:
        The results, and whether the stream was run to its end.

    Raises:
        InputError: The stream has no end, is empty, or some samples do not fit.
    """
    _require_end(x)
    results: list[T] = []
    try:
        for piece in _pieces(_batches(x, shapes)):
            with _samples_named(piece):
                results.append(run(piece))
            if stopped(results[-1], piece):
                return results, False
    except KeyboardInterrupt:
        if not (returns and results):
            raise
        return results, False
    if not results:
        raise InputError("x is empty: it yields no batches")
    return results, True


def labels_of(batch: Batch) -> Any:
    """The labels of a batch.

    Raises:
        InputError: It has none.
    """
    if batch.y is None:
        raise InputError("x yields no labels: batches must be (x, y) or (x, y, sample_weight)")
    return batch.y


def _batches(x: Any, shapes: InputShapes) -> Iterator[Batch]:
    first = 0
    items = ray_batches(x, shapes) if is_ray_data(x) else _items(x)
    for number, given in enumerate(items):
        try:
            batch = _batch(given, shapes, first)
        except InputError as error:
            raise InputError(f"batch {number} of x: {error}") from error
        if batch.n:
            yield batch
        first += batch.n


def _batch(given: Any, shapes: InputShapes, first: int) -> Batch:
    # Keras reads a list as a tuple, and a tuple as (x,), (x, y) or (x, y, sample_weight).
    parts = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not 1 <= len(parts) <= 3:
        raise InputError(
            "it must be x, (x, y) or (x, y, sample_weight); several inputs go into a tuple or dict "
            f"of their own, as ((a, b), y). Received: {len(parts)} parts"
        )
    arrays = {
        name: input_array(name, value)
        for name, value in by_name(parts[0], shapes, what="x").items()
    }
    y, weights = (
        _arrays(parts[k], what) if len(parts) > k else None
        for k, what in ((1, "y"), (2, "sample_weight"))
    )
    for name, array in arrays.items():
        steps_of(name, array, shapes[name])  # refuses shapes that do not fit
    batch = Batch(arrays, y, first, weights)
    for what, part in (("y", y), ("sample_weight", weights)):
        for where, each in _leaves(part):
            if not each.ndim or len(each) != batch.n:
                raise InputError(
                    f"{what}{where} must have one entry for each of the {batch.n} samples. "
                    f"Received: shape {each.shape}"
                )
    return batch


def _arrays(value: Any, what: str) -> Any:
    """Labels or weights as an array, or for several outputs as a list or dict of arrays."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {name: _arrays(each, f"{what}[{name!r}]") for name, each in value.items()}
    if isinstance(value, list | tuple) and any(map(has_axes, value)):
        return [_arrays(each, f"{what}[{k}]") for k, each in enumerate(value)]
    return array_of(what, value)


def _leaves(part: Any) -> list[tuple[str, np.ndarray]]:
    """Where each array is in an array, a list or a dict of them, and the array."""
    if part is None:
        return []
    if isinstance(part, np.ndarray):
        return [("", part)]
    parts = part.items() if isinstance(part, Mapping) else enumerate(part)
    return [(f"[{key!r}]{where}", array) for key, each in parts for where, array in _leaves(each)]


def _mapped(of: Callable[[list[np.ndarray]], np.ndarray], parts: Sequence[Any]) -> Any:
    """Something of the arrays that stand in the same places, in their structure."""
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, Mapping):
        return {name: _mapped(of, [part[name] for part in parts]) for name in first}
    if isinstance(first, list):
        return [_mapped(of, [part[k] for part in parts]) for k in range(len(first))]
    return of(list(parts))


def _items(x: Any) -> Iterator[Any]:
    if not _is_py_dataset(x):
        yield from x
        return
    n = getattr(x, "num_batches", None)
    if n is None and _length(x) is not None:
        n = len(x)
    number = 0
    while n is None or number < n:  # Keras has datasets without an end
        yield x[number]
        number += 1
    if hasattr(x, "on_epoch_end"):
        x.on_epoch_end()


def _is_py_dataset(x: Any) -> bool:
    """Whether it is Keras' ``PyDataset``, or the ``Sequence`` that it was before."""
    return any(
        kind.__name__ in ("PyDataset", "Sequence")
        and kind.__module__.partition(".")[0] in ("keras", "tf_keras")
        for kind in type(x).__mro__
    )


def _length(x: Any) -> int | None:
    try:
        return len(x)
    except (TypeError, NotImplementedError):
        return None


def _require_end(x: Any) -> None:
    """Refuse streams that say that they go on for ever."""
    cardinality = getattr(x, "cardinality", None)  # of a tf.data.Dataset
    endless = callable(cardinality) and int(cardinality()) == -1
    if _is_py_dataset(x):
        endless = getattr(x, "num_batches", None) is None and _length(x) is None
    if endless:
        raise InputError(
            "x never ends, but a run needs an end: take the number of batches that you want to run "
            f"(dataset.take(n)). Received: {type(x).__name__}"
        )


def _pieces(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Batches, put together: simulators run some hundreds of samples faster than as few."""
    waiting: list[Batch] = []
    for batch in batches:
        if waiting and batch.shapes != waiting[0].shapes:
            yield _joined(waiting)
            waiting = []
        waiting.append(batch)
        held = sum(array.nbytes for each in waiting for array in each.x.values())
        if sum(each.n for each in waiting) >= SAMPLES or held >= BYTES:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    parts = [
        _mapped(np.concatenate, [getattr(each, name) for each in batches])
        for name in ("x", "y", "weights")
    ]
    return Batch(parts[0], parts[1], batches[0].first, parts[2])


def _require_alike(batches: Sequence[Batch]) -> None:
    for batch in batches:
        if batch.shapes != batches[0].shapes:
            raise InputError(
                f"x yields batches of different shapes: {_told(batches[0])} and {_told(batch)}, "
                "without the axis of samples"
            )


def _told(batch: Batch) -> list[tuple[int, ...]]:
    """The shapes of a batch's arrays, without the axis of samples."""
    return [shape for _, shape in batch.shapes]


@contextmanager
def _samples_named(piece: Batch) -> Iterator[None]:
    """Say in an error which samples of the stream it is about."""
    try:
        yield
    except InputError as error:
        if not piece.first:
            raise
        where = f"samples {piece.first} to {piece.first + piece.n - 1} of x"
        raise InputError(f"{where}, counted from {piece.first}: {error}") from error
