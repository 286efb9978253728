"""The neurons' dynamics: Nengo's, to the rounding of the precision in use.

Each function advances one layer by one step and writes its spikes, in order, into a list of events.
The pass over all neurons has no branches; what few neurons need (a spike) is done apart.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ..compiler.program import WORD
from .vectors import above, at_least, connections, lowest_bit, peek, places, poke, unequal

CONTRACT = {"contract"}
"""Of the liberties that a compiler may take with numbers only this: one rounding for a * b + c."""
CHUNK = 2048
"""Neurons between two looks for spikes, where their constant does not repeat."""


@njit(fastmath=CONTRACT, error_model="numpy")
def _lif_pass(changing, constant, gain, leak, min_voltage, voltage, refractory_steps):
    """The membrane of every neuron.

    A neuron that waits for w > 1 steps does nothing. In the last step of its refractory time it
    integrates over a part of the step, from 0: ``voltage`` holds the weight of that, which is known
    from the time of the spike on.
    """
    nothing = voltage.dtype.type(0)
    for i in range(voltage.size):
        current = gain * changing[i] + constant[i]
        wait, v = refractory_steps[i], voltage[i]
        start = v if wait == 0 else nothing
        weight = leak if wait == 0 else v
        moved = start + (current - start) * weight
        moved = min_voltage if moved < min_voltage else moved
        voltage[i] = v if wait > 1 else moved
        refractory_steps[i] = wait - (wait > 0)


@njit(fastmath=CONTRACT, error_model="numpy")
def _lif_pass_constant(constant, leak, min_voltage, voltage, refractory_steps):
    """The same for neurons whose current does not change."""
    nothing = voltage.dtype.type(0)
    for i in range(voltage.size):
        wait, v = refractory_steps[i], voltage[i]
        start = v if wait == 0 else nothing
        weight = leak if wait == 0 else v
        moved = start + (constant[i] - start) * weight
        moved = min_voltage if moved < min_voltage else moved
        voltage[i] = v if wait > 1 else moved
        refractory_steps[i] = wait - (wait > 0)


@njit(fastmath=CONTRACT, error_model="numpy")
def lif(drive, voltage, refractory_steps, whole, leak, min_voltage, longer, shorter, spikes):
    """Spiking LIF neurons, as ``nengo.LIF.step``.

    With z = (V - 1) / (J - 1) at a spike, it happened ``-tau_rc * log1p(-z)`` before the end of
    the step. What is left of the refractory time then ends within a later step, over the rest of
    which the membrane integrates from 0 with the weight ``1 - exp(-rest / tau_rc)``. That
    exponential of a logarithm is 1 - z times a constant: no transcendental function is left.

    Args:
        drive: The input: its changing part, of shape (neurons,) or (0,), the gain of that, the
            constant part as a current, and the length after which that repeats, or 0.
        voltage: State, of shape (neurons,).
        refractory_steps: State, likewise.
        whole: Whole steps in the refractory time.
        leak: 1 - exp(-dt / tau_rc).
        min_voltage: The lowest voltage.
        longer: exp((tau_ref - whole * dt) / tau_rc).
        shorter: The same for whole + 1.
        spikes: Where spiking neurons are written and their numbers of spikes; then the connections
            of each neuron of a run, and the neurons of a run, a power of two.

    Returns:
        The number of events, of spikes, and what connections they met; then the lowest and the
        highest number of spikes of a neuron, 0 among them.
    """
    changing, gain, constant, block = drive
    index, value, table, length = spikes
    size = voltage.size
    one = voltage.dtype.type(1)
    chunk = block if block > 0 else CHUNK
    n = 0
    operations = 0
    for first in range(0, size, chunk):
        m = min(chunk, size - first)
        at = 0 if block > 0 else first
        v, w, c = (
            voltage[first : first + m],
            refractory_steps[first : first + m],
            constant[at : at + m],
        )
        if changing.size:
            x = changing[first : first + m]
            _lif_pass(x, c, gain, leak, min_voltage, v, w)
        else:
            _lif_pass_constant(c, leak, min_voltage, v, w)
        begin = n
        for word in range(0, m, WORD):
            bits = above(v, word, one)
            n = places(bits, word, index, n)
            operations += connections(bits, first + word, table, length)
        for event in range(begin, n):
            i = index[event]
            current = c[i]
            if changing.size:
                current += gain * changing[first + i]
            z = (v[i] - one) / (current - one)
            if (one - z) * longer >= one:
                v[i] = (one - shorter) + shorter * z
                w[i] = whole + 1
            elif whole > 0:
                v[i] = (one - longer) + longer * z
                w[i] = whole
            else:
                v[i] = 0
                w[i] = 0
            index[event] = first + i
            value[event] = one
    return n, n, operations, 0, min(n, 1)


@njit(fastmath=CONTRACT, error_model="numpy")
def _collect(voltage, most, spikes):
    """Whole units of the voltage become spikes, as ``nengo.SpikingRectifiedLinear`` has it; at
    most so many in a step.
    """
    index, value, table, length = spikes
    one = voltage.dtype.type(1)
    n = 0
    for word in range(0, voltage.size, WORD):
        n = places(at_least(voltage, word, one), word, index, n)
    total = 0.0
    operations = 0
    highest = voltage.dtype.type(0)
    bits = lowest_bit(np.uint64(length))  # the length of a run is a power of two
    for event in range(n):
        i = index[event]
        several = min(np.floor(voltage[i]), most)
        voltage[i] -= several
        value[event] = several
        total += several
        if several > highest:  # seldom: a branch costs less than a maximum
            highest = several
        operations += int(several) * peek(table, i >> bits)
    return n, total, operations, 0, int(highest)


@njit(fastmath=CONTRACT, error_model="numpy")
def _integrate_pass(changing, constant, gain, dt, ignored, min_voltage, voltage):
    """The membrane of every neuron.

    Args:
        ignored: Currents below this one count as it.
        min_voltage: Floor of the voltage.
    """
    for i in range(voltage.size):
        current = constant[i]
        if changing.size:
            current += gain * changing[i]
        v = voltage[i] + (current if current > ignored else ignored) * dt
        voltage[i] = v if v > min_voltage else min_voltage


@njit(fastmath=CONTRACT, error_model="numpy")
def _signed_pass(voltage, fired, most, units):
    """Whole units of every neuron's voltage, also negative ones: no more of these than there have
    been others, and at most so many in a step.
    """
    for i in range(voltage.size):
        several = min(max(np.floor(voltage[i]), -min(fired[i], most)), most)
        voltage[i] -= several
        fired[i] += several
        units[i] = several


@njit(fastmath=CONTRACT, error_model="numpy")
def _collect_signed(voltage, fired, most, spikes):
    """As :func:`_collect`, also of negative units.

    Half of the neurons may fire in a step, in no order that a processor could foresee: so the pass
    over them has no branch, and the list of values holds all of them before those that are zero
    are left out.
    """
    index, value, table, length = spikes
    size = voltage.size
    nothing = voltage.dtype.type(0)
    value[size : (size + WORD - 1) // WORD * WORD] = nothing
    _signed_pass(voltage, fired, most, value)
    n = 0
    for word in range(0, size, WORD):
        n = places(unequal(value, word, nothing), word, index, n)
    total = 0.0
    operations = 0
    lowest = highest = nothing
    bits = lowest_bit(np.uint64(length))
    for event in range(n):
        i = peek(index, event)
        units = peek(value, i)
        poke(value, event, units)
        total += abs(units)
        if units > highest:
            highest = units
        elif units < lowest:
            lowest = units
        operations += int(abs(units)) * peek(table, i >> bits)
    return n, total, operations, int(lowest), int(highest)


@njit
def integrate(drive, voltage, fired, dt, floor, most, spikes):
    """Spiking rectified linear neurons; arguments and result as for :func:`lif`.

    Args:
        fired: How many spikes each neuron has given, of those that take spikes back; or of shape
            (0,).
        floor: Whether negative currents are left out, as ``nengo.SpikingRectifiedLinear`` does, or
            lower the voltage (``targets/nengo/integrate_and_fire.py``); and the lowest voltage.
        most: The most spikes of a neuron in a step.
    """
    rectified, min_voltage = floor
    changing, gain, constant, block = drive
    size = voltage.size
    ignored = voltage.dtype.type(0 if rectified else -np.inf)
    chunk = block if block > 0 else size
    for first in range(0, size, chunk):
        m = min(chunk, size - first)
        v, c = voltage[first : first + m], constant[:m]
        x = changing[first : first + m]
        _integrate_pass(x, c, gain, dt, ignored, min_voltage, v)
    if fired.size:
        return _collect_signed(voltage, fired, voltage.dtype.type(most), spikes)
    return _collect(voltage, voltage.dtype.type(most), spikes)


@njit(error_model="numpy")
def _regular_pass(changing, constant, gain, dt, max_rate, voltage):
    """The phase of every neuron."""
    one = voltage.dtype.type(1)
    for i in range(voltage.size):
        current = constant[i]
        if changing.size:
            current += gain * changing[i]
        voltage[i] += dt * (max_rate / (one + math.exp(-current)))


@njit(error_model="numpy")
def regular(drive, voltage, dt, max_rate, spikes):
    """``nengo.RegularSpiking`` of ``nengo.Sigmoid``; as :func:`integrate`."""
    changing, gain, constant, block = drive
    size = voltage.size
    chunk = block if block > 0 else size
    for first in range(0, size, chunk):
        end = min(first + chunk, size)
        c, x = constant[: end - first], changing[first:end]
        _regular_pass(x, c, gain, dt, max_rate, voltage[first:end])
    return _collect(voltage, voltage.dtype.type(np.inf), spikes)


@njit(error_model="numpy")
def _rate_pass(changing, constant, gain, curve, max_rate, tau_rc, tau_ref, smoothing, rates):
    """The rate of every neuron; arguments as for :func:`rate`."""
    nothing, one = rates.dtype.type(0), rates.dtype.type(1)
    ceiling = rates.dtype.type(max_rate)
    # From where on exp(-u) is less than the rounding of 1.
    far = rates.dtype.type(17 if rates.itemsize == 4 else 37)
    width = math.log(smoothing) if smoothing > 0 else nothing
    low = -far - max(width, nothing)
    for i in range(rates.size):
        current = constant[i]
        if changing.size:
            current += gain * changing[i]
        if curve == 0:
            rates[i] = min(max(current, nothing), ceiling)
        elif curve == 2:
            rates[i] = max_rate / (one + math.exp(-current))
        else:
            over = current - one
            rates[i] = nothing
            if smoothing == 0:
                if over > 0:
                    rates[i] = one / (tau_ref + tau_rc * math.log1p(one / over))
            else:
                # The logarithm of 1 + 1 / z, where z = smoothing * softplus(u). Few neurons are
                # near the threshold, and the others need less of it.
                u = over / smoothing
                if u < low:
                    q = -u - width
                else:
                    soft = u
                    if u < far:
                        soft = max(u, nothing) + math.log1p(math.exp(-abs(u)))
                    q = math.log1p(one / (smoothing * soft))
                rates[i] = one / (tau_ref + tau_rc * q)


@njit(error_model="numpy")
def rate(drive, rates, curve, dt, max_rate, tau_rc, tau_ref, smoothing, spikes):
    """Rates instead of spikes: an event for every neuron whose rate is not zero.

    Args:
        drive: As for :func:`lif`.
        rates: Where the rates are written, of shape (neurons,).
        curve: 0 rectified linear, 1 LIF, 2 sigmoid.
        dt: Length of a step in seconds.
        max_rate: Of the sigmoid, and the ceiling of rectified linear neurons.
        tau_rc: Of LIF, and so the next two.
        spikes: As for :func:`lif`.

    Returns:
        The number of events, of the spikes they stand for, and 0 three times: connections are not
        counted, and no neuron sends spikes.
    """
    changing, gain, constant, block = drive
    index, value, _, _ = spikes
    size = rates.size
    chunk = block if block > 0 else size
    for first in range(0, size, chunk):
        end = min(first + chunk, size)
        c, x = constant[: end - first], changing[first:end]
        _rate_pass(x, c, gain, curve, max_rate, tau_rc, tau_ref, smoothing, rates[first:end])
    nothing = rates.dtype.type(0)
    n = 0
    for word in range(0, size, WORD):
        n = places(unequal(rates, word, nothing), word, index, n)
    total = 0.0
    for event in range(n):
        value[event] = rates[index[event]] * dt
        total += value[event]
    return n, total, 0, 0, 0
