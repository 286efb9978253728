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
    return SIZE[0], min(1.5 + 0.34 * max(n, 3), 24.0)


def name_rows(ax: Axes, names: list[str]) -> None:
    """Put names at the rows 0, 1, ... of the vertical axis, from top to bottom."""
    ax.set_yticks(range(len(names)), [shortened(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)


def shortened(name: str, most: int = 28) -> str:
    """A name that fits beside an axis, as plain text: its end tells layers apart."""
    short = name if len(name) <= most else f"…{name[1 - most :]}"
    return short.replace(
        "$", r"\$"
    )  # Matplotlib takes what stands between two of them as a formula


def label_ends(ax: Axes, ends: list[tuple[float, str, str]], *, gap: float = 0.075) -> None:
    """Write names at the right ends of lines, so far apart that they can be read.

    Args:
        ax: The Axes; its vertical limits are set.
        ends: Height, name and colour of each line.
        gap: Least distance of two names, as a share of the Axes' height.
    """
    low, high = ax.get_ylim()
    least = gap * (high - low)
    ordered = sorted(ends)
    heights: list[float] = []
    for value, _, _ in ordered:
        heights.append(max(value, heights[-1] + least) if heights else value)
    # Names that were pushed out at the top push the others down.
    top = high
    for k in reversed(range(len(heights))):
        heights[k] = min(heights[k], top)
        top = heights[k] - least
    for (_, name, color), height in zip(ordered, heights, strict=True):
        ax.text(1.015, height, name, color=color, fontsize="small", va="center",
                transform=ax.get_yaxis_transform(), clip_on=False)  # fmt: skip
    ax.set_ylim(low, high)


def legend_above(ax: Axes, columns: int = 2) -> None:
    """A legend between the Axes and its title, where it hides nothing."""
    ax.legend(frameon=False, fontsize="small", ncols=columns, loc="lower left",
              bbox_to_anchor=(0, 1), borderaxespad=0.2)  # fmt: skip
