"""Steps a program: one compiled function for every network, a sample at a time.

A sample's whole run is one stretch of work, so that its state stays in the cache and threads do not
wait for each other.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from numba import njit

from ..compiler import program
from ..compiler.program import Code
from .neurons import integrate, lif, rate, regular
from .pushes import (
    DEPTHWISE_CROSSOVER,
    depthwise,
    fill,
    grouped,
    mix,
    scatter,
    spread,
    window,
)
from .signals import add, linear_filter, maximum, mean, point, read, scale, scan


@njit
def _drive(line, state, weights):
    """The input of neurons, a maximum or an output: what changes, what does not, and its block."""
    size, at = line.size, line.constant
    changing = state[line.changing : line.changing + size] if line.changing >= 0 else state[:0]
    length = line.block if line.block > 0 else size
    constant = state[at : at + length] if line.of_sample else weights[at : at + length]
    return changing, constant, line.block


@njit
def _fire(line, shared, memory, spikes):
    """Advance a layer of neurons; see :func:`kconvert.simulators.events.neurons.lif`."""
    _, weights, _ = shared
    state, waiting = memory[0], memory[1]
    changing, constant, block = _drive(line, state, weights)
    drive = changing, line.gain, constant, block
    if line.code == Code.RATE:
        return rate(
            drive,
            state[line.rates : line.rates + line.size],
            line.curve,
            line.dt,
            line.max_rate,
            line.tau_rc,
            line.tau_ref,
            line.smoothing,
            spikes,
        )
    voltage = state[line.voltage : line.voltage + line.size]
    if line.code == Code.INTEGRATE:
        floor, signed = (line.rectified, line.lowest), line.fired >= 0
        fired = state[line.fired : line.fired + line.size] if signed else state[:0]
        return integrate(drive, voltage, fired, line.dt, floor, spikes)
    if line.code == Code.REGULAR:
        return regular(drive, voltage, line.dt, line.max_rate, spikes)
    return lif(
        drive,
        voltage,
        waiting[line.waiting : line.waiting + line.size],
        line.whole,
        line.leak,
        line.lowest,
        line.longer,
        line.shorter,
        spikes,
    )


@njit
def _execute(  # noqa: C901  one branch an instruction
    section, first, last, shared, fed, memory, recorded, sample, step, slot
):
    """Run some instructions of a section.

    Args:
        section: The instructions.
        first: The first to run.
        last: The one behind the last.
        shared: Lists' places, weights and tables.
        fed: Input that is held, of shape (samples, values), and that changes, of shape (samples,
            steps, values).
        memory: State, waiting, pointers, events' indices, values and numbers, a piece of a row, a
            dense input.
        recorded: Outputs (samples, steps or 1, values), counts and operations (samples, as many,
            layers), spikes (samples, steps, neurons) or of no steps, and each layer's place among
            the neurons.
        sample: Which sample.
        step: Which step.
        slot: Which copy of the lists of events holds the step.
    """
    lists, weights, tables = shared
    held, timed = fed
    state, _, pointers, indices, values, n_events, piece, dense = memory
    outputs, counts, operations, spikes, spikes_at = recorded
    begin = slot * lists[-1]
    kept = step if outputs.shape[1] > 1 else 0
    for number in range(first, last):
        line = section[number]
        code = line.code
        if Code.LIF <= code <= Code.RATE:
            begins, ends = begin + lists[line.fires], begin + lists[line.fires + 1]
            index, value = indices[begins:ends], values[begins:ends]
            found = index, value, tables[line.connections :], line.run
            n, total, met = _fire(line, shared, memory, found)
            n_events[slot, line.fires] = n
            counts[sample, kept, line.layer] += total
            operations[sample, kept, line.layer] += met
            if spikes.shape[1]:
                for event in range(n):
                    neuron = spikes_at[line.layer] + index[event]
                    spikes[sample, step, neuron] = round(value[event])
            for event in range(n):
                value[event] *= line.amplitude
        elif Code.POINT <= code <= Code.SPREAD:
            begins, ends = begin + lists[line.events], begin + lists[line.events + 1]
            index, value = indices[begins:ends], values[begins:ends]
            n = n_events[slot, line.events]
            if code == Code.POINT:
                point(index, n, line.cells, line.channels, pointers[line.pointers :])
            elif code == Code.WINDOW:
                window(
                    (index, value, pointers[line.pointers :], n),
                    state[line.target :],
                    weights[line.weights :],
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
                    piece,
                    dense[: line.n_dense],
                )
            elif code == Code.GROUPED:
                target, kernel = state[line.target :], weights[line.weights :]
                of_one = line.channels == line.filters == line.groups
                if of_one and n > DEPTHWISE_CROSSOVER * line.n_dense:
                    fill(index, value, n, dense[: line.n_dense])
                    depthwise(dense, target, kernel, _cells(line, tables), line.channels)
                else:
                    pairs = (
                        tables[line.row_pointers :],
                        tables[line.row_pairs :],
                        tables[line.column_pointers :],
                        tables[line.column_pairs :],
                    )
                    grouped(
                        (index, value, pointers[line.pointers :], n),
                        target,
                        kernel,
                        pairs,
                        (line.height, line.width, line.width_out, line.kernel_width),
                        line.channels,
                        line.filters,
                        line.groups,
                    )
            elif code == Code.SCATTER:
                table = tables[line.table :]
                scatter((index, value, n), state[line.target :], table, line.run, line.factor)
            else:
                spread((index, value, n), state[line.target :], _matrix(line, tables, weights))
        elif code == Code.SCAN:
            begins, ends = begin + lists[line.fires], begin + lists[line.fires + 1]
            n_events[slot, line.fires] = scan(
                state[line.source : line.source + line.size],
                line.size,
                indices[begins:ends],
                values[begins:ends],
                line.clear,
            )
        elif code == Code.READ:
            # What no list needs of the numbers of events says that the read-out has begun.
            n_events[slot, -1] = read(
                _drive(line, state, weights),
                state[line.target : line.target + line.size],
                line.decay,
                line.factor,
            )
        elif code == Code.MAXIMUM:
            of_sums = line.sums >= 0
            maximum(
                _drive(line, state, weights),
                state[line.sums : line.sums + line.size] if of_sums else state[:0],
                state[line.largest : line.largest + line.size_out] if of_sums else state[:0],
                state[line.target : line.target + line.size_out],
                _cells(line, tables),
                line.channels,
                state[line.values : line.values + line.size],
            )
        elif code == Code.SCALE:
            scale(state[line.target :], line.size, line.decay)
        elif code == Code.ADD:
            source, target = state[line.source :], state[line.target :]
            add(source, target, line.size, line.decay, line.factor)
        elif code == Code.MIX:
            matrix = _matrix(line, tables, weights)
            mix(state[line.source :], state[line.target :], line.size, matrix, line.decay)
        elif code == Code.FILTER:
            linear_filter(
                state[line.source :],
                state[line.target :],
                line.size,
                line.order,
                state[line.memory : line.memory + line.size * line.order],
                weights[line.matrices :],
            )
        elif code == Code.MEAN:
            steps = state[line.memory : line.memory + 1]
            source, target = state[line.source :], state[line.target :]
            mean(source, target, line.size, steps, line.left_out, line.growth)
        elif code == Code.WRITE:
            written = outputs[sample, kept, line.first : line.first + line.size]
            written[:] = state[line.source : line.source + line.size]
        elif code == Code.LOAD:
            given = timed[sample, step] if line.timed else held[sample]
            loaded = state[line.target : line.target + line.size]
            loaded[:] = given[line.first : line.first + line.size]


@njit
def _cells(line, tables):
    """Which cells are under each cell of the output: see ``Geometry``."""
    rows, columns = tables[line.rows :], tables[line.columns :]
    return rows, line.n_rows, columns, line.width, line.width_out, line.kernel_width


@njit
def _matrix(line, tables, weights):
    """A sparse matrix: ``indptr``, ``indices``, ``data``."""
    return tables[line.indptr :], tables[line.indices :], weights[line.weights :]


@njit
def _confidence(logits, best):
    """The softmax probability of a class; of one unit the logistic one."""
    if len(logits) == 1:
        return 1.0 / (1.0 + math.exp(-abs(logits[0])))
    total = 0.0
    for unit in range(len(logits)):
        total += math.exp(logits[unit] - logits[best])
    return 1.0 / total


def _sources() -> str:
    """A digest of what the machine is compiled from."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(program.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _machine(sources):  # noqa: C901
    """Make the function that runs programs.

    Args:
        sources: A digest of its source. To see whether what it has on the disk is stale, Numba
            looks at this file and at what the function closes over, not at the kernels' files.
    """

    def run(  # noqa: C901
        prologue,
        step,
        groups,
        shared,
        initial,
        fed,
        memory,
        recorded,
        n_steps,
        stable,
        confidence,
        taken,
        stop,
    ):
        """Run samples one after the other.

        Some steps at a time, as many as there are copies of the lists of events: a group of
        instructions runs all of them, then the next group does.

        Args:
            prologue: As for ``_execute``, and so the arguments up to ``recorded``.
            step: The section of every step.
            groups: Where its groups begin, and the end of the last.
            shared: See above.
            initial: State before the prologue.
            fed: See above.
            memory: See above.
            recorded: See above.
            n_steps: Number of steps.
            stable: Steps for which the largest output must have been the same before a sample's run
                ends, or 0 to go on. They count from where the read-out's first spike arrives.
            confidence: Softmax probability that the largest output must have for it.
            taken: Where each sample's number of steps is written.
            stop: An array of one number: not zero once the run is to end.

        Returns:
            The number of samples that were finished.
        """
        _ = sources
        state, waiting, slots = memory[0], memory[1], memory[5].shape[0]
        outputs, counts, operations, spikes = recorded[0], recorded[1], recorded[2], recorded[3]
        for sample in range(len(taken)):
            state[:] = initial
            waiting[:] = 0
            _execute(prologue, 0, len(prologue), shared, fed, memory, recorded, sample, 0, 0)
            since, best = 0, -1
            taken[sample] = n_steps
            for start in range(0, n_steps, slots):
                if stop[0]:
                    return sample
                end = min(start + slots, n_steps)
                for group in range(len(groups) - 1):
                    for now in range(start, end):
                        _execute(
                            step,
                            groups[group],
                            groups[group + 1],
                            shared,
                            fed,
                            memory,
                            recorded,
                            sample,
                            now,
                            now - start,
                        )
                if stable == 0:
                    continue
                for now in range(start, end):
                    logits = outputs[sample, now]
                    largest = logits.argmax() if len(logits) > 1 else int(logits[0] > 0)
                    since = since + 1 if largest == best else 1
                    if not memory[5][now - start, -1]:
                        since = 0
                    best = largest
                    if since >= stable and _confidence(logits, best) >= confidence:
                        taken[sample] = now + 1
                        break
                if taken[sample] < n_steps:
                    # What was run beyond this step does not count.
                    for later in range(taken[sample], n_steps):
                        outputs[sample, later] = outputs[sample, taken[sample] - 1]
                        counts[sample, later] = 0
                        operations[sample, later] = 0
                    spikes[sample, taken[sample] :] = 0
                    break
        return len(taken)

    try:
        return njit(nogil=True, cache=True)(run)
    except RuntimeError:  # no folder to write to: compiled anew in every process
        return njit(nogil=True)(run)


run = _machine(_sources())
