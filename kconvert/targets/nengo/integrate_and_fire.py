"""Integrate-and-fire neurons whose membrane may go below its resting level."""

from __future__ import annotations

from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.dists import Choice, Uniform
from nengo.params import NumberParam

from ...bridge import extend_nengo_dl


class IntegrateAndFire(nengo.SpikingRectifiedLinear):  # type: ignore[misc]
    """Spikes at each whole unit of the summed-up current, also of a sum that was negative.

    ``nengo.SpikingRectifiedLinear`` leaves out negative currents. Where these are the noise of the
    spikes before, around a mean that is positive or near zero, what it leaves out is missing from
    the sum, and its rate is too high however long it runs. Here the sum is kept, as conversion
    papers do it (Diehl et al. 2016, "Conversion of artificial recurrent neural networks to spiking
    neural networks for low-power neuromorphic hardware"; Rueckauer et al. 2017, with reset by
    subtraction): the mean rate goes to that of ``nengo.RectifiedLinear`` as 1 / steps.

    Args:
        amplitude: Output for one spike per second.
        initial_state: ``{"voltage": ...}``, as other Nengo neurons take it.
        min_voltage: Floor of the membrane in units of the threshold, at most 0.
    """

    min_voltage = NumberParam("min_voltage", high=0)

    def __init__(
        self,
        amplitude: float = 1,
        initial_state: dict[str, Any] | None = None,
        *,
        min_voltage: float = -np.inf,
    ) -> None:
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.min_voltage = min_voltage

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray) -> None:  # noqa: N803
        """One step in NumPy."""
        voltage += J * dt
        np.maximum(voltage, self.min_voltage, out=voltage)
        spikes = np.maximum(np.floor(voltage), 0.0)
        output[:] = (self.amplitude / dt) * spikes
        voltage -= spikes


class SignedIntegrateAndFire(IntegrateAndFire):
    """Takes spikes back, by spikes of negative sign, where the sum of the input falls again.

    A spike that noise in the input brought about too early cannot be undone by other neurons, and
    their counts follow the largest sum that there has been. This one's count follows the sum
    itself: after any number of steps it is ``max(floor(sum), 0)`` whatever order the input came in,
    so that over many layers errors are those of rounding and do not add up to one side. It
    remembers how many spikes it has given, and gives back no more (Wang et al. 2022, "Signed neuron
    with memory: towards simple, accurate and high-efficient ANN-SNN conversion").

    Args:
        amplitude: Output for one spike per second.
        initial_state: ``{"voltage": ...}``, as other Nengo neurons take it.
        min_voltage: As for :class:`IntegrateAndFire`.
    """

    state: ClassVar[dict[str, Any]] = {"voltage": Uniform(low=0, high=1), "fired": Choice([0])}

    def step(  # type: ignore[override]
        self,
        dt: float,
        J: np.ndarray,  # noqa: N803
        output: np.ndarray,
        voltage: np.ndarray,
        fired: np.ndarray,
    ) -> None:
        """One step in NumPy."""
        voltage += J * dt
        np.maximum(voltage, self.min_voltage, out=voltage)
        spikes = np.maximum(np.floor(voltage), -fired)
        output[:] = (self.amplitude / dt) * spikes
        voltage -= spikes
        fired += spikes


def _add_to_nengo_dl(neuron_builders: Any) -> None:
    """The same step in TensorFlow; in training the rate, as for Nengo's own."""
    import tensorflow as tf

    class IntegrateAndFireBuilder(neuron_builders.SpikingRectifiedLinearBuilder):  # type: ignore[misc]
        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            neurons, sizes = [op.neurons for op in self.ops], [op.J.shape[0] for op in self.ops]
            self.lowest = signals.op_constant(neurons, sizes, "min_voltage", signals.dtype)

        def step(self, J: Any, dt: Any, voltage: Any) -> Any:  # noqa: N803
            voltage = tf.maximum(voltage + J * dt, self.lowest)
            spikes = tf.maximum(tf.floor(voltage), 0.0)
            return spikes * self.alpha, voltage - spikes

    class SignedBuilder(IntegrateAndFireBuilder):
        def step(  # type: ignore[override]
            self,
            J: Any,  # noqa: N803
            dt: Any,
            voltage: Any,
            fired: Any,
        ) -> Any:
            voltage = tf.maximum(voltage + J * dt, self.lowest)
            spikes = tf.maximum(tf.floor(voltage), -fired)
            return spikes * self.alpha, voltage - spikes, fired + spikes

    builders = neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL
    builders[IntegrateAndFire] = IntegrateAndFireBuilder
    builders[SignedIntegrateAndFire] = SignedBuilder


extend_nengo_dl("neuron_builders", _add_to_nengo_dl)
