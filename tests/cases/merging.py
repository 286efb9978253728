"""Layers that read several values."""

from __future__ import annotations

from keras import layers as L
from keras import ops

from .build import Refused, functional


def _residual(x):
    y = L.BatchNormalization()(L.Conv2D(3, 3, padding="same")(x))
    y = L.ReLU()(L.Add()([y, L.Conv2D(3, 1)(x)]))
    return L.ReLU()(L.Add()([L.Conv2D(3, 3, padding="same", use_bias=False)(y), y]))


def _dense_block(x):
    for _ in range(2):
        y = L.Conv2D(2, 3, padding="same")(L.ReLU()(L.BatchNormalization()(x)))
        x = L.Concatenate()([x, y])
    return L.Conv2D(2, 1)(L.BatchNormalization()(x))


CASES = {
    "add": functional((5,), lambda x: L.Add()([L.Dense(4)(x), L.Dense(4, use_bias=False)(x)])),
    "add_three": functional((5,), lambda x: L.Add()([L.Dense(5)(x), x, L.ReLU()(x)])),
    "add_to_itself": functional((5,), lambda x: L.Add()([L.Dense(4)(x)] * 2)),
    "add_broadcast": functional(
        (4, 3, 2), lambda x: L.Add()([L.Conv2D(2, 1)(x), L.GlobalMaxPooling2D(keepdims=True)(x)])
    ),
    "add_ranks": functional(
        (4, 3), lambda x: L.Add()([L.Dense(3)(x), L.GlobalAveragePooling1D()(x)])
    ),
    "residual": functional((5, 4, 3), _residual),
    "dense_block": functional((5, 4, 3), _dense_block),
    "subtract": functional((5,), lambda x: L.Subtract()([L.Dense(4)(x), L.Dense(4)(x)])),
    "average": functional(
        (5,), lambda x: L.ReLU()(L.Average()([L.Dense(5)(x), x, L.Dense(5, "relu")(x)]))
    ),
    "concatenate": functional(
        (4, 3, 2), lambda x: L.Concatenate()([x, L.Conv2D(3, 1, activation="relu")(x)])
    ),
    "concatenate_first_axis": functional(
        (4, 3), lambda x: L.Dense(2)(L.Concatenate(axis=1)([L.Dense(3)(x), x]))
    ),
    "concatenate_middle_axis": functional(
        (4, 3, 2), lambda x: L.Concatenate(axis=-2)([x, L.Conv2D(2, 1)(x)[:, :, :2]])
    ),
    "concatenate_with_itself": functional(
        (4,), lambda x: L.Dense(2)(L.Concatenate()([x, L.Dense(3)(x), x]))
    ),
    "maximum": functional((4, 3), lambda x: L.Maximum()([x, L.Dense(3)(x), L.Dense(3, "relu")(x)])),
    "minimum": functional((4, 3), lambda x: L.Dense(2)(L.Minimum()([x, L.Dense(3)(x)]))),
    "multiply": Refused(
        functional((4,), lambda x: L.Multiply()([x, L.Dense(4)(x)])).build,
        "it multiplies two signals",
    ),
    "dot": Refused(
        functional((4,), lambda x: L.Dot(axes=1)([x, L.Dense(4)(x)])).build,
        "it multiplies two signals",
    ),
    "attention": Refused(
        functional((4, 3), lambda x: L.MultiHeadAttention(2, 3)(x, x)).build,
        "it multiplies two signals",
    ),
    "ops_concatenate": functional((4, 3), lambda x: ops.concatenate([x, L.Dense(2)(x)], axis=-1)),
    "ops_stack": functional((4, 3), lambda x: ops.stack([x, L.Dense(3)(x)], axis=2)),
    "ops_stack_last": functional((4, 3), lambda x: ops.stack([x, L.Dense(3)(x)], axis=-1)),
    "ops_stack_batch": Refused(
        functional((3,), lambda x: ops.stack([x, L.Dense(3)(x)], axis=0)).build,
        "axis=0 is the batch axis",
    ),
}
