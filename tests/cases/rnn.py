"""Models with an axis of time."""

from __future__ import annotations

import keras
from keras import layers as L

from kconvert.layers import RateLIF

from .build import Case, Refused, functional, randomized, refused


def _frames(length: int | None) -> keras.Model:
    """A CNN on every frame, a dense read-out of every frame."""
    x = keras.Input((length, 6, 5, 2))
    y = L.TimeDistributed(L.Conv2D(3, 2), name="conv")(x)
    y = L.TimeDistributed(L.BatchNormalization(), name="norm")(y)
    y = RateLIF(name="lif")(y)
    y = L.TimeDistributed(L.Flatten(), name="flat")(y)
    z = L.Dense(3, activation="relu")(y)
    return randomized(keras.Model(x, L.Concatenate()([z, L.Dense(3)(y) * 0.5])))


def _pooled_frames() -> keras.Model:
    """Every frame has a maximum of its own."""
    x = keras.Input((3, 6, 5, 2))
    y = L.TimeDistributed(L.Conv2D(3, 2, activation="relu"))(x)
    y = L.TimeDistributed(L.MaxPooling2D(2))(y)
    y = L.TimeDistributed(L.GlobalMaxPooling2D())(y)
    return randomized(keras.Model(x, L.Dense(2)(y)))


def _inner() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((6, 5, 2)), L.Conv2D(3, 2, activation="relu"), L.Flatten(), L.Dense(3)]
    )
    x = keras.Input((4, 6, 5, 2))
    return randomized(keras.Model(x, L.TimeDistributed(inner)(x)))


CASES = {
    "time_distributed": Case(lambda: _frames(4)),
    "time_distributed_any_length": Case(lambda: _frames(None)),
    "time_distributed_model": Case(_inner),
    "time_distributed_max_pooling": Case(_pooled_frames),
    "any_length": functional((None, 4), lambda x: L.Dense(2)(L.Dense(3, activation="relu")(x))),
    "time_mixed": Refused(
        functional((None, 4), lambda x: L.Conv1D(3, 2)(x)).build, "works across the first axis"
    ),
    "time_pooled": Refused(
        functional(
            (5, 4), lambda x: L.GlobalAveragePooling1D()(L.TimeDistributed(L.Dense(3))(x))
        ).build,
        "works across the first axis",
    ),
    "lstm": refused(lambda: L.LSTM(3), (4, 3), "it is recurrent"),
    "bidirectional": refused(lambda: L.Bidirectional(L.GRU(3)), (4, 3), "it is recurrent"),
    "conv_lstm": refused(lambda: L.ConvLSTM2D(2, 2), (2, 4, 3, 2), "it is recurrent"),
}
