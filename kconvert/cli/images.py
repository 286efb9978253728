"""Images as a network takes them: found in folders, brought to its size, and scaled."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import nearest
from ..errors import InputError
from ..memory import require_memory
from ..packages import needed

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name of the colours by the number of channels."""
FITS = ("stretch", "crop", "pad")
DEEP = {"I;16": 65535, "I;16B": 65535, "I;16L": 65535, "1": 1}
"""Largest value of the grey images that Pillow does not bring to 0 to 255 itself."""
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, MemoryError)
"""What Pillow raises for damaged files."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to images and arrays before the network sees them.

    Args:
        scale: Factor on all values, or None for 1/255 on images and 1 on arrays.
        mode: "tf", "torch" or "caffe", as ``keras.applications`` has them, instead of a factor.
        fit: How an image comes to the network's size: "stretch", "crop" or "pad".
    """

    scale: float | None = None
    mode: str | None = None
    fit: str = FITS[0]

    @classmethod
    def read(cls, scale: str | None, mode: str | None, fit: str) -> Preprocessing:
        """What a user typed.

        Raises:
            InputError: It cannot be, with what can.
        """
        if mode is not None and mode not in APPLICATIONS:
            words = tuple(APPLICATIONS)
            raise InputError(
                f"--preprocess must be one of {', '.join(words)}. Received: {mode!r}"
                f"{nearest(mode, words)}"
            )
        if fit not in FITS:
            raise InputError(
                f"--fit must be one of {', '.join(FITS)}. Received: {fit!r}{nearest(fit, FITS)}"
            )
        if scale is not None and mode is not None:
            raise InputError("give --scale or --preprocess: each of them sets the values")
        return cls(None if scale is None else read_scale(scale), mode, fit)

    @property
    def leaves_arrays(self) -> bool:
        """Whether the values of ``.npy`` and ``.npz`` files stay as they are."""
        return self.scale is None and self.mode is None

    def images(self, x: np.ndarray) -> np.ndarray:
        """Images with values from 0 to 255, as the network takes them; float32."""
        if self.leaves_arrays:
            return x.astype(np.float32) / np.float32(255)
        return self.arrays(x.astype(np.float32))

    def arrays(self, x: np.ndarray) -> np.ndarray:
        """An array as the network takes it; nothing is done unless the user says so.

        Raises:
            InputError: It has no colours, and ``mode`` is for such.
        """
        if self.mode is not None:
            if x.ndim < 2 or x.shape[-1] != 3 or x.dtype.kind not in "fiu":
                raise InputError(
                    f"--preprocess {self.mode} is for images of 3 colours. Received: shape "
                    f"{x.shape} of {x.dtype}"
                )
            return APPLICATIONS[self.mode](x.astype(np.float32))
        if self.scale is None:
            return x
        if x.dtype.kind not in "fiub":
            raise InputError(f"--scale is for numbers. Received: values of {x.dtype}")
        return np.asarray(x * np.float32(self.scale))


def read_scale(text: str) -> float:
    """A factor: a number such as 0.5, or a quotient such as 1/255.

    Raises:
        InputError: It is no finite number, or 0.
    """
    try:
        top, _, bottom = text.partition("/")
        found = float(Fraction(top) / Fraction(bottom or 1))
    except (ValueError, ZeroDivisionError, OverflowError):
        found = 0.0
    if found == 0:
        raise InputError(f"--scale must be a number other than 0, or 1/255. Received: {text!r}")
    return found


def _torch(x: np.ndarray) -> np.ndarray:
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    centred = x / np.float32(255) - np.array(mean, np.float32)
    return np.asarray(centred / np.array(deviation, np.float32))


APPLICATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "tf": lambda x: x / np.float32(127.5) - 1,
    "torch": _torch,
    "caffe": lambda x: x[..., ::-1] - np.array((103.939, 116.779, 123.68), np.float32),
}
"""The modes of ``keras.applications.imagenet_utils.preprocess_input``, without Keras."""


