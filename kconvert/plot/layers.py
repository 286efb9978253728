"""Figures with one row for each layer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import is_word
from ..errors import InputError
from .style import (
    BLACK,
    BLUE,
    COLORS,
    MARKERS,
    ORANGE,
    VERMILLION,
    axes_for,
    legend_above,
    name_rows,
    rows_for,
    shortened,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..checking import Check
    from ..diagnosis import Diagnosis
    from ..ir import Graph
    from ..network import SpikingNetwork
    from ..results.evaluation import Evaluation
    from ..results.simulation import Simulation
    from ..verification import Verification

CAUSES = {
    "curve": "curve of the neuron",
    "inherited": "inherited from earlier layers",
    "saturation": "saturation",
    "transient": "transient at the start",
    "noise": "noise of spikes",
}
"""The parts of a :class:`LayerDiagnosis`, and what they are called."""
NOTHING = 0.001
"""Causes that are left out, as a share of the largest error."""


def rates(result: Simulation | Evaluation, *, ax: Axes | None = None) -> Axes:
    """The mean firing rate of each layer.

    Args:
        result: What ``simulate`` or ``evaluate`` gave.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: The result has no rates.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> run = kconvert.convert(model, calibration=x).simulate(x, 20)
        >>> kconvert.plot.rates(run).get_xlabel()
        'Mean firing rate (Hz)'
    """
    found = _field(result, "rates", "rates takes what simulate or evaluate gives")
    ax = axes_for(ax, rows_for(len(found)))
    bars = ax.barh(range(len(found)), list(found.values()), color=BLUE, height=0.65)
    ax.bar_label(bars, fmt="{:,.1f}", padding=4, fontsize="small")
    name_rows(ax, list(found))
    ax.margins(x=0.12)
    return tidy(ax, "Mean firing rate (Hz)", "Layer", grid="x")


def agreement(
    diagnosis: Diagnosis, *, layers: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Keras against spikes: each neuron's mean output over its value in Keras, by layer.

    On the dashed line spikes say what Keras says. Values are shares of the largest one that Keras
    has in the layer, so that layers can be compared.

    Args:
        diagnosis: What :meth:`SpikingModel.diagnose` gave.
        layers: Names of at most 6 layers; by default all, or 6 at even distances.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: It is no Diagnosis, or has no such layers.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> found = kconvert.convert(model, calibration=x).diagnose(x, 20)
        >>> kconvert.plot.agreement(found).get_xlabel()
        'Value in Keras (share of the largest)'
    """
    _field(diagnosis, "findings", "agreement takes what diagnose gives")
    known = {each.layer: each for each in diagnosis.layers}
    if layers is None:
        apart = np.linspace(0, len(known) - 1, min(len(known), len(COLORS)), dtype=int)
        layers = [list(known)[k] for k in apart]
    wrong = isinstance(layers, str) or not all(is_word(each, known) for each in layers)
    if wrong or len(layers) > len(COLORS):
        raise InputError(
            f"layers must be a list of at most {len(COLORS)} of {list(known)}. Received: {layers!r}"
        )
    ax = axes_for(ax, (5.2, 4.6))
    for name, color, marker in zip(layers, COLORS, MARKERS, strict=False):
        each = known[name]
        scale = float(np.abs(each.pairs[:, 0]).max(initial=0.0)) or 1.0
        keras, spikes = each.pairs.T / scale
        ax.plot(keras, spikes, marker, color=color, markersize=3.5, alpha=0.5, markeredgewidth=0,
                label=f"r = {each.correlation:.3f}: {shortened(name)}")  # fmt: skip
    ends = (min(0.0, *ax.get_xlim()), max(1.0, ax.get_xlim()[1]))
    ax.plot(ends, ends, "--", color=BLACK, linewidth=1, zorder=3, label="spikes as in Keras")
    for handle in ax.legend(frameon=False, fontsize="small", loc="upper left").legend_handles:
        handle.set_alpha(1)  # type: ignore[union-attr]
    return tidy(
        ax, "Value in Keras (share of the largest)", "Mean output of spikes (same share)", grid=""
    )


def causes(diagnosis: Diagnosis, *, ax: Axes | None = None) -> Axes:
    """The causes of the read-out's error, with the part that each one has.

    Args:
        diagnosis: What :meth:`SpikingModel.diagnose` gave.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes. It shows shares of the squared error, which add up to 100 %. Where causes hide
        each other (``Diagnosis.hides``) it shows their parts of the squared error: those below 0
        cancel error that others make.

    Raises:
        InputError: It is no Diagnosis.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> found = kconvert.convert(model, calibration=x).diagnose(x, 20)
        >>> kconvert.plot.causes(found).get_xlabel()
        'Share of the squared error (%)'
    """
    _field(diagnosis, "findings", "causes takes what diagnose gives")
    found = [each for each in diagnosis.causes if abs(each.share) >= 0.005]
    ax = axes_for(ax, rows_for(max(len(found), 1)))
    hides = diagnosis.hides
    widths = [each.part if hides else 100 * each.share for each in found]
    bars = ax.barh(range(len(found)), widths, color=COLORS[0], height=0.6)
    ax.bar_label(bars, [f"{each:+.3g}" if hides else f"{each:.0f} %" for each in widths], padding=3)
    name_rows(ax, [each.name for each in found])
    if not found:
        ax.set_title("no error to explain", fontsize="medium")
    ax.axvline(0, color="0.4", linewidth=0.8)
    ax.margins(x=0.2)
    what = "Part of the squared error; below 0 it cancels others" if hides else ""
    return tidy(ax, what or "Share of the squared error (%)", "Cause", grid="x")


