"""Arrays in ``.npy`` files that are written row by row, and so need no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .replacing import file_path, replacing

TYPE = np.dtype("<f8")


def npy_path(path: Any) -> Path:
    """The name of an ``.npy`` file, as users give it.

    Raises:
        InputError: It is none.
    """
    found = file_path(path)
    if found.suffix.lower() != ".npy":
        raise InputError(f"out must be the name of a .npy file, or None. Received: {str(path)!r}")
    return found


@contextmanager
def rows_into(path: Path, shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """A file of float64 that takes the place of an old one once all rows are written.

    Args:
        path: The ``.npy`` file.
        shape: Shape of a row.

    Yields:
        What appends rows, of shape ``(n, *shape)``.

    Raises:
        FileError: The file cannot be written.
    """
    n = 0
    with replacing(path) as file:

        def head() -> None:
            # NumPy leaves room in it for a number of rows of any length.
            about = {"descr": TYPE.str, "fortran_order": False, "shape": (n, *shape)}
            np.lib.format.write_array_header_1_0(file, about)

        def append(rows: np.ndarray) -> None:
            nonlocal n
            file.write(np.ascontiguousarray(rows, dtype=TYPE).tobytes())
            n += len(rows)

        head()
        yield append
        file.seek(0)
        head()


def rows_of(path: Path) -> np.ndarray:
    """The rows in a file; they stay there until they are used."""
    try:
        return np.load(path, mmap_mode="r")
    except ValueError:  # there are none
        return np.load(path)
