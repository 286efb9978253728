"""Operations of a spiking network beside the MACs of its Keras model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError
from .style import BLACK, BLUE, GREY, ORANGE, axes_for, legend_above, name_rows, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results.energy import Energy


def energy(result: Energy, *, ax: Axes | None = None) -> Axes:
    """The operations of the spiking network beside the MACs of the Keras model, for one sample.

    Args:
        result: What :meth:`SpikingNetwork.energy` gave.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes. The dashed line is at the MACs of the Keras model.

    Raises:
        InputError: It is no Energy.
        MissingPackageError: Matplotlib is not installed.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")])
        >>> x = np.random.default_rng(0).random((8, 4))
        >>> found = kconvert.convert(model, calibration=x).energy(x, 20)
        >>> kconvert.plot.energy(found).get_xlabel()
        'Operations per sample'
    """
    if not hasattr(result, "synaptic_operations"):
        raise InputError(
            f"energy takes what SpikingNetwork.energy gives. Received: {result!r:.200}"
        )
    ax = axes_for(ax, (6.4, 2.6))
    from matplotlib.ticker import EngFormatter

    spikes = result.synaptic_operations
    rows = [("Keras", 0.0, result.macs), ("spikes", spikes, result.input_macs)]
    if result.held:
        rows.append(("spikes, input\nin every step", spikes, result.input_macs_in_every_step))
    for row, (_, by_spikes, by_macs) in enumerate(rows):
        color, hatch, label = (
            (GREY, None, "MACs in Keras") if row == 0 else (ORANGE, "///", "MACs of the input")
        )
        ax.barh(row, by_spikes, color=BLUE, height=0.6, label="synaptic operations" if row == 1
                else None)  # fmt: skip
        ax.barh(row, by_macs, left=by_spikes, color=color, hatch=hatch, edgecolor="white",
                height=0.6, label=label if row < 2 else None)  # fmt: skip
        ax.text(by_spikes + by_macs, row, f"  {by_spikes + by_macs:,.0f}", va="center",
                fontsize="small")  # fmt: skip
    ax.axvline(result.macs, color=BLACK, linestyle="--", linewidth=1)
    name_rows(ax, [name for name, _, _ in rows])
    ax.xaxis.set_major_formatter(EngFormatter())  # 4 M, not 4 beside a factor of 1e6
    ax.margins(x=0.2)
    ax.set_xlim(left=0)
    legend_above(ax, 3)
    return tidy(ax, "Operations per sample", "", grid="x")
