"""Layers of neurons as instructions."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from ....ops import Lif, NeuronOp, Relu, Sigmoid
from .program import WORD, Assembler, Code, Section
from .values import in_runs

LARGEST_BLOCK = 2048
"""Neurons that are advanced before their spikes are collected: the fastest cache holds them."""
RATES = {Relu: 0, Lif: 1, Sigmoid: 2}
"""The curves of :data:`Code.RATE`."""


@dataclass(frozen=True, slots=True)
class Drive:
    """Where the input of neurons, a maximum or an output stands.

    Args:
        changing: Offset in ``state`` of the part that changes from step to step, or -1.
        constant: Offset of the part that does not.
        of_sample: Whether that is in ``state``, a sample's own, or in ``weights``.
        block: Length after which the constant repeats, or 0.
    """

    changing: int
    constant: int
    of_sample: bool
    block: int

    @classmethod
    def shared(cls, out: Assembler, changing: int, constant: np.ndarray) -> Drive:
        """With a constant that all samples share: one value a channel is stored once."""
        cells = constant.reshape(-1, constant.shape[-1] if constant.ndim else 1)
        block = 0
        if len(cells) > 1 and np.all(cells == cells[0]):
            most = max(1, LARGEST_BLOCK // cells.shape[1])
            block = next(n for n in range(most, 0, -1) if len(cells) % n == 0) * cells.shape[1]
        if 256 <= block < constant.size and block % WORD == 0:
            return cls(changing, out.weights(constant.ravel()[:block]), False, block)
        return cls(changing, out.weights(constant), False, 0)


def emit_neurons(
    op: NeuronOp,
    section: Section,
    out: Assembler,
    *,
    drive: Drive,
    size: int,
    events: int,
    number: int,
    connections: np.ndarray,
    input_factor: float,
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
        input_factor: The part of the synapse that acts on the spike itself.
        dt: Length of a step in seconds.
        spiking: Spikes, or rates.
    """
    # The machine counts the spikes of 64 neurons at a time, or of a part of them.
    length = math.gcd(in_runs(connections, 0)[1], WORD)
    common = {
        **asdict(drive),
        "size": size,
        "fires": events,
        "layer": number,
        "connections": out.table(connections[::length]),
        "run": length,
        "gain": op.gain,
        "amplitude": op.amplitude / dt * input_factor,
    }
    if not spiking:
        parameters = ("max_rate", "tau_rc", "tau_ref", "smoothing")
        section.add(
            Code.RATE,
            **common,
            rates=out.buffer(size),
            curve=RATES[type(op)],
            dt=dt,
            **{name: getattr(op, name, 0.0) for name in parameters},
        )
        return
    voltage = out.buffer(size, np.broadcast_to(op.initial_voltage, (size,)))
    if isinstance(op, Lif):
        whole = int(np.floor(op.tau_ref / dt))
        section.add(
            Code.LIF,
            **common,
            voltage=voltage,
            waiting=out.waiting(size, whole + 1),
            whole=whole,
            leak=-np.expm1(-dt / op.tau_rc),
            lowest=op.min_voltage,
            longer=np.exp((op.tau_ref - whole * dt) / op.tau_rc),
            shorter=np.exp((op.tau_ref - (whole + 1) * dt) / op.tau_rc),
        )
    elif isinstance(op, Sigmoid):
        section.add(Code.REGULAR, **common, voltage=voltage, dt=dt, max_rate=op.max_rate)
    else:
        lowest, signed = getattr(op, "min_voltage", None), getattr(op, "signed", False)
        section.add(
            Code.INTEGRATE,
            **common,
            voltage=voltage,
            dt=dt,
            rectified=lowest is None and not signed,
            lowest=-np.inf if lowest is None else lowest,
            fired=out.buffer(size) if signed else -1,
        )
