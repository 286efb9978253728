"""Plots as SVG within the page, in the page's own colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ..results.evaluation import Evaluation
from .measure import Measured

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis
    from ..network import SpikingNetwork
    from ..results.energy import Energy

WIDTH = 5.2
"""Inches. Text of 11 points can then be read at a phone's width."""
INK, AXES = "#010203", "#010204"
COLOURS = {
    INK: "currentColor",
    AXES: "var(--line-strong)",
    "#000000": "currentColor",
    "#e6e6e6": "var(--line)",  # the grid
    "#e0e0e0": "var(--line)",  # bars behind markers
    "#8c8c8c": "var(--line-strong)",
    "#0072b2": "var(--blue)",
    "#d55e00": "var(--vermillion)",
}
"""Colours of a plot, and what the page has in their place: it is light or dark."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot.

    Args:
        title: What it shows.
        svg: The ``<svg>`` element.
    """

    title: str
    svg: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A plot that is to be drawn.

    Args:
        title: What it shows.
        plot: Draws on the Axes that it is given.
        height: Height in inches.
    """

    title: str
    plot: Callable[[Any], Any]
    height: float


def drawn(plan: Plan, number: int) -> Figure:
    """A plot as an ``<svg>`` element whose text is text.

    Args:
        plan: What to draw.
        number: Of the figure on the page: names within its SVG must differ from those of others.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": str(number),
        "font.family": "sans-serif",
        "font.size": 11,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
        **dict.fromkeys(("axes.edgecolor", "grid.color"), AXES),
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        canvas = Canvas(figsize=(WIDTH, plan.height), layout="constrained")
        canvas.patch.set_alpha(0)
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        axes.patch.set_alpha(0)
        plan.plot(axes)
        out = io.StringIO()
        # A date or a version would make two reports of the same network differ.
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Every SVG of Matplotlib has the same names.
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>figure{number}-", svg)
    for given, wanted in COLOURS.items():
        svg = svg.replace(given, wanted)
    return Figure(plan.title, _labelled(svg, plan.title))


def _labelled(svg: str, title: str) -> str:
    """The element with a name for screen readers, and without a fixed size."""
    from html import escape

    head, rest = svg.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(title, quote=True)}">{rest}'


def figures(
    network: SpikingNetwork,
    measured: Measured,
    diagnosis: Diagnosis | None,
    energy: Energy | None,
) -> list[Figure]:
    """All plots of a report."""
    plans = _plans(network, measured, diagnosis, energy)
    return [drawn(plan, number) for number, plan in enumerate(plans)]


def _plans(
    network: SpikingNetwork,
    measured: Measured,
    diagnosis: Diagnosis | None,
    energy: Energy | None,
) -> Iterator[Plan]:
    from .. import plot
    from ..plot.style import rows_for

    for name, evaluation in measured.evaluations.items():
        of = f" of {name}" if len(measured.evaluations) > 1 else ""
        if evaluation.accuracy is None and not evaluation.metrics:
            continue
        what = next(iter(evaluation.metrics)) if evaluation.accuracy is None else "Accuracy"
        what = what if measured.labelled else "Agreement with Keras"
        yield Plan(f"{what}{of} against steps", partial(_accuracy, evaluation), 3.2)
    height = rows_for(len(network.graph.neurons()))[1] + 0.2
    if network.graph.neurons():
        activity = cast("Any", measured.activity)  # has rates, as results have
        yield Plan("Firing rate of each layer", lambda ax: plot.rates(activity, ax=ax), height)
    if diagnosis is not None:
        yield Plan("Keras against spikes", lambda ax: plot.agreement(diagnosis, ax=ax), 4.4)
        yield Plan("Parts of each layer's error", partial(_causes, diagnosis), height + 0.4)
        if diagnosis.causes:
            rows = rows_for(len(diagnosis.causes))[1] + 0.2
            yield Plan("Causes of the error", lambda ax: plot.causes(diagnosis, ax=ax), rows)
    if energy is not None:
        yield Plan("Operations beside Keras", partial(_energy, energy), 3.0)


def _accuracy(evaluation: Evaluation, ax: Any) -> None:
    from .. import plot

    plot.accuracy(evaluation, ax=ax)


def _causes(diagnosis: Diagnosis, ax: Any) -> None:
    from .. import plot

    plot.errors(diagnosis, ax=ax)
    _narrow_legend(ax)


def _energy(energy: Energy, ax: Any) -> None:
    from .. import plot

    plot.energy(energy, ax=ax)
    _narrow_legend(ax)


def _narrow_legend(ax: Any) -> None:
    """A legend of two columns: three are too wide here."""
    handles, labels = ax.get_legend_handles_labels()
    place: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1), "fontsize": "small"}
    ax.legend(handles, labels, ncols=2, frameon=False, **place)
