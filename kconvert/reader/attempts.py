"""Calls into code that may raise anything: importers, and Keras on input of any kind."""

from __future__ import annotations

import inspect
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
    _require_inputs(importer, len(inputs))
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


def _require_inputs(importer: Callable[..., Any], n: int) -> None:
    """Refuse a call that reads another number of values of the network than its importer."""
    try:
        parameters = list(inspect.signature(importer).parameters.values())
    except (TypeError, ValueError):  # written in C
        return
    places = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, _EITHER)]
    needed = sum(each.default is each.empty for each in places) - 2
    if n < needed or (n > len(places) - 2 and all(each.kind != _REST for each in parameters)):
        name = getattr(importer, "__qualname__", repr(importer))
        raise Unsupported(
            f"it reads {n} values of the network, and its importer {name} takes "
            f"{max(len(places) - 2, 0)}",
            "give the others as constants",
        )


_EITHER, _REST = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
