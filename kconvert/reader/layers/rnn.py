"""The axis of time: TimeDistributed, and why recurrent layers are not read."""

from __future__ import annotations

from typing import Any

import keras

from ..builder import Builder
from ..registry import LAYERS

L = keras.layers


@LAYERS.register(L.TimeDistributed, timewise=True)
def time_distributed(layer: Any, b: Builder, x: str) -> str | list[str]:
    b.decide("time", "its time axis is simulation time: one step of input for each step")
    b.in_time = False
    try:
        return b.read(layer.layer, x)
    finally:
        b.in_time = True


LAYERS.refuse(
    L.RNN,
    L.LSTM,
    L.GRU,
    L.SimpleRNN,
    L.ConvLSTM1D,
    L.ConvLSTM2D,
    L.ConvLSTM3D,
    L.Bidirectional,
    reason="it is recurrent: its state in Keras' steps has no counterpart in neurons with dynamics "
    "of their own",
    fix="use Conv1D over the time axis, or TimeDistributed layers with a synapse as the memory",
)
