"""Which windows a cell is in: the geometry of convolutions, dense layers and pools as tables.

Up to three spatial axes are seen as rows of cells: the last axis runs along a row, the others
number the rows. Kernels likewise. A dense layer is a kernel of one cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ir import Shape, product
from ....ops import Conv, ConvTranspose, Dense, Pool


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where the windows of a linear op or a pool lie.

    Args:
        rows: One line (kernel row, output row, input row, first) for each pair of an output row and
            a kernel row with an input row under it, by kernel row. ``first`` is 1 where it is the
            output row's first. An output row with nothing under it has the input row -1.
        columns: For each cell of an output row and each cell of a kernel row, the cell of the input
            row under it, or -1.
        width: Cells in an input row.
        n_rows_in: Rows of the input.
        n_rows_out: Rows of the output.
    """

    rows: np.ndarray
    columns: np.ndarray
    width: int
    n_rows_in: int
    n_rows_out: int

    @property
    def width_out(self) -> int:
        """Cells in an output row."""
        return len(self.columns)

    @property
    def kernel_width(self) -> int:
        """Cells in a kernel row."""
        return int(self.columns.shape[1])

    def spans(self) -> np.ndarray:
        """Runs of kernel cells over neighbouring input cells.

        Returns:
            Shape (cells in an output row, most runs, 3): first input cell, the one behind the last,
            first kernel cell; zeros where a cell has fewer runs.
        """
        found: list[list[tuple[int, int, int]]] = []
        for cells in self.columns.tolist():
            runs: list[tuple[int, int, int]] = []
            for k, i in enumerate(cells):
                if i < 0:
                    continue
                if runs and runs[-1][1] == i and runs[-1][2] + i - runs[-1][0] == k:
                    runs[-1] = (runs[-1][0], i + 1, runs[-1][2])
                else:
                    runs.append((i, i + 1, k))
            found.append(runs)
        spans = np.zeros((len(found), max(1, *map(len, found)), 3), dtype=np.int32)
        for cell, runs in enumerate(found):
            spans[cell, : len(runs)] = np.reshape(runs, (-1, 3))
        return spans

    def reached(self, of_cell: np.ndarray) -> np.ndarray:
        """For each input cell the sum of numbers over the output cells whose windows it is in.

        Args:
            of_cell: Shape (output cells, numbers).

        Returns:
            Shape (input cells, numbers).
        """
        numbers = of_cell.shape[1]
        of_row = of_cell.reshape(self.n_rows_out, self.width_out, numbers)
        total = np.zeros((self.n_rows_in, self.width, numbers))
        cell, k = np.nonzero(self.columns >= 0)
        for _, row_out, row_in, _ in self.rows[self.rows[:, 2] >= 0].tolist():
            np.add.at(total[row_in], self.columns[cell, k], of_row[row_out, cell])
        return total.reshape(-1, numbers)

    def reached_through(self, of_kernel: np.ndarray) -> np.ndarray:
        """For each input cell the sum of numbers over the kernel cells that lie on it.

        Args:
            of_kernel: Shape (kernel cells, numbers).

        Returns:
            Shape (input cells, numbers).
        """
        numbers = of_kernel.shape[1]
        of_row = of_kernel.reshape(-1, self.kernel_width, numbers)
        total = np.zeros((self.n_rows_in, self.width, numbers))
        cell, k = np.nonzero(self.columns >= 0)
        for row_kernel, _, row_in, _ in self.rows[self.rows[:, 2] >= 0].tolist():
            np.add.at(total[row_in], self.columns[cell, k], of_row[row_kernel, k])
        return total.reshape(-1, numbers)


def geometry(op: Dense | Conv | ConvTranspose | Pool, shape: Shape) -> Geometry:
    """The windows of an op on an input of a shape."""
    if isinstance(op, Dense):
        cells = product(shape[:-1])
        under = [np.zeros((1, 1), dtype=np.int64)] * 2 + [np.arange(cells)[:, None]]
        return _rows(under, (1, 1, cells), (1, 1, cells))
    out, spatial = op.out_shape(shape)[:-1], shape[:-1]
    under = []
    for axis, (n_in, n_out) in enumerate(zip(spatial, out, strict=True)):
        o = np.arange(n_out)[:, None]
        if isinstance(op, ConvTranspose):
            k = np.arange(op.kernel[axis])
            there = o + op.crop[axis] - k * op.dilation[axis]
            i, left = np.divmod(there, op.strides[axis])
            valid = left == 0
        else:
            size, rate = (
                (op.kernel[axis], op.dilation[axis]) if isinstance(op, Conv) else (op.pool[axis], 1)
            )
            i = o * op.strides[axis] + np.arange(size) * rate - op.pads[axis][0]
            valid = np.ones_like(i, dtype=bool)
        under.append(np.where(valid & (i >= 0) & (i < n_in), i, -1))
    missing = 3 - len(under)
    one = np.zeros((1, 1), dtype=np.int64)
    ones = (1,) * missing
    return _rows([one] * missing + under, (*ones, *spatial), (*ones, *out))


def _rows(under: list[np.ndarray], spatial: Shape, out: Shape) -> Geometry:
    """From one table (output position, kernel position) -> input position or -1 for each axis."""
    planes, lines, columns = under
    z = planes[:, None, :, None]
    y = lines[None, :, None, :]
    row_in = np.where((z >= 0) & (y >= 0), z * spatial[1] + y, -1)
    n_out = out[0] * out[1]
    row_in = row_in.reshape(n_out, -1)  # output row, kernel row
    row_out, row_kernel = np.nonzero(row_in >= 0)
    found = np.stack([row_kernel, row_out, row_in[row_out, row_kernel]], axis=1)
    empty = np.setdiff1d(np.arange(n_out), row_out)
    nothing = np.stack([np.zeros_like(empty), empty, np.full_like(empty, -1)], axis=1)
    found = np.concatenate([found, nothing])
    found = found[np.lexsort((found[:, 1], found[:, 0]))]
    first = np.zeros(len(found), dtype=np.int64)
    first[np.unique(found[:, 1], return_index=True)[1]] = 1
    return Geometry(
        rows=np.concatenate([found, first[:, None]], axis=1).astype(np.int32),
        columns=columns.astype(np.int32),
        width=spatial[2],
        n_rows_in=spatial[0] * spatial[1],
        n_rows_out=n_out,
    )
