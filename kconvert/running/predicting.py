"""Runs of which the outputs after the last step are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import check_feeds
from ..data.streams import is_stream, run_in_pieces
from ..ir import Graph, product
from ..jobs.work import Work
from ..memory import require_memory
from ..results.simulation import joined_outputs
from ..simulators import Chunk
from .loops import run_shares
from .settings import Settings
from .work import shares_of_run

if TYPE_CHECKING:
    from ..network import SpikingNetwork


def predicted(
    network: SpikingNetwork,
    x: Any,
    n_steps: int | None,
    simulator: str,
    settings: Settings,
    work: Work,
    *,
    logits: bool,
) -> Any:
    """What :meth:`SpikingNetwork.predict` gives.

    Args:
        network: The network.
        x: As the user gave it.
        n_steps: As the user gave it.
        simulator: As the user gave it.
        settings: How it is run.
        work: Where shares are computed and kept.
        logits: Whether the read-out is wanted, without the activation behind it.

    Raises:
        InputError: An argument does not fit.
    """
    run = partial(_predicted, network, n_steps, simulator, settings, logits)
    if not is_stream(x):
        return run(work, x)[1]
    found, _ = run_in_pieces(
        x,
        network.signature.inputs,
        lambda piece: run(work.within(first=piece.first), piece.x),
        stopped=lambda result, piece: result[0] < piece.n,
        returns=settings.on_interrupt == "return",
    )
    return joined_outputs([outputs for _, outputs in found])


def _predicted(
    network: SpikingNetwork,
    n_steps: int | None,
    simulator: str,
    settings: Settings,
    logits: bool,
    work: Work,
    x: Any,
) -> tuple[int, Any]:
    """The number of samples that are done, and their outputs."""
    feeds = check_feeds(x, network.signature.inputs, n_steps, network.default_steps)
    ready = network._runners.ready(network, simulator, feeds.n, settings, work=work)
    if settings.early_exit is not None or settings.on_interrupt == "return":
        ready.require_memory(feeds, settings)
    work.require_same("data", feeds.arrays)
    graph = network.graph
    values_of = _read_out_of(graph) if logits else graph.activated
    shapes = [
        graph.nodes[name].shape if logits else graph.output_shape(k)
        for k, name in enumerate(graph.outputs)
    ]
    require_memory(
        "the outputs",
        8 * feeds.n * sum(map(product, shapes)),
        "len(x)",
        feeds.n,
        "predict parts of x one after the other",
        besides=ready.taken,
    )
    outputs = [np.empty((feeds.n, *shape)) for shape in shapes]
    done = 0

    def found(share: Chunk) -> dict[str, Any]:
        last = [np.asarray(part[:, -1], dtype=np.float64) for part in share.outputs]
        return {"outputs": [values_of(k, part) for k, part in enumerate(last)]}

    def take(images: slice, result: Mapping[str, Any]) -> None:
        nonlocal done
        for whole, part in zip(outputs, result["outputs"], strict=True):
            whole[images] = part
        done = images.stop

    shares = shares_of_run(ready, feeds, last_only=True)
    run_shares(ready, feeds, settings, shares, found, take, work=work, last_only=True)
    return done, network.signature.structured([output[:done] for output in outputs])


def _read_out_of(graph: Graph) -> Callable[[int, np.ndarray], np.ndarray]:
    """From an output's number and its flat read-out to this in its shape."""
    return lambda k, part: part.reshape(-1, *graph.nodes[graph.outputs[k]].shape)
