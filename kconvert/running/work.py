"""Where the shares of a network's run are computed and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..data.arrays import Feeds
from ..jobs.shares import share_size, shares_of
from ..jobs.work import Work, opened
from .ready import Ready

if TYPE_CHECKING:
    from ..network import SpikingNetwork


@contextmanager
def work_of(
    network: SpikingNetwork, run: str, settings: Mapping[str, Any], distribute: Any, checkpoint: Any
) -> Iterator[Work]:
    """Where a run is computed and kept.

    Args:
        network: What is run.
        run: The name of the method.
        settings: What the results of shares depend on.
        distribute: As the user gave it.
        checkpoint: As the user gave it.
    """
    if distribute is None and checkpoint is None:
        yield Work()
        return
    from ..files.store import digest

    about: dict[str, Any] = {}
    if checkpoint is not None:
        about = {"run": run, "network": digest(network), "settings": dict(settings)}
        about["settings"]["n_steps"] = settings["n_steps"] or network.default_steps
        about["versions"] = network._versions()
    with opened(about, distribute, checkpoint) as work:
        yield work


def shares_of_run(ready: Ready, feeds: Feeds, *, last_only: bool = False) -> list[slice]:
    """The shares of a run; a simulator of batches has a batch in each.

    Args:
        ready: What runs.
        feeds: The input.
        last_only: Whether only the outputs of the last step are wanted.
    """
    size = ready.batch_size
    if not ready.simulator.fixed_batch:
        width = sum(ready.network._output_sizes)
        size = share_size(ready.network.n_neurons, feeds.n_steps, width, last_only=last_only)
    return shares_of(feeds.n, size)
