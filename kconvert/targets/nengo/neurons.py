"""Neuron ops as Nengo neuron types, and back."""

from __future__ import annotations

from functools import partial, singledispatch
from typing import Any

import nengo
import numpy as np

from ...bridge import import_nengo_dl
from ...errors import InputError
from ...ops import Lif, NeuronOp, OtherNeuron, Relu, Sigmoid
from .integrate_and_fire import ClippedRectifiedLinear, IntegrateAndFire, SignedIntegrateAndFire


@singledispatch
def neuron_type(op: NeuronOp, spiking: bool) -> nengo.neurons.NeuronType:
    """The Nengo neuron type that spikes as the op says, or has its rate."""
    raise NotImplementedError(type(op).__name__)


@neuron_type.register
def _(op: Lif, spiking: bool) -> nengo.neurons.NeuronType:
    common = {"tau_rc": op.tau_rc, "tau_ref": op.tau_ref, "amplitude": op.amplitude}
    if spiking:
        return nengo.LIF(**common, min_voltage=op.min_voltage, initial_state=_voltage(op))
    if op.smoothing == 0:
        return nengo.LIFRate(**common)
    nengo_dl = import_nengo_dl("SoftLIFRate, the rate of LIF neurons with smoothing in Nengo,")
    return nengo_dl.SoftLIFRate(**common, sigma=op.smoothing)


@neuron_type.register
def _(op: Relu, spiking: bool) -> nengo.neurons.NeuronType:
    clipped = op.max_rate < np.inf
    if not spiking and clipped:
        return ClippedRectifiedLinear(amplitude=op.amplitude, max_rate=op.max_rate)
    if not spiking:
        return nengo.RectifiedLinear(amplitude=op.amplitude)
    common: dict[str, Any] = {"amplitude": op.amplitude, "initial_state": _voltage(op)}
    if op.min_voltage is None and not op.signed and op.max_spikes == np.inf and not clipped:
        return nengo.SpikingRectifiedLinear(**common)
    floor = -np.inf if op.min_voltage is None and op.signed else op.min_voltage
    kind = SignedIntegrateAndFire if op.signed else IntegrateAndFire
    return kind(**common, min_voltage=floor, max_spikes=op.max_spikes, max_rate=op.max_rate)


@neuron_type.register
def _(op: Sigmoid, spiking: bool) -> nengo.neurons.NeuronType:
    rate = nengo.Sigmoid(tau_ref=1 / op.max_rate)
    if not spiking:
        return rate
    return nengo.RegularSpiking(rate, amplitude=op.amplitude, initial_state=_voltage(op))


@neuron_type.register
def _(op: OtherNeuron, spiking: bool) -> nengo.neurons.NeuronType:
    return op.neuron_type if spiking else rate_type(op.neuron_type)


@singledispatch
def own_unit(op: NeuronOp, spiking: bool) -> float:
    """What the Nengo neurons put out for one spike per second, before it is made ``op.unit``."""
    return op.amplitude


@own_unit.register
def _(op: Sigmoid, spiking: bool) -> float:
    return op.amplitude if spiking else 1.0  # nengo.Sigmoid has no amplitude


@own_unit.register
def _(op: OtherNeuron, spiking: bool) -> float:
    wraps = isinstance(op.neuron_type, nengo.neurons.RatesToSpikesNeuronType)
    own = float(getattr(op.neuron_type, "amplitude", 1.0))
    return 1.0 if wraps and not spiking else own


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
            max_spikes=neuron_type.max_spikes,
            max_rate=neuron_type.max_rate,
        )
    accepted = isinstance(neuron_type, nengo.neurons.NeuronType)
    if not accepted or isinstance(neuron_type, nengo.Direct):
        raise InputError(
            "swap_activations maps to a Nengo neuron type such as nengo.LIF(), or to the name of "
            f"one of Keras' activations. Received: {neuron_type!r}"
        )

    return OtherNeuron(neuron_type=neuron_type, rates=partial(_rates, neuron_type))


def _rates(neuron_type: Any, current: np.ndarray) -> np.ndarray:
    """The rates of a neuron type at some currents."""
    rate = rate_type(neuron_type)
    wraps = isinstance(neuron_type, nengo.neurons.RatesToSpikesNeuronType)
    flat = np.zeros(current.size)
    state = rate.make_state(current.size, np.random.RandomState(0))
    state.pop("output", None)
    rate.step(0.001, current.ravel(), flat, **state)
    return (neuron_type.amplitude if wraps else 1.0) * flat.reshape(current.shape)


def _voltage(op: NeuronOp) -> dict[str, Any]:
    """The initial state of a membrane."""
    start = op.initial_voltage
    return {"voltage": start if isinstance(start, np.ndarray) else nengo.dists.Choice([start])}
