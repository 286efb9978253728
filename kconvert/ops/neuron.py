"""Nonlinearities that a neuron computes. ``evaluate`` is the rate; the fields say how it spikes.

What the rest of kconvert must know about a kind of neuron is a property of its op, so that a new
kind of neuron is one class here and one rule in each target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import GraphError
from ..ir import Shape
from .shape import Input
from .synapse import Synapse


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NeuronOp:
    """What all neurons have in common.

    Args:
        gain: Factor on the input, in front of the neuron.
        amplitude: Output for each spike per second.
        initial_voltage: Membrane voltage at time 0 in units of the threshold: a scalar, or one
            for each neuron in C order.
        synapse: Filter on the way out of the neurons, or None.

    Attributes:
        is_neuron: Tells a graph's neurons from its other ops.
        monotone: Whether a larger input never lowers the output. Then a maximum may be taken in
            front of the neurons.
        nonnegative: Whether the output is never negative.
        homogeneous: Whether a factor > 0 on the input is the same factor on the rate. Then factors
            on single feature maps are exact.
        scales_exactly: Whether :meth:`scaled` keeps the output.
        integrates: Whether the membrane is the sum of the input, without a leak. The number of
            spikes then does not depend on when the input came.
        has_floor: Whether the membrane may be given a floor, ``min_voltage``.
        nengo_floor: The floor of Nengo's own neuron type; None for neurons that leave negative
            input out.
        can_be_signed: Whether the neurons can send spikes of negative sign.
        initial_voltage_calibrated: Start voltage that goes with calibrated rates.
        spikes: Whether the neurons send spikes, and not their rate.
    """

    gain: float = 1.0
    amplitude: float = 1.0
    initial_voltage: float | np.ndarray = 0.0
    synapse: Synapse | None = None

    is_neuron: ClassVar[bool] = True
    monotone: ClassVar[bool] = True
    nonnegative: ClassVar[bool] = True
    scales_exactly: ClassVar[bool] = False
    integrates: ClassVar[bool] = False
    has_floor: ClassVar[bool] = False
    nengo_floor: ClassVar[float | None] = None
    can_be_signed: ClassVar[bool] = False
    initial_voltage_calibrated: ClassVar[float | str] = "spread"

    def out_shape(self, x: Shape) -> Shape:
        return x

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """What users call these neurons."""
        return type(self).__name__

    @property
    def homogeneous(self) -> bool:
        return False

    @property
    def spikes(self) -> bool:
        return True

    @property
    def unit(self) -> float:
        """The output that stands for one spike per second."""
        return self.amplitude

    @property
    def current_at_rest(self) -> float:
        """Current of the neuron when its input is zero."""
        return 0.0

    @property
    def floored(self) -> bool:
        """Whether a floor under the membrane may rectify the noise of spikes."""
        return False

    @property
    def unbiased(self) -> bool:
        """Whether the mean of the spikes goes to the rate, however the input arrives."""
        return False

    @property
    def max_spikes(self) -> float:
        """Most spikes that one neuron sends in one step."""
        return 1.0

    def spike_range(self, dt: float) -> tuple[float, float]:
        """The lowest and the highest number of spikes that one neuron may send in one step.

        Args:
            dt: Length of a step in seconds.
        """
        return 0.0, self.max_spikes

    def scaled(self, factor: float) -> Self:
        """The same output from ``factor`` times as many spikes; see ``scales_exactly``."""
        return replace(self, gain=self.gain * factor, amplitude=self.amplitude / factor)

    def describe(self) -> str:
        """The neurons in a few words, for tables."""
        return self.kind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relu(NeuronOp):
    """``amplitude * min(max(gain * x, 0), max_rate)``; spiking: integrate and fire, soft reset.

    The rate in Hz is ``max(gain * x, 0)``, so ``amplitude = 1 / gain`` is ReLU.

    Args:
        max_rate: Rate in Hz above which the neurons do not go, as those of ReLU6 do not. Spikes
            keep to it where ``max_spikes`` in a step are this rate.
        min_voltage: Floor of the membrane voltage, which negative input lowers; None leaves
            negative input out.
        signed: Take spikes back, by spikes of negative sign, where the summed-up input falls; never
            more than were sent before.
        max_spikes: Most spikes, of either sign, that a neuron sends in one step. What is left stays
            in the membrane.
    """

    min_voltage: float | None = None
    signed: bool = False
    max_spikes: float = math.inf
    max_rate: float = math.inf

    scales_exactly: ClassVar[bool] = True
    integrates: ClassVar[bool] = True
    has_floor: ClassVar[bool] = True
    can_be_signed: ClassVar[bool] = True
    # Half the threshold: spike counts are then rounded to the nearest (Bu et al. 2022, "Optimized
    # potential initialization for low-latency spiking neural networks").
    initial_voltage_calibrated: ClassVar[float | str] = 0.5

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return self.amplitude * np.clip(self.gain * x, 0.0, self.max_rate)

    @property
    def kind(self) -> str:
        return "ReLU"

    @property
    def homogeneous(self) -> bool:
        return self.max_rate == math.inf

    def scaled(self, factor: float) -> Relu:
        return replace(
            self,
            gain=self.gain * factor,
            amplitude=self.amplitude / factor,
            max_rate=self.max_rate * factor,
        )

    def spike_range(self, dt: float) -> tuple[float, float]:
        return -self.max_spikes if self.signed else 0.0, self.max_spikes

    @property
    def floored(self) -> bool:
        return not self.unbiased

    @property
    def unbiased(self) -> bool:
        return self.signed or self.min_voltage == -np.inf

    def describe(self) -> str:
        text = "signed integrate and fire" if self.signed else "integrate and fire"
        return text if self.min_voltage is None else f"{text}, floor {self.min_voltage:g}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lif(NeuronOp):
    """``amplitude`` times the rate of a LIF neuron with the current ``gain * x + bias``.

    Args:
        bias: Current that is always there; the threshold is a current of 1.
        tau_rc: Membrane time constant in seconds.
        tau_ref: Refractory period in seconds.
        smoothing: Width of the soft threshold of the rate (not of the spikes); 0 is exact.
        min_voltage: Floor of the membrane voltage.
        trained: The neurons of the Keras model that these replaced, where these are to be fitted to
            their curve. None if the model was trained with LIF neurons, or the user set the curve.
    """

    bias: float = 0.0
    tau_rc: float = 0.02
    tau_ref: float = 0.002
    smoothing: float = 0.0
    min_voltage: float = 0.0
    trained: NeuronOp | None = None

    has_floor: ClassVar[bool] = True
    nengo_floor: ClassVar[float | None] = 0.0

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        above = self.gain * x + self.bias - 1.0
        if self.smoothing == 0:
            fires = above > 0
            q = np.log1p(1.0 / np.where(fires, above, 1.0))
            return np.where(fires, self.amplitude / (self.tau_ref + self.tau_rc * q), 0.0)
        u = above / self.smoothing
        # log1p(1/z) -> -u - log(smoothing) where z = smoothing * softplus(u) underflows
        z = self.smoothing * np.logaddexp(0.0, np.maximum(u, -36.0))
        q = np.log1p(1.0 / z) + np.maximum(-36.0 - u, 0.0)
        return np.asarray(self.amplitude / (self.tau_ref + self.tau_rc * q))

    @property
    def kind(self) -> str:
        return "LIF"

    @property
    def current_at_rest(self) -> float:
        return self.bias

    @property
    def floored(self) -> bool:
        return self.min_voltage == 0

    def faster(self, divisor: float) -> Lif:
        """Time constants and amplitude divided by a number: the same curve from more spikes.

        A rate ``1 / (tau_ref + tau_rc * q(J))`` is then ``divisor`` times as high at every current
        J. This is exact; a factor on the input is not, since the curve is not linear.
        """
        return replace(
            self,
            tau_rc=self.tau_rc / divisor,
            tau_ref=self.tau_ref / divisor,
            amplitude=self.amplitude / divisor,
        )

    def describe(self) -> str:
        text = f"LIF tau_rc={self.tau_rc:g} s, tau_ref={self.tau_ref:g} s"
        return text + (f", floor {self.min_voltage:g}" if self.min_voltage else "")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sigmoid(NeuronOp):
    """``amplitude * max_rate / (1 + exp(-gain * x))``; spiking: at even intervals of that rate.

    Args:
        max_rate: Rate in Hz that a large input approaches, so that ``amplitude = 1 / max_rate`` is
            the logistic function.
    """

    max_rate: float = 500.0

    scales_exactly: ClassVar[bool] = True
    initial_voltage_calibrated: ClassVar[float | str] = 0.5

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        # tanh does not overflow where exp would.
        return self.amplitude * self.max_rate * 0.5 * (1.0 + np.tanh(0.5 * self.gain * x))

    @property
    def max_spikes(self) -> float:
        return math.inf

    def spike_range(self, dt: float) -> tuple[float, float]:
        return 0.0, max(1.0, math.ceil(self.max_rate * dt - 1e-9))

    def scaled(self, factor: float) -> Sigmoid:
        return replace(self, max_rate=self.max_rate * factor, amplitude=self.amplitude / factor)

    def describe(self) -> str:
        return f"even intervals, up to {self.max_rate:g} Hz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OtherNeuron(NeuronOp):
    """A neuron type that only Nengo knows: ``amplitude`` times its rate at ``gain * x``.

    Args:
        neuron_type: A ``nengo.neurons.NeuronType``.
        rates: From currents to rates.
    """

    neuron_type: Any
    rates: Callable[[np.ndarray], np.ndarray]

    monotone: ClassVar[bool] = False
    nonnegative: ClassVar[bool] = False

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return self.amplitude * np.asarray(self.rates(self.gain * x))

    @property
    def kind(self) -> str:
        return type(self.neuron_type).__name__

    @property
    def spikes(self) -> bool:
        return bool(self.neuron_type.spiking)

    @property
    def max_spikes(self) -> float:
        return math.inf

    def spike_range(self, dt: float) -> tuple[float, float]:
        return -math.inf, math.inf

    @property
    def unit(self) -> float:
        return self.amplitude * float(getattr(self.neuron_type, "amplitude", 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Replay(Input):
    """Neurons whose spikes are known from an earlier run: an input, for the event simulator.

    Args:
        shape: Shape of one sample.
        neurons: The neurons. What is fed in is the number of their spikes in each step.
    """

    neurons: NeuronOp


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax over one axis. It has no spiking form; at an output its logits are kept.

    Args:
        axis: Axis of one sample, from 0.
        log: The logarithm of it.
    """

    axis: int
    log: bool = False

    def out_shape(self, x: Shape) -> Shape:
        if not 0 <= self.axis < len(x):
            raise GraphError(f"softmax over axis {self.axis} cannot read the shape {x}")
        return x

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        axis = self.axis + 1
        x = x - x.max(axis=axis, keepdims=True)
        y = x - np.log(np.exp(x).sum(axis=axis, keepdims=True))
        return np.asarray(y if self.log else np.exp(y))
