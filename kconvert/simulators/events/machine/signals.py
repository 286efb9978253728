"""What happens to dense values: events from them, filters, maxima, the read-out."""

from __future__ import annotations

from numba import njit

from ..compiler.program import WORD
from .vectors import peek, places, poke, run_of, unequal


@njit
def scan(source, size, index, value, clear, amplitude):
    """The entries of a buffer that are not zero, as events in order.

    Args:
        source: The buffer; zeros follow it.
        size: Entries that count.
        index: Where places are written.
        value: Where values are written.
        clear: Whether the buffer is zero afterwards.
        amplitude: Factor on the values.
    """
    nothing = source.dtype.type(0)
    n = 0
    for word in range(0, size, WORD):
        n = places(unequal(source, word, nothing), word, index, n)
    for event in range(n):
        value[event] = source[index[event]] * amplitude
        if clear:
            source[index[event]] = nothing
    return n


@njit(error_model="numpy")
def point(index, n, cells, channels, pointers):
    """For each cell of ``channels`` entries its first event, and the end of the last.

    Every event marks the end of its cell; cells without events take over the end before.
    """
    inverse = 1.0 / channels
    pointers[: cells + 1] = 0
    for event in range(n):
        poke(pointers, run_of(peek(index, event), inverse) + 1, event + 1)
    end = 0
    for cell in range(1, cells + 1):
        end = max(end, pointers[cell])
        pointers[cell] = end


@njit
def scale(target, size, decay):
    """Multiply, also by zero what is not finite."""
    if decay == 0:
        target[:size] = 0
    else:
        for i in range(size):
            target[i] *= decay


@njit
def add(source, target, size, decay, factor):
    """``target = decay * target + factor * source``."""
    if decay == 0:
        for i in range(size):
            target[i] = factor * source[i]
    else:
        for i in range(size):
            target[i] = decay * target[i] + factor * source[i]


@njit
def copy(source, target):
    """``target = source``; a function of its own, so that the sizes are known to stay."""
    for i in range(target.size):
        target[i] = source[i]


@njit
def _add_value(changing, constant, target, factor):
    """``target += factor * value``, where the changing part may be an empty array."""
    if changing.size:
        for i in range(target.size):
            target[i] += factor * (constant[i] + changing[i])
    else:
        for i in range(target.size):
            target[i] += factor * constant[i]


@njit
def read(drive, target, decay, factor):
    """The read-out through a filter of one state: ``target = decay * target + factor * value``.

    Args:
        drive: The changing part of the input, or an empty array, the constant one, and the length
            after which that repeats, or 0.
        target: Of shape (size,).

    Returns:
        Whether anything but the constant has arrived.
    """
    changing, constant, block = drive
    size = target.size
    scale(target, size, decay)
    chunk = block if block > 0 else size
    for first in range(0, size, chunk):
        end = min(first + chunk, size)
        c, x = constant[: end - first], changing[first:end]
        _add_value(x, c, target[first:end], factor)
    arrived = 0
    for i in range(changing.size):
        arrived += changing[i] != 0
    return arrived > 0


@njit
def linear_filter(source, target, size, order, states, matrices, moved):
    """One step of a linear filter, as ``nengo.LinearFilter`` has it.

    Args:
        source: Input.
        target: Output.
        size: Number of signals.
        order: States of each.
        states: Of shape (size * order,).
        matrices: A, B, C and D in a row.
        moved: Memory for the states of one signal after the step.
    """
    b, c = order * order, order * order + order
    through = matrices[c + order]
    for i in range(size):
        state = states[i * order : (i + 1) * order]
        before = through * source[i]
        for k in range(order):
            before += matrices[c + k] * state[k]
        for k in range(order):
            moved[k] = source[i] * matrices[b + k]
            for j in range(order):
                moved[k] += matrices[k * order + j] * state[j]
        for k in range(order):
            state[k] = moved[k]
        if through == 0:
            before = through
            for k in range(order):
                before += matrices[c + k] * state[k]
        target[i] = before


@njit(error_model="numpy")
def mean(source, target, size, steps, left_out, growth):
    """The mean from some step on: ``kconvert.targets.nengo.window.Window``.

    Args:
        source: Input.
        target: The mean.
        size: Number of signals.
        steps: The number of steps, of shape (1,).
        left_out: How many of them are left out.
        growth: 1 for weights that grow with time, 0 for equal ones.
    """
    real = steps.dtype.type
    steps[0] += real(1)
    since = steps[0]
    if since > real(left_out):
        since -= real(left_out)
    weight = real(1 + growth) / (since + real(growth))
    for i in range(size):
        target[i] += weight * (source[i] - target[i])


@njit
def maximum(  # noqa: C901
    drive, sums, largest, target, where, channels, values
):
    """Max pooling, of running sums or of values: ``kconvert.targets.nengo.max_pooling.MaxPooling``.

    Args:
        drive: As for :func:`read`.
        sums: The input summed up to now, of size 0 for a maximum of values.
        largest: Its maxima before this step, likewise.
        target: The output.
        where: Rows, their number, columns, and the cells in a row of the input, of the output and
            of the kernel: see ``Geometry``.
        channels: Of input and output.
        values: Memory for the input.
    """
    rows, n_rows, columns, width, width_out, kernel_width = where
    size = values.size
    real = values.dtype.type
    read(drive, values, real(0), real(1))
    source = values
    if sums.size:
        for i in range(size):
            sums[i] += values[i]
        source = sums
    for row in range(n_rows):
        row_out, row_in, is_first = rows[4 * row + 1], rows[4 * row + 2], rows[4 * row + 3]
        if row_in < 0:
            continue
        for cell in range(width_out):
            to = (row_out * width_out + cell) * channels
            fresh = is_first == 1
            for k in range(kernel_width):
                under = columns[cell * kernel_width + k]
                if under < 0:
                    continue
                at = (row_in * width + under) * channels
                if fresh:
                    for c in range(channels):
                        target[to + c] = source[at + c]
                else:
                    for c in range(channels):
                        target[to + c] = max(target[to + c], source[at + c])
                fresh = False
    if sums.size:
        for i in range(target.size):
            now = target[i]
            target[i] = now - largest[i]
            largest[i] = now
