"""Spikes of layers of neurons over some steps, and the rates whose gradient they get."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from keras import ops

from ...layers.rate_lif import lif_rate
from ...ops import Lif, Relu


@singledispatch
def rate(op: Any, x: Any) -> Any:
    """The output of the rate network, with a gradient that is finite everywhere.

    Raises:
        NotImplementedError: There is no function for these neurons.
    """
    raise NotImplementedError(type(op).__name__)


@singledispatch
def outputs(op: Any, xs: Sequence[Any], shape: tuple[int, ...], dt: float) -> list[Any]:
    """The output at each step: ``amplitude / dt`` times the number of spikes.

    Args:
        op: The neurons.
        xs: Their input at each step, of shape (n, *shape).
        shape: Of one sample.
        dt: Length of a step in seconds.

    Raises:
        NotImplementedError: There is no function for these neurons.
    """
    raise NotImplementedError(type(op).__name__)


def has_spikes(op: Any) -> bool:
    """Whether :func:`outputs` has a function for these neurons."""
    return outputs.dispatch(type(op)) is not outputs.dispatch(object)


def _start(op: Any, x: Any, shape: tuple[int, ...]) -> Any:
    """The membranes at time 0."""
    voltage = np.asarray(op.initial_voltage, np.float32)
    if voltage.ndim:
        voltage = voltage.reshape(shape)
    return ops.zeros_like(x) + voltage


@rate.register
def _relu_rate(op: Relu, x: Any) -> Any:
    x = op.gain * x
    found = ops.relu(x) if op.max_rate == np.inf else ops.clip(x, 0.0, op.max_rate)
    return op.amplitude * found


@outputs.register
def _relu_outputs(op: Relu, xs: Sequence[Any], shape: tuple[int, ...], dt: float) -> list[Any]:
    voltage = _start(op, xs[0], shape)
    fired = ops.zeros_like(voltage)
    found = []
    for x in xs:
        current = op.gain * x
        if op.min_voltage is None:
            current = ops.relu(current)
        voltage = voltage + current * dt
        if op.min_voltage not in (None, -np.inf):
            voltage = ops.maximum(voltage, op.min_voltage)
        least: Any = -ops.minimum(fired, op.max_spikes) if op.signed else 0.0
        spikes = ops.minimum(ops.maximum(ops.floor(voltage), least), op.max_spikes)
        voltage = voltage - spikes
        fired = fired + spikes
        found.append(spikes * (op.amplitude / dt))
    return found


@rate.register
def _lif_rate(op: Lif, x: Any) -> Any:
    above = op.gain * x + (op.bias - 1.0)
    return op.amplitude * lif_rate(
        above, tau_rc=op.tau_rc, tau_ref=op.tau_ref, smoothing=op.smoothing
    )


@outputs.register
def _lif_outputs(op: Lif, xs: Sequence[Any], shape: tuple[int, ...], dt: float) -> list[Any]:
    # Line by line nengo.LIF.step.
    voltage = _start(op, xs[0], shape)
    refractory = ops.zeros_like(voltage)
    found = []
    for x in xs:
        current = op.gain * x + op.bias
        refractory = refractory - dt
        active = ops.clip(dt - refractory, 0.0, dt)
        voltage = voltage - (current - voltage) * ops.expm1(-active / op.tau_rc)
        spiked = voltage > 1.0
        over = ops.where(spiked, (voltage - 1.0) / ops.where(spiked, current - 1.0, 1.0), 0.0)
        spike_time = dt + op.tau_rc * ops.log1p(-over)
        voltage = ops.where(spiked, 0.0, ops.maximum(voltage, op.min_voltage))
        refractory = ops.where(spiked, op.tau_ref + spike_time, refractory)
        found.append(ops.cast(spiked, x.dtype) * (op.amplitude / dt))
    return found
