"""Layers and operations that rearrange values."""

from __future__ import annotations

import numpy as np
from keras import layers as L
from keras import ops

from .build import Refused, case, functional

CASES = {
    "flatten": case(lambda: [L.Flatten(), L.Dense(3)], (4, 3, 2)),
    "flatten_first": case(lambda: [L.Flatten(data_format="channels_first"), L.Dense(3)], (4, 3, 2)),
    "reshape": case(lambda: [L.Reshape((3, 8)), L.Dense(2)], (4, 3, 2)),
    "reshape_inferred": case(lambda: [L.Reshape((2, -1, 3)), L.Conv2D(2, 2)], (4, 3, 2)),
    "reshape_twice": case(lambda: [L.Reshape((6, 4)), L.Reshape((3, 8)), L.Dense(2)], (4, 3, 2)),
    "permute": case(lambda: [L.Permute((3, 1, 2)), L.Conv2D(2, 2)], (4, 3, 2)),
    "permute_back": case(
        lambda: [L.Permute((2, 3, 1)), L.Permute((3, 1, 2)), L.Dense(3)], (4, 3, 2)
    ),
    "permute_neurons": case(
        lambda: [L.Conv2D(3, 2, activation="relu"), L.Permute((2, 1, 3)), L.Conv2D(2, (3, 1))],
        (5, 4, 2),
    ),
    "repeat_vector": case(lambda: [L.RepeatVector(3), L.Dense(2)], (4,)),
    "zero_padding1d": case(lambda: [L.ZeroPadding1D((1, 2)), L.Conv1D(2, 2)], (4, 3)),
    "zero_padding1d_first": case(
        lambda: L.ZeroPadding1D((1, 2), data_format="channels_first"), (3, 4)
    ),
    "zero_padding2d": case(lambda: L.ZeroPadding2D(((1, 2), (0, 3))), (3, 4, 2)),
    "zero_padding2d_conv": case(
        lambda: [L.ZeroPadding2D(((0, 1), (0, 1))), L.Conv2D(3, 3, strides=2)], (6, 8, 2)
    ),
    "zero_padding2d_conv_strides": case(
        lambda: [L.ZeroPadding2D(3), L.Conv2D(3, 7, strides=2), L.ReLU()], (12, 8, 2)
    ),
    "zero_padding2d_conv_wide": case(
        lambda: [L.ZeroPadding2D(((4, 1), (0, 5))), L.Conv2D(3, 2)], (3, 4, 2)
    ),
    "zero_padding2d_max_pooling": case(
        lambda: [L.Conv2D(2, 1), L.ReLU(), L.ZeroPadding2D(1), L.MaxPooling2D(3, 2)], (6, 5, 2)
    ),
    "zero_padding2d_max_pooling_negative": case(
        lambda: [L.Rescaling(1.0, -3.0), L.ZeroPadding2D(1), L.MaxPooling2D(3, 2)], (6, 5, 2)
    ),
    "zero_padding2d_average_pooling": case(
        lambda: [L.ZeroPadding2D(1), L.AveragePooling2D(3, 2)], (6, 5, 2)
    ),
    "zero_padding2d_first": case(
        lambda: L.ZeroPadding2D(((1, 2), (0, 3)), data_format="channels_first"), (2, 3, 4)
    ),
    "zero_padding3d": case(
        lambda: [L.ZeroPadding3D(((1, 0), (0, 2), (1, 1))), L.Conv3D(2, 2)], (2, 3, 4, 2)
    ),
    "cropping1d": case(lambda: L.Cropping1D((1, 2)), (6, 3)),
    "cropping2d": case(lambda: [L.Cropping2D(((1, 2), (0, 1))), L.Conv2D(2, 2)], (6, 5, 2)),
    "cropping2d_first": case(
        lambda: L.Cropping2D(((1, 2), (0, 1)), data_format="channels_first"), (2, 6, 5)
    ),
    "cropping3d": case(lambda: L.Cropping3D(((1, 0), (0, 1), (1, 1))), (3, 4, 5, 2)),
    "ops_triu_batch": Refused(
        functional((5,), lambda x: ops.triu(x, k=-1)).build, "it mixes the samples"
    ),
    "ops_roll_batch": Refused(
        functional((5,), lambda x: ops.roll(x, 14, axis=0)).build, "axis=0 is the batch axis"
    ),
    "ops_roll_all": Refused(
        functional((5,), lambda x: ops.roll(x, 1)).build, "it mixes the samples"
    ),
    "ops_tril": functional((4, 3), lambda x: L.Dense(2)(ops.tril(x, k=-1))),
    "ops_triu": functional((4, 3), lambda x: ops.triu(x)),
    "ops_diagonal": functional((4, 3, 2), lambda x: ops.diagonal(x, axis1=1, axis2=2)),
    "ops_hsplit": functional((4, 3), lambda x: L.Concatenate()(ops.hsplit(x, 2)[::-1])),
    "ops_reshape": functional((4, 3), lambda x: L.Dense(2)(ops.reshape(x, (-1, 2, 6)))),
    "ops_reshape_batch": Refused(
        functional((4,), lambda x: ops.reshape(x, (2, -1))).build, "fixes the batch axis"
    ),
    "ops_transpose": functional((4, 3, 2), lambda x: ops.transpose(x, (0, 3, 1, 2))),
    "ops_transpose_batch": Refused(
        functional((4, 3), lambda x: ops.transpose(x, (1, 0, 2))).build,
        "mixes the samples of a batch",
    ),
    "ops_expand_squeeze": functional(
        (4, 3), lambda x: ops.squeeze(L.Conv2D(2, (2, 1))(ops.expand_dims(x, 2)), 2)
    ),
    "ops_getitem": functional((6, 5, 3), lambda x: L.Dense(2)(x[:, 1:, ::2, :2])),
    "ops_getitem_axis": functional((6, 5), lambda x: L.Dense(2)(x[:, -1])),
    "ops_getitem_backwards": functional((6, 5), lambda x: L.Dense(2)(x[..., ::-1])),
    "ops_slice": Refused(
        functional((6, 5), lambda x: ops.slice(x, (0, 1, 2), (2, 3, 2))).build,
        "it mixes the samples of a batch",
    ),
    "ops_swapaxes": functional((4, 3, 2), lambda x: ops.swapaxes(x, 1, 3)),
    "ops_moveaxis": functional((4, 3, 2), lambda x: ops.moveaxis(x, 1, -1)),
    "ops_flip": functional((4, 3, 2), lambda x: ops.flip(x, 2)),
    "ops_roll": functional((4, 3), lambda x: ops.roll(x, 2, 1)),
    "ops_rot90": functional((4, 3, 2), lambda x: ops.rot90(x, 1, (1, 2))),
    "ops_repeat": functional((4, 3), lambda x: ops.repeat(x, 2, 1)),
    "ops_tile": functional((4, 3), lambda x: ops.tile(x, (1, 2, 3))),
    "ops_take": functional((4, 3), lambda x: ops.take(x, np.array([2, 0, 2]), 1)),
    "ops_split": functional(
        (6, 3), lambda x: [L.Dense(2)(part) for part in ops.split(x, [1, 4], axis=1)]
    ),
    "ops_array_split": functional(
        (7,), lambda x: [L.Dense(2)(part) for part in ops.array_split(x, 3, axis=1)]
    ),
    "ops_unstack": functional((3, 4), lambda x: ops.unstack(x, axis=1)[1]),
    "ops_pad": functional((4, 3, 2), lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)))),
    "ops_pad_constant": functional(
        (4, 3), lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), constant_values=0.7)
    ),
    "ops_pad_batch": Refused(
        functional((4, 3), lambda x: ops.pad(x, ((1, 0), (1, 2), (0, 1)))).build,
        "it pads the batch axis",
    ),
    "ops_getitem_nothing": Refused(
        functional((4, 3), lambda x: L.Dense(2)(x[:, :, 3:])).build, "its value is empty"
    ),
    "ops_pad_reflect": functional(
        (4, 3), lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1)), mode="reflect")
    ),
    "ops_depth_to_space": functional((2, 3, 8), lambda x: ops.nn.depth_to_space(x, 2)),
    "ops_space_to_depth": functional((4, 6, 2), lambda x: ops.nn.space_to_depth(x, 2)),
}
