"""One run of a converted model: its settings, checked, and its totals, added up as it goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from .arguments import count, flag, is_word, nearest, seconds_of_a_step
from .data.arrays import Feeds
from .errors import InputError
from .ir import Graph, product
from .progress import track
from .simulators import Chunk, EarlyExit, Job, Runner

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
    """What a run adds up, whatever else is done with its chunks.

    Args:
        graph: What runs.
        feeds: Its input.
        spiking: Whether it spikes.
        dt: Length of a step in seconds.
        n: Samples that are done.
        steps: Steps that each of them took.
        n_spikes: Layer to its spikes.
        n_operations: Layer to the synaptic operations of its spikes; empty if they are not counted.
    """

    graph: Graph
    feeds: Feeds
    spiking: bool
    dt: float
    n: int = 0
    steps: np.ndarray = field(init=False)
    n_spikes: dict[str, float] = field(init=False)
    n_operations: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.n_spikes = {node.name: 0.0 for node in self.graph.neurons()}
        self.n_operations = {}
        self.steps = np.full(self.feeds.n, self.feeds.n_steps)

    def add(self, chunk: Chunk) -> None:
        n_spikes, n_operations = dict(self.n_spikes), dict(self.n_operations)
        for layer, part in chunk.counts.items():
            counted = np.rint(part) if self.spiking else part
            n_spikes[layer] += float(counted.sum(dtype=np.float64))
        for layer, part in chunk.operations.items():
            n_operations[layer] = n_operations.get(layer, 0) + int(part.sum())
        if chunk.taken is not None:
            self.steps[chunk.images] = chunk.taken
        last = chunk.steps.stop == self.feeds.n_steps
        # At once, so that Ctrl-C finds the totals of whole chunks.
        n = chunk.images.stop if last else self.n
        self.n, self.n_spikes, self.n_operations = n, n_spikes, n_operations

    @property
    def rates(self) -> dict[str, float]:
        """Layer to its mean rate in Hz over the time that was simulated; NaN if none was."""
        seconds = float(self.steps[: self.n].sum()) * self.dt or np.nan
        return {
            layer: total / seconds / product(self.graph.nodes[layer].shape)
            for layer, total in self.n_spikes.items()
        }


def run_through(
    start: Callable[[], Runner],
    feeds: Feeds,
    settings: Settings,
    take: Callable[[Chunk], None],
    *,
    last_only: bool = False,
) -> None:
    """Run all samples.

    Ctrl-C ends it at once. With ``on_interrupt="return"`` that is an end like any other, also
    before the first sample is done; then no chunk is taken of a batch that may not come to its end.

    Args:
        start: Makes what runs, which may take a while.
        feeds: The input.
        settings: The settings.
        take: Is called with each chunk, in order. Ctrl-C waits until it is done.
        last_only: Whether only the outputs of the last step are wanted.
    """
    job = Job(feeds.arrays, feeds.n_steps, last_only, settings.early_exit)
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
