"""Nonlinearities that a neuron computes. ``evaluate`` is the rate; the fields say how it spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import GraphError
from ..ir import Shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NeuronOp:
    """What every neuron has in common.

    Args:
        gain: Factor on the input, in front of the neuron.
        amplitude: Output for each spike per second.
        initial_voltage: Membrane voltage at time 0 in units of the threshold: a scalar, or one
            for each neuron in C order.
        synapse: Filter on the way out of the neurons: None, or an object that the target knows
            (a ``nengo.synapses.Synapse``).
    """

    gain: float = 1.0
    amplitude: float = 1.0
    initial_voltage: float | np.ndarray = 0.0
    synapse: Any = None

    def out_shape(self, x: Shape) -> Shape:
        return x

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relu(NeuronOp):
    """``amplitude * max(gain * x, 0)``; spiking: integrate and fire with soft reset.

    The rate in Hz is ``max(gain * x, 0)``, so ``amplitude = 1 / gain`` is ReLU.

    Args:
        min_voltage: Floor of the membrane voltage, which negative input lowers; None leaves
            negative input out.
        signed: Take spikes back where the summed-up input falls: spikes of negative sign, as many
            as there were others.
    """

    min_voltage: float | None = None
    signed: bool = False

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return self.amplitude * np.maximum(self.gain * x, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lif(NeuronOp):
    """``amplitude`` times the rate of a LIF neuron with the current ``gain * x + bias``.

    Args:
        bias: Current that is always there; the threshold is a current of 1.
        tau_rc: Membrane time constant in seconds.
        tau_ref: Refractory period in seconds.
        smoothing: Width of the soft threshold of the rate (not of the spikes); 0 is exact.
        min_voltage: Floor of the membrane voltage.
        trained: What Keras computes where these neurons were put in its place and could learn its
            curve; None where they compute what was trained, or what the user said.
    """

    bias: float = 0.0
    tau_rc: float = 0.02
    tau_ref: float = 0.002
    smoothing: float = 0.0
    min_voltage: float = 0.0
    trained: NeuronOp | None = None

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sigmoid(NeuronOp):
    """``amplitude * max_rate / (1 + exp(-gain * x))``; spiking: at even intervals of that rate.

    Args:
        max_rate: Rate in Hz that a large input approaches, so that ``amplitude = 1 / max_rate`` is
            the logistic function.
    """

    max_rate: float = 500.0

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        # tanh does not overflow where exp would.
        return self.amplitude * self.max_rate * 0.5 * (1.0 + np.tanh(0.5 * self.gain * x))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OtherNeuron(NeuronOp):
    """A neuron type of the user's choice: ``amplitude`` times its rate at the current ``gain * x``.

    Args:
        neuron_type: A ``nengo.neurons.NeuronType``.
        rates: From currents to rates.
    """

    neuron_type: Any
    rates: Callable[[np.ndarray], np.ndarray]

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return self.amplitude * np.asarray(self.rates(self.gain * x))


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
