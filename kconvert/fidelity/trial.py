"""Short runs of some samples: the one way in which settings are tried and chosen.

The error of a candidate is that of its read-out against the rate network's, as a share of what
tells the samples apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..arguments import require_memory
from ..data.arrays import Feeds
from ..ir import Graph
from ..ops import RAMP, ReadOut
from ..passes.set_spiking import without_synapses
from ..simulators import SIMULATORS, Job, RunSpec, make_runner

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
        errors: Name of each candidate that was tried to its error.
    """

    name: str
    graph: Graph
    errors: dict[str, float]

    @property
    def error(self) -> float:
        """The chosen candidate's."""
        return self.errors[self.name]

    @property
    def tried(self) -> str:
        """All candidates with their errors, for a decision."""
        return ", ".join(f"{name}: {error:.2g}" for name, error in self.errors.items())


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
        self.n = samples(graph, TRIED)
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
        rates = RunSpec.of_rates(without_synapses(graph), graph.outputs)
        found = self._run(replace(rates, dt=dt), self.n_steps)
        self.expected = np.concatenate([values[:, -1] for values, _ in found])
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

        Args:
            candidates: The cheapest first. Each graph is made when it is tried, and only the best
                one is kept.
            over_time: Whether the error counts over the run (:meth:`error_over_time`), and not only
                at the last step.
            near: An error that is good enough: candidates behind such a one are not tried.
            slack: The first candidate is taken whose error is at most so many times the least one
                (or ``near``).
        """
        measure = self.error_over_time if over_time else self.error
        makers: dict[str, Callable[[], Graph]] = {}
        errors: dict[str, float] = {}
        best, kept = "", None
        for name, make in candidates:
            graph = make()
            error = measure(graph)
            if not errors or error < errors[best]:
                best, kept = name, graph
            makers[name], errors[name] = make, error
            if error <= near:
                break
        limit = max(near, errors[best] * slack)
        chosen = next((name for name, error in errors.items() if error <= limit), best)
        graph = kept if chosen == best and kept is not None else makers[chosen]()
        return Choice(chosen, graph, errors)

    def error(self, graph: Graph) -> float:
        """The error at the last step."""
        return float(self._errors(graph, self.n_steps, last_only=True)[-1])

    def error_over_time(self, graph: Graph) -> float:
        """The geometric mean of the errors from where the last layer answers to twice the number
        of steps, every doubling of time with the same weight: a run may be shorter or longer.
        """
        steps = np.arange(max(self.depth, 1), 2 * self.n_steps + 1)
        errors = self._errors(graph, int(steps[-1]), last_only=False)[steps - 1]
        if not np.isfinite(errors).all():
            return np.inf
        return float(np.exp(np.average(np.log(np.maximum(errors, 1e-9)), weights=1 / steps)))

    def _errors(self, graph: Graph, n_steps: int, *, last_only: bool) -> np.ndarray:
        """At every step, or the last one."""
        squares = np.zeros(1 if last_only else n_steps)
        spec = RunSpec(graph, self.read_outs, dt=self.dt)
        for found, images in self._run(spec, n_steps, last_only=last_only):
            squares += np.square(found - self.expected[images, None]).sum(axis=(0, 2))
        errors = np.sqrt(squares) / self.scale
        return np.where(np.isfinite(errors), errors, np.inf)

    def _run(
        self, spec: RunSpec, n_steps: int, *, last_only: bool = True
    ) -> Iterator[tuple[np.ndarray, slice]]:
        """All outputs side by side, of shape (samples, steps, values), some samples at a time."""
        job = Job(self.arrays, n_steps, last_only=last_only)
        for chunk in make_runner("events", spec, TRIED).run(job):
            yield np.concatenate(chunk.outputs, axis=2).astype(np.float64), chunk.images


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
