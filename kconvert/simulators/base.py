"""The small interface between a network and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import InputError, is_integer, is_number
from ..ir import Graph
from ..ops import ReadOut

if TYPE_CHECKING:
    from .sizes import Room

DEFAULT_DT = 0.001
"""Length of a step in seconds, if nothing else is said."""
CHUNK_BYTES = 128 * 2**20
"""What Nengo and NengoDL may hold of a run's input and record; a longer run is cut in time."""


@dataclass(frozen=True, slots=True, eq=False)
class RunSpec:
    """What is to be run: all that a simulator must know to build itself.

    Args:
        graph: The network.
        read_outs: Filter of each output of the graph, in order.
        spiking: Whether neurons send spikes, or their rates.
        dt: Length of a step in seconds.
        dtype: "float32" or "float64", or None for the simulator's own precision.
        record: Whether to record the spikes of every neuron.
        seed: Seed of neurons that behave at random.
    """

    graph: Graph
    read_outs: tuple[ReadOut | None, ...]
    spiking: bool = True
    dt: float = DEFAULT_DT
    dtype: str | None = None
    record: bool = False
    seed: int = 0

    @classmethod
    def of_rates(cls, graph: Graph, names: tuple[str, ...], dtype: str | None = None) -> RunSpec:
        """The rates of a graph, with unfiltered values of some nodes as the outputs."""
        return cls(graph.subgraph(names), (None,) * len(names), spiking=False, dtype=dtype)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive steps of one batch.

    Args:
        images: Which of the images.
        steps: Which of the steps.
        outputs: One array for each output, of shape (images, steps, size).
        counts: Layer name to the number of spikes in each step, of shape (images, steps).
        spikes: Layer name to spikes of each neuron, whole numbers of any type, of shape (images,
            steps, neurons); empty unless asked for.
        operations: Layer name to the synaptic operations of its spikes over all steps, of shape
            (images,); empty where the simulator does not count them.
        taken: The steps that each image took, of shape (images,), or None for all.
        ranges: Layer name to the lowest and the highest number of spikes that a neuron of it sent
            in one step, of shape (images, 2), 0 among them; without neurons that send rates.
    """

    images: slice
    steps: slice
    outputs: tuple[np.ndarray, ...]
    counts: Mapping[str, np.ndarray]
    spikes: Mapping[str, np.ndarray]
    operations: Mapping[str, np.ndarray] = field(default_factory=dict)
    taken: np.ndarray | None = None
    ranges: Mapping[str, np.ndarray] = field(default_factory=dict)


def widest(ranges: Any) -> np.ndarray:
    """The lowest and the highest number of some ranges.

    Args:
        ranges: Pairs in the last axis, of at least one range along the first.

    Returns:
        One range for each place of the axes in between.
    """
    together = np.asarray(ranges)
    return np.stack([together[..., 0].min(axis=0), together[..., 1].max(axis=0)], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyExit:
    """When a sample's run ends before the last step: its class is stable and, if asked, clear.

    The idea is old: a network of spikes has a first answer early, and easy samples need no more
    (e.g. Li, Geller, Kim & Panda 2023, "SEENN: Towards temporal spiking early-exit neural
    networks", who also take the softmax confidence).

    The first spikes that reach the read-out may come from biases alone. They say nothing about the
    sample, yet their class may be stable for some steps. So ask for a confidence too, or compare
    the accuracy with that of whole runs. Networks that are converted with ``calibration`` answer
    early.

    Args:
        stable: Steps in a row in which the read-out must have had the same class, from its first
            spike on. At least 2.
        confidence: Softmax probability that this class must have in the read-out, from 0 to 1; for
            one unit, whose class is whether it is > 0, the logistic function of its size. A
            low-pass at the read-out makes it grow in time even where spikes do not change.

    Raises:
        InputError: A number does not fit.

    Example:
        >>> EarlyExit(stable=5)
        EarlyExit(stable=5, confidence=0.0)
    """

    stable: int
    confidence: float = 0.0

    def __post_init__(self) -> None:
        if not is_integer(self.stable) or self.stable < 2:
            raise InputError(f"stable must be an integer >= 2. Received: stable={self.stable!r}")
        if not is_number(self.confidence) or not 0 <= self.confidence <= 1:
            raise InputError(f"confidence must be from 0 to 1. Received: {self.confidence!r}")


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run.

    Args:
        feeds: Input name to an array of shape (n, 1, size), held, or (n, n_steps, size).
        n_steps: Number of steps.
        last_only: Whether only the outputs of the last step are wanted; there may be more.
        early_exit: When an image's run may end early: for the event simulator only.
    """

    feeds: Mapping[str, np.ndarray]
    n_steps: int
    last_only: bool = False
    early_exit: EarlyExit | None = None

    @property
    def n(self) -> int:
        """The number of images."""
        return len(next(iter(self.feeds.values())))


class Runner(Protocol):
    """A network that is built and ready to run.

    Attributes:
        batch_size: Images that run at a time.
    """

    batch_size: int

    def run(self, job: Job) -> Iterator[Chunk]:
        """Run all images from the initial state, a batch and some steps at a time."""
        ...


def steps_at(feed: np.ndarray, images: slice, steps: slice) -> np.ndarray:
    """The input of some images at some steps, with held input repeated, in float32.

    Returns:
        Shape (images, steps, size).
    """
    if feed.shape[1] == 1:
        batch = np.asarray(feed[images], dtype=np.float32)
        return np.broadcast_to(batch, (batch.shape[0], steps.stop - steps.start, batch.shape[2]))
    return np.asarray(feed[images, steps], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Simulator:
    """One entry of the table of simulators.

    Args:
        name: What users call it.
        refusal: From a :class:`RunSpec` to why it cannot run that; empty if it can. Imports nothing
            heavy.
        make: From a :class:`RunSpec` and the number of samples to run at a time to a runner.
        dtypes: Precisions that it computes in, its own one first.
        room: From a :class:`RunSpec` and the number of samples to run at a time to the memory that
            its runner needs at least.
        early_exit: Whether samples may end early.
        fixed_batch: Whether it is built for one number of samples at a time.
    """

    name: str
    refusal: Callable[[RunSpec], str]
    make: Callable[[RunSpec, int], Runner]
    dtypes: tuple[str, ...]
    room: Callable[[RunSpec, int], Room]
    early_exit: bool = False
    fixed_batch: bool = False
