"""Integrate-and-fire neurons whose membrane may go below its resting level."""

from __future__ import annotations

from typing import Any, ClassVar

import nengo
import numpy as np
from nengo.dists import Choice, Uniform
from nengo.params import NumberParam

from ...bridge import extend_nengo_dl


class ClippedRectifiedLinear(nengo.RectifiedLinear):  # type: ignore[misc]
    """Rates that end at a ceiling, such as those of ReLU6.

    Args:
        amplitude: Output for one spike per second.
        max_rate: The ceiling in Hz.
    """

    max_rate = NumberParam("max_rate", low=0, low_open=True)

    def __init__(self, amplitude: float = 1, *, max_rate: float) -> None:
        super().__init__(amplitude=amplitude)
        self.max_rate = max_rate

    def step(self, dt: float, J: np.ndarray, output: np.ndarray) -> None:  # noqa: N803
        """One step in NumPy."""
        output[...] = self.amplitude * np.clip(J, 0.0, self.max_rate)


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
        min_voltage: Floor of the membrane in units of the threshold, at most 0; None leaves out
            negative currents, as ``nengo.SpikingRectifiedLinear`` does.
        max_spikes: Most spikes of a neuron in one step, 1 or more. What is left stays in the
            membrane.
        max_rate: Ceiling of the rate in Hz that NengoDL trains with.
    """

    min_voltage = NumberParam("min_voltage", high=0, optional=True)
    max_spikes = NumberParam("max_spikes", low=1)
    max_rate = NumberParam("max_rate", low=0, low_open=True)

    def __init__(
        self,
        amplitude: float = 1,
        initial_state: dict[str, Any] | None = None,
        *,
        min_voltage: float | None = -np.inf,
        max_spikes: float = np.inf,
        max_rate: float = np.inf,
    ) -> None:
        super().__init__(amplitude=amplitude, initial_state=initial_state)
        self.min_voltage = min_voltage
        self.max_spikes = max_spikes
        self.max_rate = max_rate

    @property
    def least_current(self) -> float:
        """Currents below this one count as it."""
        return 0.0 if self.min_voltage is None else -np.inf

    @property
    def least_voltage(self) -> float:
        """The membrane's floor; there is none where no current is negative."""
        return -np.inf if self.min_voltage is None else self.min_voltage

    def _integrate(self, dt: float, J: np.ndarray, voltage: np.ndarray) -> None:  # noqa: N803
        voltage += np.maximum(J, self.least_current) * dt
        np.maximum(voltage, self.least_voltage, out=voltage)

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray) -> None:  # noqa: N803
        """One step in NumPy."""
        self._integrate(dt, J, voltage)
        spikes = np.clip(np.floor(voltage), 0.0, self.max_spikes)
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
        max_spikes: As for :class:`IntegrateAndFire`, for spikes of either sign.
        max_rate: As for :class:`IntegrateAndFire`.
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
        self._integrate(dt, J, voltage)
        least = -np.minimum(fired, self.max_spikes)
        spikes = np.clip(np.floor(voltage), least, self.max_spikes)
        output[:] = (self.amplitude / dt) * spikes
        voltage -= spikes
        fired += spikes


def _add_to_nengo_dl(neuron_builders: Any) -> None:
    """The same step in TensorFlow; in training the rate, as for Nengo's own."""
    import tensorflow as tf

    class ClippedRectifiedLinearBuilder(neuron_builders.RectifiedLinearBuilder):  # type: ignore[misc]
        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            neurons, sizes = [op.neurons for op in self.ops], [op.J.shape[0] for op in self.ops]
            self.max_rate = signals.op_constant(neurons, sizes, "max_rate", signals.dtype)

        def step(self, J: Any, dt: Any) -> Any:  # noqa: N803
            return super().step(tf.minimum(J, self.max_rate), dt)

    class IntegrateAndFireBuilder(neuron_builders.SpikingRectifiedLinearBuilder):  # type: ignore[misc]
        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            neurons, sizes = [op.neurons for op in self.ops], [op.J.shape[0] for op in self.ops]
            self.least_current, self.least_voltage, self.max_spikes, self.max_rate = (
                signals.op_constant(neurons, sizes, name, signals.dtype)
                for name in ("least_current", "least_voltage", "max_spikes", "max_rate")
            )

        def training_step(self, J: Any, dt: Any, **state: Any) -> Any:  # noqa: N803
            return super().training_step(tf.minimum(J, self.max_rate), dt, **state)

        def integrated(self, J: Any, dt: Any, voltage: Any) -> Any:  # noqa: N803
            voltage = voltage + tf.maximum(J, self.least_current) * dt
            return tf.maximum(voltage, self.least_voltage)

        def step(self, J: Any, dt: Any, voltage: Any) -> Any:  # noqa: N803
            voltage = self.integrated(J, dt, voltage)
            spikes = tf.minimum(tf.maximum(tf.floor(voltage), 0.0), self.max_spikes)
            return spikes * self.alpha, voltage - spikes

    class SignedBuilder(IntegrateAndFireBuilder):
        def step(  # type: ignore[override]
            self,
            J: Any,  # noqa: N803
            dt: Any,
            voltage: Any,
            fired: Any,
        ) -> Any:
            voltage = self.integrated(J, dt, voltage)
            least = -tf.minimum(fired, self.max_spikes)
            spikes = tf.minimum(tf.maximum(tf.floor(voltage), least), self.max_spikes)
            return spikes * self.alpha, voltage - spikes, fired + spikes

    builders = neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL
    builders[ClippedRectifiedLinear] = ClippedRectifiedLinearBuilder
    builders[IntegrateAndFire] = IntegrateAndFireBuilder
    builders[SignedIntegrateAndFire] = SignedBuilder


extend_nengo_dl("neuron_builders", _add_to_nengo_dl)
