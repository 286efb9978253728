"""Calls into code that may raise anything: importers, and Keras on input of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import MissingPackageError, Unsupported


def attempt(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """What a function returns, and None; or None, and what it raised."""
    try:
        return function(*arguments), None
    # Importers are anybody's code, and Keras raises what its backend raises.
    except Exception as error:  # noqa: BLE001
        return None, error


def checked(importer: Callable[..., Any], layer: Any, builder: Any, *inputs: str) -> Any:
    """What an importer returns: names of values of the builder.

    Raises:
        Unsupported: By the importer, or because the importer is wrong.
    """
    found, error = attempt(importer, layer, builder, *inputs)
    if isinstance(error, Unsupported | MissingPackageError | MemoryError):
        raise error
    name = getattr(importer, "__qualname__", repr(importer))
    if error is not None:
        raise Unsupported(
            f"its importer {name} failed, which is a defect in the importer: "
            f"{type(error).__name__}: {error}",
            "correct the importer if it is yours, else please report it",
        ) from error
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, list | tuple) or not all(
        isinstance(each, str) and each in builder.nodes for each in names
    ):
        raise Unsupported(
            f"its importer {name} returned {found!r}: it must return the name of a value, or a "
            "list of names",
            "return what b.add(...) returns",
        )
    return found
