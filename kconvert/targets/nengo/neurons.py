"""Neuron ops as Nengo neuron types, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nengo
import numpy as np

from ...errors import InputError
from ...ops import Lif, NeuronOp, OtherNeuron, Relu, Sigmoid
from .integrate_and_fire import IntegrateAndFire, SignedIntegrateAndFire


def neuron_type(op: NeuronOp, *, spiking: bool) -> nengo.neurons.NeuronType:
    """The Nengo neuron type that spikes as the op says, or has its rate."""
    if isinstance(op, Lif):
        common: Mapping[str, Any] = {
            "tau_rc": op.tau_rc,
            "tau_ref": op.tau_ref,
            "amplitude": op.amplitude,
        }
        if spiking:
            state = {"voltage": _voltage(op)}
            return nengo.LIF(**common, min_voltage=op.min_voltage, initial_state=state)
        if op.smoothing == 0:
            return nengo.LIFRate(**common)
        from ...bridge import nengo_dl

        return nengo_dl.SoftLIFRate(**common, sigma=op.smoothing)
    if isinstance(op, OtherNeuron):
        return op.neuron_type if spiking else rate_type(op.neuron_type)
    if isinstance(op, Sigmoid):
        rate = nengo.Sigmoid(tau_ref=1 / op.max_rate)
        if not spiking:
            return rate
        state = {"voltage": _voltage(op)}
        return nengo.RegularSpiking(rate, amplitude=op.amplitude, initial_state=state)
    if spiking:
        common = {"amplitude": op.amplitude, "initial_state": {"voltage": _voltage(op)}}
        if isinstance(op, Relu) and (op.signed or op.min_voltage is not None):
            kind = SignedIntegrateAndFire if op.signed else IntegrateAndFire
            lowest = -np.inf if op.min_voltage is None else op.min_voltage
            return kind(**common, min_voltage=lowest)
        return nengo.SpikingRectifiedLinear(**common)
    return nengo.RectifiedLinear(amplitude=op.amplitude)


def amplitudes(op: NeuronOp, *, spiking: bool) -> tuple[float, float]:
    """What the neurons put out for one spike per second, and what they should."""
    if isinstance(op, OtherNeuron):
        own = float(getattr(op.neuron_type, "amplitude", 1.0))
        wraps = isinstance(op.neuron_type, nengo.neurons.RatesToSpikesNeuronType)
        return (1.0 if wraps and not spiking else own), op.amplitude * own
    if isinstance(op, Sigmoid) and not spiking:
        return 1.0, op.amplitude  # nengo.Sigmoid has no amplitude
    return op.amplitude, op.amplitude


def rate_type(neuron_type: Any) -> nengo.neurons.NeuronType:
    """The neuron type whose output is the rate of another's spikes.

    Raises:
        InputError: Nengo has none.
    """
    if isinstance(neuron_type, nengo.neurons.RatesToSpikesNeuronType):
        return neuron_type.base_type
    if not neuron_type.spiking:
        return neuron_type
    raise InputError(
        f"swap_activations: {type(neuron_type).__name__} has no rate in Nengo, so it cannot be a "
        "part of a rate network, which spiking=False, verify and calibration run"
    )


def neuron_op(neuron_type: Any) -> NeuronOp:
    """The op of a Nengo neuron type, for an input that is its current and no gain or bias.

    Raises:
        InputError: It is no neuron type that transmits rates or spikes.
    """
    if isinstance(neuron_type, nengo.LIF | nengo.LIFRate) and not isinstance(
        neuron_type, nengo.AdaptiveLIF | nengo.AdaptiveLIFRate
    ):
        return Lif(
            tau_rc=neuron_type.tau_rc,
            tau_ref=neuron_type.tau_ref,
            amplitude=neuron_type.amplitude,
            min_voltage=getattr(neuron_type, "min_voltage", 0.0),
            smoothing=getattr(neuron_type, "sigma", 0.0),
        )
    if type(neuron_type) in (nengo.RectifiedLinear, nengo.SpikingRectifiedLinear):
        return Relu(amplitude=neuron_type.amplitude)
    if isinstance(neuron_type, IntegrateAndFire):
        return Relu(
            amplitude=neuron_type.amplitude,
            min_voltage=neuron_type.min_voltage,
            signed=isinstance(neuron_type, SignedIntegrateAndFire),
        )
    accepted = isinstance(neuron_type, nengo.neurons.NeuronType)
    if not accepted or isinstance(neuron_type, nengo.Direct):
        raise InputError(
            "swap_activations maps to a Nengo neuron type such as nengo.LIF(), or to the name of "
            f"one of Keras' activations. Received: {neuron_type!r}"
        )

    def rates(current: np.ndarray) -> np.ndarray:
        rate = rate_type(neuron_type)
        wraps = isinstance(neuron_type, nengo.neurons.RatesToSpikesNeuronType)
        flat = np.zeros(current.size)
        state = rate.make_state(current.size, np.random.RandomState(0))
        state.pop("output", None)
        rate.step(0.001, current.ravel(), flat, **state)
        return (neuron_type.amplitude if wraps else 1.0) * flat.reshape(current.shape)

    return OtherNeuron(neuron_type=neuron_type, rates=rates)


def _voltage(op: NeuronOp) -> Any:
    if isinstance(op.initial_voltage, np.ndarray):
        return op.initial_voltage
    return nengo.dists.Choice([op.initial_voltage])
