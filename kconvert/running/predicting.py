"""Runs of which the outputs after the last step are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import check_feeds
from ..data.streams import is_stream, run_in_pieces
from ..errors import InputError
from ..files.rows import rows_into, rows_of
from ..ir import Graph, Shape, product
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
    out: Path | None = None,
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
        out: The ``.npy`` file that takes the outputs, or None to hold them.

    Raises:
        InputError: An argument does not fit.
    """
    if out is None:
        return _run(network, x, n_steps, simulator, settings, work, logits, None)
    shapes = _shapes(network.graph, logits)
    if len(shapes) > 1:
        raise InputError(
            f"out: a .npy file holds one output, and the network has {len(shapes)}: leave it out, "
            "and predict parts of x one after the other"
        )
    with rows_into(out, shapes[0]) as append:
        _run(network, x, n_steps, simulator, settings, work, logits, append)
    return network.signature.structured([rows_of(out)])


def _run(
    network: SpikingNetwork,
    x: Any,
    n_steps: int | None,
    simulator: str,
    settings: Settings,
    work: Work,
    logits: bool,
    append: Callable[[np.ndarray], None] | None,
) -> Any:
    """The outputs, if nothing else takes them."""
    run = partial(_predicted, network, n_steps, simulator, settings, logits, append)
    if not is_stream(x):
        return run(work, x)[1]
    found, _ = run_in_pieces(
        x,
        network.signature.inputs,
        lambda piece: run(work.within(first=piece.first), piece.x),
        stopped=lambda result, piece: result[0] < piece.n,
        returns=settings.on_interrupt == "return",
    )
    return None if append else joined_outputs([outputs for _, outputs in found])


def _shapes(graph: Graph, logits: bool) -> list[Shape]:
    """Shape of a sample of each output."""
    return [
        graph.nodes[name].shape if logits else graph.output_shape(k)
        for k, name in enumerate(graph.outputs)
    ]


def _predicted(
    network: SpikingNetwork,
    n_steps: int | None,
    simulator: str,
    settings: Settings,
    logits: bool,
    append: Callable[[np.ndarray], None] | None,
    work: Work,
    x: Any,
) -> tuple[int, Any]:
    """The number of samples that are done, and their outputs, if they are not appended."""
    feeds = check_feeds(x, network.signature.inputs, n_steps, network.default_steps)
    ready = network._runners.ready(network, simulator, feeds.n, settings, work=work)
    if settings.early_exit is not None or settings.on_interrupt == "return":
        ready.require_memory(feeds, settings)
    work.require_same("data", feeds.arrays)
    graph = network.graph
    values_of = _read_out_of(graph) if logits else graph.activated
    shapes = _shapes(graph, logits)
    held = feeds.n if append is None else 0
    require_memory(
        "the outputs",
        8 * held * sum(map(product, shapes)),
        "len(x)",
        feeds.n,
        "predict parts of x one after the other, or write them to a file with out=",
        besides=ready.taken,
    )
    outputs = [np.empty((held, *shape)) for shape in shapes]
    done = 0

    def found(share: Chunk) -> dict[str, Any]:
        last = [np.asarray(part[:, -1], dtype=np.float64) for part in share.outputs]
        return {"outputs": [values_of(k, part) for k, part in enumerate(last)]}

    def take(images: slice, result: Mapping[str, Any]) -> None:
        nonlocal done
        if append is not None:
            append(result["outputs"][0])
        else:
            for whole, part in zip(outputs, result["outputs"], strict=True):
                whole[images] = part
        done = images.stop

    shares = shares_of_run(ready, feeds, last_only=True)
    run_shares(ready, feeds, settings, shares, found, take, work=work, last_only=True)
    if append is not None:
        return done, None
    return done, network.signature.structured([output[:done] for output in outputs])


def _read_out_of(graph: Graph) -> Callable[[int, np.ndarray], np.ndarray]:
    """From an output's number and its flat read-out to this in its shape."""
    return lambda k, part: part.reshape(-1, *graph.nodes[graph.outputs[k]].shape)
