"""From a network and settings to a runner that there is memory for."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.arrays import Feeds
from ..errors import InputError
from ..ir import Graph
from ..jobs.work import Work
from ..memory import require_memory
from ..simulators import Runner, RunSpec, Simulator, choose, require_room
from .settings import Settings
from .totals import bytes_of_a_step

if TYPE_CHECKING:
    from ..network import SpikingNetwork

MAX_BATCH = 128
NEURONS_AT_A_TIME = 8_000_000
"""Neurons times samples that a batch may hold by default: about 0.5 GiB in NengoDL."""
PACKAGE = str(Path(__file__).parents[1]) + os.sep


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

    network: SpikingNetwork
    simulator: Simulator
    batch_size: int
    make: Callable[[], Runner]
    taken: float

    def require_memory(
        self, feeds: Feeds, settings: Settings, *, outputs: bool = False, spikes: bool = False
    ) -> None:
        """Refuse runs whose results, or the record of a single sample, find no place.

        Args:
            feeds: What is run.
            settings: How.
            outputs: Whether the outputs of every step are kept.
            spikes: Whether all spikes are kept.
        """
        network, simulator = self.network, self.simulator
        width, neurons = sum(network._output_sizes), network.n_neurons
        step = float(bytes_of_a_step(width, len(network.graph.neurons())))
        if spikes and simulator.name == "events":
            step += 8 * neurons  # spikes of a sample, before they are stored in a byte
        waits = simulator.fixed_batch if not outputs else settings.on_interrupt == "return"
        if waits and simulator.name != "events":
            # What waits until the batch has come to its end.
            step += self.batch_size * (8 * width + (8 * neurons if spikes else 0))
        if outputs:
            step += feeds.n * (8 * width + (neurons if spikes else 0))
        if spikes:  # two bytes where they have signs, and both while one becomes the other
            layers = network.graph.neurons()
            each = [node.size for node in layers if getattr(node.op, "signed", False)]
            step += feeds.n * (sum(each) + max(each, default=0))
        held = "the outputs and spikes" if spikes else "the outputs"
        advice = "predict and evaluate keep no outputs of earlier steps" if outputs else ""
        if outputs and feeds.n > 1:
            advice = f"{advice}, and fewer samples need less"
        require_memory(
            f"{held} of {feeds.n} samples at every step" if outputs else "the means at every step",
            step * feeds.n_steps,
            "n_steps",
            feeds.n_steps,
            advice,
            besides=self.taken,
        )


class Runners:
    """Makes the runners of one network, and keeps the last one for runs with the same settings.

    Attributes:
        last: What the runner that is kept was made for, and the runner; None if there is none.
    """

    def __init__(self) -> None:
        self.last: tuple[tuple[Any, ...], Runner] | None = None
        self._told: set[str] = set()

    def forget(self) -> None:
        """Drop the runner that is kept, which frees its memory."""
        self.last = None

    def ready(
        self,
        network: SpikingNetwork,
        simulator: str,
        n: int,
        settings: Settings,
        *,
        work: Work | None = None,
        record: bool = False,
    ) -> Ready:
        """A simulator for these settings, and the bytes that its runner will take here.

        Args:
            network: The network.
            simulator: As the user gave it.
            n: Number of samples.
            settings: How they are run.
            work: Where shares are computed; None for this process.
            record: Whether spikes are recorded.

        Raises:
            InputError: There is no such simulator, it cannot run the network so, or there is no
                memory for it.
        """
        spec = network._spec(settings.dt, settings.dtype, record=record)
        chosen = self.choose(simulator, spec)
        self.check_dt(spec)
        if settings.early_exit is not None:
            _check_early_exit(network.graph, network.tasks[0].threshold, chosen)
        size = _batch_size(chosen, spec.graph, n, settings.batch_size)
        taken = 0.0  # what is there already is not free any more, and workers have their own
        here = work is None or work.cluster is None
        if here and self._kept(chosen, spec, n, settings.batch_size) is None:
            self.forget()  # frees the last one's memory first
            taken = require_room(chosen, spec, size)
        make = partial(self._make, chosen, spec, n, settings.batch_size)
        return Ready(network, chosen, size, make, taken)

    def choose(self, simulator: str, spec: RunSpec) -> Simulator:
        """The simulator; says once for each reason why "auto" is not the event simulator.

        Args:
            simulator: As the user gave it.
            spec: What is to be run.
        """
        chosen, reason = choose(simulator, spec)
        if reason:
            self._tell(f"simulator='auto' is {chosen.name!r} here: {reason}")
        return chosen

    def check_dt(self, spec: RunSpec) -> None:
        """Warn if neurons that depend on the length of a step run with another one."""
        calibrated = spec.graph.calibrated_dt
        sensitive = any(not node.op.scales_exactly for node in spec.graph.neurons())
        if spec.spiking and sensitive and calibrated not in (None, spec.dt):
            self._tell(
                f"the rates of LIF neurons were calibrated for dt={calibrated:g} and run with "
                f"dt={spec.dt:g}: give kconvert.Calibration(x, dt={spec.dt:g})"
            )

    def _tell(self, text: str) -> None:
        """Warn at the user's line, once for each text."""
        if text not in self._told:
            self._told.add(text)
            warnings.warn(text, stacklevel=_users_level())

    def _make(self, simulator: Simulator, spec: RunSpec, n: int, batch_size: int | None) -> Runner:
        """A runner for these settings: the last one again if it fits."""
        runner = self._kept(simulator, spec, n, batch_size)
        wanted = _batch_size(simulator, spec.graph, n, batch_size)
        if runner is None:
            self.forget()  # frees the last one's memory first
            runner = simulator.make(spec, wanted)
            self.last = (_key(simulator, spec), runner)
        elif not simulator.fixed_batch:
            runner.batch_size = wanted
        return runner

    def _kept(
        self, simulator: Simulator, spec: RunSpec, n: int, batch_size: int | None
    ) -> Runner | None:
        """The last runner, if it is one for these settings."""
        if self.last is None or self.last[0] != _key(simulator, spec):
            return None
        runner = self.last[1]
        if not simulator.fixed_batch:
            return runner
        wanted = _batch_size(simulator, spec.graph, n, batch_size)
        # Without a wish, up to half of a batch may stay unused rather than build anew.
        most = wanted if batch_size else 2 * wanted
        return runner if wanted <= runner.batch_size <= most else None


