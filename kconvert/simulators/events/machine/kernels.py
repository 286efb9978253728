"""One kernel for each instruction: it finds the arguments of the work in the machine's arrays.

Every kernel is compiled by itself, once it is needed, and is called through its address with the
record of its instruction, a pointer to the ``Machine``, and the sample, the step and the copy of
the lists of events in hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from ..compiler import instructions
from .neurons import integrate, lif, rate, regular
from .pushes import DEPTHWISE_CROSSOVER, depthwise, fill, grouped, mix, scatter, spread, window
from .signals import add, copy, linear_filter, maximum, mean, point, read, scale, scan

KERNELS: dict[type[instructions.Instruction], Callable[..., None]] = {}
"""Instruction to what runs it."""


def kernel(kind: type[instructions.Instruction]) -> Callable[[Any], Any]:
    """Register the kernel of an instruction."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        KERNELS[kind] = function
        return function

    return register


inlined = njit(inline="always")


@inlined
def _events(number, m, slot):
    """A list of events: places and values."""
    begin = slot * m.shared.lists[-1]
    begins, ends = begin + m.shared.lists[number], begin + m.shared.lists[number + 1]
    return m.memory.indices[begins:ends], m.memory.values[begins:ends]


@inlined
def _drive(line, m):
    """The input of neurons, a maximum or an output: what changes, what does not, and its block."""
    state, at = m.memory.state, line.drive.constant
    first = line.drive.changing
    changing = state[first : first + line.size] if first >= 0 else state[:0]
    length = line.drive.block if line.drive.block > 0 else line.size
    constant = (
        state[at : at + length] if line.drive.of_sample else m.shared.weights[at : at + length]
    )
    return changing, constant, line.drive.block


@inlined
def _neurons(line, m, slot):
    """What every layer of neurons takes: its input, and where its spikes go."""
    changing, constant, block = _drive(line, m)
    index, value = _events(line.fires, m, slot)
    drive = changing, line.gain, constant, block
    return drive, (index, value, m.shared.tables[line.connections :], line.run)


@inlined
def _count(line, m, sample, step, slot, fired):
    """Record what a layer has fired, and give its events their value."""
    n, total, met, lowest, highest = fired
    counts, operations, spikes = m.recorded.counts, m.recorded.operations, m.recorded.spikes
    index, value = _events(line.fires, m, slot)
    m.memory.n_events[slot, line.fires] = n
    kept = step if counts.shape[1] > 1 else 0
    counts[sample, kept, line.layer] += total
    operations[sample, kept, line.layer] += met
    lows, highs = m.recorded.lowest, m.recorded.highest
    lows[sample, kept, line.layer] = min(lows[sample, kept, line.layer], lowest)
    highs[sample, kept, line.layer] = max(highs[sample, kept, line.layer], highest)
    if spikes.shape[1]:
        for event in range(n):
            neuron = m.recorded.bounds[line.layer] + index[event]
            spikes[sample, step, neuron] = round(value[event])
    for event in range(n):
        value[event] *= line.amplitude


@inlined
def _cells(line, m):
    """Which cells are under each cell of the output: see ``Geometry``."""
    rows, columns = m.shared.tables[line.rows :], m.shared.tables[line.columns :]
    return rows, line.n_rows, columns, line.width, line.width_out, line.kernel_width


@inlined
def _matrix(line, m):
    """A sparse matrix: ``indptr``, ``indices``, ``data``."""
    tables = m.shared.tables
    return tables[line.indptr :], tables[line.indices :], m.shared.weights[line.weights :]


@kernel(instructions.Lif)
def _lif(line, machine, sample, step, slot):
    m = machine[0]
    drive, spikes = _neurons(line, m, slot)
    fired = lif(
        drive,
        m.memory.state[line.voltage : line.voltage + line.size],
        m.memory.refractory_steps[line.refractory_steps : line.refractory_steps + line.size],
        line.whole,
        line.leak,
        line.min_voltage,
        line.longer,
        line.shorter,
        spikes,
    )
    _count(line, m, sample, step, slot, fired)


@kernel(instructions.Integrate)
def _integrate(line, machine, sample, step, slot):
    m = machine[0]
    state = m.memory.state
    drive, spikes = _neurons(line, m, slot)
    voltage = state[line.voltage : line.voltage + line.size]
    before = state[line.fired : line.fired + line.size] if line.fired >= 0 else state[:0]
    floor = line.rectified, line.min_voltage
    fired = integrate(drive, voltage, before, line.dt, floor, line.max_spikes, spikes)
    _count(line, m, sample, step, slot, fired)


@kernel(instructions.Regular)
def _regular(line, machine, sample, step, slot):
    m = machine[0]
    drive, spikes = _neurons(line, m, slot)
    voltage = m.memory.state[line.voltage : line.voltage + line.size]
    fired = regular(drive, voltage, line.dt, line.max_rate, spikes)
    _count(line, m, sample, step, slot, fired)


@kernel(instructions.Rate)
def _rate(line, machine, sample, step, slot):
    m = machine[0]
    drive, spikes = _neurons(line, m, slot)
    fired = rate(
        drive,
        m.memory.state[line.rates : line.rates + line.size],
        line.curve,
        line.dt,
        line.max_rate,
        line.tau_rc,
        line.tau_ref,
        line.smoothing,
        spikes,
    )
    _count(line, m, sample, step, slot, fired)