@dataclass(frozen=True, slots=True)
class Found:
    """The images of a folder, not read yet.

    Args:
        files: The files, in the order of their names.
        labels: The class of each; empty without folders of classes.
        class_names: Names of the folders, in their order.
        base: The folder.
    """

    files: tuple[Path, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    base: Path


def find_images(path: Path) -> Found:
    """An image, or the images in a folder. The folders in it are classes, in the order of names.

    Files and folders whose names begin with a dot are left out. So it is in
    ``keras.utils.image_dataset_from_directory``.

    Raises:
        InputError: There is no image; or images lie beside the folders of classes.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"there is no image {str(path)!r}")
        return Found((path,), (), (), path.parent)
    inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    folders = [each for each in inside if each.is_dir()]
    here = [each for each in inside if _is_image(each)]
    if folders and here:
        raise InputError(
            f"{str(path)!r} has images and folders in it, such as {here[0].name!r} and "
            f"{folders[0].name!r}. It must have images only, or a folder of images for each class"
        )
    if not folders:
        found = Found(tuple(here), (), (), path)
    else:
        pairs = [
            (file, label)
            for label, folder in enumerate(folders)
            for file in sorted(folder.rglob("*"))
            if _is_image(file)
        ]
        empty = [folder.name for k, folder in enumerate(folders) if k not in {k for _, k in pairs}]
        if pairs and empty:
            raise InputError(f"there is no image in {str(path / empty[0])!r}, which is a class")
        found = Found(
            tuple(file for file, _ in pairs),
            tuple(label for _, label in pairs),
            tuple(folder.name for folder in folders),
            path,
        )
    if not found.files:
        raise InputError(f"there is no image in {str(path)!r}: {', '.join(IMAGES)}")
    return found


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in IMAGES and not hidden and path.is_file()


def read_images(
    files: Sequence[Path], shapes: Mapping[str, tuple[int, ...]], preprocessing: Preprocessing
) -> np.ndarray:
    """Images as the network takes them.

    Args:
        files: The files.
        shapes: The network's inputs.
        preprocessing: How they come to its size and scale.

    Returns:
        Shape (n, *input_shape), float32.

    Raises:
        InputError: A file cannot be read, or the network does not take images.
        MissingPackageError: Pillow is not installed.
    """
    height, width, channels, first = _image_shape(shapes)
    needs = 4.0 * len(files) * height * width * channels
    require_memory("images", 2 * needs, "--n", len(files))  # while they are scaled, twice
    x = np.empty((len(files), height, width, channels), np.float32)
    for row, file in zip(x, files, strict=True):
        row[:] = _read_image(file, (height, width), channels, preprocessing.fit)
    x = preprocessing.images(x)
    return np.moveaxis(x, -1, 1) if first else x


def _image_shape(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether these come first."""
    if len(shapes) == 1:
        (shape,) = shapes.values()
        if len(shape) == 2 and all(shape):
            raise InputError(
                f"images have an axis of colours, but this network's input of shape {shape} has "
                "none: pass a .npy or .npz file"
            )
        if len(shape) == 3 and all(shape):
            if shape[-1] in MODES:
                return shape[0], shape[1], shape[2], False
            if shape[0] in MODES:
                return shape[1], shape[2], shape[0], True
    raise InputError(
        "images are for networks with one input of shape (height, width, channels) or (channels, "
        f"height, width), and 1, 3 or 4 channels. This network has {dict(shapes)}: pass a .npy or "
        ".npz file"
    )


def _read_image(path: Path, size: tuple[int, int], channels: int, fit: str) -> np.ndarray:
    """Values from 0 to 255, of shape (height, width, channels)."""
    with needed("a folder of images"):
        from PIL import Image, ImageOps

    wanted = (size[1], size[0])  # Pillow has the width first
    try:
        with Image.open(path) as opened:
            image: Any = ImageOps.exif_transpose(opened)  # as a photograph was held
            if image.mode in ("I", "F"):
                raise InputError(
                    f"{str(path)!r} has values of {image.mode} (Pillow's name), whose range is not "
                    "known: convert it to 8 bits, or pass a .npy file"
                )
            if image.mode in DEEP:
                grey = np.asarray(image, np.float32) * (255 / DEEP[image.mode])
                image = Image.fromarray(grey.round().astype(np.uint8))
            image = image.convert(MODES[channels])
            resampling = Image.Resampling.BILINEAR
            if fit == "crop":
                image = ImageOps.fit(image, wanted, resampling)
            elif fit == "pad":
                image = ImageOps.pad(image, wanted, resampling)
            else:
                image = image.resize(wanted, resampling)
            return np.asarray(image, dtype=np.float32).reshape(*size, channels)
    except InputError:
        raise
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise InputError(f"{str(path)!r} cannot be read as an image: {error}") from error
