"""Samples and labels from files, folders of images and named data sets."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .data_sets import CLASS_NAMES, NAMED, TEST, TRAIN, read_data_set
from .images import IMAGES, Preprocessing, find_images, read_images

LABELS = ("y", "labels")
"""Names of labels in a ``.npz`` file, with the part behind them: ``y_test``."""
PARTED = {f"x_{TRAIN}", f"x_{TEST}"}
"""Names in a ``.npz`` file that has both parts."""
AS_IT_IS = Preprocessing()


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as the network takes them.

    Args:
        x: Shape (n, *input_shape), or a dict of such by input.
        y: Labels, or None.
        names: What each sample is called; empty if they have only numbers.
        class_names: Names of the classes, if the source has them.
        source: Where they are from, for people.
        part: "train" or "test" if the source has such parts, else empty.
    """

    x: Any
    y: Any
    names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    source: str = ""
    part: str = ""

    @property
    def n(self) -> int:
        """The number of samples."""
        return _length(self.x)

    def at(self, chosen: np.ndarray) -> Samples:
        """Some of them."""
        if len(chosen) == self.n:
            return self
        x = (
            {name: each[chosen] for name, each in self.x.items()}
            if isinstance(self.x, Mapping)
            else self.x[chosen]
        )
        y = None if self.y is None else self.y[chosen]
        names = self.names or tuple(map(str, range(self.n)))
        return replace(self, x=x, y=y, names=tuple(names[k] for k in chosen))


def spread(n: int, most: int | None) -> np.ndarray:
    """Numbers of at most so many of n samples, evenly spread, as these may be sorted by class.

    Example:
        >>> spread(10, 4)
        array([0, 3, 6, 9])
    """
    if most is None or most >= n:
        return np.arange(n)
    return np.linspace(0, n - 1, most).round().astype(int)


def read_samples(
    what: str,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    part: str = TEST,
    labels: Path | None = None,
    preprocessing: Preprocessing = AS_IT_IS,
    n: int | None = None,
) -> Samples:
    """Samples from what a user typed.

    Args:
        what: Name of a data set, such as ``mnist5k`` or ``cifar10:train``; or a ``.npy`` or
            ``.npz`` file, an image, or a folder of images.
        shapes: The network's inputs.
        part: "train" or "test": which part of a source that has both, if the user does not say.
        labels: A ``.npy`` file with labels.
        preprocessing: What is done to the values.
        n: At most so many: the first of a data set, else spread over the source.

    Raises:
        InputError: There is nothing of that name, or it does not fit the network.
    """
    path = Path(what)
    name, _, asked = what.partition(":")
    if name in NAMED:
        found = _named(name, asked or part, shapes, preprocessing)
    elif path.is_dir() or path.suffix.lower() in IMAGES:
        return _images(path, shapes, preprocessing, labels, n)
    elif path.suffix.lower() in (".npy", ".npz"):
        found = _arrays(path, part, shapes, preprocessing)
    else:
        raise InputError(
            f"{what!r} is neither a named data set ({', '.join(NAMED)}) nor a .npy or .npz file, "
            f"an image ({', '.join(IMAGES)}) or a folder that exists"
        )
    if labels is not None:
        found = replace(found, y=_labels(labels, found.n))
    if found.y is not None and len(found.y) != found.n:
        raise InputError(f"{found.source} has {found.n} samples and {len(found.y)} labels")
    return found.at(np.arange(found.n)[:n] if name in NAMED else spread(found.n, n))


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


def with_classes_of(
    samples: Samples, class_names: Sequence[str] | None, units: Sequence[int]
) -> Samples:
    """Samples whose folders are numbered as the network numbers its classes.

    Args:
        samples: As they were read; folders are numbered in the order of their names.
        class_names: The network's, if it has them.
        units: Number of values of each output.

    Raises:
        InputError: A folder is no class, or the network has more or fewer classes than folders.
    """
    folders = samples.class_names
    if samples.y is None or not folders or len(units) != 1 or samples.part:
        return samples  # data sets with parts have numbers of their own
    if class_names:
        unknown = [name for name in folders if name not in class_names]
        if unknown:
            raise InputError(
                f"{samples.source} has the folder {unknown[0]!r}, and the network's classes are "
                f"{', '.join(class_names)}: rename the folder, or pass --class-names"
            )
        numbers = np.array([list(class_names).index(name) for name in folders])
        return replace(samples, y=numbers[samples.y], class_names=tuple(class_names))
    classes = 2 if units[0] == 1 else units[0]
    if classes != len(folders):
        raise InputError(
            f"{samples.source} has {len(folders)} folders, and the network has {classes} classes: "
            "pass --class-names with the name of every class, in the network's order"
        )
    return samples


