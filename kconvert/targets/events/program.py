"""A program of the event simulator: instructions, and the arrays they speak of by offset.

Everything is data, so that one compiled machine runs every network. An instruction is a line of
integers (its :class:`Code`, then arguments) and a line of numbers. Each sample has a working memory
of its own: ``state`` (every value that is dense), ``waiting`` (steps a neuron is refractory for),
lists of events, and pointers into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

LANES = 16
"""Weights that the machine handles at a time."""
WORD = 64
"""Numbers that it compares at a time; every array starts at a multiple of it."""
BLOCK = 4 * LANES
"""Columns of a weight matrix that stand together."""
INTEGERS, NUMBERS = 24, 8
"""Length of the two lines of an instruction."""


class Code(IntEnum):
    """What an instruction does; its arguments are in the order in which the machine takes them."""

    LOAD = 0
    SCAN = 1
    POINT = 2
    WINDOW = 3
    GROUPED = 4
    SCATTER = 5
    SPREAD = 6
    ADD = 7
    MIX = 8
    FILTER = 9
    MAXIMUM = 10
    LIF = 11
    INTEGRATE = 12
    REGULAR = 13
    RATE = 14
    READ = 15
    WRITE = 16
    SCALE = 17


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What the machine runs for every sample.

    Args:
        prologue: Instructions of the time before the first step, as (integers, numbers).
        step: Instructions of every step, by groups.
        groups: Where each group of them begins, and the end of the last.
        weights: Numbers that all samples share.
        tables: Integers that all samples share.
        initial: ``state`` before the prologue.
        n_waiting: Size of ``waiting``.
        longest_wait: The largest number in it.
        lists: Where each list of events begins, and the end of the last.
        n_pointers: Size of the pointers.
        n_dense: Size of the memory for one dense input.
        spiking: Spikes, or rates.
        neurons: Names of the layers of neurons, by number.
        sizes: Their sizes.
        held: Names of inputs that do not change, in the order in which they are fed side by side.
        timed: The other inputs.
        output_sizes: Of each output.
    """

    prologue: tuple[np.ndarray, np.ndarray]
    step: tuple[np.ndarray, np.ndarray]
    groups: np.ndarray
    weights: np.ndarray
    tables: np.ndarray
    initial: np.ndarray
    n_waiting: int
    longest_wait: int
    lists: np.ndarray
    n_pointers: int
    n_dense: int
    spiking: bool
    neurons: tuple[str, ...]
    sizes: tuple[int, ...]
    held: tuple[str, ...]
    timed: tuple[str, ...]
    output_sizes: tuple[int, ...]


def padded(size: int, to: int = WORD) -> int:
    """The next multiple of a length, at least that."""
    return max(1, -(-size // to)) * to


@dataclass(slots=True)
class Section:
    """Instructions in order."""

    lines: list[tuple[Sequence[int], Sequence[float]]] = field(default_factory=list)

    def add(self, code: Code, *integers: int, numbers: Sequence[float] = ()) -> None:
        self.lines.append(((int(code), *integers), numbers))


class Assembler:
    """Hands out places in the arrays while a program is written."""

    def __init__(self) -> None:
        self._shared: dict[str, list[np.ndarray]] = {"weights": [], "tables": []}
        self._ends = {"weights": 0, "tables": 0}
        self._known: dict[tuple[str, int], tuple[Any, int]] = {}
        self._initial: list[tuple[int, np.ndarray]] = []
        self._state = self._waiting = self._pointers = 0
        self._dense = self._longest = 0
        self._lists = [0]

    def shared(self, kind: str, array: np.ndarray, known_as: Any = None) -> int:
        """Store an array in ``weights`` or ``tables``.

        Args:
            kind: Which of them.
            array: What to store.
            known_as: An object; a second call with the same one stores nothing.

        Returns:
            Its offset.
        """
        key = (kind, id(known_as))
        if known_as is not None and key in self._known:
            return self._known[key][1]
        flat = np.ravel(array)
        room = padded(flat.size)
        whole = np.zeros(room, dtype=np.float64 if kind == "weights" else np.int32)
        whole[: flat.size] = flat
        self._shared[kind].append(whole)
        at, self._ends[kind] = self._ends[kind], self._ends[kind] + room
        if known_as is not None:
            self._known[key] = known_as, at
        return at

    def weights(self, array: np.ndarray, known_as: Any = None) -> int:
        return self.shared("weights", array, known_as)

    def table(self, array: np.ndarray, known_as: Any = None) -> int:
        return self.shared("tables", array, known_as)

    def buffer(self, size: int, initial: np.ndarray | None = None) -> int:
        """A part of ``state``: zero before the prologue, or ``initial``."""
        at = self._state
        self._state += padded(size)
        if initial is not None and np.any(initial):
            self._initial.append((at, np.ravel(initial)))
        return at

    def waiting(self, size: int, longest: int) -> int:
        """A part of ``waiting`` for numbers up to ``longest``."""
        self._longest = max(self._longest, longest)
        at = self._waiting
        self._waiting += padded(size)
        return at

    def pointers(self, size: int) -> int:
        at = self._pointers
        self._pointers += size
        return at

    def events(self, size: int) -> int:
        """The number of a new list for up to ``size`` events, with room behind them."""
        self._lists.append(self._lists[-1] + padded(size) + WORD)
        return len(self._lists) - 2

    def room_for(self, size: int) -> int:
        """Say that an instruction needs dense memory of a size for itself, and give that back."""
        self._dense = max(self._dense, size)
        return size

    def finish(self, prologue: Section, step: Section, **names: Any) -> Program:
        initial = np.zeros(self._state)
        for at, array in self._initial:
            initial[at : at + array.size] = array
        nothing = {"weights": np.zeros(WORD), "tables": np.zeros(WORD, dtype=np.int32)}
        weights, tables = (
            np.concatenate([*parts, nothing[kind]]) for kind, parts in self._shared.items()
        )
        return Program(
            prologue=_lines(prologue),
            step=_lines(step),
            initial=initial,
            n_waiting=self._waiting,
            longest_wait=self._longest,
            lists=np.array(self._lists, dtype=np.int64),
            n_pointers=self._pointers,
            n_dense=self._dense,
            weights=weights,
            tables=tables,
            **names,
        )


def _lines(section: Section) -> tuple[np.ndarray, np.ndarray]:
    integers = np.zeros((len(section.lines), INTEGERS), dtype=np.int64)
    numbers = np.zeros((len(section.lines), NUMBERS))
    for line, (whole, real) in enumerate(section.lines):
        integers[line, : len(whole)] = whole
        numbers[line, : len(real)] = real
    return integers, numbers
