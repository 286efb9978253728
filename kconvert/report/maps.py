"""Values of a layer as small pictures: how they lie on the page, and what is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ir import Shape

TIMES = "\N{MULTIPLICATION SIGN}"
LEAST_CELLS = 16
"""Every layer may draw so many cells, however many layers there are."""
SHOWN_MAPS = 4
"""Large maps are drawn coarser until so many of them fit."""


@dataclass(frozen=True, slots=True)
class MapPlan:
    """How the values of one sample are drawn.

    Args:
        shape: Shape of the values.
        maps: Number of feature maps.
        height: Rows of one map.
        width: Columns of one map.
        kept: Numbers of the maps that are drawn.
        block: Each cell stands for ``block`` x ``block`` values.
    """

    shape: Shape
    maps: int
    height: int
    width: int
    kept: tuple[int, ...]
    block: int

    @property
    def rows(self) -> int:
        """Rows of cells of one map."""
        return math.ceil(self.height / self.block)

    @property
    def columns(self) -> int:
        """Columns of cells of one map."""
        return math.ceil(self.width / self.block)

    @property
    def used(self) -> int:
        """Cells of one map that stand for values: a vector may not fill its rectangle."""
        if len(self.shape) <= 1 and self.block == 1:
            return math.prod(self.shape)
        return self.rows * self.columns

    @property
    def note(self) -> str:
        """What the picture leaves out, in words; empty if it leaves out nothing."""
        parts = []
        if len(self.kept) < self.maps:
            parts.append(f"{len(self.kept)} of {self.maps} maps, evenly spaced")
        if self.block > 1:
            parts.append(f"each cell stands for {self.block} {TIMES} {self.block} values")
        return "; ".join(parts)

    def laid_out(self, values: np.ndarray) -> np.ndarray:
        """Values of some frames as maps, of which none is left out yet.

        Args:
            values: Shape ``(frames, *shape)``.

        Returns:
            Shape ``(frames, maps, height, width)``.
        """
        frames = len(values)
        if len(self.shape) <= 1:
            flat = values.reshape(frames, -1)
            padding = self.height * self.width - flat.shape[1]
            flat = np.pad(flat, ((0, 0), (0, padding)))
            return flat.reshape(frames, 1, self.height, self.width)
        if len(self.shape) == 2:  # time to the right, channels downwards
            return values.transpose(0, 2, 1)[:, None]
        volume = values.reshape(frames, -1, *self.shape[-3:])  # more axes: plane after plane
        return np.moveaxis(volume, -1, 2).reshape(frames, self.maps, self.height, self.width)

    def drawn(self, values: np.ndarray, *, mean: bool = False) -> np.ndarray:
        """The cells that are drawn: sums of blocks, or their means.

        Args:
            values: Shape ``(frames, *shape)``.
            mean: Means in the place of sums.

        Returns:
            Shape ``(frames, kept maps, rows, columns)``.
        """
        maps = self.laid_out(values)[:, list(self.kept)]
        if self.block == 1:
            return maps
        starts = [np.arange(0, size, self.block) for size in (self.height, self.width)]
        wide = np.float64 if maps.dtype.kind == "f" else np.int64
        sums = np.add.reduceat(maps, starts[0], axis=2, dtype=wide)
        sums = np.add.reduceat(sums, starts[1], axis=3, dtype=wide)
        if not mean:
            return sums
        sizes = [
            np.diff(np.append(start, size))
            for start, size in zip(starts, (self.height, self.width), strict=True)
        ]
        return np.asarray(sums / (sizes[0][:, None] * sizes[1]))


def plan_maps(shape: Shape, most: int) -> MapPlan:
    """A plan that draws at most ``most`` cells.

    Args:
        shape: Shape of one sample's values: a vector, (time, channels), or the channels last.
        most: Largest number of cells.

    Example:
        >>> plan_maps((28, 28, 64), 28 * 28 * 8).note
        '8 of 64 maps, evenly spaced'
        >>> plan_maps((224, 224, 3), 5000).note
        'each cell stands for 6 × 6 values'
    """
    maps, height, width = _geometry(shape)
    most = max(most, LEAST_CELLS)
    if math.prod(shape) <= most:  # also a vector that does not fill its rectangle
        return MapPlan(shape, maps, height, width, tuple(range(maps)), 1)
    block = 1
    while _cells(height, width, block) * min(maps, SHOWN_MAPS) > most and block < max(
        height, width
    ):
        block += 1
    n_kept = min(maps, max(1, most // _cells(height, width, block)))
    kept = np.linspace(0, maps - 1, n_kept).round().astype(int)
    return MapPlan(shape, maps, height, width, tuple(map(int, kept)), block)


def shared_out(sizes: Sequence[int], total: int, most: int) -> list[int]:
    """Cells for each layer: small layers get all they need, the others equal shares of the rest.

    Args:
        sizes: Neurons of each layer.
        total: Cells of all layers together.
        most: Cells that one layer may have.

    Example:
        >>> shared_out([10, 1000, 1000], 510, 400)
        [10, 250, 250]
    """
    found = [0] * len(sizes)
    left = total
    for place, index in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        share = max(LEAST_CELLS, left // (len(sizes) - place))
        found[index] = min(sizes[index], most, share)
        left -= found[index]
    return found


def _geometry(shape: Shape) -> tuple[int, int, int]:
    """Maps, and rows and columns of each."""
    if len(shape) <= 1:
        n = math.prod(shape)
        width = max(1, math.ceil(math.sqrt(2 * n)))
        return 1, math.ceil(n / width), width
    if len(shape) == 2:
        return 1, shape[1], shape[0]
    return math.prod(shape[:-3]) * shape[-1], shape[-3], shape[-2]


def _cells(height: int, width: int, block: int) -> int:
    return math.ceil(height / block) * math.ceil(width / block)
