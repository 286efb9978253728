"""Spikes through weights."""

from __future__ import annotations

from numba import njit

from ..compiler.program import BLOCK, LANES
from .vectors import (
    TILE,
    add_dense,
    add_rows_1,
    add_rows_2,
    add_rows_3,
    add_rows_4,
    peek,
    poke,
    run_of,
)

WINDOW_CROSSOVER = 0.6
"""Share of the input's entries that are events beyond which a dense product is faster."""
DEPTHWISE_CROSSOVER = 0.05
"""The same for a convolution of each channel by itself."""


@njit
def fill(index, value, n, dense):
    """Events as a dense array."""
    dense[:] = 0
    for event in range(n):
        poke(dense, peek(index, event), peek(value, event))


@njit(forceinline=True)
def _rows(vectors, current, at, decay, weights, weights_at, index, value, first, last):
    """Add rows of so many vectors: see ``add_rows_1``."""
    if vectors == 4:
        add_rows_4(current, at, decay, weights, weights_at, index, value, first, last)
    elif vectors == 3:
        add_rows_3(current, at, decay, weights, weights_at, index, value, first, last)
    elif vectors == 2:
        add_rows_2(current, at, decay, weights, weights_at, index, value, first, last)
    else:
        add_rows_1(current, at, decay, weights, weights_at, index, value, first, last)


@njit(forceinline=True)
def through_block(
    vectors,
    events,
    target,
    weights,
    weights_at,
    where,
    channels,
    filters,
    block,
    decay,
    piece,
    dense,
):
    """Push events through one block of columns; arguments as for :func:`window`.

    LLVM puts this into its caller, and so makes a loop of its own for each number of vectors.

    Args:
        vectors: Vectors of sixteen columns that the block has.
        weights_at: Where the weights of the block begin.
        block: The first of its columns.
        dense: The input as a dense array where a dense product is faster, else of size 0.
    """
    index, value, pointers, _ = events
    rows, n_rows, spans, n_spans, width, width_out, kernel_width = where
    nothing, one = target.dtype.type(0), target.dtype.type(1)
    wide = vectors * LANES
    columns = min(wide, filters - block)
    whole = columns == wide
    tiles = vectors == 4 and dense.size > 0 and whole
    step = channels * wide
    for row in range(n_rows):
        kernel_row, row_out, row_in, is_first = (
            rows[4 * row],
            rows[4 * row + 1],
            rows[4 * row + 2],
            rows[4 * row + 3],
        )
        here = max(row_in, 0) * width
        row_at = weights_at + (kernel_row * kernel_width - row_in * width) * step
        to = row_out * width_out * filters + block
        cell = 0
        while cell < width_out:
            scale = decay if is_first else one
            if tiles and row_in >= 0 and _is_tile(spans, cell, width_out, n_spans):
                left = peek(spans, 3 * cell)
                add_dense(
                    target,
                    to,
                    filters,
                    scale,
                    weights,
                    row_at + (peek(spans, 3 * cell + 2) + row_in * width) * step,
                    dense,
                    (here + left) * channels,
                    (peek(spans, 3 * cell + 3) - left) * channels,
                    (peek(spans, 3 * cell + 1) - left) * channels,
                )
                to += TILE * filters
                cell += TILE
                continue
            for span in range(cell * n_spans, (cell + 1) * n_spans):
                left = peek(spans, 3 * span)
                first = peek(pointers, here + left)
                last = peek(pointers, here + peek(spans, 3 * span + 1))
                if row_in < 0:
                    last = first
                if first != last or scale != one:
                    near = row_at + (peek(spans, 3 * span + 2) - left) * step
                    if whole:
                        _rows(vectors, target, to, scale, weights, near, index, value, first, last)
                    else:
                        _rows(vectors, piece, 0, nothing, weights, near, index, value, first, last)
                        for i in range(columns):
                            target[to + i] = scale * target[to + i] + piece[i]
                scale = one
            to += filters
            cell += 1


@njit
def _is_tile(spans, cell, width_out, n_spans):
    """Whether the next four cells have one span each, of one length and at even distances."""
    if n_spans != 1 or cell + TILE > width_out:
        return False
    at = 3 * cell
    length = peek(spans, at + 1) - peek(spans, at)
    step = peek(spans, at + 3) - peek(spans, at)
    for near in range(at + 3, at + 3 * TILE, 3):
        if (
            peek(spans, near) - peek(spans, near - 3) != step
            or peek(spans, near + 1) - peek(spans, near) != length
            or peek(spans, near + 2) != peek(spans, at + 2)
        ):
            return False
    return True


