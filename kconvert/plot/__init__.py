"""Figures of results, with Matplotlib: each function draws into one Axes and gives it back.

The functions never show or save a figure, and change no setting of Matplotlib. They import it when
they are called.

Example:
    >>> import keras, kconvert, numpy as np
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    >>> x = np.random.default_rng(0).random((8, 4))
    >>> run = kconvert.convert(model).simulate(x, 20)
    >>> ax = kconvert.plot.outputs(run)
    >>> ax.figure.savefig("outputs.png")  # doctest: +SKIP
"""

from .images import feature_maps
from .layers import agreement, causes, differences, errors, rates, sizes, statuses
from .operations import energy
from .time import accuracy, candidates, outputs, raster

__all__ = [
    "accuracy",
    "agreement",
    "candidates",
    "causes",
    "differences",
    "energy",
    "errors",
    "feature_maps",
    "outputs",
    "raster",
    "rates",
    "sizes",
    "statuses",
]
