"""Percentiles of many values, in memory that does not grow."""

from __future__ import annotations

import numpy as np


class Histogram:
    """Counts on a logarithmic scale: percentiles in memory that does not grow.

    Args:
        rows: How many are counted side by side.
        in_an_octave: How fine: 256 is 0.3 %, 8 is 9 %.
        octaves: How far from 1 up and down: 150 is all of float32.
    """

    def __init__(self, rows: int = 1, *, in_an_octave: int = 256, octaves: int = 150) -> None:
        self.rows, self.in_an_octave, self.octaves = rows, in_an_octave, octaves
        self.counts = np.zeros((2 * octaves * in_an_octave + 1, rows))

    def add(self, values: np.ndarray) -> None:
        """Count the values above zero.

        Args:
            values: Of any shape for a single row, else of shape (n, rows).
        """
        flat = values.reshape(-1, self.rows)
        above = flat > 0
        found = flat[above]
        if not found.size:
            return
        octaves = np.log2(found).clip(-self.octaves, self.octaves)
        bins = np.rint((octaves + self.octaves) * self.in_an_octave).astype(np.int64)
        # Of all bins only those between the least and the largest value, most often a few.
        low, high = int(bins.min()), int(bins.max()) + 1
        bins -= low
        if self.rows > 1:
            bins *= self.rows
            bins += np.broadcast_to(np.arange(self.rows), flat.shape)[above]
        counts = np.bincount(bins, minlength=(high - low) * self.rows)
        self.counts[low:high] += counts.reshape(high - low, self.rows)

    def percentiles(self, percentile: float) -> np.ndarray:
        """For each row the value that this share of its values is not above; 0 if it has none."""
        up_to = self.counts.cumsum(axis=0)
        found = (up_to < percentile / 100 * up_to[-1]).sum(axis=0)
        values = 2.0 ** (found / self.in_an_octave - self.octaves)
        return np.asarray(np.where(up_to[-1] > 0, values, 0.0))

    def percentile(self, percentile: float) -> float:
        """The same of a single row."""
        return float(self.percentiles(percentile)[0])
