"""Hands samples to threads, and gives back what they record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from queue import SimpleQueue
from typing import Any

import numba
import numpy as np

from ...arguments import MOST_STEPS, is_word
from ...errors import InputError
from ...memory import free_memory
from ..base import Chunk, EarlyExit, Job, RunSpec, steps_at
from .compiler import Program, plan
from .compiler.instructions import Instruction, Lif, Membranes, encoded
from .compiler.program import BLOCK, aligned
from .machine import build
from .machine.kernels import KERNELS
from .machine.layout import WAITING, Fed, Listing, Machine, Memory, Recorded, Shared

PIECE_BYTES = 32 * 2**20
"""What one piece of work may be fed and record."""
PIECES = 8
"""Pieces of work for each thread: none waits long for the last one."""
MOST = 64
"""Samples in a piece, so that progress is seen."""
STEPS = 4
"""Most steps that a layer runs before the next one begins."""
LIST_BYTES = 64 * 2**20
"""What the events of these steps may take on each thread."""
DTYPES = ("float32", "float64")
"""Precisions that it computes in."""


def warm_up(dtype: str = "float32", progress: bool | None = None) -> None:
    """Compile the event simulator for later processes, as a container image or a CI job may want.

    A run compiles what it needs and keeps it on the disk: beside the package, in the user's cache
    folder where that cannot be written to, or where ``NUMBA_CACHE_DIR`` says. This compiles all
    that any network needs. What is there already is not compiled again.

    Args:
        dtype: The precision of runs: "float32", which is their default, or "float64".
        progress: True to count the parts that are compiled, False to say nothing, None to count
            them on a terminal.

    Raises:
        InputError: There is no such precision.

    Example:
        >>> import kconvert
        >>> warm_up(progress=False)
    """
    if not is_word(dtype, DTYPES):
        raise InputError(f"dtype must be one of {DTYPES}. Received: dtype={dtype!r}")
    build.machine(KERNELS, dtype, progress)


class EventRunner:
    """The event-driven simulator of a network, on as many threads as Numba may use.

    Args:
        spec: What to run.
        batch_size: Most samples in a piece of work.
    """

    def __init__(self, spec: RunSpec, batch_size: int) -> None:
        self.spec, self.batch_size = spec, batch_size
        self._dtype: Any = np.dtype(spec.dtype or "float32")
        self._programs: dict[frozenset[str], _Loaded] = {}

    def run(self, job: Job) -> Iterator[Chunk]:
        feeds, n_steps, total = job.feeds, job.n_steps, job.n
        loaded = self._load(frozenset(name for name, feed in feeds.items() if feed.shape[1] == 1))
        threads = numba.config.NUMBA_NUM_THREADS
        # Whether a run may end is seen in its outputs.
        output_steps = 1 if job.last_only and job.early_exit is None else n_steps
        each = loaded.bytes_of_a_sample(feeds, n_steps, output_steps, self.spec.record)
        size = min(MOST, PIECE_BYTES // each, self.batch_size, -(-total // (threads * PIECES)))
        size = max(1, size)
        pieces = iter(range(0, total, size))
        stop = np.zeros(1, dtype=np.int64)
        rule = _rule(job.early_exit)
        free = loaded.free(threads)
        # As many as are worked on and as many again, if there is memory for what they record:
        # memory does not grow with the samples.
        most = 2 * threads
        if (left := free_memory()) is not None:
            most = max(1, min(most, left // 2 // (size * each)))

        def work(images: slice) -> Chunk:
            recorded = loaded.recorded(
                images.stop - images.start, output_steps, n_steps, self.spec.record
            )
            taken = np.zeros(images.stop - images.start, dtype=np.int64)
            fed = loaded.fed(feeds, images, n_steps)
            memory = free.get()
            try:
                loaded.run(fed, memory, recorded, n_steps, rule, taken, stop)
            finally:
                free.put(memory)
            return loaded.chunk(images, n_steps, recorded, taken)

        with ThreadPoolExecutor(threads, thread_name_prefix="kconvert") as pool:
            ahead: deque[Future[Chunk]] = deque()
            try:
                while True:
                    while len(ahead) < most and (first := next(pieces, None)) is not None:
                        images = slice(first, min(first + size, total))
                        ahead.append(pool.submit(work, images))
                    if not ahead:
                        return
                    yield ahead.popleft().result()
            finally:
                stop[0] = 1
                for future in ahead:
                    future.cancel()

    def voltages(self, job: Job) -> dict[str, np.ndarray]:
        """Run every sample, and look at the membranes after the last step.

        Args:
            job: What is to be run.

        Returns:
            Layer name to voltages in units of the threshold, 0 within a refractory period, of shape
            (samples, neurons).
        """
        feeds, n_steps = job.feeds, job.n_steps
        loaded = self._load(frozenset(name for name, feed in feeds.items() if feed.shape[1] == 1))
        memory, stop = loaded.memory(), np.zeros(1, dtype=np.int64)
        found: list[dict[str, np.ndarray]] = []
        for sample in range(job.n):
            fed = loaded.fed(feeds, slice(sample, sample + 1), n_steps)
            recorded = loaded.recorded(1, 1, n_steps, False)
            taken = np.zeros(1, dtype=np.int64)
            loaded.run(fed, memory, recorded, n_steps, _rule(None), taken, stop)
            found.append(loaded.voltages(memory))
        return {name: np.stack([one[name] for one in found]) for name in found[0]}

    def _load(self, held: frozenset[str]) -> _Loaded:
        if held not in self._programs:
            program = plan(self.spec, held=held)
            self._programs[held] = _Loaded(program, self._dtype)
        return self._programs[held]


class _Loaded:
    """A program in the precision of a run, and the memory that it needs."""

    def __init__(self, program: Program, dtype: Any) -> None:
        self.program, self.dtype = program, dtype
        self._records: list[np.ndarray] = []
        kinds = dict.fromkeys(type(line) for line in (*program.prologue, *program.step))
        self.machine = build.machine(kinds, dtype)
        self.prologue = self._listing(program.prologue)
        self.step = self._listing(program.step)
        self.shared = Shared(program.lists, program.weights, program.tables, program.initial)
        self._bounds = np.cumsum([0, *program.sizes])
        self._free: SimpleQueue[Memory] = SimpleQueue()
        self._memories = 0

    def _listing(self, lines: tuple[Instruction, ...]) -> Listing:
        """Instructions as the machine reads them; their records live as long as this does."""
        records = [encoded(line, self.dtype) for line in lines]
        self._records += records
        kernels = [self.machine.kernels[type(line)] for line in lines]
        return Listing(
            np.array(kernels, dtype=np.int64),
            np.array([line.ctypes.data for line in records], dtype=np.int64),
        )

    def _aligned(self, values: np.ndarray) -> np.ndarray:
        """A copy that begins where a line of the cache does."""
        copy = aligned(values.size, self.dtype)
        copy[:] = values
        return copy

    def free(self, threads: int) -> SimpleQueue[Memory]:
        """The working memories that are not in use, as many as there are threads."""
        for _ in range(self._memories, threads):
            self._free.put(self.memory())
        self._memories = max(threads, self._memories)
        return self._free

    def memory(self) -> Memory:
        """The working memory of one thread."""
        events = int(self.program.lists[-1])
        slots = max(1, min(STEPS, LIST_BYTES // (events * (4 + self.dtype.itemsize) + 1)))
        return Memory(
            self._aligned(self.shared.initial),
            np.zeros(self.program.n_refractory_steps, dtype=WAITING),
            np.zeros(self.program.n_pointers, dtype=np.int64),
            np.zeros(slots * events, dtype=np.uint32),
            np.zeros(slots * events, dtype=self.dtype),
            np.zeros((slots, len(self.program.lists)), dtype=np.int64),
            self._aligned(np.zeros(BLOCK)),
            self._aligned(np.zeros(self.program.n_dense)),
        )

    def recorded(self, n: int, output_steps: int, n_steps: int, spikes: bool) -> Recorded:
        """What a piece of work records."""
        neurons = int(self._bounds[-1])
        counted = n, output_steps, len(self.program.neurons)
        return Recorded(
            np.zeros((n, output_steps, sum(self.program.output_sizes)), dtype=self.dtype),
            np.zeros(counted),
            np.zeros(counted, dtype=np.int64),
            np.zeros(counted, dtype=np.int64),
            np.zeros(counted, dtype=np.int64),
            np.zeros((n, n_steps if spikes else 0, neurons), dtype=np.int32),
            self._bounds,
        )

    def fed(self, feeds: Mapping[str, np.ndarray], images: slice, n_steps: int) -> Fed:
        """The input of a piece of work, side by side: what is held, and what changes."""
        steps, n = slice(0, n_steps), images.stop - images.start
        held = [feeds[name][images, 0] for name in self.program.held]
        timed = [steps_at(feeds[name], images, steps) for name in self.program.timed]
        nothing = np.zeros((n, 0), dtype=np.float32)
        return Fed(
            np.concatenate([nothing, *held], axis=1, dtype=np.float32).astype(self.dtype, "C"),
            np.ascontiguousarray(
                timed[0] if len(timed) == 1 else np.concatenate(timed, axis=2), dtype=self.dtype
            )
            if timed
            else np.zeros((n, 0, 0), dtype=self.dtype),
        )

    def bytes_of_a_sample(
        self, feeds: Mapping[str, np.ndarray], n_steps: int, output_steps: int, spikes: bool
    ) -> int:
        """What one sample is fed and records."""
        program, itemsize = self.program, self.dtype.itemsize
        outputs = sum(program.output_sizes) * output_steps * itemsize
        counts = len(program.neurons) * output_steps * 32
        trains = int(self._bounds[-1]) * n_steps * 4 if spikes else 0
        fed = sum(feed[0].size for feed in feeds.values()) * 3 * itemsize  # with copies on the way
        return fed + outputs + counts + trains + 1

    def run(
        self,
        fed: Fed,
        memory: Memory,
        recorded: Recorded,
        n_steps: int,
        rule: tuple[int, float],
        taken: np.ndarray,
        stop: np.ndarray,
    ) -> int:
        """Run a piece of work; see :func:`kconvert.simulators.events.machine.machine.run`."""
        return self.machine.run(
            self.prologue,
            self.step,
            self.program.groups,
            Machine(self.shared, fed, memory, recorded),
            n_steps,
            *rule,
            taken,
            stop,
        )

    def voltages(self, memory: Memory) -> dict[str, np.ndarray]:
        """The membranes that a run of one sample has left."""
        found = {}
        for line in self.program.step:
            if not isinstance(line, Membranes):
                continue
            values = memory.state[line.voltage :][: line.size].copy()
            if isinstance(line, Lif):
                values[memory.refractory_steps[line.refractory_steps :][: line.size] > 0] = 0
            found[self.program.neurons[line.layer]] = values
        return found

    def chunk(self, images: slice, n_steps: int, recorded: Recorded, taken: np.ndarray) -> Chunk:
        outputs, counts, operations, lowest, highest, spikes, bounds = recorded
        ends = np.cumsum([0, *self.program.output_sizes])
        steps = slice(n_steps - outputs.shape[1], n_steps)
        ranges = np.stack([lowest.min(axis=1), highest.max(axis=1)], axis=-1)
        return Chunk(
            images,
            steps,
            tuple(outputs[:, :, first:last] for first, last in pairwise(ends)),
            {name: counts[:, :, k] for k, name in enumerate(self.program.neurons)},
            {
                name: _narrow(spikes[:, :, bounds[k] : bounds[k + 1]], ranges[:, k], name)
                for k, name in enumerate(self.program.neurons)
                if spikes.shape[1]
            },
            {
                name: operations[:, :, k].sum(axis=1)
                for k, name in enumerate(self.program.neurons)
                if self.program.spiking
            },
            taken,
            {
                name: ranges[:, k]
                for k, name in enumerate(self.program.neurons)
                if self.program.spiking
            },
        )


def _narrow(spikes: np.ndarray, ranges: np.ndarray, layer: str) -> np.ndarray:
    """A copy of a layer's spikes in a byte each, if they fit, since there are many.

    Raises:
        InputError: They do not fit into the integers that they are recorded in.
    """
    lowest, highest = int(ranges.min(initial=0)), int(ranges.max(initial=0))
    limits = np.iinfo(spikes.dtype)
    if lowest < limits.min or highest > limits.max:
        raise InputError(
            f"{layer!r}: a neuron sends {max(highest, -lowest):,} spikes in a step, and no more "
            f"than {limits.max:,} can be recorded. Lower its rates: scale_firing_rates, or "
            "Calibration(rate=)"
        )
    return spikes.astype(np.int8) if lowest >= -128 and highest <= 127 else spikes


def _rule(early_exit: EarlyExit | None) -> tuple[int, float]:
    return (
        (0, 0.0)
        if early_exit is None
        else (int(min(early_exit.stable, MOST_STEPS)), float(early_exit.confidence))
    )
