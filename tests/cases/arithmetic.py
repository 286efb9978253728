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
        functional((4,), lambda x: ops.cast(x, "int32")).build,
        "only floating point of 16 bits and more is",
    ),
    "ops_cast_half": functional(
        (4,), lambda x: ops.cast(L.Dense(2)(ops.cast(x, "float64")), "float32")
    ),
    "ops_cast_8_bits": Refused(
        functional((4,), lambda x: ops.cast(x, "float8_e4m3fn")).build, "of 16 bits and more is"
    ),
    "ops_saturate_cast": functional((4,), lambda x: L.Dense(2)(ops.saturate_cast(x, "float32"))),
    "ops_convert_to_tensor": functional((4,), lambda x: L.Dense(2)(ops.convert_to_tensor(x))),
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
        functional((4,), lambda x: x + ops.mean(x)).build, "axis=None includes the batch axis"
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
    "ops_average": functional((4, 3), lambda x: L.Dense(2)(ops.average(x, axis=1))),
    "ops_average_weights": functional(
        (4, 3), lambda x: ops.average(x, axis=-1, weights=np.abs(VECTOR))
    ),
    "ops_average_zero": Refused(
        functional((4, 3), lambda x: ops.average(x, axis=-1, weights=VECTOR)).build,
        "weights sum to 0",
    ),
    "ops_average_signals": Refused(
        functional((3,), lambda x: ops.average(x, axis=1, weights=L.Dense(3)(x))).build,
        "it multiplies two signals",
    ),
    "ops_average_matrix": Refused(
        functional((4, 3), lambda x: ops.average(x, axis=1, weights=np.ones((1, 4, 3)))).build,
        r"weights of the shape \(1, 4, 3\) are not supported",
    ),
    "ops_average_batch": Refused(
        functional((4,), lambda x: ops.average(x)).build, "axis=None includes the batch axis"
    ),
    "ops_power_one": functional((4, 3), lambda x: L.Dense(2)(x**1)),
    "ops_power": Refused(
        functional((4, 3), lambda x: x**2).build, r"\(keras.ops.power\): it is a power"
    ),
    "ops_power_base": Refused(functional((4,), lambda x: 2.0**x).build, "it is a power"),
    "ops_square": Refused(
        functional((4,), lambda x: ops.square(x)).build, r"\(keras.ops.square\): it is nonlinear"
    ),
    "ops_where": Refused(
        functional((4,), lambda x: ops.where(x > 0, x, 0.0)).build, "use keras.ops.maximum"
    ),
    "ops_broadcast_to": Refused(
        functional((1, 3), lambda x: ops.broadcast_to(x, (1, 4, 3))).build, "use keras.ops.repeat"
    ),
    "ops_unknown": Refused(
        functional((4, 3), lambda x: ops.sin(x)).build,
        r"'sin' \(keras.ops.sin\): this operation is not supported",
    ),
    "ops_matmul": functional((4, 3), lambda x: ops.matmul(x, MATRIX)),
    "ops_dot": functional((3,), lambda x: ops.dot(x, MATRIX)),
    "ops_cumsum": functional((4, 3), lambda x: ops.cumsum(x, axis=1)),
    "ops_cumsum_all": Refused(
        functional((4, 3), lambda x: ops.cumsum(x)).build, "axis=None includes the batch axis"
    ),
    "ops_diff": functional((5, 3), lambda x: L.Dense(2)(ops.diff(x, n=2, axis=1))),
    "ops_diff_nothing": Refused(
        functional((2, 3), lambda x: ops.diff(x, n=2, axis=1)).build, "n=2 leaves no value"
    ),
    "ops_fmax": functional((4, 3), lambda x: ops.fmax(x, VECTOR)),
    "ops_fmin": functional((4, 3), lambda x: ops.fmin(x, L.Dense(3)(x))),
    "ops_hstack": functional((4, 3), lambda x: ops.hstack([x, L.Conv1D(3, 2)(x)])),
    "ops_nansum": Refused(
        functional((4,), lambda x: ops.nansum(x, axis=1)).build, "keras.ops.sum for keras.ops.nan"
    ),
    "ops_argmax": Refused(
        functional((4,), lambda x: ops.argmax(x, axis=1)).build, "apply it to what predict returns"
    ),
    "ops_greater": Refused(
        functional((4,), lambda x: ops.greater(x, 0.5)).build, "it jumps.*keras.ops.hard_sigmoid"
    ),
    "ops_layer_normalization": Refused(
        functional((4,), lambda x: ops.layer_normalization(x)).build,
        r"\(keras.ops.layer_normalization\): it divides by a statistic of the sample",
    ),
    "ops_matmul_vector": functional((4, 3), lambda x: L.Dense(2)(ops.matmul(x, VECTOR))),
    "ops_matmul_left": functional((3, 4), lambda x: L.Dense(2)(ops.matmul(MATRIX.T, x))),
    "ops_matmul_left_stack": functional((2, 3, 4), lambda x: ops.matmul(MATRIX.T, x)),
    "ops_dot_left": Refused(
        functional((3, 4), lambda x: ops.dot(MATRIX.T, x)).build, "only a constant matrix"
    ),
    "ops_einsum": functional((4, 3), lambda x: ops.einsum("bij,jk->bki", x, MATRIX)),
    "ops_einsum_left": functional((4, 3), lambda x: ops.einsum("jk,b...j->b...k", MATRIX, x)),
    "ops_einsum_sum": functional((4, 3), lambda x: ops.einsum("bij,j->bi", x, VECTOR)),
    "ops_einsum_signals": Refused(
        functional((3,), lambda x: ops.einsum("bi,bi->b", x, L.Dense(3)(x))).build,
        "it multiplies two signals",
    ),
    "ops_einsum_one": Refused(
        functional((4, 3), lambda x: ops.einsum("bij->bji", x)).build,
        "only one value and one constant are",
    ),
    "ops_einsum_diagonal": Refused(
        functional((3, 3), lambda x: ops.einsum("bii,ik->bk", x, MATRIX)).build,
        "is not a dense map",
    ),
    "ops_tensordot": functional((4, 3), lambda x: ops.tensordot(x, MATRIX, axes=1)),
    "ops_tensordot_axes": functional(
        (3, 4), lambda x: L.Dense(2)(ops.tensordot(x, MATRIX, axes=((1,), (0,))))
    ),
    "ops_tensordot_left": Refused(
        functional((3,), lambda x: ops.tensordot(MATRIX, x, axes=((0,), (1,)))).build,
        "the constant is on the left",
    ),
    "ops_tensordot_batch": Refused(
        functional((3,), lambda x: ops.tensordot(x, np.ones((1, 2)), axes=((0,), (0,)))).build,
        "is not a dense map",
    ),
    "ops_matmul_signals": Refused(
        functional((3, 3), lambda x: ops.matmul(x, L.Dense(3)(x))).build,
        "it multiplies two signals",
    ),
}
