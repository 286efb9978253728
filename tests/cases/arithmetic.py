"""Operations that compute."""

from __future__ import annotations

import numpy as np
from keras import layers as L
from keras import ops

from .build import Refused, functional

VECTOR = np.array([0.5, -2.0, 1.5], np.float32)
COLUMN = np.array([[0.5], [-2.0], [1.5], [0.1]], np.float32)
MATRIX = np.random.default_rng(4).normal(size=(3, 2)).astype(np.float32)

CASES = {
    "ops_add": functional((4, 3), lambda x: L.Dense(3)(x) + x),
    "ops_add_broadcast": functional(
        (4, 3), lambda x: x + ops.max(L.Dense(3)(x), axis=1, keepdims=True)
    ),
    "ops_add_constant": functional((4, 3), lambda x: 1.5 + L.Dense(3)(x) + VECTOR),
    "ops_add_column": functional((4, 4), lambda x: L.Dense(4)(x) + COLUMN),
    "ops_add_ranks": Refused(
        functional((3, 3), lambda x: x + ops.max(x, axis=1)).build, "different ranks"
    ),
    "ops_subtract": functional((4, 3), lambda x: x - L.Dense(3)(x)),
    "ops_subtract_constant": functional((4, 3), lambda x: ops.subtract(COLUMN, x - 0.5)),
    "ops_multiply_constant": functional((4, 3), lambda x: L.Dense(2)(x * 2.0 * VECTOR)),
    "ops_multiply_grows": functional((4, 1), lambda x: x * VECTOR),
    "ops_multiply_column": functional((4, 3), lambda x: L.Conv1D(2, 2)(x * COLUMN[None])),
    "ops_multiply": Refused(
        functional((4,), lambda x: x * L.Dense(4)(x)).build, "it multiplies two signals"
    ),
    "ops_multiply_batch": Refused(
        functional((4,), lambda x: x * np.ones((2, 4), np.float32)).build, "axis for the batch"
    ),
    "ops_divide": functional((4, 3), lambda x: ops.divide(x / 2.5, VECTOR)),
    "ops_true_divide": functional((4, 3), lambda x: ops.true_divide(x, 3.0)),
    "ops_divide_by_signal": Refused(
        functional((4,), lambda x: 1.0 / x).build, "it divides by a signal"
    ),
    "ops_divide_by_zero": Refused(
        functional((4,), lambda x: x / 0.0).build, "NaN or infinite values"
    ),
    "ops_cast": functional((4,), lambda x: L.Dense(2)(ops.cast(x, "float32"))),
    "ops_cast_integer": Refused(
        functional((4,), lambda x: ops.cast(x, "int32")).build, "only floating point is"
    ),
    "ops_stop_gradient": functional((4,), lambda x: L.Dense(2)(ops.stop_gradient(x))),
    "ops_negative": functional((4, 3), lambda x: -L.Dense(3)(x)),
    "ops_absolute": functional((4, 3), lambda x: abs(x)),
    "ops_abs": functional((4, 3), lambda x: ops.abs(L.Dense(3)(x))),
    "ops_clip": functional((4, 3), lambda x: ops.clip(x, -0.4, 0.7)),
    "ops_clip_arrays": functional(
        (4, 3), lambda x: ops.clip(x, np.minimum(VECTOR, 0), np.abs(VECTOR) / 2)
    ),
    "ops_clip_low": functional((4, 3), lambda x: L.Dense(2)(ops.clip(x, -0.3, np.inf))),
    "ops_clip_high": functional((4, 3), lambda x: L.Dense(2)(ops.clip(x, -np.inf, 0.3))),
    "ops_clip_nothing": functional((4, 3), lambda x: L.Dense(2)(ops.clip(x, -np.inf, np.inf))),
    "ops_clip_swapped": Refused(
        functional((4,), lambda x: ops.clip(x, 1.0, -1.0)).build, "lower bound 1.0 is not at or bel"
    ),
    "ops_clip_nan": Refused(
        functional((4,), lambda x: ops.clip(x, np.nan, 1.0)).build, "lower bound nan is not"
    ),
    "ops_clip_larger": Refused(
        functional((4, 1), lambda x: ops.clip(x, -(VECTOR**2), 1.0)).build, "larger than the value"
    ),
    "ops_maximum_array": functional((4, 3), lambda x: ops.maximum(x, VECTOR)),
    "ops_minimum_array": functional((4, 3), lambda x: ops.minimum(COLUMN[None], x)),
    "ops_maximum_infinite": Refused(
        functional((4,), lambda x: ops.maximum(x, np.inf)).build, "NaN or infinite values"
    ),
    "ops_maximum": functional((4, 3), lambda x: ops.maximum(x, L.Dense(3)(x))),
    "ops_maximum_constant": functional((4, 3), lambda x: ops.maximum(0.2, x)),
    "ops_minimum": functional((4, 3), lambda x: ops.minimum(x, L.Dense(3)(x))),
    "ops_minimum_constant": functional((4, 3), lambda x: ops.minimum(x, 0.2)),
    "ops_mean": functional((4, 3, 2), lambda x: ops.mean(x, axis=(1, 2))),
    "ops_mean_kept": functional((4, 3, 2), lambda x: ops.mean(x, axis=-1, keepdims=True)),
    "ops_mean_batch": Refused(
        functional((4,), lambda x: x + ops.mean(x)).build, "axis=None goes across the batch"
    ),
    "ops_sum": functional((4, 3, 2), lambda x: L.Dense(2)(ops.sum(x, axis=2))),
    "ops_max": functional((4, 3, 2), lambda x: ops.max(x, axis=(1, 3))),
    "ops_amax": functional((4, 3), lambda x: ops.amax(x, axis=1)),
    "ops_min": functional((4, 3, 2), lambda x: ops.min(x, axis=(1, 3))),
    "ops_amin": functional((4, 3), lambda x: ops.amin(x, axis=1, keepdims=True)),
    "ops_sum_batch": Refused(
        functional((4,), lambda x: ops.sum(x, axis=0)).build, "is the batch axis; use another axis$"
    ),
    "ops_matmul_nan": Refused(
        functional((3,), lambda x: ops.matmul(x, MATRIX * np.nan)).build, "NaN or infinite values"
    ),
    "ops_average": Refused(
        functional((4, 3), lambda x: ops.average(x, axis=-1)).build,
        r"'average' \(keras.ops.average\): .*use keras.ops.mean",
    ),
    "ops_resize": Refused(
        functional((4, 3, 2), lambda x: ops.image.resize(x, (8, 6))).build,
        r"\(keras.ops.image.resize\): .*use the layer Resizing",
    ),
    "ops_unknown": Refused(
        functional((4, 3), lambda x: ops.sin(x)).build,
        r"'sin' \(keras.ops.sin\): this operation is not supported",
    ),
    "ops_matmul": functional((4, 3), lambda x: ops.matmul(x, MATRIX)),
    "ops_dot": functional((3,), lambda x: ops.dot(x, MATRIX)),
    "ops_matmul_signals": Refused(
        functional((3, 3), lambda x: ops.matmul(x, L.Dense(3)(x))).build,
        "it multiplies two signals",
    ),
}
