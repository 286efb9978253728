"""Runs whose outputs are judged at every step, and not kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..data.arrays import check_feeds
from ..data.streams import labels_of, run_in_pieces
from ..errors import InputError
from ..files.about import numbers_of
from ..jobs.work import Work
from ..scoring.judging import Asked, Judging, judge_of
from ..scoring.questions import questions_of
from ..simulators import Chunk
from .loops import run_shares
from .settings import Settings
from .totals import Totals
from .work import shares_of_run

if TYPE_CHECKING:
    from ..network import SpikingNetwork


def evaluated(
    network: SpikingNetwork,
    asked: Asked,
    x: Any,
    y: Any,
    weights: Any,
    n_steps: int | None,
    simulator: str,
    settings: Settings,
    work: Work,
) -> Any:
    """What :meth:`SpikingNetwork.evaluate` gives; the network keeps its numbers.

    Args:
        network: The network.
        asked: What is asked of the run.
        x: As the user gave it.
        y: As the user gave it.
        weights: ``sample_weight``, as the user gave it.
        n_steps: As the user gave it.
        simulator: As the user gave it.
        settings: How it is run.
        work: Where shares are computed and kept.

    Raises:
        InputError: An argument does not fit.
    """
    judging = Judging(asked, simulator, settings, n_steps)
    if asked.streamed:
        _, complete = run_in_pieces(
            x,
            network.signature.inputs,
            lambda piece: _judge(
                network,
                judging,
                work.within(first=piece.first),
                piece.x,
                labels_of(piece),
                piece.weights,
            ),
            stopped=lambda complete, piece: not complete,
            returns=settings.on_interrupt == "return",
        )
    else:
        complete = _judge(network, judging, work, x, y, weights)
    run = judging.run(complete)
    found = {each.name: each.evaluation(run) for each in judging.judges.values()}
    one = len(network.graph.outputs) == 1 or asked.output is not None
    if run.n:
        numbers = {name: numbers_of(each) for name, each in found.items()}
        network.about["evaluation"] = next(iter(numbers.values())) if one else numbers
    return next(iter(found.values())) if one else found


def _judge(
    network: SpikingNetwork, judging: Judging, work: Work, x: Any, y: Any, weights: Any
) -> bool:
    """Run some samples before the judges of the outputs, which the first ones call.

    Returns:
        Whether all of them were run.
    """
    settings = judging.settings
    feeds = check_feeds(x, network.signature.inputs, judging.n_steps, network.default_steps)
    questions = questions_of(network, judging.asked, y, weights, feeds.n)
    ready = network._runners.ready(network, judging.simulator, feeds.n, settings, work=work)
    ready.require_memory(feeds, settings)
    compares = network._has_reference(feeds)
    called = [
        judge_of(judging.judges, each, network.graph, feeds.n_steps, compares=compares)
        for each in questions.values()
    ]
    asked = questions.values()
    work.require_same("data", [feeds.arrays, [[each.given, each.weights] for each in asked]])
    work.require_same("metrics", [[each.name, each.figures] for each in asked])
    if judging.totals is None:
        judging.totals = Totals(network.graph, feeds.n_steps, network.spiking, settings.dt)
        judging.ran = ready.simulator.name
    totals, before = judging.totals, judging.totals.n

    def compare() -> None:
        keras = work.within("keras-")
        keras.require_same("model", network._reference_weights)
        for images, values in network._reference_outputs(feeds, list(questions), keras.has):
            result = keras.load(images)
            if result is None:
                parts = zip(called, values, strict=True)
                result = {"outputs": [each.judged_reference(images, v) for each, v in parts]}
                keras.save(images, result)
            for judge, part in zip(called, result["outputs"], strict=True):
                judge.add_reference(images, part)

    def found(share: Chunk) -> dict[str, Any]:
        judged = [judge.judged(share) for judge in called]
        return {"totals": totals.found(share), "outputs": judged}

    def take(images: slice, result: Mapping[str, Any]) -> None:
        for judge, part in zip(called, result["outputs"], strict=True):
            judge.add(images, part)
        totals.add(result["totals"])

    run_shares(
        ready,
        feeds,
        settings,
        shares_of_run(ready, feeds),
        found,
        take,
        work=work,
        before=compare if compares else None,
    )
    done = totals.n - before
    for judge in called:
        judge.end(done)
    return done == feeds.n


def require_no_labels(x: Any, y: Any, weights: Any) -> None:
    """Refuse labels and weights beside a stream, which yields them."""
    if y is not None:
        raise InputError(
            f"y must be left out: x is a {type(x).__name__}, which also yields the labels. Pass "
            "n_steps by its name: evaluate(x, n_steps=30)"
        )
    if weights is not None:
        raise InputError(
            f"sample_weight must be left out: x is a {type(x).__name__}, which also yields the "
            "weights: batches are (x, y, sample_weight)"
        )
