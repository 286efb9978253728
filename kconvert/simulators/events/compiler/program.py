"""A program of the event simulator: instructions, and the arrays they speak of by offset.

Everything is data, so that compiled kernels run every network: see ``instructions.py``. Each sample
has a working memory of its own: ``state`` (every value that is dense), ``refractory_steps`` (for
how many steps a neuron is refractory), lists of events, and pointers into them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....errors import InputError
from .instructions import EventList, Instruction, Pointers, RefractorySteps, State, Table, Weights

LANES = 16
"""Weights that the machine handles at a time."""
WORD = 64
"""Numbers that it compares at a time; every array starts at a multiple of it."""
BLOCK = 4 * LANES
"""Columns of a weight matrix that stand together."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What the machine runs for every sample.

    Args:
        prologue: Instructions of the time before the first step.
        step: Instructions of every step, by groups.
        groups: Where each group of them begins, and the end of the last.
        weights: Numbers that all samples share, in the precision of the run.
        tables: Integers that all samples share.
        initial: ``state`` before the prologue, likewise.
        n_refractory_steps: Size of ``refractory_steps``.
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

    prologue: tuple[Instruction, ...]
    step: tuple[Instruction, ...]
    groups: np.ndarray
    weights: np.ndarray
    tables: np.ndarray
    initial: np.ndarray
    n_refractory_steps: int
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


def aligned(size: int, dtype: Any) -> np.ndarray:
    """An array without values that begins where a line of the cache does."""
    line, itemsize = 64, np.dtype(dtype).itemsize
    raw = np.empty(size * itemsize + line, dtype=np.uint8)
    first = -raw.ctypes.data % line
    return raw[first : first + size * itemsize].view(dtype)


def put(values: Any, target: np.ndarray) -> None:
    """Write numbers into an array of the precision of a run.

    Raises:
        InputError: This does not hold them.
    """
    with np.errstate(over="ignore"):
        target[...] = values
    if np.isinf(target).any() and np.isfinite(np.asarray(values)[np.isinf(target)]).any():
        raise InputError(
            f"weights times rates of this network do not fit into {target.dtype.name}: use "
            "dtype='float64', or smaller values in scale_firing_rates"
        )


@dataclass(slots=True)
class Section:
    """Instructions in order."""

    lines: list[Instruction] = field(default_factory=list)

    def add(self, instruction: Instruction) -> None:
        self.lines.append(instruction)


class Assembler:
    """Hands out places in the arrays while a program is written.

    Weights are kept in the precision of the run from the start: those of a large network in
    float64 besides would be most of what its compiling needs.

    Args:
        dtype: That precision.
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self._shared: dict[str, list[np.ndarray]] = {"weights": [], "tables": []}
        self._ends = {"weights": 0, "tables": 0}
        self._known: dict[tuple[str, int], tuple[Any, int]] = {}
        self._initial: list[tuple[int, int, np.ndarray]] = []
        self._state = self._waiting = self._pointers = 0
        self._dense = 0
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
        whole = flat
        if room > flat.size or flat.dtype != (self.dtype if kind == "weights" else np.int32):
            whole = np.zeros(room, dtype=self.dtype if kind == "weights" else np.int32)
            put(flat, whole[: flat.size])
        self._shared[kind].append(whole)
        at, self._ends[kind] = self._ends[kind], self._ends[kind] + room
        if known_as is not None:
            self._known[key] = known_as, at
        return at

    def weights(self, array: np.ndarray, known_as: Any = None) -> Weights:
        return Weights(self.shared("weights", array, known_as))

    def table(self, array: np.ndarray, known_as: Any = None) -> Table:
        return Table(self.shared("tables", array, known_as))

    def buffer(self, size: int, initial: np.ndarray | None = None) -> State:
        """A part of ``state``: zero before the prologue, or ``initial``."""
        at = self._state
        self._state += padded(size)
        if initial is not None and np.any(initial):
            self._initial.append((at, size, initial))
        return State(at)

    def refractory_steps(self, size: int) -> RefractorySteps:
        """A part of ``refractory_steps``."""
        at = self._waiting
        self._waiting += padded(size)
        return RefractorySteps(at)

    def pointers(self, size: int) -> Pointers:
        """A part of the pointers."""
        at = self._pointers
        self._pointers += size
        return Pointers(at)

    def events(self, size: int) -> EventList:
        """The number of a new list for up to ``size`` events, with room behind them."""
        self._lists.append(self._lists[-1] + padded(size) + WORD)
        return EventList(len(self._lists) - 2)

    def room_for(self, size: int) -> int:
        """Say that an instruction needs dense memory of a size for itself, and give that back."""
        self._dense = max(self._dense, size)
        return size

    def finish(self, prologue: Section, step: Section, **names: Any) -> Program:
        initial = aligned(self._state, self.dtype)
        initial[:] = 0
        for at, size, array in self._initial:
            put(array, initial[at : at + size].reshape(np.shape(array)))
        weights, tables = (
            self._side_by_side(kind, dtype)
            for kind, dtype in (("weights", self.dtype), ("tables", np.int32))
        )
        return Program(
            prologue=tuple(prologue.lines),
            step=tuple(step.lines),
            initial=initial,
            n_refractory_steps=self._waiting,
            lists=np.array(self._lists, dtype=np.int64),
            n_pointers=self._pointers,
            n_dense=self._dense,
            weights=weights,
            tables=tables,
            **names,
        )

    def _side_by_side(self, kind: str, dtype: Any) -> np.ndarray:
        """What was stored in one array, with some zeros behind it; parts go as they are copied."""
        whole = aligned(self._ends[kind] + WORD, dtype)
        parts, at = self._shared[kind], 0
        self._known.clear()
        while parts:
            part = parts.pop(0)
            whole[at : at + part.size] = part
            at += part.size
        whole[at:] = 0
        return whole
