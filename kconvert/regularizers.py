"""Regularizers of firing rates, for Keras' ``activity_regularizer``.

Firing rates decide what a spiking network costs, and how many steps it needs. Units that fire too
fast waste spikes. Units that fire too slowly say nothing in a few steps. Training can steer both,
as in the examples of NengoDL and KerasSpiking.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from .errors import InputError, is_finite


@keras.saving.register_keras_serializable(package="kconvert")
class FiringRate(keras.regularizers.Regularizer):
    """Draws the firing rates of a layer into a range.

    A unit is a feature map (the last axis). Its rate is the mean, or a percentile, over the samples
    of the batch and over positions. The penalty is the mean over units of ``l1 * d + l2 * d**2``,
    where d is the distance of a unit's rate from the range, in Hz.

    Args:
        target: A rate in Hz >= 0, or the lowest and the highest rate. ``(0, 50)`` penalises only
            rates above 50 Hz. 0 makes the activity sparse.
        l1: Factor on the distance, >= 0.
        l2: Factor on the squared distance, >= 0.
        percentile: Percentile, > 0 and <= 100, that is taken as the rate of a unit. 99 leaves out
            outliers, and is what ``kconvert.Calibration`` uses. None takes the mean.
        amplitude: Output of the layer for one spike per second: RateLIF's ``amplitude``, or for
            ReLU ``1 / scale_firing_rates``.

    Raises:
        InputError: An argument is outside its range (also a ``ValueError``).

    Example:
        >>> import keras, kconvert
        >>> rates = kconvert.regularizers.FiringRate(target=(5, 50), l2=1e-4)
        >>> lif = kconvert.layers.RateLIF(activity_regularizer=rates)
        >>> float(rates(keras.ops.full((1, 3), 0.7))) > 0  # 70 Hz
        True

    References:
        E. Hunsberger, C. Eliasmith: Training spiking deep networks for neuromorphic hardware, 2016,
        arXiv:1611.05141.
    """

    def __init__(
        self,
        target: float | tuple[float, float] = 0.0,
        *,
        l1: float = 0.0,
        l2: float = 1e-4,
        percentile: float | None = None,
        amplitude: float = 0.01,
    ) -> None:
        both = tuple(target) if isinstance(target, Iterable) else (target, target)
        if (
            len(both) != 2
            or not all(is_finite(rate) for rate in both)
            or not (0 <= both[0] <= both[1])
        ):
            raise InputError(
                "FiringRate: target must be a rate in Hz >= 0, or the least and the largest. "
                f"Received: target={target!r}"
            )
        for name, value in {"l1": l1, "l2": l2}.items():
            if not is_finite(value) or value < 0:
                raise InputError(f"FiringRate: {name} must be a number >= 0. Received: {value!r}")
        if percentile is not None and not (is_finite(percentile) and 0 < percentile <= 100):
            raise InputError(
                f"FiringRate: percentile must be > 0 and <= 100, or None. Received: {percentile!r}"
            )
        _check_positive("FiringRate", "amplitude", amplitude)
        self.target = (float(both[0]), float(both[1]))
        self.l1, self.l2, self.amplitude = float(l1), float(l2), float(amplitude)
        self.percentile = None if percentile is None else float(percentile)

    def __call__(self, x: Any) -> Any:
        if _is_empty("FiringRate", x):
            return ops.zeros((), _wide(x))
        rates = ops.reshape(ops.cast(x, _wide(x)), (-1, x.shape[-1])) / self.amplitude
        if self.percentile is None:
            rate = ops.mean(rates, axis=0)
        else:
            rate = ops.quantile(rates, self.percentile / 100.0, axis=0)
        low, high = self.target
        outside = ops.relu(low - rate) + ops.relu(rate - high)
        return _whole_batch(x, ops.mean(self.l1 * outside + self.l2 * ops.square(outside)))

    def get_config(self) -> dict[str, Any]:
        names = ("target", "l1", "l2", "percentile", "amplitude")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(package="kconvert")
class DeadUnits(keras.regularizers.Regularizer):
    """Brings back units that no sample of the batch makes fire.

    A unit is a feature map (the last axis). The penalty is the mean over units of ``weight`` times
    the square of how far a unit's largest input stays below ``threshold``. Put it on the layer
    before the activation: behind the activation, a dead unit has no gradient.

    Args:
        threshold: The input that each unit should reach somewhere: above RateLIF's ``intercept``,
            or above 0 for ReLU.
        weight: Factor, >= 0.

    Raises:
        InputError: An argument is outside its range (also a ``ValueError``).

    Example:
        >>> import keras, kconvert
        >>> alive = kconvert.regularizers.DeadUnits(threshold=0.1)
        >>> conv = keras.layers.Conv2D(8, 3, activity_regularizer=alive)
        >>> float(alive(keras.ops.zeros((1, 3)))) > 0
        True
    """

    def __init__(self, threshold: float = 0.1, *, weight: float = 1.0) -> None:
        if not is_finite(threshold):
            raise InputError(f"DeadUnits: threshold must be a number. Received: {threshold!r}")
        if not is_finite(weight) or weight < 0:
            raise InputError(f"DeadUnits: weight must be a number >= 0. Received: {weight!r}")
        self.threshold, self.weight = float(threshold), float(weight)

    def __call__(self, x: Any) -> Any:
        if _is_empty("DeadUnits", x):
            return ops.zeros((), _wide(x))
        largest = ops.max(ops.reshape(ops.cast(x, _wide(x)), (-1, x.shape[-1])), axis=0)
        lack = ops.relu(self.threshold - largest)
        return _whole_batch(x, self.weight * ops.mean(ops.square(lack)))

    def get_config(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "weight": self.weight}


def _whole_batch(x: Any, penalty: Any) -> Any:
    """Keras divides what an activity regularizer gives by the number of samples."""
    return penalty * ops.cast(ops.shape(x)[0], penalty.dtype)


def _is_empty(owner: str, x: Any) -> bool:
    """Whether a layer's output has no values; they have no penalty then."""
    if not len(x.shape):
        raise InputError(f"{owner}: a layer's output has an axis of samples. Received: one number")
    return 0 in tuple(x.shape)


def _wide(x: Any) -> str:
    dtype = str(keras.backend.standardize_dtype(x.dtype))
    return dtype if dtype in ("float32", "float64") else "float32"


def _check_positive(owner: str, name: str, value: Any) -> None:
    if not is_finite(value) or value <= 0:
        raise InputError(f"{owner}: {name} must be a number > 0. Received: {name}={value!r}")
