"""What it costs that other activations stand where the model had its own, before any spike."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..data.arrays import Feeds
from ..ir import Decision, Graph
from ..passes.set_spiking import without_synapses
from ..scoring.task import task_of
from ..simulators import Job, RunSpec, make_runner
from .neurons import as_trained
from .trial import RATIO, why_not_tried

SWAPPED = 64
"""Samples that are compared."""
FAR = 0.4
"""Errors of the rates that are told aloud: an eighth of the samples and more get another class."""


def rate_outputs(graph: Graph, feeds: Feeds) -> list[np.ndarray] | None:
    """What the rate network puts out in the place of Keras' outputs, each of shape (n, values).

    None where it cannot be run. LIF neurons that are to be fitted to the curve of others count as
    these: calibration measures them itself.
    """
    rates = without_synapses(as_trained(graph))
    if why_not_tried(rates, feeds):
        return None
    found: list[list[np.ndarray]] = [[] for _ in graph.outputs]
    runner = make_runner("events", RunSpec.of_rates(rates, rates.outputs), SWAPPED)
    for chunk in runner.run(Job(feeds.arrays, 1)):
        for k, (parts, values) in enumerate(zip(found, chunk.outputs, strict=True)):
            part = graph.activated(k, np.asarray(values[:, 0], dtype=np.float64))
            parts.append(part.reshape(len(part), -1))
    return [np.concatenate(parts) for parts in found]


def swap_decision(
    graph: Graph, found: Sequence[np.ndarray], wanted: Sequence[np.ndarray]
) -> Decision:
    """How far the swapped network is from Keras; with a warning where that is far.

    Args:
        graph: With the activations that replaced others.
        found: The outputs of its rate network, each of shape (n, values).
        wanted: Keras' outputs, likewise.
    """
    names = ", ".join(sorted({each.activation for each in graph.replacements}))
    got, target = (np.concatenate(list(parts), axis=1) for parts in (found, wanted))
    apart = float(np.linalg.norm(target - target.mean(axis=0)))
    error = float(np.linalg.norm(got - target)) / (apart or float(np.linalg.norm(target)) or 1.0)
    text = (
        f"with other activations instead of {names}, the rate network's output differs from Keras' "
        f"by {error:.2g}, {RATIO}"
    )
    if len(found) == 1:
        classes_of = task_of(graph, 0).classes_of
        changed = 100 * float((classes_of(found[0]) != classes_of(wanted[0])).mean())
        text += f"; {changed:.0f} % of the {len(target)} samples get another class"
    if not error <= FAR:
        warnings.warn(
            f"swap_activations: {text}. This is without spikes, so more steps do not help. Train "
            "the model with the new activation, or continue its training",
            stacklevel=4,
        )
    first = graph.replacements[0].layer
    return Decision("swapped", first, text)
