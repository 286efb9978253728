"""Layers that act in training only."""

from __future__ import annotations

from keras import layers as L

from .build import case

CASES = {
    "training_only": case(
        lambda: [
            L.ActivityRegularization(l1=0.1),
            L.AlphaDropout(0.2),
            L.Dropout(0.5),
            L.GaussianDropout(0.3),
            L.GaussianNoise(0.1),
            L.SpatialDropout2D(0.2),
            L.Conv2D(2, 2),
            L.Dropout(0.5),
        ],
        (4, 3, 2),
    ),
    "spatial_dropout_1d": case(lambda: [L.SpatialDropout1D(0.2), L.Dense(2)], (4, 3)),
    "spatial_dropout_3d": case(lambda: [L.SpatialDropout3D(0.2), L.Dense(2)], (2, 3, 4, 2)),
    "augmentation": case(
        lambda: [
            L.AugMix(),
            L.RandomGrayscale(),
            L.CutMix(),
            L.MixUp(),
            L.RandAugment(),
            L.RandomBrightness(0.2),
            L.RandomColorDegeneration(0.2),
            L.RandomColorJitter(),
            L.RandomContrast(0.2),
            L.RandomElasticTransform(),
            L.RandomErasing(),
            L.RandomFlip(),
            L.RandomGaussianBlur(),
            L.RandomHue(0.2),
            L.RandomInvert(),
            L.RandomPerspective(),
            L.RandomPosterization(4),
            L.RandomRotation(0.2),
            L.RandomSaturation(0.2),
            L.RandomSharpness(0.2),
            L.RandomShear(),
            L.RandomTranslation(0.1, 0.1),
            L.RandomZoom(0.1),
            L.Conv2D(2, 3),
        ],
        (8, 6, 3),
    ),
}
