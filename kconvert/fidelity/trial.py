"""Short runs of some samples: the one way in which settings are tried and chosen.

The error of a candidate is that of its read-out against the rate network's, as a share of what
tells the samples apart.
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
"""Fewer samples for networks so large that more of them would hold more neurons than that."""
RATIO = "relative to the spread over the samples"
"""What errors are relative to, for decisions."""

Candidate = tuple[str, Callable[[], Graph]]
"""What a candidate is called, and what makes its graph."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen of some candidates.

    Args:
        name: What it is called.
        graph: Its graph.
        errors: Name of each candidate that was tried to its error; for one that was given up, what
            the samples that it had run come to, which is less.
        given_up: The candidates whose error was too large before they had run all samples.
    """

    name: str
    graph: Graph
    errors: dict[str, float]
    given_up: frozenset[str] = frozenset()

    @property
    def error(self) -> float:
        """The chosen candidate's."""
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
        make: What makes its graph.
        squares: Squared differences from the rate network, added up, of shape (steps,).
        n: Samples that are in them.
        error: What they come to; it can only grow with more samples.
    """

    make: Callable[[], Graph]
    squares: np.ndarray
    n: int = 0
    error: float = 0.0


class Trial:
    """Runs of some samples, and what they lack of the rate network's read-out.

    Args:
        graph: The network whose rates are wanted.
        feeds: Samples; the first ones are used.
        read_outs: Filter of each output.
        n_steps: For about how many steps the network will run.
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
        # Without a wish, RAMP: it needs no time constant to be chosen.
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
        # Samples that are all the same differ by the rounding of float32.
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

        Squared differences add up over samples, so the error on some of them is a bound of the
        error on all. Each candidate runs one sample, the best one then runs all, and each of the
        others runs on only as long as it might still be chosen. The choice is the one that all
        samples of all candidates lead to.

        Args:
            candidates: The cheapest first. Each graph is made when it is run, up to three times,
                and none is kept.
            over_time: Whether the error counts over the run, and not only at the last step: the
                geometric mean of the errors from where the last layer answers to twice the number
                of steps, every doubling of time with the same weight. A run may be shorter or
                longer.
            near: An error that is good enough: candidates behind such a one are not tried.
            slack: The first candidate is taken whose error is at most so many times the least one
                (or ``near``).
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
        # At least the best one is within; all are infinite where all networks run away.
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
            limit: See above.
            at_least: So many samples are run whatever the error is.
        """
        if run.n == self.n or (run.n >= at_least and run.error > limit):
            return
        spec = RunSpec(run.make(), self.read_outs, dt=self.dt)
        runner = make_runner("events", spec, 1)
        # The first ones by themselves: of others some are under way where the run ends.
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
        """One error from those at the steps that count: see :meth:`choose`."""
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
    """How many samples to run: not so many that too many neurons are held."""
    return max(fewest, min(most, NEURONS // max(graph.n_neurons, 1)))
