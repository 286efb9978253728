"""Figures with time or steps on the horizontal axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import count, is_word, nearest
from ..errors import InputError, is_integer, is_number
from ..ops import Sigmoid, Softmax
from ..results.evaluation import Evaluation
from ..results.simulation import Simulation
from .images import draw_picture, picture
from .style import (
    BLACK,
    BLUE,
    COLORS,
    GREY,
    LINES,
    VERMILLION,
    axes_for,
    label_ends,
    shortened,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..tuning import Tuning

ACTIVATIONS = ("softmax", "sigmoid")
SHARES = ("accuracy", "class_accuracy")
"""Metrics that are shares of samples."""
MOST_NEURONS = 100
"""Neurons of a raster that are drawn unless more are asked for."""


def outputs(
    simulation: Simulation,
    sample: int = 0,
    *,
    output: str | int | None = None,
    image: Any = None,
    class_names: Sequence[str] | None = None,
    activation: str | None = None,
    n_named: int = 4,
    ax: Axes | None = None,
) -> Axes:
    """The outputs of one sample over time, beside its image.

    The largest outputs at the end are named and coloured, the others grey.

    Args:
        simulation: What :meth:`SpikingNetwork.simulate` gave.
        sample: Number of the sample, from 0.
        output: For several outputs, the key or number of one of them; the first by default.
        image: The sample, to be shown beside the curves: shape (height, width), or with a last
            axis of 1 or 3 colours.
        class_names: A name for each unit of the output; numbers by default.
        activation: "softmax" or "sigmoid" to draw probabilities of outputs that are logits; None
            to draw the outputs as they are.
        n_named: How many units are named, up to 6.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: There is no such sample or output, or an argument does not fit.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> run = kconvert.convert(model, calibration=x).simulate(x, 20)
        >>> kconvert.plot.outputs(run, sample=2).get_xlabel()
        'Time (ms)'
    """
    sample = sample_of(simulation, sample)
    values = output_of(simulation.outputs, output)[sample].reshape(simulation.n_steps, -1)
    values, label = _activated(values, activation)
    names = _names(class_names, values.shape[1])
    shown = None if image is None else picture(image)
    n = min(count("n_named", n_named), len(COLORS))
    ax = axes_for(ax)
    time = 1000 * simulation.dt * np.arange(1, simulation.n_steps + 1)
    order = np.argsort(-values[-1], kind="stable")
    ends = []
    if len(rest := order[n:]):
        ax.plot(time, values[:, rest], color=GREY, linewidth=0.8, alpha=0.8, zorder=1.5)
        ends.append((float(np.median(values[-1, rest])), f"{len(rest)} others", GREY))
    for rank, unit in enumerate(order[:n]):
        ax.plot(time, values[:, unit], linestyle=LINES[rank], color=COLORS[rank],
                linewidth=1.4 if rank else 2.4, zorder=3 - 0.1 * rank)  # fmt: skip
        ends.append((float(values[-1, unit]), names[unit], COLORS[rank]))
    if len(time) == 1:  # a line needs two points
        for line in ax.lines:
            line.set_marker("o")
    else:
        ax.margins(x=0)
    tidy(ax, "Time (ms)", label)
    label_ends(ax, ends)
    if shown is not None:
        draw_picture(ax, shown)
    return ax


def accuracy(
    evaluation: Evaluation,
    *,
    metric: str | None = None,
    confidence: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """The accuracy against the number of steps, with its interval, beside Keras'.

    Args:
        evaluation: What :meth:`SpikingNetwork.evaluate` gave.
        metric: "accuracy" or the name of another metric; accuracy by default, or the first metric
            where the output has no classes.
        confidence: Of the Wilson score interval of the accuracy, > 0 and < 1. There is none for
            other metrics or with sample weights.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: There is no such metric, no sample was run, or ``confidence`` does not fit.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> result = kconvert.convert(model).evaluate(x, np.arange(8) % 3, 20)
        >>> kconvert.plot.accuracy(result).get_ylabel()
        'Accuracy (%)'
    """
    name, curve, reference = _curve(evaluation, metric)
    if not evaluation.n:
        raise InputError("accuracy: the run was interrupted before the first sample was done")
    if not is_number(confidence) or not 0 < confidence < 1:
        raise InputError(f"confidence must be > 0 and < 1. Received: {confidence!r}")
    ax = axes_for(ax)
    is_share = name in SHARES
    scale, shape = (100.0, "{:.2f} %") if is_share else (1.0, "{:.4g}")
    steps = np.arange(1, len(curve) + 1)
    if is_share and evaluation.weights is None:
        low, high = wilson(curve, evaluation.n, confidence)
        label = f"{100 * confidence:g} % interval, {evaluation.n:,} samples"
        ax.fill_between(steps, scale * low, scale * high, color=BLUE, alpha=0.2, linewidth=0,
                        label=label)  # fmt: skip
    last = scale * float(curve[-1])
    ax.plot(
        steps, scale * curve, "-", color=BLUE, linewidth=2, label=f"spikes: {shape.format(last)}"
    )
    ax.plot(steps[-1], last, "o", color=BLUE, markersize=5, clip_on=False)
    if reference is not None:
        keras = scale * float(reference)
        ax.axhline(keras, color=VERMILLION, linestyle="--", linewidth=1.6,
                   label=f"Keras: {shape.format(keras)}")  # fmt: skip
    ax.set_xlim(0, max(len(curve), 2))
    tidy(ax, "Time (steps)", _metric_label(name))
    ax.legend(frameon=False, fontsize="small", loc="best")
    return ax


def candidates(tuning: Tuning, *, ax: Axes | None = None) -> Axes:
    """The curves of all candidates of :func:`kconvert.tune`; a marker where each is good enough.

    Args:
        tuning: What :func:`kconvert.tune` gave.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: It is no Tuning.
        MissingPackageError: Matplotlib is not installed.
    """
    if not hasattr(tuning, "candidates") or not hasattr(tuning, "best"):
        raise InputError(f"candidates takes what kconvert.tune gives. Received: {tuning!r:.200}")
    ax = axes_for(ax)
    scale = 100.0 if tuning.metric in SHARES else 1.0
    for each in tuning.candidates:
        best = each is tuning.best
        curve = scale * _curve(each.evaluation, tuning.metric)[1]
        color, width, order = (BLUE, 2.2, 3) if best else (GREY, 0.9, 2)
        reached = f", {each.n_steps} steps" if each.n_steps else ""
        ax.plot(np.arange(1, len(curve) + 1), curve, color=color, linewidth=width, zorder=order,
                label=f"best: {each.name}{reached}" if best else None)  # fmt: skip
        if each.n_steps:
            ax.plot(each.n_steps, curve[each.n_steps - 1], "o" if best else "s", color=color,
                    markersize=8 if best else 4, zorder=order + 0.5)  # fmt: skip
    if len(tuning.candidates) > 1:
        rest = f"{len(tuning.candidates) - 1} other candidates"
        ax.plot([], [], "-s", color=GREY, linewidth=0.9, markersize=4, label=rest)
    ax.axhline(scale * tuning.reference, color=VERMILLION, linestyle="--", linewidth=1.6,
               label="Keras")  # fmt: skip
    ax.axhline(scale * tuning.accepted, color=BLACK, linestyle=":", linewidth=1.2, label="accepted")
    ax.set_xlim(0, max(tuning.best.evaluation.n_steps, 2))
    tidy(ax, "Time (steps)", _metric_label(tuning.metric))
    ax.legend(frameon=False, fontsize="small", loc="best")
    return ax


def raster(
    simulation: Simulation,
    layer: str | None = None,
    sample: int = 0,
    *,
    n_neurons: int = MOST_NEURONS,
    ax: Axes | None = None,
) -> Axes:
    """When each neuron of a layer sent spikes.

    Spikes of negative sign are marked apart. Thicker marks are several spikes in one step.

    Args:
        simulation: What ``simulate(x, spikes=True)`` gave.
        layer: Name of a layer of neurons; the first by default.
        sample: Number of the sample, from 0.
        n_neurons: Most neurons to draw. Of larger layers so many are taken at even distances.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes.

    Raises:
        InputError: Spikes were not recorded, or there is no such layer or sample.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> dense = keras.layers.Dense(5, "relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), dense])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> run = kconvert.convert(model, calibration=x).simulate(x, 20, spikes=True)
        >>> kconvert.plot.raster(run, "hidden").get_ylabel()
        'Neuron (index)'
    """
    name, spikes = spikes_of(simulation, layer)
    counts = spikes[sample_of(simulation, sample)].reshape(simulation.n_steps, -1).astype(np.int64)
    total = counts.shape[1]
    shown = np.unique(
        np.linspace(0, total - 1, min(count("n_neurons", n_neurons), total), dtype=int)
    )
    ax = axes_for(ax)
    steps, rows = np.nonzero(counts[:, shown])
    sizes = counts[steps, shown[rows]]
    times = 1000 * simulation.dt * (steps + 1)
    widths = np.minimum(1.2 + 0.8 * (np.abs(sizes) - 1), 5.0)
    height = max(4.0, min(14.0, 150.0 / len(shown)))
    for sign, color, marker, label in (
        (1, BLUE, "|", "spikes"),
        (-1, VERMILLION, "x", "negative spikes"),
    ):
        here = np.sign(sizes) == sign
        if here.any():
            most = int(np.abs(sizes[here]).max())
            text = label if most == 1 else f"{label}, up to {most} in a step"
            ax.scatter(times[here], shown[rows[here]], marker=marker, s=height**2, c=color,
                       zorder=2.5 - sign, linewidths=widths[here], label=text)  # fmt: skip
    if len(sizes) and (sizes.min() < 0 or sizes.max() > 1):  # else all marks are the same
        legend = ax.legend(frameon=False, fontsize="small", loc="lower right",
                           bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)  # fmt: skip
        for handle in legend.legend_handles:
            handle.set(sizes=[60.0], linewidths=[1.6])  # type: ignore[union-attr]
    ax.set_xlim(0, 1000 * simulation.dt * (simulation.n_steps + 1))
    ax.set_ylim(total - 0.5, -0.5)
    part = "" if len(shown) == total else f"{len(shown)} of "
    ax.set_title(f"{shortened(name)}: {part}{total:,} neurons", loc="left", fontsize="small")
    return tidy(ax, "Time (ms)", "Neuron (index)", grid="")


def _activated(values: np.ndarray, activation: str | None) -> tuple[np.ndarray, str]:
    """Outputs of shape (n_steps, units) behind an activation, and what they are called."""
    if activation is None:
        return values, "Output (Keras units)"
    if not is_word(activation, ACTIVATIONS):
        raise InputError(
            f"activation must be None or one of {ACTIVATIONS}. Received: {activation!r}"
            f"{nearest(activation, ACTIVATIONS)}"
        )
    if activation == "softmax":
        return Softmax(0).evaluate(values), "Probability (softmax)"
    return Sigmoid(amplitude=1 / 500, max_rate=500).evaluate(values), "Probability (sigmoid)"


def spikes_of(simulation: Simulation, layer: str | None) -> tuple[str, np.ndarray]:
    """The name of a layer and its recorded spikes.

    Raises:
        InputError: None were recorded, or there is no such layer.
    """
    if not isinstance(simulation, Simulation):
        raise InputError(f"simulation must be what simulate gives. Received: {simulation!r:.200}")
    if not simulation.spikes:
        raise InputError("the run has no recorded spikes: use simulate(x, spikes=True)")
    name = next(iter(simulation.spikes)) if layer is None else layer
    if not is_word(name, simulation.spikes):
        raise InputError(
            f"layer must name a layer of neurons, one of {list(simulation.spikes)}. Received: "
            f"{layer!r}{nearest(layer, simulation.spikes)}"
        )
    return name, simulation.spikes[name]


def sample_of(simulation: Simulation, sample: Any) -> int:
    """The number of a sample, checked.

    Raises:
        InputError: There is no such sample.
    """
    if not isinstance(simulation, Simulation):
        raise InputError(f"simulation must be what simulate gives. Received: {simulation!r:.200}")
    if not simulation.n:
        raise InputError("there is nothing to draw: the run ended before its first sample was done")
    if not is_integer(sample) or not 0 <= sample < simulation.n:
        raise InputError(
            f"sample must be a number from 0 to {simulation.n - 1}. Received: {sample!r}"
        )
    return int(sample)


def output_of(found: Any, output: str | int | None) -> np.ndarray:
    """One of several outputs, nested as they may be.

    Raises:
        InputError: There is no such output.
    """
    if isinstance(found, np.ndarray):
        if output not in (None, 0):
            raise InputError(f"the model has one output: leave out output={output!r}")
        return found
    keys: list[Any] = list(found) if isinstance(found, Mapping) else list(range(len(found)))
    key = keys[0] if output is None else output
    if key not in keys:
        raise InputError(f"output must be one of {keys}. Received: {output!r}")
    return output_of(found[key], None)


def wilson(shares: np.ndarray, n: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score intervals of shares of ``n`` samples, as in :meth:`Evaluation.interval`."""
    from scipy.stats import norm  # takes half a second to import

    z = float(norm.ppf(0.5 + confidence / 2))
    center = (shares + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(shares * (1 - shares) / n + z**2 / (4 * n**2))
    return center - half, center + half


def _curve(evaluation: Evaluation, metric: str | None) -> tuple[str, np.ndarray, float | None]:
    """The name of a metric, its values at each step, and Keras'."""
    if not isinstance(evaluation, Evaluation):
        raise InputError(f"evaluation must be what evaluate gives. Received: {evaluation!r:.200}")
    curves: dict[str, tuple[np.ndarray, float | None]] = {}
    if evaluation.accuracy_per_step is not None:
        first = next(iter(evaluation.metrics), "accuracy")  # the share of right classes
        curves[first] = evaluation.accuracy_per_step, evaluation.reference_accuracy
    known = evaluation.reference_metrics or {}
    for name, curve in evaluation.metrics.items():
        curves.setdefault(name, (curve, known.get(name)))
    name = next(iter(curves), "") if metric is None else metric
    if not is_word(name, curves):
        raise InputError(
            f"metric must be one of {list(curves)}. Received: {metric!r}{nearest(metric, curves)}"
        )
    return name, *curves[name]


def _metric_label(name: str) -> str:
    if name in SHARES:
        return "Accuracy (%)"
    return f"{name[:1].upper()}{name[1:]} (unit of the metric)"


def _names(class_names: Sequence[str] | None, n: int) -> list[str]:
    if class_names is None:
        return [str(unit) for unit in range(n)]
    names = [shortened(str(name)) for name in class_names]
    if len(names) != n:
        raise InputError(
            f"class_names must have {n} names, one for each unit. Received: {len(names)}"
        )
    return names
