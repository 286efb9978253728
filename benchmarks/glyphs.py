"""A harder task than digits: 36 signs in the fonts of Debian, in colour, and two trained networks.

    python benchmarks/glyphs.py make [--fonts FOLDER]    # draws all images; needs the fonts
    python benchmarks/glyphs.py train resnet20 mobilenet # trains the committed weights again
    python benchmarks/glyphs.py                          # errors of the committed networks

Images: 32 x 32 RGB, a letter, a digit from 2 to 9, & or ?, in real outlines of 189 font
families, warped, on textured grounds, partly covered, blurred (``glyph_images.py``). Families are
disjoint between training, validation and test (``glyph_fonts.py``). Only the test images and some
training images for calibration are committed, with the weights; no font is.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from glyph_fonts import CLASSES, DATA, FACES, digest
from glyph_images import FOLDERS, draw, find_fonts
from keras import layers as L

IMAGES = DATA / "glyphs.npz"
CACHE = Path(os.environ.get("KCONVERT_DATA", "~/.cache/kconvert/glyphs")).expanduser()
N_TRAIN, N_VALIDATION, N_TEST, N_CALIBRATION = 48_000, 1_800, 1_440, 180


class Glyphs(NamedTuple):
    """A trained network and images that it takes, of shape (n, 32, 32, 3) from 0 to 1."""

    model: keras.Model
    x_test: np.ndarray
    y_test: np.ndarray
    x_calibration: np.ndarray
    """The first training images, five of each class."""


def _conv(x: Any, filters: int, size: int = 3, strides: int = 1) -> Any:
    x = L.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
    return L.BatchNormalization(momentum=0.9)(x)


def resnet20(width: int = 16) -> keras.Model:
    """ResNet-20 of He et al. 2016, with 1 x 1 convolutions as shortcuts.

    The first convolution has strides of 2, so stages work on 16, 8 and 4 pixels in the place of 32,
    16 and 8: a quarter of the work.
    """
    x = images = keras.Input((32, 32, 3))
    x = L.ReLU()(_conv(x, width, 5, strides=2))
    for filters in (width, 2 * width, 4 * width):
        for block in range(3):
            strides = 2 if filters > width and block == 0 else 1
            y = _conv(L.ReLU()(_conv(x, filters, strides=strides)), filters)
            if strides > 1:
                x = _conv(x, filters, 1, strides)
            x = L.ReLU()(L.Add()([x, y]))
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(images, L.Dense(len(CLASSES))(x), name="resnet20")


def mobilenet(width: int = 24, expansion: int = 4) -> keras.Model:
    """Inverted residual blocks of MobileNetV2 (Sandler et al. 2018) with ReLU6."""

    def relu6(x: Any) -> Any:
        return L.ReLU(6.0)(x)

    x = images = keras.Input((32, 32, 3))
    x = relu6(_conv(x, width, strides=2))
    for filters, strides in ((width, 1), (32, 2), (32, 1), (48, 2), (48, 1), (64, 1)):
        y = relu6(_conv(x, expansion * x.shape[-1], 1))
        y = L.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(y)
        y = relu6(L.BatchNormalization(momentum=0.9)(y))
        y = _conv(y, filters, 1)
        x = L.Add()([x, y]) if x.shape == y.shape else y
    x = L.GlobalAveragePooling2D()(relu6(_conv(x, 160, 1)))
    return keras.Model(images, L.Dense(len(CLASSES))(x), name="mobilenet")


NETWORKS = {"resnet20": resnet20, "mobilenet": mobilenet}
EPOCHS, BATCH, RATE = 6, 32, 0.002
SEED = 0


def weights(name: str) -> Path:
    """The file of a network's committed weights."""
    return DATA / f"glyphs_{name}.weights.h5"


def load(name: str) -> Glyphs:
    """A committed network, the test images and the images for calibration.

    Args:
        name: "resnet20" or "mobilenet".

    Example:
        >>> model, x, y, x_calibration = load("resnet20")
        >>> x.shape, x_calibration.shape
        ((1440, 32, 32, 3), (180, 32, 32, 3))
    """
    model = NETWORKS[name]()
    model.load_weights(weights(name))
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    with np.load(IMAGES) as file:
        x_test, y_test = _images(file["x_test"]), file["y_test"].astype(int)
        return Glyphs(model, x_test, y_test, _images(file["x_calibration"]))


