"""Convolutions of every kind: strides, padding, dilation, groups, both data formats."""

from __future__ import annotations

import numpy as np
from keras import layers as L
from keras import ops

from kconvert.layers import RateLIF

from .build import case, functional

KERNEL = np.random.default_rng(7).normal(size=(3, 2, 4, 6)).astype(np.float32)
POINTWISE = np.random.default_rng(8).normal(size=(1, 1, 24, 3)).astype(np.float32)

CASES = {
    "ops_conv": functional((7, 6, 4), lambda x: ops.conv(x, KERNEL, strides=(2, 1))),
    "ops_conv_same": functional(
        (7, 6, 4), lambda x: L.Dense(2)(ops.conv(x, KERNEL, padding="same", dilation_rate=2))
    ),
    "ops_conv_1d": functional((7, 4), lambda x: ops.conv(x, KERNEL[:, 0], strides=2)),
    "ops_depthwise_conv": functional(
        (7, 6, 4), lambda x: ops.depthwise_conv(x, KERNEL, padding="same")
    ),
    "ops_separable_conv": functional((7, 6, 4), lambda x: ops.separable_conv(x, KERNEL, POINTWISE)),
    "conv2d": case(lambda: L.Conv2D(4, (3, 2)), (6, 5, 3)),
    "conv2d_no_bias": case(lambda: L.Conv2D(4, (3, 2), use_bias=False), (6, 5, 3)),
    "conv2d_same": case(lambda: L.Conv2D(4, (4, 3), padding="same"), (6, 5, 3)),
    "conv2d_strides": case(lambda: L.Conv2D(4, (3, 2), strides=(2, 3)), (8, 9, 3)),
    "conv2d_strides_same": case(
        lambda: L.Conv2D(4, (4, 3), strides=(3, 2), padding="same"), (8, 9, 3)
    ),
    "conv2d_dilation": case(lambda: L.Conv2D(4, (3, 2), dilation_rate=(2, 3)), (8, 9, 3)),
    "conv2d_dilation_same": case(
        lambda: L.Conv2D(4, (3, 2), dilation_rate=(2, 3), padding="same"), (8, 9, 3)
    ),
    "conv2d_groups": case(lambda: L.Conv2D(6, (3, 2), groups=2), (6, 5, 4)),
    "conv2d_depthwise": case(lambda: L.Conv2D(8, (3, 2), groups=4), (6, 5, 4)),
    "conv2d_relu": case(lambda: L.Conv2D(4, (3, 2), activation="relu"), (6, 5, 3)),
    "conv2d_lif": case(lambda: [L.Conv2D(4, (3, 2)), RateLIF()], (6, 5, 3)),
    "conv2d_lif_hard": case(lambda: [L.Conv2D(4, (3, 2)), RateLIF(smoothing=0)], (6, 5, 3)),
    "conv2d_first": case(
        lambda: L.Conv2D(
            4, (3, 2), (2, 1), padding="same", data_format="channels_first", activation="relu"
        ),
        (3, 6, 5),
    ),
    "conv2d_first_block": case(
        lambda: [
            L.Conv2D(4, (3, 2), data_format="channels_first"),
            L.BatchNormalization(axis=1),
            L.ReLU(),
            L.MaxPooling2D((2, 3), data_format="channels_first"),
            L.Conv2D(2, 1, data_format="channels_first"),
            L.Flatten(data_format="channels_first"),
        ],
        (3, 6, 8),
    ),
    "conv1d": case(lambda: L.Conv1D(4, 3), (7, 3)),
    "conv1d_strides_same": case(lambda: L.Conv1D(4, 4, 3, padding="same"), (8, 3)),
    "conv1d_causal": case(lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2), (7, 3)),
    "conv1d_causal_strides": case(lambda: L.Conv1D(4, 4, strides=2, padding="causal"), (9, 3)),
    "conv1d_groups_dilation": case(
        lambda: L.Conv1D(6, 2, groups=3, dilation_rate=2, activation="relu"), (8, 3)
    ),
    "conv1d_first": case(lambda: L.Conv1D(4, 3, data_format="channels_first"), (3, 7)),
    "conv3d": case(lambda: L.Conv3D(3, (2, 3, 2), activation="relu"), (4, 5, 3, 2)),
    "conv3d_strides_same": case(
        lambda: L.Conv3D(3, (3, 2, 2), (2, 1, 2), padding="same"), (5, 4, 3, 2)
    ),
    "conv3d_dilation_groups": case(
        lambda: L.Conv3D(4, 2, dilation_rate=(2, 1, 2), groups=2), (4, 3, 5, 2)
    ),
    "conv3d_first": case(lambda: L.Conv3D(3, 2, data_format="channels_first"), (2, 4, 3, 5)),
    "depthwise_conv2d": case(lambda: L.DepthwiseConv2D((3, 2), depth_multiplier=2), (6, 5, 3)),
    "depthwise_conv2d_same": case(
        lambda: L.DepthwiseConv2D(3, strides=2, padding="same", activation="relu"), (6, 5, 3)
    ),
    "depthwise_conv2d_dilation": case(
        lambda: L.DepthwiseConv2D((3, 2), dilation_rate=(2, 2)), (8, 6, 3)
    ),
    "conv2d_first_bias": case(
        lambda: [L.ReLU(), L.Conv2D(5, 1, data_format="channels_first", activation="relu")],
        (3, 4, 5),
    ),
    "conv2d_first_bias_groups": case(
        lambda: L.Conv2D(6, (4, 3), (2, 1), groups=2, data_format="channels_first"), (4, 8, 8)
    ),
    "conv3d_first_bias": case(
        lambda: L.Conv3D(3, 2, data_format="channels_first", activation="relu"), (2, 4, 4, 4)
    ),
    "conv1d_first_bias": case(
        lambda: L.Conv1D(5, 3, data_format="channels_first", activation="tanh"), (3, 7)
    ),
    "depthwise_conv2d_first": case(
        lambda: L.DepthwiseConv2D(2, depth_multiplier=2, data_format="channels_first"), (3, 6, 5)
    ),
    "depthwise_conv1d": case(lambda: L.DepthwiseConv1D(3, 2, depth_multiplier=2), (9, 3)),
    "depthwise_conv2d_on_one_input": functional(
        (6, 5, 3),
        lambda x: L.Concatenate()(
            [L.DepthwiseConv2D(2)(x), L.DepthwiseConv2D(2)(x), L.Conv2D(4, 2)(x)]
        ),
    ),
    "separable_conv2d": case(
        lambda: L.SeparableConv2D(5, (3, 2), depth_multiplier=2, activation="relu"), (6, 5, 3)
    ),
    "separable_conv2d_same": case(
        lambda: L.SeparableConv2D(5, 3, strides=2, padding="same", use_bias=False), (7, 6, 3)
    ),
    "separable_conv1d": case(lambda: L.SeparableConv1D(5, 3, dilation_rate=2), (9, 3)),
    "conv2d_transpose": case(lambda: L.Conv2DTranspose(4, (3, 2)), (4, 5, 3)),
    "conv2d_transpose_strides": case(
        lambda: L.Conv2DTranspose(4, (3, 2), strides=(2, 3), activation="relu"), (4, 5, 3)
    ),
    "conv2d_transpose_same": case(
        lambda: L.Conv2DTranspose(4, (4, 3), strides=(3, 2), padding="same"), (4, 5, 3)
    ),
    "conv2d_transpose_same_even": case(
        lambda: L.Conv2DTranspose(4, (5, 2), strides=(2, 1), padding="same"), (4, 5, 3)
    ),
    "conv2d_transpose_output_padding": case(
        lambda: L.Conv2DTranspose(4, (3, 3), (3, 2), padding="same", output_padding=(2, 1)),
        (4, 5, 3),
    ),
    "conv2d_transpose_output_padding_valid": case(
        lambda: L.Conv2DTranspose(4, (2, 3), strides=(3, 2), output_padding=(0, 1)), (4, 5, 3)
    ),
    "conv2d_transpose_gaps": case(lambda: L.Conv2DTranspose(4, (2, 1), strides=3), (3, 4, 3)),
    "conv2d_transpose_dilation": case(
        lambda: L.Conv2DTranspose(4, (3, 2), dilation_rate=2), (4, 5, 3)
    ),
    "conv2d_transpose_first": case(
        lambda: L.Conv2DTranspose(4, 3, strides=2, data_format="channels_first"), (3, 4, 5)
    ),
    "conv2d_transpose_normalized": case(
        lambda: [L.Conv2DTranspose(4, 3, strides=2), L.BatchNormalization(), RateLIF()], (3, 4, 2)
    ),
    "conv1d_transpose": case(lambda: L.Conv1DTranspose(4, 3, strides=2), (6, 3)),
    "conv1d_transpose_same": case(lambda: L.Conv1DTranspose(4, 4, 3, padding="same"), (5, 3)),
    "conv3d_transpose": case(lambda: L.Conv3DTranspose(2, 2, strides=2), (2, 3, 2, 2)),
    "conv3d_transpose_same": case(
        lambda: L.Conv3DTranspose(2, (3, 2, 3), strides=(1, 2, 2), padding="same"), (3, 2, 4, 2)
    ),
}
