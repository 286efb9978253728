"""One run of a converted model: its settings, checked, its shares, and its totals."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from .arguments import count, flag, is_word, nearest, seconds_of_a_step
from .data.arrays import Feeds
from .errors import InputError
from .ir import Graph, product
from .jobs.shares import Grouping, ranges_of
from .jobs.work import Work
from .progress import track
from .simulators import Chunk, EarlyExit, Job, Runner, Simulator

DTYPES = ("float32", "float64")
INTERRUPTS = ("raise", "return")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run is done; the arguments of :meth:`SpikingNetwork.simulate`, checked.

    Raises:
        InputError: One of them does not fit.
    """

    dt: float
    batch_size: int | None
    dtype: str | None
    early_exit: EarlyExit | None
    on_interrupt: str
    progress: bool | None

    def __post_init__(self) -> None:
        seconds_of_a_step("dt", self.dt)
        if self.batch_size is not None:
            count("batch_size", self.batch_size)
        if self.dtype is not None and not is_word(self.dtype, DTYPES):
            raise InputError(
                f"dtype must be None or one of the strings {DTYPES}. Received: {self.dtype!r}"
                f"{nearest(self.dtype, DTYPES)}"
            )
        if not is_word(self.on_interrupt, INTERRUPTS):
            raise InputError(
                f"on_interrupt must be 'raise' or 'return'. Received: {self.on_interrupt!r}"
                f"{nearest(self.on_interrupt, INTERRUPTS)}"
            )
        flag("progress", self.progress, None)
        if self.early_exit is not None and not isinstance(self.early_exit, EarlyExit):
            raise InputError(
                f"early_exit must be a kconvert.EarlyExit or None. Received: {self.early_exit!r}"
            )

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments again, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def bytes_of_a_step(width: int, layers: int) -> int:
    """What a run holds for each step at least: outputs and counts of a sample, and means.

    Args:
        width: Values of all outputs.
        layers: Number of layers of neurons.
    """
    return 8 * width + 16 * layers + 40


@dataclass(slots=True)
class Totals:
    """What is added up of some samples, whatever else is done with their chunks.

    Args:
        graph: What runs.
        n_steps: Number of steps.
        spiking: Whether it spikes.
        dt: Length of a step in seconds.
        n: Samples that are done.
        n_taken: Steps that they took together.
        n_spikes: Layer to its spikes.
        n_operations: Layer to the synaptic operations of its spikes; empty if they are not counted.
        spikes: Spikes of all layers in each step.
    """

    graph: Graph
    n_steps: int
    spiking: bool
    dt: float
    n: int = 0
    n_taken: int = 0
    n_spikes: dict[str, float] = field(init=False)
    n_operations: dict[str, int] = field(init=False)
    spikes: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.n_spikes = {node.name: 0.0 for node in self.graph.neurons()}
        self.n_operations = {}
        self.spikes = np.zeros(self.n_steps)

    def found(self, chunk: Chunk) -> dict[str, Any]:
        """What a chunk of samples adds, as plain data."""
        n_spikes = {}
        spikes = np.zeros(self.n_steps)
        for layer, part in chunk.counts.items():
            counted = np.rint(part) if self.spiking else part
            n_spikes[layer] = float(counted.sum(dtype=np.float64))
            spikes[chunk.steps] += part.sum(axis=0, dtype=np.float64)
        last = chunk.steps.stop == self.n_steps
        n = chunk.images.stop - chunk.images.start if last else 0
        return {
            "n": n,
            "n_taken": n * self.n_steps if chunk.taken is None else int(chunk.taken.sum()),
            "n_spikes": n_spikes,
            "n_operations": {layer: int(part.sum()) for layer, part in chunk.operations.items()},
            "spikes": spikes,
        }

    def add(self, found: Mapping[str, Any]) -> None:
        """Add what was found; in the order of the samples."""
        for layer, number in found["n_spikes"].items():
            self.n_spikes[layer] += number
        for layer, number in found["n_operations"].items():
            self.n_operations[layer] = self.n_operations.get(layer, 0) + number
        self.spikes += found["spikes"]
        self.n += found["n"]
        self.n_taken += found["n_taken"]

    @property
    def rates(self) -> dict[str, float]:
        """Layer to its mean rate in Hz over the time that was simulated; NaN if none was."""
        seconds = self.n_taken * self.dt or np.nan
        return {
            layer: total / seconds / product(self.graph.nodes[layer].shape)
            for layer, total in self.n_spikes.items()
        }


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


@dataclass(frozen=True, slots=True)
class Ready:
    """A network that is ready to run.

    Args:
        network: The :class:`SpikingNetwork`.
        simulator: What runs it.
        batch_size: Samples that run at a time.
        make: Makes the runner, which may take a while.
        taken: Bytes that it will take in this process, beside those that are taken already.
    """

    network: Any
    simulator: Simulator
    batch_size: int
    make: Callable[[], Runner]
    taken: float


def asked_of(settings: Settings, n_steps: int | None, simulator: str) -> dict[str, Any]:
    """The settings that the result of a share depends on, as plain data."""
    exit = settings.early_exit
    return {
        "n_steps": n_steps,
        "dt": settings.dt,
        "dtype": settings.dtype,
        "simulator": simulator,
        "batch_size": settings.batch_size,
        "early_exit": None if exit is None else [exit.stable, exit.confidence],
    }


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


def stored(train: np.ndarray, part: np.ndarray) -> np.ndarray:
    """An array of spikes, in a wider integer type if the counts do not fit."""
    for limit in (int(part.max(initial=0)), int(part.min(initial=0))):
        train = train.astype(np.promote_types(train.dtype, np.min_scalar_type(limit)), copy=False)
    return train


def by_layer(arrays: Mapping[str, np.ndarray], graph: Graph) -> dict[str, Any]:
    """Arrays (n, n_steps, neurons) in the shapes of their layers."""
    return {
        layer: array.reshape(*array.shape[:2], *graph.nodes[layer].shape)
        for layer, array in arrays.items()
    }
