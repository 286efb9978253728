"""Simulators by name."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..ir import Graph
from ..ops import Opaque
from ..targets.nengo_model import NengoModel
from .base import Runner

SIMULATORS = ("auto", "nengo_dl", "nengo")


def resolve(simulator: str, graph: Graph) -> str:
    """The simulator's name for a graph, with "auto" resolved.

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
    return "nengo_dl" if simulator == "auto" else simulator


def make_runner(simulator: str, model: NengoModel, **settings: Any) -> Runner:
    """Build a runner.

    Args:
        simulator: A name that :func:`resolve` returned.
        model: What to run.
        **settings: ``batch_size``, ``dt`` and ``spikes``.
    """
    if simulator == "nengo":
        from .nengo import NengoRunner

        return NengoRunner(model, **settings)
    from .nengo_dl import NengoDlRunner

    return NengoDlRunner(model, **settings)
