"""Layers that act in training only: removed, and listed."""

from __future__ import annotations

import keras

from ..builder import Builder
from ..registry import LAYERS

L = keras.layers


@LAYERS.register(
    L.ActivityRegularization,
    L.AlphaDropout,
    L.AugMix,
    L.CutMix,
    L.Dropout,
    L.GaussianDropout,
    L.GaussianNoise,
    L.MixUp,
    L.RandAugment,
    L.RandomBrightness,
    L.RandomColorDegeneration,
    L.RandomColorJitter,
    L.RandomContrast,
    L.RandomElasticTransform,
    L.RandomErasing,
    L.RandomFlip,
    L.RandomGaussianBlur,
    L.RandomGrayscale,
    L.RandomHue,
    L.RandomInvert,
    L.RandomPerspective,
    L.RandomPosterization,
    L.RandomRotation,
    L.RandomSaturation,
    L.RandomSharpness,
    L.RandomShear,
    L.RandomTranslation,
    L.RandomZoom,
    L.SpatialDropout1D,
    L.SpatialDropout2D,
    L.SpatialDropout3D,
    timewise=True,
)
def training_only(layer: keras.layers.Layer, b: Builder, x: str) -> str:
    b.decide("removed", f"{type(layer).__name__} does nothing at inference")
    return x