def _key(simulator: Simulator, spec: RunSpec) -> tuple[Any, ...]:
    """What is the same in runs that one runner can do."""
    return simulator.name, spec.dt, spec.dtype, spec.record


def _batch_size(simulator: Simulator, graph: Graph, n: int, batch_size: int | None) -> int:
    """The samples that are to run at a time."""
    if batch_size:
        return min(n, int(batch_size))
    most_neurons = max(1, NEURONS_AT_A_TIME // max(graph.n_neurons, 1))
    return min(n, most_neurons, MAX_BATCH) if simulator.fixed_batch else min(n, MAX_BATCH)


def _check_early_exit(graph: Graph, threshold: float | None, simulator: Simulator) -> None:
    """Refuse an early exit where it has no meaning.

    Args:
        graph: What runs.
        threshold: Where class 1 begins in the values of an output of one unit, or None.
        simulator: What runs it.
    """
    shapes = [graph.nodes[name].shape for name in graph.outputs]
    if not simulator.early_exit:
        raise InputError(f"early_exit needs simulator='events'. Received: {simulator.name!r}")
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise InputError(
            "early_exit needs a model with one output that is a vector of classes. This "
            f"one has outputs of the shapes {shapes}"
        )
    if shapes[0] == (1,) and threshold and not graph.tail(0):
        raise InputError(
            "early_exit compares the output's single unit with zero, but class 1 begins at "
            f"{threshold:g} here: end the model with a sigmoid that nothing else reads, or "
            "with logits"
        )


def _users_level() -> int:
    """The level of the first caller that is not kconvert, for a warning of this one's caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
