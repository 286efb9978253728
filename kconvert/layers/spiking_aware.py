"""An activation that shows training how few spikes there will be."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from ..errors import InputError, is_finite, is_integer
from .rate_lif import RateLIF

ONE_A_STEP = ("binary", "ternary")
"""The ``spike_values`` of neurons that send at most one spike a step."""


@keras.saving.register_keras_serializable(package="kconvert")
class SpikingAware(keras.layers.Wrapper):
    """An activation that shows training how few spikes there will be.

    In training the layer gives the number of spikes after ``n_steps``, as a rate:
    ``floor(rate * n_steps * dt + phase)`` spikes. This is what the next layer sees in a short run.
    The gradient is that of the rate itself: the straight-through estimator of Bengio, Leonard &
    Courville 2013, arXiv:1308.3432, as in KerasSpiking's ``spiking_aware_training``. At inference
    the layer is the activation, and ``kconvert.convert`` reads it as such.

    With ``spike_values`` the layer says how its neurons spike, and ``kconvert.convert`` takes this
    over instead of calibrating: :func:`kconvert.fine_tune` returns models of such layers. Their
    output then ends at one spike a step, ``amplitude / dt``, in training and at inference.

    Args:
        layer: The activation: a RateLIF, a ReLU, or another layer without weights whose output is
            ``amplitude`` times a firing rate.
        n_steps: Number of steps that the spiking network will run for, >= 1.
        amplitude: Output for one spike per second, > 0. By default that of RateLIF. For ReLU it is
            ``1 / scale_firing_rates``; for calibrated ReLU and steps of 1 ms, the layer's largest
            output / 1000.
        dt: Length of a step in seconds.
        phase: Membrane voltage at the start, as a share of the threshold. "random" draws a new one
            for each value, which suits spread start voltages. Or a number in [0, 1); calibrated
            ReLU neurons start at 0.5.
        seed: Seed of random phases, or None.
        spike_values: None leaves it to ``convert`` how the neurons spike. "binary" (0 or 1 spike a
            step) or "ternary" (-1, 0 or 1; ReLU only): ``convert`` gives the neurons this
            ``amplitude`` and start voltages after ``phase``, where "random" is "spread". The layer
            must be a RateLIF, a ReLU without slope and threshold, or an Activation "relu" or
            "relu6".
        **kwargs: ``name`` and so on, as for every ``keras.layers.Layer``.

    Raises:
        InputError: An argument is not accepted (also a ``ValueError``).

    Example:
        >>> import numpy as np
        >>> from kconvert.layers import RateLIF, SpikingAware
        >>> layer = SpikingAware(RateLIF(), n_steps=10, phase=0.5)
        >>> x = np.array([[0.3, 0.9]], dtype="float32")
        >>> [round(float(v), 3) for v in layer(x, training=True)[0]]  # 0 and 1 spikes in 10 ms
        [0.0, 1.0]
        >>> [round(float(v), 3) for v in layer(x)[0]]
        [0.467, 0.933]
    """

    def __init__(
        self,
        layer: Any,
        *,
        n_steps: int,
        amplitude: float | None = None,
        dt: float = 0.001,
        phase: float | str = "random",
        seed: int | None = None,
        spike_values: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(layer, keras.layers.Layer):
            raise InputError(f"SpikingAware: layer must be a Keras layer. Received: {layer!r}")
        super().__init__(layer, **kwargs)
        if amplitude is None:
            amplitude = getattr(layer, "amplitude", None)
            if amplitude is None:
                raise InputError(
                    f"SpikingAware: {type(layer).__name__} has no amplitude: give the output for "
                    "one spike per second, such as amplitude=0.01"
                )
        if not is_integer(n_steps) or n_steps < 1:
            raise InputError(
                f"SpikingAware: n_steps must be an integer >= 1. Received: {n_steps!r}"
            )
        for name, value in {"amplitude": amplitude, "dt": dt}.items():
            if not is_finite(value) or value <= 0:
                raise InputError(f"SpikingAware: {name} must be a number > 0. Received: {value!r}")
        if phase != "random" and not (is_finite(phase) and 0 <= float(phase) < 1):
            raise InputError(
                f"SpikingAware: phase must be 'random' or a number in [0, 1). Received: {phase!r}"
            )
        _require_neurons(layer, spike_values)
        self.n_steps, self.amplitude, self.dt = int(n_steps), float(amplitude), float(dt)
        self.phase, self.seed, self.spike_values = phase, seed, spike_values
        self.seed_generator = keras.random.SeedGenerator(seed) if phase == "random" else None
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        rate = self.layer(inputs)
        if self.spike_values is not None and not isinstance(self.layer, RateLIF):
            rate = ops.minimum(rate, self.amplitude / self.dt)
        if not training:
            return rate
        spike = self.amplitude / (self.n_steps * self.dt)
        dtype = keras.backend.standardize_dtype(rate.dtype)
        wide = dtype if dtype in ("float32", "float64") else "float32"
        phase: Any = self.phase
        if self.seed_generator is not None:
            phase = keras.random.uniform(ops.shape(rate), dtype=wide, seed=self.seed_generator)
        spikes = spike * ops.floor(ops.cast(rate, wide) / spike + phase)
        return rate + ops.stop_gradient(ops.cast(spikes, rate.dtype) - rate)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        names = ("n_steps", "amplitude", "dt", "phase", "seed", "spike_values")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def ceiling_of_relu(layer: Any) -> float | None:
    """The largest output of a layer that is ReLU and no more, infinite where there is none; None
    for all other layers.
    """
    if isinstance(layer, keras.layers.ReLU):
        plain = not layer.negative_slope and not layer.threshold
        if not plain:
            return None
        return math.inf if layer.max_value is None else float(layer.max_value)
    if isinstance(layer, keras.layers.Activation):
        return CEILINGS.get(getattr(layer.activation, "__name__", ""))
    return None


CEILINGS = {"relu": math.inf, "relu6": 6.0}
"""Largest output of the activations that are ReLU, by Keras' name."""


def _require_neurons(layer: Any, spike_values: Any) -> None:
    """Refuse what has no neurons of its own whose spikes the layer could set."""
    if spike_values is None:
        return
    if not isinstance(spike_values, str) or spike_values not in ONE_A_STEP:
        raise InputError(
            "SpikingAware: spike_values must be None, 'binary' or 'ternary'. "
            f"Received: {spike_values!r}"
        )
    lif = isinstance(layer, RateLIF)
    if not lif and not ceiling_of_relu(layer):
        raise InputError(
            f"SpikingAware: with spike_values the layer must be a RateLIF, a ReLU without slope "
            f"and threshold, or an Activation 'relu' or 'relu6'. Received: {layer!r}"
        )
    if lif and spike_values == "ternary":
        raise InputError(
            "SpikingAware: spike_values='ternary' needs ReLU neurons: LIF neurons send 0 or 1. "
            "Use spike_values='binary'"
        )
