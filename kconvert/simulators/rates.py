"""Values inside the rate network of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..ir import Graph
from ..targets.nengo_net import to_nengo
from .base import Chunk, Job
from .choose import make_runner


def rate_values(
    graph: Graph,
    names: Sequence[str],
    feeds: Mapping[str, np.ndarray],
    n_steps: int,
    simulator: str,
    batch_size: int,
) -> Iterator[Chunk]:
    """Run the rate network of a graph, with values of its nodes as the outputs.

    Args:
        graph: What to run.
        names: Nodes, in the order of each chunk's outputs.
        feeds: As for :class:`~kconvert.simulators.base.Job`.
        n_steps: Number of steps.
        simulator: "events", "nengo_dl" or "nengo".
        batch_size: Samples at a time.
    """
    probed = Graph(graph.nodes, tuple(names))
    emitted = to_nengo(probed, spiking=False, add_to_container=False)
    runner = make_runner(simulator, emitted, probed, batch_size=batch_size, dt=0.001, spikes=False)
    return runner.run(Job(feeds, n_steps))
