"""Steps a program: one compiled function for every network, a sample at a time.

A sample's whole run is one stretch of work, so that its state stays in the cache and threads do not
wait for each other.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from numba import njit

from ...targets.events import program
from ...targets.events.program import Code
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
from .signals import add, linear_filter, maximum, point, read, scale, scan


@njit
def _execute(  # noqa: C901  one branch an instruction
    section, first, last, shared, fed, memory, recorded, sample, step, slot
):
    """Run some instructions of a section.

    Args:
        section: Integers and numbers of the instructions.
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
    integers, numbers = section
    lists, weights, tables = shared
    held, timed = fed
    state, waiting, pointers, indices, values, n_events, piece, dense = memory
    outputs, counts, operations, spikes, spikes_at = recorded
    begin = slot * lists[-1]
    kept = step if outputs.shape[1] > 1 else 0
    for line in range(first, last):
        a, f = integers[line], numbers[line]
        code = a[0]
        if Code.LIF <= code <= Code.READ or code == Code.MAXIMUM:
            # What reads an input: neurons, maxima, outputs.
            block, size = a[4], a[5]
            changing = state[a[1] : a[1] + size] if a[1] >= 0 else state[:0]
            length = block if block > 0 else size
            constant = state[a[2] : a[2] + length] if a[3] else weights[a[2] : a[2] + length]
            if code == Code.READ:
                # What no list needs of the numbers of events says that the read-out has begun.
                n_events[slot, -1] = read(
                    changing, constant, block, size, state[a[6] : a[6] + size], f[0], f[1]
                )
                continue
            if code == Code.MAXIMUM:
                of_sums = a[6] >= 0
                maximum(
                    changing,
                    constant,
                    block,
                    size,
                    state[a[6] : a[6] + size] if of_sums else state[:0],
                    state[a[7] : a[7] + a[9]] if of_sums else state[:0],
                    state[a[8] : a[8] + a[9]],
                    a[9],
                    tables[a[10] :],
                    a[11],
                    tables[a[12] :],
                    a[13],
                    a[14],
                    a[15],
                    a[16],
                    state[a[17] : a[17] + size],
                )
                continue
            events, number, run = a[6], a[7], a[9]
            index = indices[begin + lists[events] : begin + lists[events + 1]]
            value = values[begin + lists[events] : begin + lists[events + 1]]
            table = tables[a[8] :]
            if code == Code.LIF:
                n, met = lif(
                    changing,
                    constant,
                    block,
                    size,
                    state[a[10] : a[10] + size],
                    waiting[a[11] : a[11] + size],
                    a[12],
                    f,
                    index,
                    value,
                    table,
                    run,
                )
                counts[sample, kept, number] += n
                operations[sample, kept, number] += met
            elif code == Code.INTEGRATE:
                n, total, met = integrate(
                    changing,
                    constant,
                    block,
                    size,
                    state[a[10] : a[10] + size],
                    f,
                    index,
                    value,
                    table,
                    run,
                )
                counts[sample, kept, number] += total
                operations[sample, kept, number] += met
            elif code == Code.REGULAR:
                n, total, met = regular(
                    changing,
                    constant,
                    block,
                    size,
                    state[a[10] : a[10] + size],
                    f,
                    index,
                    value,
                    table,
                    run,
                )
                counts[sample, kept, number] += total
                operations[sample, kept, number] += met
            else:
                n, total = rate(
                    changing,
                    constant,
                    block,
                    size,
                    a[10],
                    f,
                    state[a[11] : a[11] + size],
                    index,
                    value,
                )
                counts[sample, kept, number] += total
            n_events[slot, events] = n
            if spikes.shape[1]:
                for event in range(n):
                    spikes[sample, step, spikes_at[number] + index[event]] = round(value[event])
            for event in range(n):
                value[event] *= f[1]
            continue
        if code == Code.WINDOW:
            events = a[1]
            window(
                indices[begin + lists[events] : begin + lists[events + 1]],
                values[begin + lists[events] : begin + lists[events + 1]],
                pointers[a[2] :],
                state[a[3] :],
                weights[a[4] :],
                tables[a[5] :],
                a[6],
                tables[a[7] :],
                a[8],
                a[9],
                a[10],
                a[11],
                a[12],
                a[13],
                a[14],
                f[0],
                piece,
                n_events[slot, events],
                dense[: a[15]],
            )
        elif code == Code.GROUPED:
            events, size = a[1], a[15]
            index = indices[begin + lists[events] : begin + lists[events + 1]]
            value = values[begin + lists[events] : begin + lists[events + 1]]
            n = n_events[slot, events]
            if a[11] == a[13] == a[14] and n > DEPTHWISE_CROSSOVER * size:
                fill(index, value, n, dense[:size])
                depthwise(
                    dense,
                    state[a[3] :],
                    weights[a[4] :],
                    tables[a[16] :],
                    a[17],
                    tables[a[18] : a[18] + a[10] * a[12]],
                    a[9],
                    a[10],
                    a[11],
                )
            else:
                grouped(
                    index,
                    value,
                    pointers[a[2] :],
                    state[a[3] :],
                    weights[a[4] :],
                    tables[a[5] :],
                    tables[a[6] :],
                    tables[a[7] :],
                    tables[a[8] :],
                    a[19],
                    a[9],
                    a[10],
                    a[11],
                    a[12],
                    a[13],
                    a[14],
                )
        elif code == Code.POINT:
            events = a[1]
            index = indices[begin + lists[events] : begin + lists[events + 1]]
            point(index, n_events[slot, events], a[2], a[3], pointers[a[4] : a[4] + a[2] + 1])
        elif code == Code.SCAN:
            events = a[3]
            n_events[slot, events] = scan(
                state[a[1] : a[1] + a[2]],
                a[2],
                indices[begin + lists[events] : begin + lists[events + 1]],
                values[begin + lists[events] : begin + lists[events + 1]],
                a[4],
            )
        elif code == Code.SCATTER or code == Code.SPREAD:
            events = a[1]
            index = indices[begin + lists[events] : begin + lists[events + 1]]
            value = values[begin + lists[events] : begin + lists[events + 1]]
            target = state[a[2] :]
            if code == Code.SCATTER:
                scatter(index, value, n_events[slot, events], target, tables[a[3] :], a[4], f[0])
            else:
                spread(
                    index,
                    value,
                    n_events[slot, events],
                    target,
                    tables[a[3] :],
                    tables[a[4] :],
                    weights[a[5] :],
                )
        elif code == Code.SCALE:
            scale(state[a[1] :], a[2], f[0])
        elif code == Code.ADD:
            add(state[a[1] :], state[a[2] :], a[3], f[0], f[1])
        elif code == Code.MIX:
            mix(
                state[a[1] :],
                state[a[2] :],
                a[3],
                tables[a[4] :],
                tables[a[5] :],
                weights[a[6] :],
                f[0],
            )
        elif code == Code.FILTER:
            linear_filter(
                state[a[1] :],
                state[a[2] :],
                a[3],
                a[4],
                state[a[5] : a[5] + a[3] * a[4]],
                weights[a[6] :],
            )
        elif code == Code.WRITE:
            outputs[sample, kept, a[3] : a[3] + a[2]] = state[a[1] : a[1] + a[2]]
        elif code == Code.LOAD:
            if a[4]:
                state[a[1] : a[1] + a[2]] = timed[sample, step, a[3] : a[3] + a[2]]
            else:
                state[a[1] : a[1] + a[2]] = held[sample, a[3] : a[3] + a[2]]


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
            _execute(prologue, 0, len(prologue[0]), shared, fed, memory, recorded, sample, 0, 0)
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