@kernel(instructions.Point)
def _point(line, machine, sample, step, slot):
    m = machine[0]
    index, _ = _events(line.events, m, slot)
    n = m.memory.n_events[slot, line.events]
    point(index, n, line.cells, line.channels, m.memory.pointers[line.pointers :])


@kernel(instructions.Window)
def _window(line, machine, sample, step, slot):
    m = machine[0]
    index, value = _events(line.events, m, slot)
    n = m.memory.n_events[slot, line.events]
    tables = m.shared.tables
    window(
        (index, value, m.memory.pointers[line.pointers :], n),
        m.memory.state[line.target :],
        m.shared.weights[line.weights :],
        line.n_weights,
        (
            tables[line.rows :],
            line.n_rows,
            tables[line.spans :],
            line.n_spans,
            line.width,
            line.width_out,
            line.kernel_width,
        ),
        line.channels,
        line.filters,
        line.decay,
        m.memory.piece,
        m.memory.dense[: line.n_dense],
    )


@kernel(instructions.Grouped)
def _grouped(line, machine, sample, step, slot):
    m = machine[0]
    index, value = _events(line.events, m, slot)
    n = m.memory.n_events[slot, line.events]
    target, weights = m.memory.state[line.target :], m.shared.weights[line.weights :]
    of_one = line.channels == line.filters == line.groups
    if of_one and n > DEPTHWISE_CROSSOVER * line.n_dense:
        dense = m.memory.dense[: line.n_dense]
        fill(index, value, n, dense)
        depthwise(dense, target, weights, _cells(line, m), line.channels)
    else:
        tables = m.shared.tables
        pairs = (
            tables[line.row_pointers :],
            tables[line.row_pairs :],
            tables[line.column_pointers :],
            tables[line.column_pairs :],
        )
        grouped(
            (index, value, m.memory.pointers[line.pointers :], n),
            target,
            weights,
            pairs,
            (line.height, line.width, line.width_out, line.kernel_width),
            line.channels,
            line.filters,
            line.groups,
        )


@kernel(instructions.Scatter)
def _scatter(line, machine, sample, step, slot):
    m = machine[0]
    index, value = _events(line.events, m, slot)
    events = index, value, m.memory.n_events[slot, line.events]
    table = m.shared.tables[line.table :]
    scatter(events, m.memory.state[line.target :], table, line.run, line.factor)


@kernel(instructions.Spread)
def _spread(line, machine, sample, step, slot):
    m = machine[0]
    index, value = _events(line.events, m, slot)
    events = index, value, m.memory.n_events[slot, line.events]
    spread(events, m.memory.state[line.target :], _matrix(line, m))


@kernel(instructions.Scan)
def _scan(line, machine, sample, step, slot):
    m = machine[0]
    index, value = _events(line.fires, m, slot)
    source = m.memory.state[line.source : line.source + line.size]
    m.memory.n_events[slot, line.fires] = scan(
        source, line.size, index, value, line.clear, line.amplitude
    )


@kernel(instructions.Read)
def _read(line, machine, sample, step, slot):
    m = machine[0]
    target = m.memory.state[line.target : line.target + line.size]
    m.memory.n_events[slot, -1] = read(_drive(line, m), target, line.decay, line.factor)


@kernel(instructions.Maximum)
def _maximum(line, machine, sample, step, slot):
    m = machine[0]
    state, of_sums = m.memory.state, line.sums >= 0
    maximum(
        _drive(line, m),
        state[line.sums : line.sums + line.size] if of_sums else state[:0],
        state[line.largest : line.largest + line.size_out] if of_sums else state[:0],
        state[line.target : line.target + line.size_out],
        _cells(line, m),
        line.channels,
        state[line.values : line.values + line.size],
    )


@kernel(instructions.Scale)
def _scale(line, machine, sample, step, slot):
    m = machine[0]
    scale(m.memory.state[line.target :], line.size, line.decay)


@kernel(instructions.Add)
def _add(line, machine, sample, step, slot):
    m = machine[0]
    source, target = m.memory.state[line.source :], m.memory.state[line.target :]
    add(source, target, line.size, line.decay, line.factor)


@kernel(instructions.Mix)
def _mix(line, machine, sample, step, slot):
    m = machine[0]
    source, target = m.memory.state[line.source :], m.memory.state[line.target :]
    mix(source, target, line.size, _matrix(line, m), line.decay)


@kernel(instructions.Filter)
def _filter(line, machine, sample, step, slot):
    m = machine[0]
    state = m.memory.state
    linear_filter(
        state[line.source :],
        state[line.target :],
        line.size,
        line.order,
        state[line.memory : line.memory + line.size * line.order],
        m.shared.weights[line.matrices :],
        m.memory.piece,
    )


@kernel(instructions.Mean)
def _mean(line, machine, sample, step, slot):
    m = machine[0]
    state = m.memory.state
    steps = state[line.memory : line.memory + 1]
    source, target = state[line.source :], state[line.target :]
    mean(source, target, line.size, steps, line.left_out, line.growth)


@kernel(instructions.Write)
def _write(line, machine, sample, step, slot):
    m = machine[0]
    outputs, source = m.recorded.outputs, m.memory.state[line.source :]
    kept = step if outputs.shape[1] > 1 else 0
    copy(source, outputs[sample, kept, line.first : line.first + line.size])


@kernel(instructions.Load)
def _load(line, machine, sample, step, slot):
    m = machine[0]
    given = m.fed.timed[sample, step] if line.timed else m.fed.held[sample]
    target = m.memory.state[line.target : line.target + line.size]
    copy(given[line.first :], target)
