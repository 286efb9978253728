"""The instructions of the event simulator: one frozen dataclass for each.

Its fields are its arguments, and their types say what they mean: :data:`State` is a place in the
``state`` of a sample, a whole number is an ``int``, a real one a ``float``. The record that the
machine reads follows from them (:func:`record`). To add an instruction, add a dataclass here and a
kernel for it in ``machine/kernels.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from typing import Any, NewType, get_type_hints

import numpy as np

State = NewType("State", int)
"""A place in ``state`` that the step changes; a negative one is none."""
Weights = NewType("Weights", int)
"""A place in ``weights``: real numbers that all samples share."""
Table = NewType("Table", int)
"""A place in ``tables``: integers that all samples share."""
Pointers = NewType("Pointers", int)
"""A place in ``pointers``: for each cell its first event."""
RefractorySteps = NewType("RefractorySteps", int)
"""A place in ``refractory_steps``: the steps that each neuron is still refractory for."""
EventList = NewType("EventList", int)
"""The number of a list of events."""

NO_STATE = State(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What one step of a program does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads(Instruction):
    """An instruction that reads a list of events.

    Args:
        events: The list.
    """

    events: EventList


@dataclass(frozen=True, slots=True, kw_only=True)
class Fires(Instruction):
    """An instruction that writes a list of events.

    Args:
        fires: The list.
    """

    fires: EventList


@dataclass(frozen=True, slots=True)
class Drive:
    """Where the input of neurons, a maximum or an output stands.

    Args:
        changing: The part that changes from step to step, or none.
        constant: Offset of the part that does not change.
        of_sample: Whether that is in ``state``, a sample's own, or in ``weights``.
        block: Length after which the constant repeats, or 0.
    """

    changing: State
    constant: int
    of_sample: bool
    block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(Instruction):
    """Take in an input.

    Args:
        target: Where to.
        size: Number of values.
        first: Where they begin in what is fed.
        timed: Whether they change in time.
    """

    target: State
    size: int
    first: int
    timed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Fires):
    """The entries of a buffer that are not zero become events.

    Args:
        source: The buffer.
        size: Its length.
        clear: Whether it is zero afterwards.
        amplitude: Factor on the values of the events.
    """

    source: State
    size: int
    clear: bool
    amplitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Reads):
    """Find the first event of each cell.

    Args:
        pointers: Where they are written.
        cells: Number of cells.
        channels: Entries of a cell.
    """

    pointers: Pointers
    cells: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted(Reads):
    """Push events through the windows of a layer with weights: see ``Geometry``.

    Args:
        pointers: The first event of each cell.
        target: Where they arrive.
        weights: The weights.
        channels: Of the input.
        filters: Of the output.
        n_dense: Entries of the input.
        rows: Pairs of an output row and a kernel row.
        n_rows: Number of these.
        width: Cells in an input row.
        width_out: Cells in an output row.
        kernel_width: Cells in a kernel row.
    """

    pointers: Pointers
    target: State
    weights: Weights
    channels: int
    filters: int
    n_dense: int
    rows: Table
    n_rows: int
    width: int
    width_out: int
    kernel_width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(Weighted):
    """A convolution, a transposed one or a dense layer.

    Args:
        n_weights: Rows of the weight matrix.
        spans: Runs of kernel cells under each output cell.
        n_spans: Most runs that a cell has.
        decay: Factor of the target before what arrives.
    """

    n_weights: int
    spans: Table
    n_spans: int
    decay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped(Weighted):
    """A convolution whose channels are in groups, also a depthwise one; adds to its target.

    Args:
        groups: Number of groups.
        height: Rows of the input.
        columns: The input cell under each output cell and kernel cell.
        row_pointers: For each input row the first of its pairs.
        row_pairs: Pairs of a kernel row and an output row.
        column_pointers: For each input cell of a row the first of its pairs.
        column_pairs: Pairs of a kernel cell and an output cell.
    """

    groups: int
    height: int
    columns: Table
    row_pointers: Table
    row_pairs: Table
    column_pointers: Table
    column_pairs: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter(Reads):
    """Add each event to one place, or to none.

    Args:
        target: Where to.
        table: For each run of the source where its first entry goes.
        run: Length of a run.
        factor: Of all values.
    """

    target: State
    table: Table
    run: int
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread(Reads):
    """Add each event through its column of a sparse matrix.

    Args:
        target: Where to.
        indptr: The matrix, as a ``scipy.sparse.csc_array`` has it.
        indices: Likewise.
        weights: Its entries.
    """

    target: State
    indptr: Table
    indices: Table
    weights: Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Instruction):
    """``target = decay * target + factor * source``."""

    source: State
    target: State
    size: int
    decay: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix(Instruction):
    """``target = decay * target + matrix @ source``.

    Args:
        source: Input.
        target: Output.
        size: Its length.
        indptr: The matrix, as a ``scipy.sparse.csr_array`` has it.
        indices: Likewise.
        weights: Its entries.
        decay: See above.
    """

    source: State
    target: State
    size: int
    indptr: Table
    indices: Table
    weights: Weights
    decay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter(Instruction):
    """One step of a linear filter.

    Args:
        source: Input.
        target: Output.
        size: Number of signals.
        order: States of each.
        memory: These states.
        matrices: A, B, C and D in a row.
    """

    source: State
    target: State
    size: int
    order: int
    memory: State
    matrices: Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Maximum(Instruction):
    """Max pooling.

    Args:
        drive: The input.
        size: Its length.
        sums: The input summed up, where the maximum is one of sums.
        largest: The maxima of these before this step, likewise.
        target: The output.
        size_out: Its length.
        values: Memory for the input.
        rows: As for :class:`Weighted`, and so the numbers of cells.
        n_rows: Likewise.
        columns: As for :class:`Grouped`.
        width: Cells in an input row.
        width_out: Cells in an output row.
        kernel_width: Cells in a kernel row.
        channels: Of input and output.
    """

    drive: Drive
    size: int
    sums: State
    largest: State
    target: State
    size_out: int
    values: State
    rows: Table
    n_rows: int
    columns: Table
    width: int
    width_out: int
    kernel_width: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Neurons(Fires):
    """Advance a layer of neurons.

    Args:
        drive: The input.
        size: Number of neurons.
        layer: Which of the layers it is.
        connections: The connections of each neuron of a run.
        run: Neurons of a run.
        gain: Factor of the part of the input that changes.
        amplitude: Value of an event for each spike.
    """

    drive: Drive
    size: int
    layer: int
    connections: Table
    run: int
    gain: float
    amplitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Membranes(Neurons):
    """Neurons that have a voltage.

    Args:
        voltage: In units of the threshold.
    """

    voltage: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Lif(Membranes):
    """Spiking LIF neurons: see the kernel for the numbers.

    Args:
        refractory_steps: Steps that each is still refractory for.
        whole: Whole steps in the refractory time.
        leak: 1 - exp(-dt / tau_rc).
        min_voltage: The lowest voltage.
        longer: exp((tau_ref - whole * dt) / tau_rc).
        shorter: The same for whole + 1.
    """

    refractory_steps: RefractorySteps
    whole: int
    leak: float
    min_voltage: float
    longer: float
    shorter: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrate(Membranes):
    """Spiking rectified linear neurons.

    Args:
        dt: Length of a step in seconds.
        rectified: Whether negative currents are left out.
        min_voltage: The lowest voltage.
        max_spikes: The most spikes of a neuron in a step.
        fired: How many spikes each has given, where they are taken back.
    """

    dt: float
    rectified: bool
    min_voltage: float
    max_spikes: float
    fired: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Regular(Membranes):
    """Spiking neurons with a sigmoid for a curve.

    Args:
        dt: Length of a step in seconds.
        max_rate: In Hz.
    """

    dt: float
    max_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate(Neurons):
    """Rates instead of spikes.

    Args:
        rates: Where they are written.
        curve: 0 rectified linear, 1 LIF, 2 sigmoid.
        dt: Length of a step in seconds.
        max_rate: Of the sigmoid, in Hz.
        tau_rc: Of LIF, in seconds.
        tau_ref: Of LIF, in seconds.
        smoothing: Of LIF.
    """

    rates: State
    curve: int
    dt: float
    max_rate: float
    tau_rc: float
    tau_ref: float
    smoothing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Instruction):
    """The read-out through a filter of one state: ``target = decay * target + factor * value``.

    Args:
        drive: The input.
        size: Its length.
        target: Output.
        decay: See above.
        factor: See above.
    """

    drive: Drive
    size: int
    target: State
    decay: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Instruction):
    """Record an output.

    Args:
        source: Where it stands.
        size: Number of values.
        first: Where they begin in what is recorded.
    """

    source: State
    size: int
    first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale(Instruction):
    """``target = decay * target``."""

    target: State
    size: int
    decay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean(Instruction):
    """The mean from some step on.

    Args:
        source: Input.
        target: Output.
        size: Number of signals.
        memory: The number of steps, one value.
        left_out: How many of them are left out.
        growth: 1 for weights that grow with time, 0 for equal ones.
    """

    source: State
    target: State
    size: int
    memory: State
    left_out: int
    growth: int


def record(kind: Any, real: Any) -> np.dtype:
    """The record of an instruction: its fields, with real numbers of a precision.

    Args:
        kind: The class of the instruction.
        real: The type of ``float`` fields; all others are 64-bit integers.
    """

    def of(hint: Any) -> Any:
        if is_dataclass(hint):
            return record(hint, real)
        return real if hint is float else np.int64

    return np.dtype([(name, of(hint)) for name, hint in _fields(kind).items()], align=True)


def encoded(instruction: Instruction, real: Any) -> np.ndarray:
    """An instruction as an array of one record."""
    return np.array([astuple(instruction)], dtype=record(type(instruction), real))


def changed(instruction: Instruction) -> Iterator[tuple[str, int]]:
    """What an instruction shares with others in a step, besides lists of events.

    Returns:
        "state" or "pointers", and the place there.
    """
    kind: Any = type(instruction)
    for where, place in _places(kind):
        if (at := place(instruction)) >= 0:
            yield where, at


@cache
def _fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _places(kind: Any, prefix: str = "") -> list[tuple[str, Callable[[Any], int]]]:
    """For each field that is a place in ``state`` or ``pointers`` which of them, and its getter."""
    arrays = {State: "state", Pointers: "pointers"}
    found: list[tuple[str, Callable[[Any], int]]] = []
    for name, hint in _fields(kind).items():
        if hint in arrays:
            found.append((arrays[hint], attrgetter(prefix + name)))
        elif is_dataclass(hint):
            inner: Any = hint
            found += _places(inner, f"{prefix}{name}.")
    return found
