"""Checks of arguments that many functions take: flags, words, counts and seeds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from .errors import InputError, is_integer, is_number

LEAST_DT = 1e-9
"""Seconds. Neurons have time constants of milliseconds, and count them in steps."""
LEAST, MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""The numbers > 0 that float32 holds with all of their digits."""
MOST_STEPS = 2**53
"""So many steps float64 can count."""


def flag(argument: str, value: Any, *others: Any) -> Any:
    """A bool, of Python or NumPy, or one of some other values.

    Raises:
        InputError: It is none of these; numbers, strings and arrays are no bools.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if any(value is other or (isinstance(value, str) and value == other) for other in others):
        return value
    accepted = " or ".join(", ".join(map(repr, (True, False, *others))).rsplit(", ", 1))
    raise InputError(f"{argument} must be {accepted}. Received: {value!r}{nearest(value, others)}")


def is_word(value: Any, words: Iterable[str]) -> bool:
    """Whether a value is one of some strings, whatever it is: arrays compare in their own way."""
    return isinstance(value, str) and value in words


def nearest(value: Any, words: Iterable[Any]) -> str:
    """A question that names the nearest of the words that are accepted; empty if none is near.

    Args:
        value: What was given, or a list of what was given: the first that is near a word counts.
        words: What is accepted.
    """
    by_lower = {word.lower(): word for word in words if isinstance(word, str)}
    for given in value if isinstance(value, list) else [value]:
        near = get_close_matches(given.lower(), by_lower, 1) if isinstance(given, str) else []
        if near:
            return f". Did you mean {by_lower[near[0]]!r}?"
    return ""


def refuse_unknown(unknown: Mapping[str, Any], function: Callable[..., Any]) -> None:
    """Refuse arguments that a function does not have; it takes them as ``**unknown: Never``.

    Raises:
        InputError: There are some; with the nearest name.
    """
    for name in unknown:
        known = [each for each in inspect.signature(function).parameters if each not in _NO_NAMES]
        hint = nearest(name, known) or f". It has {known}"
        raise InputError(f"{function.__name__} has no argument {name!r}{hint}")


_NO_NAMES = ("self", "unknown")


def leaves(value: Any) -> Iterator[Any]:
    """The leaves of lists, tuples and dicts, with None; ``keras.tree.flatten`` leaves out None on
    some backends.
    """
    if isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    else:
        yield value


def count(argument: str, value: Any, least: int = 1, most: int = MOST_STEPS) -> int:
    """A whole number from ``least`` on.

    Raises:
        InputError: It is none.
    """
    name = argument.rsplit(" ", 1)[-1]
    if not is_integer(value) or value < least:
        raise InputError(f"{argument} must be an integer >= {least}. Received: {name}={value!r}")
    if value > most:
        raise InputError(f"{argument} must be at most {most:,}. Received: {name}={value!r}")
    return int(value)


def seconds_of_a_step(argument: str, value: Any) -> float:
    """The length of a step.

    Raises:
        InputError: It is none.
    """
    if not is_number(value) or not LEAST_DT <= value < 1:
        name = argument.rsplit(" ", 1)[-1]
        raise InputError(
            f"{argument} must be a time in seconds >= {LEAST_DT:g} and < 1. Received: "
            f"{name}={value!r}"
        )
    return float(value)


def seed_of(value: Any) -> int:
    """A seed that all libraries take.

    Raises:
        InputError: It is none.
    """
    if not is_integer(value) or not 0 <= int(value) < 2**31:
        raise InputError(f"seed must be an integer from 0 to 2**31 - 1. Received: seed={value!r}")
    return int(value)


def fits_float32(value: float) -> bool:
    """Whether float32 holds a number > 0 with all of its digits."""
    return LEAST <= value <= MOST
