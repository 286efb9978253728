"""Models and networks from files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ..errors import FileError, InputError
from ..packages import needed
from .output import either, working

NETWORK = ".kconvert"
OWN_CODE = re.compile("register_keras_serializable|custom_objects|safe_mode|Unknown layer")
"""What Keras says where a model has layers or functions that it does not know, or may not run."""
MODELS = (".keras", ".h5", ".hdf5")


def is_network(path: Path) -> bool:
    """Whether a file holds a converted network, by its name."""
    return path.suffix.lower() == NETWORK


def read_model(path: Path) -> Any:
    """The Keras model in a file.

    Raises:
        FileError: There is none, or Keras cannot read it.
    """
    if path.suffix.lower() not in MODELS:
        also = f". {NETWORK} files are converted already" if is_network(path) else ""
        raise FileError(
            f"{str(path)!r} does not have the name of a Keras model, which ends in "
            f"{either(MODELS)}{also}"
        )
    _require_file(path)
    from . import quiet_tensorflow

    with working(f"reading {path}"):
        quiet_tensorflow()
        with needed("a Keras model"):
            import keras

            from .. import layers  # noqa: F401 - so that Keras knows them when it reads the file
        try:
            with redirect_stdout(sys.stderr):  # a layer of the user's may print
                return keras.saving.load_model(path)
        except Exception as error:  # Keras raises many kinds, and the readers below it raise theirs
            if path.suffix.lower() == ".keras":
                raise _unreadable(path, error) from error
    from ..reader import read_h5

    try:
        return read_h5(path)  # of Keras 2
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> FileError:
    """What Keras says, in one line; and what to do where it lacks code of the user's."""
    text = " ".join(str(error).split()) or type(error).__name__
    # Keras writes out the whole configuration around what it has to say.
    text = text.rpartition("Exception encountered: ")[2].partition(" Full object config:")[0]
    if OWN_CODE.search(text):
        text += (
            " -- The command line runs no code from a file, and does not have your layers: load "
            "this model in Python and pass it to kconvert.convert"
        )
    return FileError(f"Keras cannot read {str(path)!r}: {text}")


def read_network(path: Path, model: Path | None = None) -> Any:
    """The network in a ``.kconvert`` file.

    Args:
        path: The file.
        model: The Keras model that it was made from, for comparisons with it.

    Raises:
        FileError: A file cannot be read.
        InputError: The network was made from another model.
    """
    if not is_network(path):
        raise FileError(
            f"{str(path)!r} does not have the name of a converted network, which ends in "
            f"{NETWORK}: kconvert convert makes one from a Keras model"
        )
    from ..files.store import load

    return load(path, None if model is None else read_model(model))


def require_unchanged(path: Path, settings: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    """Refuse settings for a network that is converted already.

    Raises:
        InputError: With the options.
    """
    names = [*settings, *(name for name, value in others.items() if value is not None)]
    if names:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        raise InputError(
            f"{str(path)!r} is converted already, so {options} cannot change it: give the Keras "
            "model instead"
        )


def input_shapes(source: Any) -> dict[str, tuple[int, ...]]:
    """The name of each input of a network or a Keras model, and the shape of a sample.

    Raises:
        InputError: A Keras model that was never built has none.
    """
    signature = getattr(source, "signature", None)
    if signature is not None:
        return dict(signature.inputs)
    inputs = getattr(source, "inputs", None)
    if not inputs:
        raise InputError(
            f"the model {source.name!r} has no inputs of a known shape: build it before it is saved"
        )
    return {
        tensor.name: tuple(0 if size is None else int(size) for size in tensor.shape[1:])
        for tensor in inputs
    }


def output_sizes(source: Any) -> list[int]:
    """The number of values of each output of a network or a Keras model."""
    if hasattr(source, "signature"):
        graph = source.graph
        shapes: Sequence[Any] = [graph.output_shape(k) for k in range(len(graph.outputs))]
    else:
        shapes = [tuple(tensor.shape[1:]) for tensor in source.outputs]
    return [_product(shape) for shape in shapes]


def read_class_names(path: Path | None) -> list[str] | None:
    """The lines of a text file.

    Raises:
        FileError: It cannot be read, or has no names.
    """
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{str(path)!r} cannot be read: {error}") from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise FileError(f"{str(path)!r} has no names: it needs one in each line")
    return names


def _require_file(path: Path) -> None:
    if not path.exists():
        raise FileError(f"there is no file {str(path)!r}")
    if not path.is_file():
        raise FileError(f"{str(path)!r} is not a regular file")
    if not os.access(path, os.R_OK):
        raise FileError(f"{str(path)!r} may not be read")


def _product(shape: Sequence[Any]) -> int:
    found = 1
    for size in shape:
        found *= int(size or 0)
    return found
