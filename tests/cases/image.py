"""Layers and operations that resize images, and cut them to a size."""

from __future__ import annotations

from keras import layers as L
from keras import ops

from .build import Refused, case, functional, refused

CASES = {
    "up_sampling1d": case(lambda: L.UpSampling1D(3), (4, 2)),
    "up_sampling2d": case(lambda: [L.UpSampling2D((2, 3)), L.Conv2D(2, 2)], (4, 3, 2)),
    "up_sampling2d_first": case(
        lambda: L.UpSampling2D((2, 3), data_format="channels_first"), (2, 4, 3)
    ),
    "up_sampling2d_bilinear": case(
        lambda: L.UpSampling2D((2, 3), interpolation="bilinear"), (4, 3, 2)
    ),
    "up_sampling2d_bicubic": case(
        lambda: L.UpSampling2D(2, interpolation="bicubic", data_format="channels_first"), (2, 4, 5)
    ),
    "up_sampling3d": case(lambda: L.UpSampling3D((1, 2, 3)), (2, 3, 2, 2)),
    "resizing": case(lambda: [L.Resizing(5, 8), L.Conv2D(2, 2)], (7, 4, 2)),
    "resizing_to_nothing": refused(lambda: L.Resizing(0, 2), (4, 4, 2), "only sizes > 0 are"),
    "resizing_nearest": case(lambda: L.Resizing(5, 8, interpolation="nearest"), (7, 4, 2)),
    "resizing_crop": case(lambda: L.Resizing(5, 8, crop_to_aspect_ratio=True), (7, 4, 2)),
    "resizing_crop_wide": case(
        lambda: L.Resizing(8, 3, crop_to_aspect_ratio=True, data_format="channels_first"), (2, 6, 9)
    ),
    "resizing_pad": case(lambda: L.Resizing(5, 8, pad_to_aspect_ratio=True), (7, 4, 2)),
    "resizing_pad_value": case(
        lambda: L.Resizing(8, 5, pad_to_aspect_ratio=True, fill_value=1.5, antialias=True),
        (6, 9, 2),
    ),
    "center_crop": case(lambda: [L.CenterCrop(4, 3), L.Conv2D(2, 2)], (7, 6, 2)),
    "center_crop_first": case(lambda: L.CenterCrop(4, 3, data_format="channels_first"), (2, 7, 6)),
    "center_crop_larger": case(lambda: L.CenterCrop(9, 3), (7, 6, 2)),
    "center_crop_to_nothing": refused(lambda: L.CenterCrop(0, 3), (7, 6, 2), "only sizes > 0 are"),
    "ops_resize": functional((4, 3, 2), lambda x: ops.image.resize(x, (8, 5))),
    "ops_resize_crop": functional(
        (5, 8, 2),
        lambda x: ops.image.resize(x, (8, 5), "bicubic", crop_to_aspect_ratio=True),
    ),
    "resizing_batch": refused(lambda: L.Resizing(5, 8), (7, 2), "no batch axis"),
    "random_crop": refused(lambda: L.RandomCrop(5, 4), (7, 6, 2), "use CenterCrop or Resizing"),
    "center_crop_batch": refused(lambda: L.CenterCrop(2, 1), (7, 2), "no batch axis"),
    "ops_resize_batch": Refused(
        functional((3, 2), lambda x: ops.image.resize(x, (8, 5))).build, "no batch axis"
    ),
    "ops_extract_patches": functional(
        (7, 6, 2), lambda x: ops.image.extract_patches(x, (3, 2), strides=(2, 1), padding="same")
    ),
    "ops_rgb_to_grayscale": functional((4, 5, 3), lambda x: ops.image.rgb_to_grayscale(x)),
    "ops_rgb_to_grayscale_first": functional(
        (3, 4, 5), lambda x: ops.image.rgb_to_grayscale(x, data_format="channels_first")
    ),
    "ops_pad_images": functional((4, 3, 2), lambda x: ops.image.pad_images(x, 1, 0, 2, 3)),
    "ops_crop_images": functional(
        (5, 6, 2), lambda x: ops.image.crop_images(x, 1, 2, target_height=3, target_width=2)
    ),
    "ops_crop_images_batch": Refused(
        functional(
            (6, 2), lambda x: ops.image.crop_images(x, 1, 0, target_height=2, target_width=2)
        ).build,
        "mixes the samples",
    ),
}
