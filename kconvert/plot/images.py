"""Images beside curves, and maps of spike counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .style import COLORMAP, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results.simulation import Simulation

MOST_MAPS = 64
"""Maps that are drawn unless more are asked for."""


def picture(image: Any) -> np.ndarray:
    """An image with values from 0 to 1, of shape (height, width) or (height, width, colours).

    Args:
        image: Shape (height, width), or with a last axis of 1 or 3 colours.

    Raises:
        InputError: It is no image.
    """
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    colored = array.ndim == 3 and array.shape[-1] in (3, 4)
    if not (array.ndim == 2 or colored) or array.dtype.kind not in "fiub" or not array.size:
        raise InputError(
            "image must be an array of numbers of shape (height, width), (height, width, 1) or "
            f"(height, width, 3). Received: {array.dtype} of shape {array.shape}"
        )
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("image must hold finite numbers")
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1.0)


def draw_picture(ax: Axes, values: np.ndarray) -> Axes:
    """Draw what :func:`picture` gave to the left of an Axes; gives back the image's Axes."""
    inside = _beside(ax)
    inside.imshow(values, cmap="gray" if values.ndim == 2 else None, vmin=0.0, vmax=1.0)
    inside.set_xticks([])
    inside.set_yticks([])
    return inside


def _beside(ax: Axes) -> Axes:
    """New Axes in the left part of the place that an Axes has; it keeps the right part."""
    figure, place = ax.figure, ax.get_subplotspec()
    if place is not None:
        halves = place.subgridspec(1, 2, width_ratios=(1, 2.6))
        ax.set_subplotspec(halves[0, 1])
        return figure.add_subplot(halves[0, 0])
    box = ax.get_position()
    ax.set_position((box.x0 + 0.36 * box.width, box.y0, 0.64 * box.width, box.height))
    return figure.add_axes((box.x0, box.y0, 0.24 * box.width, box.height))


def feature_maps(
    simulation: Simulation,
    layer: str | None = None,
    sample: int = 0,
    *,
    channel_axis: int = -1,
    n_maps: int = MOST_MAPS,
    ax: Axes | None = None,
) -> Axes:
    """How often each neuron of a convolutional layer fired, one small image for each feature map.

    Args:
        simulation: What ``simulate(x, spikes=True)`` gave.
        layer: Name of a layer of neurons of two or three axes; the first such layer by default. A
            layer of two axes, such as that of a ``Conv1D``, is drawn as one map.
        sample: Number of the sample, from 0.
        channel_axis: The axis of a layer's shape that numbers the feature maps: -1, or 0 for a
            model with channels first.
        n_maps: Most maps to draw, the first ones.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes. Spikes of negative sign count as -1.

    Raises:
        InputError: Spikes were not recorded, there is no such layer or sample, or the layer has no
            maps.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> conv = keras.layers.Conv2D(3, 2, activation="relu", name="conv")
        >>> model = keras.Sequential([keras.Input((6, 6, 1)), conv])
        >>> x = np.random.default_rng(0).random((4, 6, 6, 1))
        >>> run = kconvert.convert(model, calibration=x).simulate(x, 20, spikes=True)
        >>> kconvert.plot.feature_maps(run, "conv").get_title()
        'conv: 3 feature maps'
    """
    from ..arguments import count, is_word
    from .time import sample_of, spikes_of

    if layer is None and getattr(simulation, "spikes", None):
        layer = next((k for k, v in simulation.spikes.items() if v.ndim in (4, 5)), None)
    name, spikes = spikes_of(simulation, layer)
    counts = spikes[sample_of(simulation, sample)].astype(np.int64).sum(axis=0)
    if counts.ndim not in (2, 3):
        raise InputError(
            f"feature_maps draws layers of two or three axes, and {name!r} has the shape "
            f"{counts.shape}: kconvert.plot.raster draws any layer"
        )
    if not is_word(str(channel_axis), ("-1", "0")):
        raise InputError(f"channel_axis must be -1 or 0. Received: {channel_axis!r}")
    maps = counts[..., None] if counts.ndim == 2 else np.moveaxis(counts, channel_axis, -1)
    total = maps.shape[-1]
    maps = maps[..., : min(count("n_maps", n_maps), total)]
    sheet = mosaic(maps)
    height = 5.4 * sheet.shape[0] / sheet.shape[1] + 0.7
    ax = axes_for(ax, (6.4, min(max(height, 2.2), 8.0)))
    shown = ax.imshow(sheet, cmap=COLORMAP, interpolation="nearest")
    n_steps = simulation.n_steps
    bar = ax.figure.colorbar(shown, ax=ax, fraction=0.05, pad=0.02)
    bar.set_label(f"Spikes in {1000 * simulation.dt * n_steps:g} ms (count)")
    ax.spines[:].set_visible(False)
    part = "" if maps.shape[-1] == total else f"{maps.shape[-1]} of "
    ax.set_title(f"{name}: {part}{total} feature map{'s' if total > 1 else ''}", fontsize="medium")
    ax.set_xlabel("Map column (pixels)")
    ax.set_ylabel("Map row (pixels)")
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def mosaic(maps: np.ndarray) -> np.ndarray:
    """Maps of shape (height, width, n) side by side, with a line of NaN between them."""
    height, width, n = maps.shape
    columns = int(np.ceil(np.sqrt(n * (height + 1) / (width + 1) * 1.6)))
    columns = max(1, min(columns, n))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for k in range(n):
        top, left = k // columns * (height + 1), k % columns * (width + 1)
        sheet[top : top + height, left : left + width] = maps[..., k]
    return sheet
