"""Short runs of some samples: the one way in which settings are tried and chosen.

The error of a candidate is the distance of its read-out from that of the rate network, divided by
the spread of the rate network's read-out over the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from ..data.arrays import Feeds
from ..ir import Graph
from ..memory import require_memory
from ..ops import RAMP, ReadOut
from ..passes.set_spiking import without_synapses
from ..simulators import SIMULATORS, Job, Runner, RunSpec, make_runner

TRIED = 16
"""Samples that settings are tried on."""
FEWEST, NEURONS = 4, 8_000_000
"""At least so many samples, also where they hold more neurons together than this."""
RATIO = "relative to the spread over the samples"
"""What errors are divided by, in the words of a decision."""

Candidate = tuple[str, Callable[[], Graph]]
"""The name of a candidate, and a function that makes its graph."""


class Outputs(Iterator[tuple[np.ndarray, ...]], Protocol):
    """The outputs of some samples at a time, in order: an array for each output of the graph, of
    shape (samples, steps, values).
    """

    def close(self) -> None:
        """No more is wanted."""


class Runs(Protocol):
    """Where samples are run: here, or on a cluster. The outputs are the same to the bit."""

    def __call__(self, make: Callable[[], RunSpec], jobs: Sequence[Job], size: int) -> Outputs:
        """Run samples in the event simulator.

        Args:
            make: Makes what is run. The same one is given for more samples of a candidate.
            jobs: The samples. Those of a job are not begun before all outputs of the one before
                were taken.
            size: How many samples to run at a time.
        """


class _Here:
    """Runs samples in this process, when their outputs are asked for: see :class:`Runs`.

    What ``make`` makes is built once, and kept for as long as ``make`` is.
    """

    def __init__(self) -> None:
        self._built: WeakKeyDictionary[Any, Runner] = WeakKeyDictionary()

    def __call__(
        self, make: Callable[[], RunSpec], jobs: Sequence[Job], size: int
    ) -> Generator[tuple[np.ndarray, ...], None, None]:
        if make not in self._built:
            self._built[make] = make_runner("events", make(), size)
        for job in jobs:
            for chunk in self._built[make].run(job):
                yield chunk.outputs


here = _Here()


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidate that was chosen.

    Args:
        name: Its name.
        graph: Its graph.
        errors: Error of each candidate that was tried, by name. For one that was given up, the
            error over the samples that it had run: a lower bound.
        given_up: The candidates whose error was too large before they had run all samples.
    """

    name: str
    graph: Graph
    errors: dict[str, float]
    given_up: frozenset[str] = frozenset()

    @property
    def error(self) -> float:
        """The error of the chosen candidate."""
        return self.errors[self.name]

    @property
    def tried(self) -> str:
        """All candidates with their errors, for a decision."""
        return ", ".join(
            f"{name}: {'> ' if name in self.given_up else ''}{error:.2g}"
            for name, error in self.errors.items()
        )


@dataclass(slots=True)
class _Run:
    """What a candidate has done so far.

    Args:
        make: Makes what is run.
        squares: Sum of the squared differences from the rate network, of shape (steps,).
        n: Number of samples in this sum.
        error: The error of these samples. It can only grow with more samples.
    """

    make: Callable[[], RunSpec]
    squares: np.ndarray
    n: int = 0
    error: float = 0.0


