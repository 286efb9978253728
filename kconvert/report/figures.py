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
    from ..fidelity import Diagnosis
    from ..network import SpikingNetwork

SIZE = (6.4, 3.2)
"""Inches."""
INK, FAINT = "#010203", "#010204"
"""Colours that the page replaces by those of its text and of its lines."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot.

    Args:
        title: What it shows.
        svg: The ``<svg>`` element.
    """

    title: str
    svg: str


def drawn(title: str, plot: Callable[[Any], Any], number: int) -> Figure:
    """A plot as an ``<svg>`` element whose text is text.

    Args:
        title: What it shows.
        plot: Draws on the Axes that it is given.
        number: Of the figure on the page: names within its SVG must differ from those of others.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": str(number),
        "font.family": "sans-serif",
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
        **dict.fromkeys(("axes.edgecolor", "grid.color"), FAINT),
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        canvas = Canvas(figsize=SIZE, layout="constrained")
        canvas.patch.set_alpha(0)
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        axes.patch.set_alpha(0)
        plot(axes)
        out = io.StringIO()
        # A date or a version would make two reports of the same network differ.
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor").replace(FAINT, "var(--line-strong)")
    return Figure(title, _labelled(svg, title))


def _labelled(svg: str, title: str) -> str:
    """The element with a name for screen readers, and without a fixed size."""
    from html import escape

    head, rest = svg.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(title, quote=True)}">{rest}'


def figures(
    network: SpikingNetwork, measured: Measured, diagnosis: Diagnosis | None
) -> list[Figure]:
    """All plots of a report."""
    plots = list(_plots(network, measured, diagnosis))
    return [drawn(title, plot, number) for number, (title, plot) in enumerate(plots)]


def _plots(
    network: SpikingNetwork, measured: Measured, diagnosis: Diagnosis | None
) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Titles, and what draws on the Axes that it is given."""
    from .. import plot

    for name, evaluation in measured.evaluations.items():
        of = f" of {name}" if len(measured.evaluations) > 1 else ""
        if evaluation.accuracy is None:
            continue
        what = "Accuracy" if measured.labelled else "Agreement with Keras"
        yield f"{what}{of} against steps", partial(_accuracy, evaluation)
    if network.graph.neurons():
        activity = cast("Any", measured.activity)
        yield "Firing rate of each layer", lambda ax: plot.rates(activity, ax=ax)
    if diagnosis is not None:
        yield "Keras against spikes, layer by layer", lambda ax: plot.agreement(diagnosis, ax=ax)
        yield "What each layer's error is made of", lambda ax: plot.causes(diagnosis, ax=ax)


def _accuracy(evaluation: Evaluation, ax: Any) -> None:
    from .. import plot

    plot.accuracy(evaluation, ax=ax)
