"""Normalisation and rescaling: folded either way, and left as they are."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers as L
from keras import ops

from kconvert.layers import RateLIF

from .build import Case, Refused, case, functional, refused

STATISTICS = np.array([[0.3, -0.2, 0.7], [2.0, 0.5, 1.4]], np.float32)
_MEAN, _VARIANCE = [0.3, -0.2, 0.7], [2.0, 0.5, 1.4]


def _adapted() -> keras.Model:
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal(0.3, 2.0, (30, 4)).astype(np.float32))
    return keras.Sequential([keras.Input((4,)), layer, L.Dense(3)])


def _batch_normalized(variance: float, epsilon: float) -> keras.Model:
    layer = L.BatchNormalization(epsilon=epsilon)
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), layer])
    layer.moving_variance.assign([1.0, variance, 2.0])
    return model


def _overflows() -> keras.Model:
    layer = L.BatchNormalization(gamma_initializer=keras.initializers.Constant(1e30))
    kernel = keras.initializers.Constant(1e30)
    return keras.Sequential([keras.Input((4,)), L.Dense(3, kernel_initializer=kernel), layer])


CASES = {
    "ops_batch_normalization": functional(
        (4, 3), lambda x: L.Dense(2)(ops.batch_normalization(x, *STATISTICS, -1, *STATISTICS))
    ),
    "ops_batch_normalization_first": functional(
        (3, 4), lambda x: ops.batch_normalization(x, *STATISTICS, 1, scale=STATISTICS[1])
    ),
    "ops_batch_normalization_negative": Refused(
        functional((3,), lambda x: ops.batch_normalization(x, *STATISTICS[[0, 0]], -1)).build,
        r"variance \+ epsilon .* is not above 0 in 1 of 3 channels",
    ),
    "ops_batch_normalization_signals": Refused(
        functional((3,), lambda x: ops.batch_normalization(x, x[0], STATISTICS[1], -1)).build,
        "only by constant statistics",
    ),
    "batch_normalization_negative": Refused(
        lambda: _batch_normalized(-5.0, 1e-3), r"not above 0 in 1 of 3 channels"
    ),
    "batch_normalization_no_epsilon": Refused(
        lambda: _batch_normalized(0.0, 0.0), r"epsilon=0.0\) is not above 0 in 1 of 3 channels"
    ),
    "batch_normalization_overflows": Refused(
        _overflows, "after folding, its weight holds values that float32"
    ),
    "normalization_negative": refused(
        lambda: L.Normalization(mean=[0.0, 1.0], variance=[1.0, -1.0]), (2,), "below 0"
    ),
    "batch_normalization": case(lambda: [L.Conv2D(4, (3, 2)), L.BatchNormalization()], (6, 5, 3)),
    "batch_normalization_dense": case(lambda: [L.Dense(4), L.BatchNormalization(), L.ReLU()], (5,)),
    "batch_normalization_no_bias": case(
        lambda: [L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), RateLIF()], (6, 5, 3)
    ),
    "batch_normalization_plain": case(
        lambda: [L.Dense(4), L.BatchNormalization(center=False, scale=False)], (5,)
    ),
    "batch_normalization_first": case(
        lambda: [L.BatchNormalization(), L.Conv2D(4, 3, padding="same", activation="relu")],
        (6, 5, 3),
    ),
    "batch_normalization_before_conv": case(
        lambda: [L.BatchNormalization(), L.Conv2D(4, (3, 2), groups=2)], (6, 5, 4)
    ),
    "batch_normalization_before_depthwise": case(
        lambda: [L.BatchNormalization(), L.DepthwiseConv2D(2, depth_multiplier=2)], (6, 5, 3)
    ),
    "batch_normalization_before_flatten": case(
        lambda: [L.ReLU(), L.BatchNormalization(), L.Flatten(), L.Dense(3)], (3, 2, 4)
    ),
    "batch_normalization_depthwise": case(
        lambda: [L.DepthwiseConv2D(2, depth_multiplier=2), L.BatchNormalization()], (6, 5, 3)
    ),
    "batch_normalization_separable": case(
        lambda: [L.SeparableConv2D(4, 2), L.BatchNormalization(), L.ReLU()], (6, 5, 3)
    ),
    "batch_normalization_on_neurons": case(
        lambda: [L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dense(3)], (5,)
    ),
    "batch_normalization_alone": case(lambda: [L.BatchNormalization(), L.ReLU()], (4, 3)),
    "batch_normalization_axis": case(lambda: L.BatchNormalization(axis=1), (4, 3, 2)),
    "batch_normalization_axis_on_conv": case(
        lambda: [L.Conv2D(3, 2), L.BatchNormalization(axis=1), L.ReLU()], (5, 4, 2)
    ),
    "normalization": case(
        lambda: [L.Normalization(mean=_MEAN, variance=_VARIANCE), L.Conv2D(2, 2)], (4, 5, 3)
    ),
    "normalization_adapted": Case(_adapted),
    "normalization_axis": case(
        lambda: L.Normalization(axis=1, mean=_MEAN, variance=_VARIANCE), (3, 4)
    ),
    "normalization_one": case(lambda: L.Normalization(axis=None, mean=0.4, variance=3.0), (4, 2)),
    "normalization_inverted": case(
        lambda: [L.Dense(3), L.Normalization(mean=_MEAN, variance=_VARIANCE, invert=True)], (4,)
    ),
    "rescaling": case(lambda: [L.Rescaling(1 / 255), L.Conv2D(2, 3, padding="same")], (5, 4, 3)),
    "rescaling_offset": case(lambda: [L.Rescaling(1 / 127.5, -1), L.Conv2D(2, 2)], (5, 4, 3)),
    "rescaling_offset_padded": case(
        lambda: [L.Rescaling(2.0, -1), L.Conv2D(2, 3, padding="same")], (5, 4, 3)
    ),
    "rescaling_channels": case(
        lambda: L.Rescaling([0.5, 2.0, 1.5], offset=[0.1, -0.2, 0.3]), (4, 2, 3)
    ),
    "spectral_normalization": case(
        lambda: L.SpectralNormalization(L.Conv2D(3, 2, activation="relu")), (5, 4, 2)
    ),
    "shifts_in_a_row": functional(
        (4, 3), lambda x: L.Dense(2)(L.Rescaling(0.5, 0.1)(L.BatchNormalization()(x)))
    ),
    "layer_normalization": refused(
        lambda: L.LayerNormalization(), (4, 3), "divides by a statistic of the sample"
    ),
    "group_normalization": refused(
        lambda: L.GroupNormalization(2), (4, 4), "use BatchNormalization"
    ),
    "unit_normalization": refused(lambda: L.UnitNormalization(), (4,), "use BatchNormalization"),
    "rms_normalization": refused(lambda: L.RMSNormalization(), (4,), "use BatchNormalization"),
}