def error(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Classification error in percent."""
    return 100 * float((model.predict(x, batch_size=180, verbose=0).argmax(axis=1) != y).mean())


def make(folders: tuple[str, ...]) -> None:
    """Draw all images: the committed ones into ``IMAGES``, those of training into ``CACHE``."""
    print(f"fonts: {digest(FACES)}")
    fonts = find_fonts(folders)
    x, y = draw(fonts, "train", N_TRAIN)
    x_validation, y_validation = draw(fonts, "validation", N_VALIDATION)
    CACHE.mkdir(parents=True, exist_ok=True)
    np.savez(CACHE / "train.npz", x=x, y=y, x_validation=x_validation, y_validation=y_validation)
    x_test, y_test = draw(fonts, "test", N_TEST)
    np.savez_compressed(
        IMAGES,
        x_test=x_test,
        y_test=y_test.astype(np.uint8),
        x_calibration=x[:N_CALIBRATION],
    )
    print(f"wrote {IMAGES}: {digest(IMAGES)}, and {CACHE / 'train.npz'}")


def train(name: str, epochs: int = EPOCHS, resume: bool = False) -> None:
    """AdamW at a constant rate that falls to 0 in the last third; the last weights are kept.

    The state after each epoch is in ``CACHE``. ``resume`` goes on from there: images are shuffled
    by the number of the epoch, so the result is that of one run.
    """
    if not (CACHE / "train.npz").exists():
        raise SystemExit(f"No training images in {CACHE}: python benchmarks/glyphs.py make")
    with np.load(CACHE / "train.npz") as file:
        x, y = file["x"], file["y"]
        validation = _images(file["x_validation"]), file["y_validation"]
    state = CACHE / f"{name}.keras"
    keras.utils.set_random_seed(SEED)
    if resume and state.exists():
        model = keras.models.load_model(state)
    else:
        model = NETWORKS[name]()
        model.compile(
            keras.optimizers.AdamW(RATE, weight_decay=0.02),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,  # half as fast with XLA on a processor
        )
    steps = len(x) // BATCH
    for epoch in range(int(model.optimizer.iterations.value) // steps, epochs):

        def rate(batch: int, logs: Any = None, first: int = epoch * steps) -> None:
            done = (first + batch) / (epochs * steps)
            model.optimizer.learning_rate = RATE * min((first + batch + 1) / 400, 3 * (1 - done), 1)

        order = np.random.default_rng([SEED, epoch]).permutation(len(x))[: steps * BATCH]
        found = model.fit(
            _images(x[order]),
            y[order],
            batch_size=BATCH,
            shuffle=False,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=rate)],
        )
        model.save(state)
        bare = NETWORKS[name]()  # without the optimizer's state
        bare.set_weights(model.get_weights())
        bare.save_weights(weights(name))
        print(
            f"{name}, epoch {epoch + 1} of {epochs}: loss {found.history['loss'][0]:.3f}, error "
            f"{100 * (1 - found.history['accuracy'][0]):.1f} %, of validation families "
            f"{error(model, *validation):.2f} %",
            flush=True,
        )


def _images(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) / 255


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", help="make; or train and the networks' names")
    parser.add_argument("--fonts", nargs="*", default=FOLDERS, help="folders with the fonts")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--resume", action="store_true", help="go on with a stopped training")
    arguments = parser.parse_args()
    if arguments.what == ["make"]:
        make(tuple(arguments.fonts))
    elif arguments.what[:1] == ["train"]:
        for name in arguments.what[1:] or NETWORKS:
            train(name, arguments.epochs, arguments.resume)
    elif arguments.what:
        parser.error(f"{' '.join(arguments.what)!r} is neither make nor train")
    for name in NETWORKS:
        if weights(name).exists() and IMAGES.exists():
            model, x, y, _ = load(name)
            test = f"test error {error(model, x, y):.2f} %"
            print(f"{name}: {model.count_params():,} parameters, {test}")


if __name__ == "__main__":
    main()