def has_parts(path: Path) -> bool:
    """Whether a file has samples to train on and others to test on."""
    if path.suffix.lower() != ".npz" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {f"{name}.npy" for name in PARTED} <= set(archive.namelist())


def _load(path: Path) -> Any:
    """The array in a ``.npy`` file, or a dict of those in a ``.npz`` file."""
    try:
        with open(path, "rb") as file:
            found = np.load(file, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else dict(found)
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}") from None
    except IsADirectoryError:
        raise InputError(f"{str(path)!r} is a folder") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{str(path)!r} cannot be read as a NumPy file: {error}") from error


def _labels(path: Path, n: int) -> np.ndarray:
    y = _load(path)
    if not isinstance(y, np.ndarray) or y.ndim == 0 or len(y) != n:
        found = f"shape {y.shape}" if isinstance(y, np.ndarray) else "several arrays"
        raise InputError(f"{str(path)!r} must hold {n} labels, one for each sample; it has {found}")
    return y


def _arrays(
    path: Path, part: str, shapes: Mapping[str, Any], preprocessing: Preprocessing
) -> Samples:
    """A ``.npy`` file, or a ``.npz`` file."""
    loaded = _load(path)
    x: Any = loaded
    y, parts = None, False
    if not isinstance(loaded, np.ndarray):
        x, y, parts = _members(path, loaded, part, shapes)
    if isinstance(x, Mapping):
        x = {name: preprocessing.arrays(each) for name, each in x.items()}
    else:
        x = preprocessing.arrays(x)
    lengths = {_length(each) for each in (x.values() if isinstance(x, Mapping) else [x])}
    if len(lengths) > 1:
        raise InputError(f"{str(path)!r} has arrays of different lengths: {sorted(lengths)}")
    if lengths == {0}:
        raise InputError(f"{str(path)!r} has no samples")
    return Samples(x, y, source=str(path), part=part if parts else "")


def _members(
    path: Path, arrays: Mapping[str, np.ndarray], part: str, shapes: Mapping[str, Any]
) -> tuple[Any, np.ndarray | None, bool]:
    """Samples and labels in a ``.npz`` file, and whether it has parts to train and to test on."""
    parts = set(arrays) >= PARTED
    endings = (f"_{part}",) if parts else ("", f"_{TEST}", f"_{TRAIN}")
    y = next((arrays[f"{a}{b}"] for a in LABELS for b in endings if f"{a}{b}" in arrays), None)
    if shapes and set(shapes) <= set(arrays):
        return {name: arrays[name] for name in shapes}, y, False
    for ending in endings:
        if f"x{ending}" in arrays:
            return arrays[f"x{ending}"], y, parts
    others = [name for name in arrays if name.partition("_")[0] not in LABELS]
    if len(others) == 1:
        return arrays[others[0]], y, False
    raise InputError(
        f"{str(path)!r} has the arrays {', '.join(arrays) or 'none'}: it needs samples named x, or "
        f"an array for each input: {', '.join(shapes)}"
    )


def _images(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    preprocessing: Preprocessing,
    labels: Path | None,
    n: int | None,
) -> Samples:
    found = find_images(path)
    y = np.array(found.labels) if found.labels else None
    if labels is not None:
        y = _labels(labels, len(found.files))
    chosen = spread(len(found.files), n)  # only these are read
    files = [found.files[k] for k in chosen]
    return Samples(
        read_images(files, shapes, preprocessing),
        None if y is None else y[chosen],
        tuple(str(file.relative_to(found.base)) for file in files),
        found.class_names if labels is None else (),
        str(path),
    )


def _named(
    name: str, part: str, shapes: Mapping[str, tuple[int, ...]], preprocessing: Preprocessing
) -> Samples:
    x, y = read_data_set(name, part)
    if x.ndim == 3:
        x = x[..., None]
    values = preprocessing.images(x)
    if len(shapes) == 1:
        (shape,) = shapes.values()
        if shape in ((x[0].size,), x.shape[1:3]) and x.shape[-1] == 1:
            values = values.reshape(-1, *shape)  # for networks that take grey images without colour
    return Samples(
        values, y, class_names=CLASS_NAMES.get(name, ()), source=f"{name}:{part}", part=part
    )


def _length(x: Any) -> int:
    first = next(iter(x.values())) if isinstance(x, Mapping) else x
    return len(first) if np.ndim(first) else 0
