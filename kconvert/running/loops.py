"""All samples of a run before a function that takes their outputs: whole, or a share at a time."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.arrays import Feeds
from ..errors import InputError
from ..jobs.shares import Grouping, ranges_of
from ..jobs.work import Work
from ..progress import track
from ..simulators import Chunk, Job, Runner
from .ready import Ready
from .settings import Settings


def run_through(
    start: Callable[[], Runner],
    feeds: Feeds,
    settings: Settings,
    take: Callable[[Chunk], None],
) -> None:
    """Run all samples, at every step.

    Ctrl-C ends it at once. With ``on_interrupt="return"`` that is an end like any other, also
    before the first sample is done; then no chunk is taken of a batch that may not come to its end.

    Args:
        start: Makes what runs, which may take a while.
        feeds: The input.
        settings: The settings.
        take: Is called with each chunk, in order. Ctrl-C waits until it is done.
    """
    job = Job(feeds.arrays, feeds.n_steps, False, settings.early_exit)
    waiting: list[Chunk] = []
    try:
        with closing(start().run(job)) as running:  # type: ignore[type-var]
            for chunk in track(running, feeds.n, feeds.n_steps, settings.progress):
                _require_finite(chunk)
                waiting.append(chunk)
                if chunk.steps.stop == feeds.n_steps or settings.on_interrupt == "raise":
                    with _interrupt_waits():
                        for each in waiting:
                            take(each)
                    waiting.clear()
    except KeyboardInterrupt:
        if settings.on_interrupt == "raise":
            raise


def run_shares(
    ready: Ready,
    feeds: Feeds,
    settings: Settings,
    shares: Sequence[slice],
    found: Callable[[Chunk], dict[str, Any]],
    take: Callable[[slice, Mapping[str, Any]], None],
    *,
    work: Work,
    last_only: bool = False,
    before: Callable[[], None] | None = None,
) -> None:
    """Run all samples, a share at a time; Ctrl-C as for :func:`run_through`.

    Args:
        ready: What runs.
        feeds: The input.
        settings: The settings.
        shares: The shares of the samples, in order.
        found: From the run of a share, as one chunk, to its result, which is plain data.
        take: Is called with the samples of each share and its result, in order.
        work: Where shares are computed, and where their results are kept.
        last_only: Whether only the outputs of the last step are wanted.
        before: What is to be done first, which Ctrl-C may end too.
    """
    pending = [share for share in shares if not work.has(share)]
    n = sum(share.stop - share.start for share in pending)
    grouping = Grouping(pending, feeds.n_steps, last_only=last_only)
    order = _Order(shares, work, take)
    try:
        if before is not None:
            before()
        order.go_on()
        if work.cluster is None:
            chunks = _chunks(ready.make, feeds, settings, ranges_of(pending), last_only)
        else:
            chunks = work.cluster.chunks(ready, feeds, settings, pending, last_only)
        with closing(chunks) as running:  # type: ignore[type-var]
            tracked = track(running, n, feeds.n_steps, settings.progress)
            for chunk in tracked if work.cluster is not None else grouping.shares(tracked):
                _require_finite(chunk)
                with _interrupt_waits():
                    result = found(chunk)
                    work.save(chunk.images, result)
                    order.put(chunk.images, result)
    except KeyboardInterrupt:
        if settings.on_interrupt == "raise":
            raise
        rest = grouping.rest()
        if rest is not None and order.is_next(rest.images):
            take(rest.images, found(rest))


class _Order:
    """Hands the results of shares on in the order of the samples.

    Args:
        shares: The shares, in order.
        work: Has results that are kept.
        take: Is called with each share and its result.
    """

    def __init__(
        self,
        shares: Sequence[slice],
        work: Work,
        take: Callable[[slice, Mapping[str, Any]], None],
    ) -> None:
        self._waiting, self._work, self._take = deque(shares), work, take
        self._arrived: dict[int, Mapping[str, Any]] = {}

    def put(self, share: slice, result: Mapping[str, Any]) -> None:
        """Take a result, and hand on what follows on what was handed on."""
        if self.is_next(share) or not self._work.has(share):  # what is kept need not be held
            self._arrived[share.start] = result
        self.go_on()

    def go_on(self) -> None:
        """Hand on what is there."""
        while self._waiting:
            share = self._waiting[0]
            result = self._arrived.pop(share.start, None) or self._work.load(share)
            if result is None:
                return
            self._take(share, result)
            self._waiting.popleft()

    def is_next(self, images: slice) -> bool:
        """Whether some samples follow on those that were handed on."""
        return bool(self._waiting) and self._waiting[0].start == images.start


def _chunks(
    start: Callable[[], Runner],
    feeds: Feeds,
    settings: Settings,
    ranges: Sequence[slice],
    last_only: bool,
) -> Iterator[Chunk]:
    """The chunks of some of the samples, run in this process."""
    if not ranges:  # nothing is left to do
        return
    runner = start()
    for images in ranges:
        some = feeds.some(images)
        job = Job(some.arrays, feeds.n_steps, last_only, settings.early_exit)
        with closing(runner.run(job)) as running:  # type: ignore[type-var]
            for chunk in running:
                yield moved(chunk, images.start)


def moved(chunk: Chunk, by: int) -> Chunk:
    """A chunk whose samples are counted from elsewhere."""
    images = slice(chunk.images.start + by, chunk.images.stop + by)
    return replace(chunk, images=images) if by else chunk


def _require_finite(chunk: Chunk) -> None:
    """Refuse outputs that are no numbers: input and weights are, so something grew too large."""
    for output in chunk.outputs:
        if not np.isfinite(output).all():
            image = chunk.images.start + int(np.argwhere(~np.isfinite(output))[0][0])
            raise InputError(
                f"values of the network become too large for {output.dtype}, first in sample "
                f"{image}: use dtype='float64' (of simulator='events'), or smaller weights, input "
                "or scale_firing_rates"
            )


@contextmanager
def _interrupt_waits() -> Iterator[None]:
    """Within the context Ctrl-C waits for its end: what is added up there is added up whole."""
    handler = signal.getsignal(signal.SIGINT)
    # Other threads are not interrupted; a handler that is not Python's own cannot be put back.
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[Any, Any]] = []
    signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[0])
