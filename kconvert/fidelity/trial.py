"""Short runs of some samples: what settings leave of the rate network's read-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..data import Feeds
from ..ir import Graph
from ..passes import run
from ..passes.set_spiking import set_synapses
from ..simulators import Job
from ..simulators.events.compiler import problems as event_problems
from .neurons import depth, n_neurons

TRIED = 16
"""Samples that settings are tried on."""
FEWEST, NEURONS = 4, 8_000_000
"""Fewer samples for networks so large that more of them would hold more neurons than that."""


class Trial:
    """Runs of some samples, and what they miss of the rate network's read-out.

    Args:
        graph: What the rates are of.
        feeds: Samples; the first ones are used.
        output_synapse: Filter of the read-out.
        n_steps: For about how many steps the network will run.
        dt: Length of a step in seconds.
    """

    def __init__(
        self, graph: Graph, feeds: Feeds, output_synapse: Any, *, n_steps: int, dt: float
    ) -> None:
        self.n = samples(graph, TRIED)
        self.arrays = {name: array[: self.n] for name, array in feeds.arrays.items()}
        self.output_synapse, self.dt = output_synapse, dt
        # Each layer answers a step later than the one before it.
        self.depth = depth(graph)
        self.n_steps = max(int(n_steps), 2 * self.depth)
        rates = run(graph, [set_synapses(None)])
        self.expected = np.concatenate(
            [found[:, -1] for found, _ in self._read_out(rates, self.n_steps, None)]
        )
        whole = float(np.linalg.norm(self.expected))
        apart = float(np.linalg.norm(self.expected - self.expected.mean(axis=0)))
        # Samples that are all the same differ by the rounding of float32.
        self.scale = (apart if apart > 1e-6 * whole else whole) or 1.0

    def error(self, graph: Graph) -> float:
        """Of the read-out at the last step, as a share of what tells the samples apart."""
        return float(self._errors(graph, self.n_steps, last_only=True)[-1])

    def error_in_time(self, graph: Graph) -> float:
        """The geometric mean of such errors from where the last layer answers to twice the number
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
        for found, images in self._read_out(
            graph, n_steps, self.output_synapse, spiking=True, last_only=last_only
        ):
            squares += np.square(found - self.expected[images, None]).sum(axis=(0, 2))
        errors = np.sqrt(squares) / self.scale
        return np.where(np.isfinite(errors), errors, np.inf)

    def _read_out(
        self,
        graph: Graph,
        n_steps: int,
        filtered: Any,
        *,
        spiking: bool = False,
        last_only: bool = True,
    ) -> Iterator[tuple[np.ndarray, slice]]:
        """All outputs side by side, of shape (samples, steps, values), some samples at a time."""
        from ..simulators.events.runner import EventRunner

        common: dict[str, Any] = {"batch_size": TRIED, "dt": self.dt, "spikes": False}
        runner = EventRunner(graph, spiking, filtered, dtype="float32", **common)
        for chunk in runner.run(Job(self.arrays, n_steps, last_only=last_only)):
            yield np.concatenate(chunk.outputs, axis=2).astype(np.float64), chunk.images


def can_be_tried(graph: Graph, feeds: Feeds, output_synapse: Any) -> bool:
    """Whether samples are held, and the event simulator can run the network."""
    return not why_not_tried(graph, feeds, output_synapse)


def why_not_tried(graph: Graph, feeds: Feeds, output_synapse: Any) -> str:
    """Why the network cannot be run on the samples; empty if it can."""
    if not feeds.held:
        return "the samples change in time"
    problems = event_problems(graph, output_synapse)
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"{problems[0].layer!r}: {problems[0].reason}{more}" if problems else ""


def samples(graph: Graph, most: int, fewest: int = FEWEST) -> int:
    """How many samples to run: not so many that too many neurons are held."""
    return max(fewest, min(most, NEURONS // max(n_neurons(graph), 1)))
