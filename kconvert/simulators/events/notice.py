"""What the event simulator says on standard error."""

from __future__ import annotations

import sys
import time


def say(text: str) -> None:
    """Write a line."""
    sys.stderr.write(f"kconvert: {text}\n")
    sys.stderr.flush()


class Progress:
    """How far compiling is: said once it begins, counted on a terminal, and said at the end.

    Args:
        show: True to count also where there is no terminal, False to say nothing, None for "where
            there is one".
    """

    def __init__(self, show: bool | None) -> None:
        self._silent = show is False
        self._counts = sys.stderr.isatty() if show is None else show
        self._started = time.perf_counter()

    def begin(self, part: int, parts: int) -> None:
        """Say that a part is being compiled, counted from 1."""
        if not self._silent and (part == 1 or self._counts):
            say(f"compiling the event simulator (once): {part} of {parts} ...")

    def end(self) -> None:
        """Say that all parts are compiled."""
        if not self._silent:
            say(f"compiled in {time.perf_counter() - self._started:.0f} s")