def errors(diagnosis: Diagnosis, *, ax: Axes | None = None) -> Axes:
    """Of what each layer's error is made.

    Args:
        diagnosis: What :meth:`SpikingModel.diagnose` gave.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes. The causes are root mean squares, which do not add up to the error.

    Raises:
        InputError: It is no Diagnosis.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> found = kconvert.convert(model, calibration=x).diagnose(x, 20)
        >>> kconvert.plot.errors(found).get_xlabel()
        'Error (% of the signal in Keras)'
    """
    _field(diagnosis, "findings", "errors takes what diagnose gives")
    layers = diagnosis.layers
    ax = axes_for(ax, rows_for(len(layers)))
    rows = range(len(layers))
    most = max((100 * each.error for each in layers), default=0.0)
    ax.barh(rows, [100 * each.error for each in layers], color="0.88", height=0.5, zorder=1,
            label="total error")  # fmt: skip
    for (part, label), color, marker in zip(CAUSES.items(), COLORS, MARKERS, strict=False):
        values = [100 * getattr(each, part) for each in layers]
        here = [row for row in rows if values[row] > NOTHING * most]
        if here:  # a cause that no layer has would only hide others at zero
            ax.plot([values[row] for row in here], here, marker, color=color, label=label,
                    markersize=7, markeredgecolor="white", markeredgewidth=0.6)  # fmt: skip
    name_rows(ax, [each.layer for each in layers])
    ax.set_xlim(left=0)
    legend_above(ax)
    return tidy(ax, "Error (% of the signal in Keras)", "Layer", grid="x")


def differences(verification: Verification, *, ax: Axes | None = None) -> Axes:
    """The largest difference of each layer's rates from Keras, beside the tolerance.

    Args:
        verification: What :meth:`SpikingModel.verify` gave.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: It is no Verification.
        MissingPackageError: Matplotlib is not installed.
    """
    tolerance = _field(verification, "tolerance", "differences takes what verify gives")
    layers = verification.layers
    ax = axes_for(ax, rows_for(len(layers)))
    least = 1e-9  # zero has no place on a logarithmic axis
    found = [max(each.relative, least) for each in layers]
    limit = 2 * max([each for each in found if math.isfinite(each)] + [tolerance, 10 * least])
    values = [each if math.isfinite(each) else limit for each in found]
    good = [each.relative <= tolerance for each in layers]
    for passed, color, marker, label in (
        (True, BLUE, "o", "within the tolerance"),
        (False, VERMILLION, "X", "differs"),
    ):
        rows = [row for row, each in enumerate(good) if each == passed]
        if rows:
            ax.plot([values[row] for row in rows], rows, marker, color=color, label=label)
    ax.hlines(range(len(values)), least, values, color="0.8", linewidth=1.2, zorder=1)
    if tolerance > 0:
        ax.axvline(tolerance, color=BLACK, linestyle="--", linewidth=1.2, label="tolerance")
    ax.set_xscale("log")
    ax.set_xlim(least, limit)
    name_rows(ax, [each.layer for each in layers])
    legend_above(ax, 3)
    return tidy(ax, "Largest difference (share of the layer's scale)", "Layer", grid="x")


def statuses(check: Check, *, ax: Axes | None = None) -> Axes:
    """How many layers of a model have which status.

    Args:
        check: What :func:`kconvert.check` gave.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: It is no Check.
        MissingPackageError: Matplotlib is not installed.
    """
    layers = _field(check, "layers", "statuses takes what check gives")
    counts = Counter(each.status for each in layers)
    refused = {each.status for each in layers if each.status in _REFUSED}
    ax = axes_for(ax, rows_for(len(counts)))
    for row, (status, number) in enumerate(counts.items()):
        bad = status in refused
        bars = ax.barh(row, number, color=VERMILLION if bad else BLUE, height=0.65,
                       hatch="///" if bad else None, edgecolor="white")  # fmt: skip
        ax.bar_label(bars, padding=4, fontsize="small")
    name_rows(ax, list(counts))
    ax.margins(x=0.12)
    most = max(counts.values(), default=1)
    ax.set_xticks(range(0, most + 1, max(1, round(most / 5))))
    return tidy(ax, "Layers (count)", "Status", grid="x")


_REFUSED = ("needs flag", "unsupported", "not read")
"""Statuses of layers that do not convert as they stand."""


def sizes(network: SpikingNetwork | Graph, *, ax: Axes | None = None) -> Axes:
    """The number of values of each layer, and which of them are neurons.

    Args:
        network: A network or its graph.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: It is neither.
        MissingPackageError: Matplotlib is not installed.
    """
    graph = getattr(network, "graph", network)
    nodes = list(_field(graph, "nodes", "sizes takes a network or its graph").values())
    ax = axes_for(ax, rows_for(len(nodes)))
    for neurons, color, hatch, label in (
        (True, BLUE, None, "neurons"),
        (False, ORANGE, "///", "other values"),
    ):
        rows = [row for row, node in enumerate(nodes) if node.is_neuron == neurons]
        if rows:
            bars = ax.barh(rows, [nodes[row].size for row in rows], color=color, height=0.65,
                           hatch=hatch, edgecolor="white", label=label)  # fmt: skip
            ax.bar_label(bars, fmt="{:,.0f}", padding=4, fontsize="small")
    ax.set_xscale("log")
    ax.set_xlim(0.8, 6 * max((node.size for node in nodes), default=1))
    name_rows(ax, [node.name for node in nodes])
    legend_above(ax, 2)
    return tidy(ax, "Size (values per sample)", "Layer", grid="x")


def _field(result: Any, name: str, what: str) -> Any:
    """A field of a result.

    Raises:
        InputError: It is no such result.
    """
    if not hasattr(result, name):
        raise InputError(f"{what}. Received: {result!r:.200}")
    return getattr(result, name)
