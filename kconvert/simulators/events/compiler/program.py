"""A program of the event simulator: instructions, and the arrays they speak of by offset.

Everything is data, so that one compiled machine runs every network. An instruction is a record: its
:class:`Code`, and the arguments that :data:`ARGUMENTS` names for it. Each sample has a working
memory of its own: ``state`` (every value that is dense), ``waiting`` (steps a neuron is refractory
for), lists of events, and pointers into them.
"""

from __future__ import annotations

from collections.abc import Mapping
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


class Code(IntEnum):
    """What an instruction does."""

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
    MEAN = 18


_DRIVE = "changing constant of_sample block size"
_NEURONS = f"{_DRIVE} fires layer connections run gain amplitude"
_WINDOW = (
    "events pointers target weights channels filters n_dense"
    " rows n_rows width width_out kernel_width"
)
ARGUMENTS: dict[Code, str] = {
    Code.LOAD: "target size first timed",
    Code.SCAN: "source size fires clear",
    Code.POINT: "events pointers cells channels",
    Code.WINDOW: f"{_WINDOW} n_weights spans n_spans decay",
    Code.GROUPED: f"{_WINDOW} groups height columns"
    " row_pointers row_pairs column_pointers column_pairs",
    Code.SCATTER: "events target table run factor",
    Code.SPREAD: "events target indptr indices weights",
    Code.ADD: "source target size decay factor",
    Code.MIX: "source target size indptr indices weights decay",
    Code.FILTER: "source target size order memory matrices",
    Code.MAXIMUM: f"{_DRIVE} sums largest target size_out values"
    " rows n_rows columns width width_out kernel_width channels",
    Code.LIF: f"{_NEURONS} voltage waiting whole leak lowest longer shorter",
    Code.INTEGRATE: f"{_NEURONS} voltage dt rectified lowest fired",
    Code.REGULAR: f"{_NEURONS} voltage dt max_rate",
    Code.RATE: f"{_NEURONS} rates curve dt max_rate tau_rc tau_ref smoothing",
    Code.READ: f"{_DRIVE} target decay factor",
    Code.MEAN: "source target size memory left_out growth",
    Code.WRITE: "source size first",
    Code.SCALE: "target size decay",
}
"""The arguments of each instruction.

Those of a name mean the same wherever they stand: ``events`` is the list that is read, ``fires``
the one that is written, and what :data:`STATE` names is a place in ``state``.
"""
NUMBERS = {
    *("amplitude", "gain", "decay", "factor", "dt", "max_rate", "tau_rc", "tau_ref", "smoothing"),
    *("leak", "lowest", "longer", "shorter"),
}
"""The arguments that are not integers."""
STATE = {
    *("source", "target", "changing", "voltage", "fired", "rates", "memory"),
    *("sums", "largest", "values"),
}
"""The arguments that are places in ``state`` which the step changes; negative ones are none."""


def instruction(real: Any) -> np.dtype:
    """The record of an instruction, with numbers of a precision."""
    names = sorted({name for names in ARGUMENTS.values() for name in names.split()})
    return np.dtype(
        [("code", np.int64), *((name, real if name in NUMBERS else np.int64) for name in names)]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What the machine runs for every sample.

    Args:
        prologue: Instructions of the time before the first step, as :func:`instruction` has them.
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

    prologue: np.ndarray
    step: np.ndarray
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

    lines: list[Mapping[str, float]] = field(default_factory=list)

    def add(self, code: Code, **arguments: float) -> None:
        """Append an instruction with exactly the arguments that it has."""
        if arguments.keys() != set(ARGUMENTS[code].split()):
            raise TypeError(f"{code.name} takes {ARGUMENTS[code]}, not {' '.join(arguments)}")
        self.lines.append({"code": code, **arguments})


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


def _lines(section: Section) -> np.ndarray:
    lines = np.zeros(len(section.lines), dtype=instruction(np.float64))
    for line, arguments in enumerate(section.lines):
        for name, value in arguments.items():
            lines[line][name] = value
    return lines
