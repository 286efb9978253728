"""Models and networks from files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..packages import needed

NETWORK = ".kconvert"
MODELS = (".keras", ".h5", ".hdf5")


def is_network(path: Path) -> bool:
    """Whether a file holds a converted network, by its name."""
    return path.suffix == NETWORK


def read_model(path: Path) -> Any:
    """The Keras model in a file.

    Raises:
        FileError: There is none, or Keras cannot read it.
    """
    if path.suffix not in MODELS:
        raise FileError(
            f"{str(path)!r} is not a Keras model by its name: it must end in {' or '.join(MODELS)}"
        )
    if not path.exists():
        raise FileError(f"there is no file {str(path)!r}")
    with needed("a Keras model"):
        import keras

        from .. import layers  # noqa: F401 - so that Keras knows them when it reads the file
    try:
        return keras.saving.load_model(path)
    except (ValueError, TypeError, OSError, KeyError) as error:
        if path.suffix == ".keras":
            raise FileError(f"Keras cannot read {str(path)!r}: {error}") from error
    from ..reader import read_h5

    return read_h5(path)  # of Keras 2


def read_network(path: Path, settings: Mapping[str, Any], calibration: Any = None) -> Any:
    """The network in a ``.kconvert`` file, or a Keras model converted.

    Args:
        path: The file.
        settings: Of the conversion.
        calibration: Samples for it.

    Raises:
        FileError: The file cannot be read, or holds a network that no setting can change.
    """
    if not is_network(path):
        from ..pipeline import convert

        given = {} if calibration is None else {"calibration": calibration}
        return convert(read_model(path), **given, **settings)
    if settings or calibration is not None:
        names = [*settings, *(["calibration"] if calibration is not None else [])]
        raise FileError(
            f"{str(path)!r} is converted already, so {', '.join(names)} cannot change it. Give "
            "the Keras model instead"
        )
    from ..files.store import load

    return load(path)


def input_shapes(source: Any) -> dict[str, tuple[int, ...]]:
    """The name of each input of a network or a Keras model, and the shape of a sample."""
    signature = getattr(source, "signature", None)
    if signature is not None:
        return dict(signature.inputs)
    return {
        tensor.name: tuple(0 if size is None else int(size) for size in tensor.shape[1:])
        for tensor in source.inputs
    }
