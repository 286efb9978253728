"""Simulators by name."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..ir import Graph
from ..ops import Opaque
from ..targets.nengo.model import NengoModel
from .base import Runner
from .events.compiler import problems as event_problems

SIMULATORS = ("auto", "events", "nengo_dl", "nengo")


def resolve(simulator: str, graph: Graph, output_synapse: Any = None) -> tuple[str, str]:
    """Which simulator is to run a graph.

    Args:
        simulator: A name; "auto" is "events", or "nengo_dl" for what that cannot run.
        graph: What is to run.
        output_synapse: Filter of its read-out.

    Returns:
        The simulator's name, and why "auto" is not "events", or nothing.

    Raises:
        InputError: There is no such simulator, or it cannot run the graph.
    """
    if simulator not in SIMULATORS:
        raise InputError(
            f"simulator must be one of {', '.join(map(repr, SIMULATORS))}. Received: {simulator!r}"
        )
    opaque = [node.name for node in graph.nodes.values() if isinstance(node.op, Opaque)]
    if simulator == "nengo" and opaque:
        raise InputError(
            f"simulator='nengo' cannot run the layers {opaque}, which allow=('tensornode',) keeps "
            "as TensorNodes of NengoDL; use simulator='nengo_dl'"
        )
    if simulator not in ("auto", "events"):
        return simulator, ""
    refused = "; ".join(map(str, event_problems(graph, output_synapse)))
    if not refused:
        return "events", ""
    if simulator == "events":
        raise InputError(f"simulator='events' cannot run this network: {refused}")
    return "nengo_dl", refused


def make_runner(simulator: str, model: NengoModel, graph: Graph, **settings: Any) -> Runner:
    """Build a runner.

    Args:
        simulator: A name that :func:`resolve` returned.
        model: What to run, as a network.
        graph: What to run, as data: with the weights that the network has by now.
        **settings: ``batch_size``, ``dt``, ``spikes`` and ``dtype``, which is None for the
            simulator's own.

    Raises:
        InputError: The simulator does not compute in this precision.
    """
    dtype = settings.pop("dtype", None)
    if simulator == "events":
        from .events.runner import EventRunner

        synapse = tuple(probe.synapse for probe in model.probes)
        return EventRunner(graph, model.spiking, synapse, dtype=dtype or "float32", **settings)
    own = {"nengo": "float64", "nengo_dl": "float32"}[simulator]
    if dtype not in (None, own):
        raise InputError(f"simulator={simulator!r} computes in {own}. Received: dtype={dtype!r}")
    if simulator == "nengo":
        from .nengo import NengoRunner

        return NengoRunner(model, **settings)
    from .nengo_dl import NengoDlRunner

    return NengoDlRunner(model, **settings)
