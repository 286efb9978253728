"""How figures look. Colours are told apart by colour-blind readers, and lines also in grey print.

Nothing here changes Matplotlib's settings: a figure is styled through its own objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..packages import needed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#8C8C8C"
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
"""Okabe & Ito 2008, "Color universal design". Yellow is left out: it is too light for paper."""
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")
COLORMAP = "cividis"
"""The same order of brightness for all readers, and in grey."""
SIZE = (6.4, 3.6)
"""Width and height of a figure in inches."""


def axes_for(ax: Any, size: tuple[float, float] = SIZE) -> Axes:
    """The Axes to draw into: a new figure's if none is given.

    Args:
        ax: A ``matplotlib.axes.Axes``, or None.
        size: Width and height of a new figure in inches.

    Raises:
        InputError: It is no Axes.
        MissingPackageError: Matplotlib is not installed.
    """
    with needed("kconvert.plot"):
        from matplotlib import pyplot
        from matplotlib.axes import Axes

    if ax is None:
        ax = pyplot.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise InputError(f"ax must be a matplotlib.axes.Axes or None. Received: {ax!r:.200}")
    return ax


def tidy(ax: Axes, x: str, y: str, *, grid: str = "y") -> Axes:
    """Label the axes, and leave out what is not needed.

    Args:
        ax: The Axes.
        x: Label of the horizontal axis, with its unit.
        y: Label of the vertical axis, with its unit.
        grid: Axis that has grid lines: "x", "y", "both" or "".
    """
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if grid:
        ax.grid(True, axis=grid, color="0.9", linewidth=0.8)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    return ax


def rows_for(n: int) -> tuple[float, float]:
    """Size in inches of a figure with ``n`` rows, one for each layer."""
    return SIZE[0], min(1.3 + 0.34 * max(n, 2), 24.0)


def name_rows(ax: Axes, names: list[str]) -> None:
    """Put names at the rows 0, 1, ... of the vertical axis, from top to bottom."""
    ax.set_yticks(range(len(names)), [shortened(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def shortened(name: str, most: int = 28) -> str:
    """A name that fits beside an axis: its end tells layers apart."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def label_ends(ax: Axes, x: float, ends: list[tuple[float, str, str]], *, gap: float) -> None:
    """Write names at the right ends of lines, so far apart that they can be read.

    Args:
        ax: The Axes; its vertical limits are set.
        x: Where the lines end.
        ends: Height, name and colour of each line.
        gap: Least distance of two names, as a share of the Axes' height.
    """
    low, high = ax.get_ylim()
    least = gap * (high - low)
    heights: list[float] = []
    ordered = sorted(ends)
    for value, _, _ in ordered:
        heights.append(value if not heights else max(value, heights[-1] + least))
    # Those that were pushed out at the top push the others down.
    top = high
    for k in reversed(range(len(heights))):
        heights[k] = min(heights[k], top)
        top = heights[k] - least
    for (value, name, color), height in zip(ordered, heights, strict=True):
        moved = abs(height - value) > 1e-12
        ax.annotate(
            name,
            (x, value),
            xytext=(10 if moved else 5, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize="small",
            annotation_clip=False,
        ).xyann = (1.02, (height - low) / (high - low))
        ax.texts[-1].set_anncoords("axes fraction")  # type: ignore[attr-defined]