class Trial:
    """Runs candidates on some samples, and compares their read-outs with the rate network's.

    Args:
        graph: The network whose rates are wanted.
        feeds: Samples; the first ones are used.
        read_outs: Filter of each output.
        n_steps: About how many steps the network will run for.
        dt: Length of a step in seconds.
        runs: Where candidates are run.
    """

    def __init__(
        self,
        graph: Graph,
        feeds: Feeds,
        read_outs: tuple[ReadOut | None, ...] | None = None,
        *,
        n_steps: int,
        dt: float,
        runs: Runs = here,
    ) -> None:
        self.n = min(samples(graph, TRIED), feeds.n)
        self.arrays = {name: array[: self.n] for name, array in feeds.arrays.items()}
        # By default RAMP, which has no time constant to choose.
        self.read_outs = read_outs or (RAMP,) * len(graph.outputs)
        self.dt, self.runs = dt, runs
        # Each layer answers a step later than the one before it.
        self.depth = graph.depth
        self.n_steps = max(int(n_steps), 2 * self.depth)
        width = sum(graph.nodes[name].size for name in graph.outputs)
        require_memory(
            "the outputs of a sample at every step",
            2 * self.n_steps * (24 + 8 * width),
            "Calibration: n_steps",
            self.n_steps,
        )
        # Without synapses every step of the rate network is as the first one.
        rates = RunSpec.of_rates(without_synapses(graph), graph.outputs)
        found = here(lambda: replace(rates, dt=dt), [Job(self.arrays, 1)], 1)
        self.expected = np.concatenate([_side_by_side(each)[:, -1] for each in found])
        whole = float(np.linalg.norm(self.expected))
        apart = float(np.linalg.norm(self.expected - self.expected.mean(axis=0)))
        # Equal samples have no spread beyond the rounding of float32.
        self.scale = (apart if apart > 1e-6 * whole else whole) or 1.0

    def choose(
        self,
        candidates: Iterable[Candidate],
        *,
        over_time: bool = False,
        near: float = 0.0,
        slack: float = 1.0,
        against: Choice | None = None,
    ) -> Choice:
        """Try candidates in order and choose one.

        Squared differences add up over samples, so the error on some samples is a lower bound of
        the error on all. Each candidate first runs one sample. The best one then runs all samples.
        Each of the others goes on only as long as it might still be chosen. So the choice is the
        same as if every candidate had run all samples. On a cluster, samples of candidates run side
        by side, and some in vain: those that would not have been run here have no part in the
        choice, nor in the errors.

        Args:
            candidates: The cheapest first. Each graph is made when it is run, and that of the
                chosen one once more.
            over_time: Whether the error is a mean over time, and not that of the last step alone.
                Then it is the geometric mean over the steps from the first answer of the last layer
                to twice ``n_steps``, since users may run fewer or more steps. Each doubling of
                time has the same weight.
            near: An error that is good enough. Once a candidate has it, later ones are not tried.
            slack: The cheapest candidate is chosen whose error is at most this many times the least
                error (or ``near``, if that is larger).
            against: What was chosen before, with the same arguments. It is kept unless a candidate
                is better.
        """
        steps = self._steps(over_time=over_time)
        made = dict(candidates)
        runs: dict[str, _Run] = {}
        with ExitStack() as ended:
            begun = []
            for name, make in made.items():
                run = _Run(partial(self._spec, make), np.zeros(len(steps)))
                # The first samples have a job of their own: all of a job may be begun at once.
                images = range(1), range(1, self.n)
                begun.append((name, run, self._begin(run, images, steps, ended)))
            for name, run, outputs in begun:
                runs[name] = run
                self._go_on(run, outputs, steps, near)
                if run.error <= near:
                    break
        limit = max(near, against.error * slack) if against else np.inf
        with ExitStack() as ended:
            best_first = [
                (run, self._begin(run, [range(run.n, self.n)], steps, ended))
                for run in sorted(runs.values(), key=lambda run: run.error)
            ]
            for run, outputs in best_first:
                if run.error <= limit:
                    self._go_on(run, outputs, steps, limit)
                outputs.close()
                if run.n == self.n:
                    limit = min(limit, max(near, run.error * slack))
        errors = {name: run.error for name, run in runs.items()}
        given_up = frozenset(name for name, run in runs.items() if run.n < self.n)
        # At least the best one is within the limit. If all outputs diverge, all are infinite.
        within = [name for name in errors if name not in given_up and errors[name] <= limit]
        if against is not None:
            errors, given_up = {**against.errors, **errors}, against.given_up | given_up
            if not within:
                return replace(against, errors=errors, given_up=given_up)
        return Choice(within[0], made[within[0]](), errors, given_up)

    def when(self, *, over_time: bool) -> str:
        """The steps that count, in the words of a decision."""
        if over_time:
            return f"from step {self.depth} to {2 * self.n_steps},"
        return f"after {self.n_steps} steps"

    def _steps(self, *, over_time: bool) -> np.ndarray:
        """The steps that count, from 1."""
        if over_time:
            return np.arange(max(self.depth, 1), 2 * self.n_steps + 1)
        return np.array([self.n_steps])

    def _spec(self, make: Callable[[], Graph]) -> RunSpec:
        return RunSpec(make(), self.read_outs, dt=self.dt)

    def _begin(
        self, run: _Run, images: Sequence[range], steps: np.ndarray, ended: ExitStack
    ) -> Outputs:
        """Run samples of a candidate, those of a range after those of the one before.

        Args:
            run: The candidate.
            images: The samples.
            steps: The steps that count.
            ended: What ends the run.
        """
        jobs = []
        for each in filter(None, images):
            arrays = {name: array[each.start : each.stop] for name, array in self.arrays.items()}
            jobs.append(Job(arrays, int(steps[-1]), last_only=len(steps) == 1))
        outputs = self.runs(run.make, jobs, 1)
        ended.callback(outputs.close)
        return outputs

    def _go_on(self, run: _Run, outputs: Outputs, steps: np.ndarray, limit: float) -> None:
        """Take samples, one after the other, until none is left or the error is above a limit.

        Args:
            run: The candidate.
            outputs: Its outputs.
            steps: The steps that count.
            limit: The error above which the candidate is given up.
        """
        for each in outputs:
            wanted = self.expected[run.n]
            values = _side_by_side(each)[0, -len(steps) :]
            run.squares += np.square(values - wanted).sum(axis=1)
            run.n += 1
            run.error = self._mean(np.sqrt(run.squares) / self.scale, steps)
            if run.error > limit:
                return

    def _mean(self, errors: np.ndarray, steps: np.ndarray) -> float:
        """One error from the errors at the steps that count: see :meth:`choose`."""
        if not np.isfinite(errors).all():
            return np.inf
        if len(steps) == 1:
            return float(errors[0])
        return float(np.exp(np.average(np.log(np.maximum(errors, 1e-9)), weights=1 / steps)))


def _side_by_side(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """The values of all outputs, of shape (samples, steps, values)."""
    return np.concatenate(outputs, axis=2).astype(np.float64)


def why_not_tried(
    graph: Graph, feeds: Feeds, read_outs: tuple[ReadOut | None, ...] | None = None
) -> str:
    """Why the network cannot be run on the samples; empty if it can."""
    if not feeds.held:
        return "the samples change in time"
    read_outs = read_outs or (RAMP,) * len(graph.outputs)
    return SIMULATORS["events"].refusal(RunSpec(graph, read_outs))


def samples(graph: Graph, most: int, fewest: int = FEWEST) -> int:
    """How many samples to run: fewer for a large network."""
    return max(fewest, min(most, NEURONS // max(graph.n_neurons, 1)))
