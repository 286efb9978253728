"""Pooling: average and maximum, over windows, globally and to a given size."""

from __future__ import annotations

from keras import layers as L
from keras import ops

from .build import case, functional, refused

CASES = {
    "average_pooling2d": case(lambda: L.AveragePooling2D((2, 3)), (6, 9, 2)),
    "average_pooling2d_cut": case(lambda: L.AveragePooling2D((2, 3)), (7, 8, 2)),
    "average_pooling2d_strides": case(lambda: L.AveragePooling2D((3, 2), (2, 1)), (7, 8, 2)),
    "average_pooling2d_same": case(
        lambda: L.AveragePooling2D((3, 2), (2, 3), padding="same"), (7, 8, 2)
    ),
    "average_pooling2d_gaps": case(lambda: L.AveragePooling2D((2, 1), (3, 2)), (9, 8, 2)),
    "average_pooling2d_first": case(
        lambda: L.AveragePooling2D((2, 3), data_format="channels_first"), (2, 6, 5)
    ),
    "average_pooling1d": case(lambda: L.AveragePooling1D(3, 2, padding="same"), (7, 2)),
    "average_pooling1d_first": case(
        lambda: L.AveragePooling1D(2, data_format="channels_first"), (2, 7)
    ),
    "average_pooling3d": case(lambda: L.AveragePooling3D((2, 1, 3)), (4, 3, 6, 2)),
    "average_pooling3d_same": case(
        lambda: L.AveragePooling3D(2, (1, 2, 2), padding="same"), (4, 3, 5, 2)
    ),
    "max_pooling2d": case(lambda: L.MaxPooling2D((2, 3)), (6, 9, 2)),
    "max_pooling2d_strides": case(lambda: L.MaxPooling2D((3, 2), (2, 1)), (7, 8, 2)),
    "max_pooling2d_same": case(lambda: L.MaxPooling2D((3, 2), (2, 3), padding="same"), (7, 8, 2)),
    "max_pooling2d_neurons": case(
        lambda: [L.Conv2D(3, 2), L.ReLU(), L.MaxPooling2D(2), L.Conv2D(2, 2)], (6, 7, 2)
    ),
    "max_pooling2d_first": case(
        lambda: L.MaxPooling2D((2, 3), data_format="channels_first"), (2, 6, 5)
    ),
    "max_pooling1d": case(lambda: L.MaxPooling1D(3, 2, padding="same"), (8, 2)),
    "max_pooling3d": case(lambda: L.MaxPooling3D((2, 1, 2), padding="same"), (4, 3, 5, 2)),
    "global_average_pooling1d": case(lambda: L.GlobalAveragePooling1D(), (7, 3)),
    "global_average_pooling2d": case(lambda: L.GlobalAveragePooling2D(), (4, 5, 3)),
    "global_average_pooling2d_kept": case(
        lambda: L.GlobalAveragePooling2D(keepdims=True), (4, 5, 3)
    ),
    "global_average_pooling2d_first": case(
        lambda: L.GlobalAveragePooling2D(data_format="channels_first"), (3, 4, 5)
    ),
    "global_average_pooling3d": case(
        lambda: L.GlobalAveragePooling3D(data_format="channels_first", keepdims=True), (2, 3, 4, 5)
    ),
    "global_max_pooling1d": case(lambda: L.GlobalMaxPooling1D(), (7, 3)),
    "global_max_pooling2d": case(lambda: L.GlobalMaxPooling2D(keepdims=True), (4, 5, 3)),
    "global_max_pooling3d": case(lambda: L.GlobalMaxPooling3D(), (2, 3, 4, 2)),
    "adaptive_average_pooling_open": refused(
        lambda: L.AdaptiveAveragePooling2D((None, 2)), (4, 4, 2), "only integers > 0 are"
    ),
    "adaptive_max_pooling_open": refused(
        lambda: L.AdaptiveMaxPooling2D((None, 2)), (4, 4, 2), "only integers > 0 are"
    ),
    "adaptive_average_pooling1d": case(lambda: L.AdaptiveAveragePooling1D(3), (7, 2)),
    "adaptive_average_pooling2d": case(lambda: L.AdaptiveAveragePooling2D((3, 4)), (7, 6, 2)),
    "adaptive_average_pooling2d_first": case(
        lambda: L.AdaptiveAveragePooling2D((3, 2), data_format="channels_first"), (2, 7, 5)
    ),
    "adaptive_average_pooling3d": case(lambda: L.AdaptiveAveragePooling3D((2, 3, 2)), (3, 4, 5, 2)),
    "adaptive_max_pooling1d": case(lambda: L.AdaptiveMaxPooling1D(3), (7, 2)),
    "adaptive_max_pooling2d": case(lambda: L.AdaptiveMaxPooling2D((3, 4)), (7, 6, 2)),
    "adaptive_max_pooling2d_first": case(
        lambda: L.AdaptiveMaxPooling2D((3, 2), data_format="channels_first"), (2, 7, 5)
    ),
    "adaptive_max_pooling3d": case(lambda: L.AdaptiveMaxPooling3D((2, 3, 2)), (3, 4, 5, 2)),
    "ops_max_pool": functional((6, 5, 2), lambda x: ops.max_pool(x, 2, 1, padding="same")),
    "ops_average_pool": functional((6, 5, 2), lambda x: ops.average_pool(x, (2, 3))),
}