@njit
def window(events, target, weights, n_weights, where, channels, filters, decay, piece, dense):
    """A convolution, a transposed one or a dense layer: ``target = decay * target + what arrives``.

    It is driven by the output: the events under a kernel row are neighbours in their list, so that
    what arrives at a cell is a sum of rows of weights that never leaves the registers. Blocks of
    columns and kernel rows go outside, so that the weights in use stay in the fast cache.

    Args:
        events: Places in the input, in order; their values; for each cell of the input its first
            event, and the end of the last; the number of events.
        target: Of shape (cells, filters).
        weights: In blocks of columns.
        n_weights: Rows of the weight matrix.
        where: Rows, their number, spans, spans of a cell, and the cells in a row of the input, of
            the output and of the kernel: see ``Geometry``.
        channels: Of the input.
        filters: Of the output.
        decay: See above.
        piece: Memory for a piece of a row.
        dense: Memory for the input as a dense array: beyond a density a dense product is faster.
    """
    index, value, _, n = events
    if n > WINDOW_CROSSOVER * dense.size:
        fill(index, value, n, dense)
    else:
        dense = dense[:0]
    for block in range(0, filters, BLOCK):
        vectors = (min(BLOCK, filters - block) + LANES - 1) // LANES
        at = n_weights * block
        given = events, target, weights, at, where, channels, filters, block, decay, piece, dense
        if vectors == 4:
            through_block(4, *given)
        elif vectors == 3:
            through_block(3, *given)
        elif vectors == 2:
            through_block(2, *given)
        else:
            through_block(1, *given)


@njit
def grouped(events, target, weights, pairs, where, channels, filters, groups):
    """A convolution whose channels are in groups, also a depthwise one: event by event.

    Args:
        events: As for :func:`window`.
        target: Is added to.
        weights: Of shape (kernel cells, channels of a group, filters).
        pairs: For each input row where its pairs of a kernel row and an output row begin; these
            pairs; for each cell of an input row where its pairs of a kernel cell and an output cell
            begin; these pairs.
        where: Rows of the input, and the cells in a row of the input, the output and the kernel.
        channels: Of the input.
        filters: Of the output.
        groups: Number of groups.
    """
    index, value, pointers, _ = events
    row_pointers, rows, column_pointers, columns = pairs
    height, width, width_out, kernel_width = where
    of_group_in, of_group_out = channels // groups, filters // groups
    for row in range(height):
        for cell in range(width):
            here = row * width + cell
            for event in range(pointers[here], pointers[here + 1]):
                channel = index[event] - here * channels
                group = channel // of_group_in
                out = group * of_group_out
                inside = (channel - group * of_group_in) * filters + out
                for r in range(row_pointers[row], row_pointers[row + 1]):
                    kernel_row, row_out = rows[2 * r], rows[2 * r + 1]
                    for c in range(column_pointers[cell], column_pointers[cell + 1]):
                        k = kernel_row * kernel_width + columns[2 * c]
                        to = (row_out * width_out + columns[2 * c + 1]) * filters + out
                        at = k * of_group_in * filters + inside
                        for f in range(of_group_out):
                            target[to + f] += value[event] * weights[at + f]


@njit
def depthwise(dense, target, weights, where, channels):
    """A convolution of each channel by itself, densely: cell by cell, all channels at a time.

    Args:
        dense: The input.
        target: Is added to.
        weights: Of shape (kernel cells, channels).
        where: Rows, their number, columns, and the cells in a row of the input, of the output and
            of the kernel: see ``Geometry``.
        channels: Of input and output.
    """
    rows, n_rows, columns, width, width_out, kernel_width = where
    for row in range(n_rows):
        kernel_row, row_out, row_in = rows[4 * row], rows[4 * row + 1], rows[4 * row + 2]
        if row_in < 0:
            continue
        for cell in range(width_out):
            to = (row_out * width_out + cell) * channels
            for k in range(kernel_width):
                under = columns[cell * kernel_width + k]
                if under >= 0:
                    at = (row_in * width + under) * channels
                    of_kernel = (kernel_row * kernel_width + k) * channels
                    _multiply(
                        dense[at : at + channels],
                        weights[of_kernel : of_kernel + channels],
                        target[to : to + channels],
                    )


@njit(fastmath={"contract"})
def _multiply(source, weights, target):
    for c in range(len(target)):
        target[c] += source[c] * weights[c]


@njit(error_model="numpy")
def scatter(events, target, table, length, factor):
    """Each event to one place, or to none.

    Args:
        events: Places in the source, in order; their values; their number.
        target: Is added to.
        table: For each run of the source where its first entry goes, or -1 for nowhere.
        length: Of a run.
        factor: Of all values.
    """
    index, value, n = events
    inverse = 1.0 / length
    for event in range(n):
        place = index[event]
        run = run_of(place, inverse)
        first = peek(table, run)
        if first >= 0:
            target[first + place - run * length] += value[event] * factor


@njit
def spread(events, target, matrix):
    """Each event through its column of a sparse matrix.

    Args:
        events: As for :func:`scatter`.
        target: Is added to.
        matrix: ``indptr``, ``indices`` and ``data`` of a ``scipy.sparse.csc_array``.
    """
    index, value, n = events
    pointers, places, weights = matrix
    for event in range(n):
        source = index[event]
        for entry in range(pointers[source], pointers[source + 1]):
            target[places[entry]] += value[event] * weights[entry]


@njit
def mix(source, target, size, matrix, decay):
    """``target = decay * target + matrix @ source``, of a ``scipy.sparse.csr_array``."""
    pointers, places, weights = matrix
    for to in range(size):
        total = decay * target[to] if decay != 0 else decay
        for entry in range(pointers[to], pointers[to + 1]):
            total += weights[entry] * source[places[entry]]
        target[to] = total
