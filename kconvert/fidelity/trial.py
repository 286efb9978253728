"""Short runs of some samples: the one way in which settings are tried and chosen.

The error of a candidate is the distance of its read-out from that of the rate network, divided by
the spread of the rate network's read-out over the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace

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
        make: Makes its graph.
        squares: Sum of the squared differences from the rate network, of shape (steps,).
        n: Number of samples in this sum.
        error: The error of these samples. It can only grow with more samples.
    """

    make: Callable[[], Graph]
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
    """

    def __init__(
        self,
        graph: Graph,
        feeds: Feeds,
        read_outs: tuple[ReadOut | None, ...] | None = None,
        *,
        n_steps: int,
        dt: float,
    ) -> None:
        self.n = min(samples(graph, TRIED), feeds.n)
        self.arrays = {name: array[: self.n] for name, array in feeds.arrays.items()}
        # By default RAMP, which has no time constant to choose.
        self.read_outs = read_outs or (RAMP,) * len(graph.outputs)
        self.dt = dt
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
        found = self._run(make_runner("events", replace(rates, dt=dt), 1), range(self.n), 1)
        self.expected = np.concatenate([values[:, -1] for values in found])
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
    ) -> Choice:
        """Try candidates in order and choose one.

        Squared differences add up over samples, so the error on some samples is a lower bound of
        the error on all. Each candidate first runs one sample. The best one then runs all samples.
        Each of the others goes on only as long as it might still be chosen. So the choice is the
        same as if every candidate had run all samples.

        Args:
            candidates: The cheapest first. Each graph is made when it is run, up to three times,
                and none is kept.
            over_time: Whether the error is a mean over time, and not that of the last step alone.
                Then it is the geometric mean over the steps from the first answer of the last layer
                to twice ``n_steps``, since users may run fewer or more steps. Each doubling of
                time has the same weight.
            near: An error that is good enough. Once a candidate has it, later ones are not tried.
            slack: The cheapest candidate is chosen whose error is at most this many times the least
                error (or ``near``, if that is larger).
        """
        steps = self._steps(over_time=over_time)
        runs: dict[str, _Run] = {}
        for name, make in candidates:
            runs[name] = _Run(make, np.zeros(len(steps)))
            self._go_on(runs[name], steps, near, at_least=1)
            if runs[name].error <= near:
                break
        limit = np.inf
        for run in sorted(runs.values(), key=lambda run: run.error):
            self._go_on(run, steps, limit)
            if run.n == self.n:
                limit = min(limit, max(near, run.error * slack))
        errors = {name: run.error for name, run in runs.items()}
        given_up = frozenset(name for name, run in runs.items() if run.n < self.n)
        # At least the best one is within the limit. If all outputs diverge, all are infinite.
        chosen = next(name for name in errors if name not in given_up and errors[name] <= limit)
        return Choice(chosen, runs[chosen].make(), errors, given_up)

    def _steps(self, *, over_time: bool) -> np.ndarray:
        """The steps that count, from 1."""
        if over_time:
            return np.arange(max(self.depth, 1), 2 * self.n_steps + 1)
        return np.array([self.n_steps])

    def _go_on(self, run: _Run, steps: np.ndarray, limit: float, at_least: int = 0) -> None:
        """Run samples, one after the other, until none is left or the error is above a limit.

        Args:
            run: The candidate.
            steps: The steps that count.
            limit: The error above which the candidate is given up.
            at_least: Number of samples that are run whatever the error is.
        """
        if run.n == self.n or (run.n >= at_least and run.error > limit):
            return
        spec = RunSpec(run.make(), self.read_outs, dt=self.dt)
        runner = make_runner("events", spec, 1)
        # The first samples have a run of their own. A longer run would have begun further samples.
        for images in (range(run.n, at_least), range(max(run.n, at_least), self.n)):
            with closing(self._run(runner, images, int(steps[-1]), len(steps) == 1)) as found:
                for values in found:
                    wanted = self.expected[run.n]
                    run.squares += np.square(values[0, -len(steps) :] - wanted).sum(axis=1)
                    run.n += 1
                    run.error = self._mean(np.sqrt(run.squares) / self.scale, steps)
                    if run.n >= at_least and run.error > limit:
                        return

    def _mean(self, errors: np.ndarray, steps: np.ndarray) -> float:
        """One error from the errors at the steps that count: see :meth:`choose`."""
        if not np.isfinite(errors).all():
            return np.inf
        if len(steps) == 1:
            return float(errors[0])
        return float(np.exp(np.average(np.log(np.maximum(errors, 1e-9)), weights=1 / steps)))

    def _run(
        self, runner: Runner, images: range, n_steps: int, last_only: bool = True
    ) -> Generator[np.ndarray, None, None]:
        """All outputs side by side, of shape (1, steps, values), sample by sample."""
        if images:
            chosen = slice(images.start, images.stop)
            arrays = {name: array[chosen] for name, array in self.arrays.items()}
            for chunk in runner.run(Job(arrays, n_steps, last_only=last_only)):
                yield np.concatenate(chunk.outputs, axis=2).astype(np.float64)


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
