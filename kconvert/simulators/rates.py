"""Values inside the rate network of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..ir import Graph
from ..targets.nengo.net import to_nengo
from .base import Chunk, Job, Runner
from .choose import make_runner


def rate_runner(graph: Graph, names: Sequence[str], simulator: str, batch_size: int) -> Runner:
    """What runs the rate network of a graph, with values of its nodes as the outputs.

    Args:
        graph: What to run.
        names: Nodes, in the order of each chunk's outputs.
        simulator: "events", "nengo_dl" or "nengo".
        batch_size: Samples at a time.
    """
    probed = Graph(graph.nodes, tuple(names))
    settings: dict[str, Any] = {"batch_size": batch_size, "dt": 0.001, "spikes": False}
    if simulator == "events":
        from .events.runner import EventRunner

        return EventRunner(probed, False, None, dtype="float32", **settings)
    emitted = to_nengo(probed, spiking=False, add_to_container=False)
    return make_runner(simulator, emitted, probed, **settings)


def rate_values(
    graph: Graph,
    names: Sequence[str],
    feeds: Mapping[str, np.ndarray],
    n_steps: int,
    simulator: str,
    batch_size: int,
) -> Iterator[Chunk]:
    """Run it; arguments as for :func:`rate_runner`.

    Args:
        graph: See there.
        names: See there.
        feeds: As for :class:`~kconvert.simulators.base.Job`.
        n_steps: Number of steps.
        simulator: See above.
        batch_size: See above.
    """
    runner = rate_runner(graph, names, simulator, batch_size)
    return runner.run(Job(feeds, n_steps))
