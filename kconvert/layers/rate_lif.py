"""The rate-LIF activation: what a spiking LIF neuron does on average, as a Keras layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from ..errors import InputError

DEFAULT_SMOOTHING = 0.005
"""Chosen by measurement: see the table in ``docs/reference/benchmarks.md``."""

LARGEST = 1e30
"""Of J - 1: its reciprocal is still a normal number in float32."""


def gain_and_bias(
    *, tau_rc: float, tau_ref: float, max_rate: float, intercept: float
) -> tuple[float, float]:
    """Gain and bias that give ``max_rate`` at x = 1 and the threshold at ``intercept``.

    The same equations as ``nengo.LIFRate.gain_bias``.

    Example:
        >>> gain, bias = gain_and_bias(tau_rc=0.02, tau_ref=0.002, max_rate=100.0, intercept=0.0)
        >>> round(gain, 4), bias
        (2.0332, 1.0)
    """
    current_at_one = -1.0 / math.expm1((tau_ref - 1.0 / max_rate) / tau_rc)
    gain = (current_at_one - 1.0) / (1.0 - intercept)
    return gain, 1.0 - gain * intercept


def lif_rate(
    above: Any, *, tau_rc: float, tau_ref: float, smoothing: float, floor: float = 1e-15
) -> Any:
    """Rate in Hz of LIF neurons, with a gradient that is finite everywhere.

    Args:
        above: The current less the threshold, ``J - 1``: a tensor of float32 or float64.
        tau_rc: Membrane time constant in seconds.
        tau_ref: Refractory period in seconds.
        smoothing: Width of the soft threshold; 0 is the exact rate.
        floor: The least ``above`` at which the exact rate's slope is taken. 1e-15 is NengoDL's.
    """
    if smoothing:
        return _soft_rate(above, tau_rc, tau_ref, smoothing)
    # The slope grows without bound at the threshold; the floor keeps it finite.
    fires = above > 0
    z = ops.clip(ops.where(fires, above, 1.0), floor, LARGEST)
    rate = 1.0 / (tau_ref + tau_rc * ops.log1p(1.0 / z))
    return ops.where(fires, rate, 0.0)


def _soft_rate(above: Any, tau_rc: float, tau_ref: float, smoothing: float) -> Any:
    # log1p(1 / z) for z = s * softplus(u) is -u - log(s) to float precision once u is far below
    # zero, where z itself underflows. Evaluating at max(u, LOW) and adding the linear rest gives
    # both ranges without a branch that could leak NaN into the gradient.
    low = -16.0 if above.dtype != "float64" else -36.0
    u = above / smoothing
    z = ops.minimum(smoothing * ops.softplus(ops.maximum(u, low)), LARGEST)
    q = ops.log1p(1.0 / z) + ops.relu(low - u)
    return 1.0 / (tau_ref + tau_rc * q)


@keras.saving.register_keras_serializable(package="kconvert")
class RateLIF(keras.layers.Layer):
    """Firing rate of a leaky integrate-and-fire neuron, times ``amplitude``, elementwise.

    With the current ``J = gain * x + bias`` the output is
    ``amplitude / (tau_ref + tau_rc * log1p(1 / (J - 1)))`` for ``J > 1``, and 0 otherwise. This is
    the steady rate of ``nengo.LIF``. ``gain`` and ``bias`` follow from ``max_rate`` and
    ``intercept``, as in a Nengo ensemble.

    The slope of this curve has no bound at the threshold, which breaks training. So ``J - 1`` is
    replaced by ``smoothing * softplus((J - 1) / smoothing)``: the soft LIF of Hunsberger &
    Eliasmith 2015, equal to ``nengo_dl.SoftLIFRate`` with ``sigma=smoothing``.

    The layer computes in float32 at least, also under a float16 or bfloat16 policy: near the
    threshold, the logarithm of a half-precision number has no correct digit. It uses only
    ``keras.ops``, so it runs on every Keras backend.

    Args:
        tau_rc: Membrane time constant in seconds, > 0.
        tau_ref: Absolute refractory period in seconds, >= 0.
        amplitude: Output for one spike per second, > 0. With the default 0.01 and
            ``max_rate=100`` the output is 1 at x = 1.
        max_rate: Rate at x = 1 in Hz, > 0 and below ``1 / tau_ref``.
        intercept: The x at which the neuron starts to fire, < 1.
        smoothing: Width of the soft threshold, in units of the threshold current. 0 is the exact
            LIF rate; other values are at least 1e-6. The default was chosen by measurement
            (docs/reference/benchmarks.md).
        noise: Standard deviation in Hz of Gaussian noise on the rates of firing units (J > 1), in
            training only, >= 0. 0 (the default) means none. The noise stands for that of spikes.
            It helps networks that will run for few steps without a synapse. Hunsberger & Eliasmith
            2016 use 10 Hz.
        seed: Seed of the noise, or None.
        **kwargs: ``name``, ``dtype``, ``trainable`` as for every ``keras.layers.Layer``.

    Input shape:
        Any.

    Output shape:
        Same as the input.

    Raises:
        InputError: An argument is outside its range (also a ``ValueError``).

    Example:
        >>> import numpy as np
        >>> lif = RateLIF(smoothing=0.0)
        >>> y = lif(np.array([-1.0, 0.5, 1.0], dtype="float32"))
        >>> [round(float(v), 3) for v in y]
        [0.0, 0.637, 1.0]

    References:
        E. Hunsberger, C. Eliasmith: Spiking deep networks with LIF neurons, 2015,
        arXiv:1510.08829. Training spiking deep networks for neuromorphic hardware, 2016,
        arXiv:1611.05141.
    """

    def __init__(
        self,
        *,
        tau_rc: float = 0.02,
        tau_ref: float = 0.002,
        amplitude: float = 0.01,
        max_rate: float = 100.0,
        intercept: float = 0.0,
        smoothing: float = DEFAULT_SMOOTHING,
        noise: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tau_rc = _number("tau_rc", tau_rc, "a time in seconds > 0", lambda v: v > 0)
        self.tau_ref = _number("tau_ref", tau_ref, "a time in seconds >= 0", lambda v: v >= 0)
        self.amplitude = _number("amplitude", amplitude, "a number > 0", lambda v: v > 0)
        limit = 1.0 / self.tau_ref if self.tau_ref else math.inf
        self.max_rate = _number(
            "max_rate",
            max_rate,
            f"a rate in Hz > 0 and < 1/tau_ref = {limit:g}",
            lambda v: 0 < v < limit,
        )
        self.intercept = _number("intercept", intercept, "a number < 1", lambda v: v < 1)
        self.smoothing = _number(
            "smoothing", smoothing, "0 or a number >= 1e-6", lambda v: v == 0 or v >= 1e-6
        )
        self.noise = _number("noise", noise, "a standard deviation in Hz >= 0", lambda v: v >= 0)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if self.noise else None
        self.gain, self.bias = gain_and_bias(
            tau_rc=self.tau_rc,
            tau_ref=self.tau_ref,
            max_rate=self.max_rate,
            intercept=self.intercept,
        )
        if not math.isfinite(self.gain) or self.gain <= 0:
            raise InputError(
                f"RateLIF: max_rate={max_rate} Hz with tau_rc={tau_rc} s cannot be represented: "
                f"the gain would be {self.gain}; choose a max_rate between about "
                f"{1.0 / (self.tau_ref + 30 * self.tau_rc):.3g} Hz and {limit:g} Hz"
            )
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        wide = dtype if dtype in ("float32", "float64") else "float32"
        # gain * (x - intercept) is J - 1 without the cancellation of computing J first, so a
        # float32 unit just above threshold keeps all its digits. The intercept goes in two parts:
        # what float32 holds of it, and the rest.
        near = float(np.float32(self.intercept))
        above = ops.cast(inputs, wide) - near
        if near != self.intercept:
            above = above - (self.intercept - near)
        above = self.gain * above
        rate = lif_rate(
            above,
            tau_rc=self.tau_rc,
            tau_ref=self.tau_ref,
            smoothing=self.smoothing,
            # In half precision the slope above the threshold would be infinite.
            floor=1e-15 if dtype == wide else 1e-4,
        )
        if training and self.seed_generator is not None:
            noise = keras.random.normal(
                ops.shape(rate), stddev=self.noise, dtype=wide, seed=self.seed_generator
            )
            rate = rate + ops.where(above > 0, noise, 0.0)
        return ops.cast(self.amplitude * rate, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = ("tau_rc", "tau_ref", "amplitude", "max_rate", "intercept", "smoothing", "noise")
        values = {name: getattr(self, name) for name in (*names, "seed")}
        return {**super().get_config(), **values}


def _number(name: str, value: Any, accepted: str, valid: Callable[[float], bool]) -> float:
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or not valid(number):
        raise InputError(f"RateLIF: `{name}` must be {accepted}. Received: {name}={value!r}")
    return number
