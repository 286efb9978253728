"""Ray Data sets as streams of batches, which Ray reads as they are needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InputError
from .arrays import InputShapes

ROWS = 256
"""Rows of a batch."""
SAMPLES = ("x", "image", "images", "data", "item")
"""Names of the column with the samples of a network of one input, beside the input's own."""
LABELS = ("y", "label", "labels", "class")
"""Names of the column with the labels."""
WEIGHTS = "sample_weight"
"""Name of the column with the weights."""


def is_ray_data(x: Any) -> bool:
    """Whether it is a ``ray.data.Dataset``."""
    if "ray.data" not in sys.modules:
        return False
    return isinstance(x, sys.modules["ray.data"].Dataset)


def ray_batches(x: Any, shapes: InputShapes) -> Iterator[Any]:
    """The batches of a Ray Data set, in the order of its rows, as Keras takes batches.

    Args:
        x: The data set. Its columns are the inputs by name, or for one input one of
            :data:`SAMPLES`; the labels, one of :data:`LABELS`; and weights, "sample_weight".
        shapes: The network's inputs.

    Raises:
        InputError: The columns do not fit, or a file cannot be read.
    """
    with _in_order(x), _reading():
        for batch in x.iter_batches(batch_size=ROWS, batch_format="numpy"):
            yield _given({name: _stacked(each) for name, each in batch.items()}, shapes)


def _stacked(column: np.ndarray) -> np.ndarray:
    """A column of lists as one array, if they have one length: Parquet files hold lists."""
    if column.dtype != object or not all(isinstance(each, np.ndarray | list) for each in column):
        return column
    try:
        return np.stack([_stacked(np.asarray(each)) for each in column])
    except ValueError:  # of different lengths, which is said where they are read
        return column


def _given(batch: Mapping[str, Any], shapes: InputShapes) -> Any:
    inputs = _inputs(batch, shapes)
    y = next((batch[name] for name in LABELS if name in batch and name not in inputs), None)
    if y is None:
        return inputs
    return (inputs, y, batch[WEIGHTS]) if WEIGHTS in batch else (inputs, y)


def _inputs(batch: Mapping[str, Any], shapes: InputShapes) -> dict[str, Any]:
    if set(shapes) <= set(batch):
        return {name: batch[name] for name in shapes}
    if len(shapes) == 1:
        others = [name for name in batch if name not in (*LABELS, WEIGHTS, "path")]
        for name in (*SAMPLES, *(others if len(others) == 1 else ())):
            if name in batch:
                return dict.fromkeys(shapes, batch[name])
    columns = f"{list(shapes)}" if len(shapes) > 1 else f"{next(iter(shapes))!r} or 'x'"
    raise InputError(
        f"the Ray Data set must have the column {columns}; labels are in 'y' or 'label'. It has "
        f"{list(batch)}: rename them with rename_columns"
    )


@contextmanager
def _in_order(x: Any) -> Iterator[None]:
    """Let Ray give blocks in their order, whichever is read first."""
    options = x.context.execution_options
    before = options.preserve_order
    options.preserve_order = True
    try:
        yield
    finally:
        options.preserve_order = before


@contextmanager
def _reading() -> Iterator[None]:
    """Say in an error that the data could not be read."""
    import ray

    try:
        yield
    except InputError:
        raise
    except (ray.exceptions.RayError, OSError) as error:
        chain, each = [], error
        while each is not None and each not in chain:
            chain.append(each)
            each = getattr(each, "cause", None) or each.__cause__  # type: ignore[assignment]
        gone = [each for each in chain if isinstance(each, OSError)]
        hint = (
            ". Every node must see the files under the same path: put them on a shared or cloud "
            "storage"
            if gone
            else ""
        )
        lines = str(gone[0] if gone else chain[-1]).strip().splitlines() or [type(error).__name__]
        raise InputError(f"Ray cannot read the data set: {lines[-1]:.300}{hint}") from error
