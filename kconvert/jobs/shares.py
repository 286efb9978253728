"""How the samples of a run are cut into shares.

Where a share begins and ends depends on the network and the settings only. The number of threads,
processes or machines has no part in it. All figures are added up a share at a time, in the order of
the samples, so that a run gives the same result to the bit wherever its shares are computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..simulators import Chunk
from ..simulators.base import widest

MOST = 64
"""Samples in a share."""
BYTES = 32 * 2**20
"""Most bytes of the outputs of a share, at all steps, in float64."""
WORK = 2 * 10**9
"""Most neurons times steps times samples of a share: some seconds of one core."""


def share_size(n_neurons: int, n_steps: int, width: int, *, last_only: bool = False) -> int:
    """Number of samples in a share.

    Args:
        n_neurons: Neurons of the network.
        n_steps: Number of steps.
        width: Values of all outputs at one step.
        last_only: Whether only the outputs of the last step are wanted.

    Example:
        >>> share_size(70_000, 30, 10), share_size(9_000_000, 64, 1000)
        (64, 3)
    """
    outputs = 8 * max(width, 1) * (1 if last_only else n_steps)
    return max(1, min(MOST, BYTES // outputs, WORK // (max(n_neurons, 1) * n_steps)))


def shares_of(n: int, size: int) -> list[slice]:
    """The shares of n samples.

    Example:
        >>> shares_of(5, 2)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


def ranges_of(shares: Sequence[slice]) -> list[slice]:
    """Ranges of samples, each of neighbouring shares.

    Example:
        >>> ranges_of([slice(0, 2), slice(2, 4), slice(6, 8)])
        [slice(0, 4, None), slice(6, 8, None)]
    """
    found: list[slice] = []
    for each in shares:
        if found and found[-1].stop == each.start:
            found[-1] = slice(found[-1].start, each.stop)
        else:
            found.append(each)
    return found


class Grouping:
    """Joins the chunks of a simulator into shares.

    Args:
        shares: The shares, in order; the chunks come in the same order.
        n_steps: Number of steps.
        last_only: Whether only the outputs of the last step are kept.
    """

    def __init__(self, shares: Sequence[slice], n_steps: int, *, last_only: bool = False) -> None:
        self._shares, self._n_steps, self._last_only = list(shares), n_steps, last_only
        self._waiting: list[Chunk] = []
        """Parts of the first share: samples that are done, and steps of the running batch."""

    def shares(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Each share as one chunk of all steps."""
        for chunk in chunks:
            images = chunk.images
            # A batch may be larger than a share: its parts come one after the other.
            begun = images.start
            for share in list(self._shares):
                if share.start >= images.stop:
                    break
                part = slice(max(share.start, begun), min(share.stop, images.stop))
                self._waiting.append(_part(chunk, part, self._last_only))
            yield from self._complete()

    def rest(self) -> Chunk | None:
        """The samples that are done of an incomplete share; None if there are none."""
        if not self._shares or not (done := self._done(self._shares[0])):
            return None
        return self._joined(done)

    def _complete(self) -> Iterator[Chunk]:
        while self._shares:
            share = self._shares[0]
            done = self._done(share)
            if not done or done[-1].stop < share.stop:
                return
            found = self._joined(done)
            self._waiting = [each for each in self._waiting if each.images.start >= share.stop]
            self._shares.pop(0)
            yield found

    def _done(self, share: slice) -> list[slice]:
        """The samples of a share that were run to the last step."""
        return [
            each.images
            for each in self._waiting
            if each.images.start < share.stop and each.steps.stop == self._n_steps
        ]

    def _joined(self, done: Sequence[slice]) -> Chunk:
        rows = []
        for images in done:
            steps = [each for each in self._waiting if each.images == images]
            rows.append(_joined(steps[-1:] if self._last_only else steps, axis=1))
        return _joined(rows, axis=0)


def _part(chunk: Chunk, images: slice, last_only: bool) -> Chunk:
    """Some of the samples of a chunk."""
    if images == chunk.images and not last_only:
        return chunk
    rows = slice(images.start - chunk.images.start, images.stop - chunk.images.start)
    steps = slice(-1, None) if last_only else slice(None)
    first = chunk.steps.stop - 1 if last_only else chunk.steps.start
    return Chunk(
        images,
        slice(first, chunk.steps.stop),
        tuple(each[rows, steps] for each in chunk.outputs),
        {name: each[rows, steps] for name, each in chunk.counts.items()},
        {},
        {name: each[rows] for name, each in chunk.operations.items()},
        None if chunk.taken is None else chunk.taken[rows],
        {name: each[rows] for name, each in chunk.ranges.items()},
    )


def _joined(parts: Sequence[Chunk], axis: int) -> Chunk:
    """One chunk from several: of later samples (axis 0), or of later steps (axis 1)."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return first

    def whole(arrays: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate(list(arrays), axis=axis)

    operations, taken = last.operations, last.taken
    if axis == 0:
        ranges = {
            name: np.concatenate([each.ranges[name] for each in parts]) for name in first.ranges
        }
        operations = {
            name: np.concatenate([each.operations[name] for each in parts])
            for name in first.operations
        }
        if taken is not None:
            taken = np.concatenate([each.taken for each in parts if each.taken is not None])
    else:
        ranges = {name: widest([each.ranges[name] for each in parts]) for name in first.ranges}
        operations = {
            name: sum(each.operations[name] for each in parts)  # type: ignore[misc]
            for name in first.operations
        }
    return Chunk(
        slice(first.images.start, last.images.stop),
        slice(first.steps.start, last.steps.stop),
        tuple(whole(arrays) for arrays in zip(*(each.outputs for each in parts), strict=True)),
        {name: whole(each.counts[name] for each in parts) for name in first.counts},
        {},
        operations,
        taken,
        ranges,
    )
