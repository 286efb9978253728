"""Layers of neurons as instructions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....ops import Lif, NeuronOp, Relu, Sigmoid
from . import instructions
from .instructions import NO_STATE, Drive, EventList, State
from .program import WORD, Assembler, Section
from .values import in_runs

LARGEST_BLOCK = 2048
"""Neurons that are advanced before their spikes are collected: the fastest cache holds them."""
RATES = {Relu: 0, Lif: 1, Sigmoid: 2}
"""The curves of :class:`instructions.Rate`."""


def shared_drive(out: Assembler, changing: State, constant: np.ndarray) -> Drive:
    """An input with a constant that all samples share: one value a channel is stored once."""
    cells = constant.reshape(-1, constant.shape[-1] if constant.ndim else 1)
    block = 0
    if len(cells) > 1 and np.all(cells == cells[0]):
        most = max(1, LARGEST_BLOCK // cells.shape[1])
        block = next(n for n in range(most, 0, -1) if len(cells) % n == 0) * cells.shape[1]
    if 256 <= block < constant.size and block % WORD == 0:
        return Drive(changing, out.weights(constant.ravel()[:block]), False, block)
    return Drive(changing, out.weights(constant), False, 0)


LONGEST = 2**32 - 2
"""Most steps of a refractory time: neurons count them in 32 bits, and one more."""


def emit_neurons(
    op: NeuronOp,
    section: Section,
    out: Assembler,
    *,
    drive: Drive,
    size: int,
    events: EventList,
    number: int,
    connections: np.ndarray,
    amplitude: float,
    dt: float,
    spiking: bool,
) -> None:
    """Write the instruction that advances a layer.

    Args:
        op: The layer.
        section: Where to.
        out: Places.
        drive: Its input.
        size: Its neurons.
        events: The list that its spikes go into.
        number: Which of the layers it is.
        connections: What the spike of each neuron reaches.
        amplitude: The value of a spike.
        dt: Length of a step in seconds.
        spiking: Spikes, or rates.
    """
    # The machine counts the spikes of 64 neurons at a time, or of a part of them.
    length = math.gcd(in_runs(connections, 0)[1], WORD)
    common: dict[str, Any] = {
        "drive": drive,
        "size": size,
        "fires": events,
        "layer": number,
        "connections": out.table(connections[::length]),
        "run": length,
        "gain": op.gain,
        "amplitude": amplitude,
    }
    if not spiking:
        parameters = ("max_rate", "tau_rc", "tau_ref", "smoothing")
        numbers: dict[str, Any] = {name: getattr(op, name, 0.0) for name in parameters}
        section.add(
            instructions.Rate(
                **common, **numbers, rates=out.buffer(size), curve=RATES[type(op)], dt=dt
            )
        )
        return
    common["voltage"] = out.buffer(size, np.broadcast_to(op.initial_voltage, (size,)))
    if isinstance(op, Lif):
        whole = int(np.floor(min(op.tau_ref / dt, LONGEST)))
        rest = op.tau_ref - whole * dt if whole < LONGEST else 0.0
        section.add(
            instructions.Lif(
                **common,
                refractory_steps=out.refractory_steps(size),
                whole=whole,
                leak=-np.expm1(-dt / op.tau_rc),
                min_voltage=op.min_voltage,
                longer=np.exp(rest / op.tau_rc),
                shorter=np.exp((rest - dt) / op.tau_rc),
            )
        )
    elif isinstance(op, Sigmoid):
        section.add(instructions.Regular(**common, dt=dt, max_rate=op.max_rate))
    else:
        min_voltage, signed = getattr(op, "min_voltage", None), getattr(op, "signed", False)
        section.add(
            instructions.Integrate(
                **common,
                dt=dt,
                rectified=min_voltage is None and not signed,
                min_voltage=-np.inf if min_voltage is None else min_voltage,
                max_spikes=op.max_spikes,
                fired=out.buffer(size) if signed else NO_STATE,
            )
        )
