"""What commands print and write."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from ..errors import FileError, InputError


def show(result: Any, as_json: bool) -> None:
    """Print a result, or a dict of them by output."""
    from .advice import as_typed

    if as_json:
        print_json(result)
    elif isinstance(result, Mapping):
        for name, each in result.items():
            typer.echo(f"{name}\n{as_typed(str(each))}")
    else:
        typer.echo(as_typed(str(result)))


def print_json(value: Any) -> None:
    """Print plain data, as results have it, and nothing else."""
    from ..results.display import plain

    typer.echo(json.dumps(plain(value), indent=2))


def note(text: str) -> None:
    """Say what is not the result: on standard error, so that a pipe has the result alone."""
    typer.echo(text, err=True)


def on_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal that shows more than plain text."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def working(text: str) -> Iterator[None]:
    """Say on a terminal what is being done, as long as it is."""
    if not on_terminal(sys.stderr):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def either(words: Sequence[str]) -> str:
    """Some words, of which one is right.

    Example:
        >>> either([".npy", ".csv", ".json"])
        '.npy, .csv or .json'
    """
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def new_file(
    path: Path, force: bool, endings: Sequence[str] = (".kconvert",), why: str = ""
) -> Path:
    """A file that may be written, known before any work is done.

    Raises:
        InputError: Its name has another ending.
        FileError: It exists and may not be replaced, or it cannot be there.
    """
    if path.suffix.lower() not in endings:
        raise InputError(f"{str(path)!r} must end in {either(endings)}{why}")
    try:
        if path.is_dir():
            raise FileError(f"{str(path)!r} is a folder")
        if not path.parent.is_dir():
            raise FileError(f"the folder {str(path.parent)!r} does not exist")
        if path.exists() and not force:
            raise FileError(f"{str(path)!r} exists. Pass --force to replace it")
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise FileError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"the folder {str(path.parent)!r} may not be written to")
    return path


def size_of(path: Path) -> str:
    """The size of a file that was written, with its name."""
    return f"{path} ({path.stat().st_size / 1e6:.1f} MB)"
