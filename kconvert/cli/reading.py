"""What several commands do first: read a model, convert it, and read samples for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .models import (
    input_shapes,
    is_network,
    output_sizes,
    read_class_names,
    read_model,
    read_network,
    require_unchanged,
)
from .output import note, working

CALIBRATION = 100
"""Samples that calibrate."""


def preprocessing_of(scale: str | None, preprocess: str | None, fit: str) -> Any:
    """What was typed, refused before anything else is done."""
    from .images import Preprocessing

    return Preprocessing.read(scale, preprocess, fit)


def read_for(
    what: str,
    source: Any,
    preprocessing: Any,
    *,
    judged: bool = True,
    class_names: Sequence[str] | None = None,
    **options: Any,
) -> Any:
    """Samples for a network or a Keras model.

    Args:
        what: What the user typed.
        source: The network or model.
        preprocessing: What is done to the values.
        judged: Whether labels count: then folders are numbered as the classes are.
        class_names: Names of the classes, or None.
        **options: Arguments of ``read_samples``.
    """
    from .samples import read_samples, with_classes_of

    found = read_samples(what, input_shapes(source), preprocessing=preprocessing, **options)
    if preprocessing.leaves_arrays and getattr(found.x, "dtype", None) == "uint8":
        note(f"{found.source} holds bytes, used as they are. --scale 1/255 makes them 0 to 1.")
    return with_classes_of(found, class_names, output_sizes(source)) if judged else found


def class_names_for(path: Path | None, source: Any) -> Sequence[str] | None:
    """The names in a file, one for each class; else those that the network has."""
    from ..scoring.labels import check_class_names

    names = read_class_names(path)
    if names is None:
        return getattr(source, "class_names", None)
    return check_class_names(names, output_sizes(source))


def network_of(
    settings: Mapping[str, Any],
    source: Path,
    calibration: str | None,
    preprocessing: Any,
    *,
    data: str | None = None,
    model: Path | None = None,
) -> Any:
    """A stored network, or a Keras model converted with the settings of the command.

    Args:
        settings: Of the conversion.
        source: The file of the network or model.
        calibration: What the user typed, or None.
        preprocessing: What is done to the values of samples.
        data: The samples that the network is judged by, if it is judged.
        model: The Keras model of a stored network, or None.
    """
    if is_network(source):
        require_unchanged(source, settings, {"calibration": calibration})
        return read_network(source, model)
    if model is not None:
        raise InputError(f"--model goes with a .kconvert file: {str(source)!r} is a Keras model")
    if calibration is not None and data is not None and _same(calibration, data):
        raise InputError(
            f"--calibration and DATA are both {data!r}: samples that calibrate a network must not "
            "test it. Give two files, or a .npz file with x_train and x_test"
        )
    return converted(read_model(source), settings, calibration, preprocessing)[0]


def converted(
    model: Any,
    settings: Mapping[str, Any],
    calibration: str | None,
    preprocessing: Any,
    distribute: str | None = None,
) -> tuple[Any, Any]:
    """A Keras model converted, and the samples that calibrated it."""
    samples = None
    given: dict[str, Any] = {}
    if calibration is not None and calibration.lower() == "false":
        given = {"calibration": False}
    elif calibration is not None:
        samples = calibration_samples(calibration, model, preprocessing)
        given = {"calibration": samples.x}
    from ..pipeline import convert as convert_model

    with working("converting"):
        return convert_model(model, **given, **settings, distribute=distribute), samples


def calibration_samples(what: str, model: Any, preprocessing: Any) -> Any:
    """Samples that calibrate: never those that a data set has for tests."""
    from .data_sets import NAMED, TEST, TRAIN
    from .samples import read_samples

    name, _, part = what.partition(":")
    if name in NAMED and part == TEST:
        raise InputError(
            f"--calibration {what}: these are test samples, and samples that calibrate a network "
            f"must not test it. Give --calibration {name}"
        )
    samples = read_samples(
        what, input_shapes(model), n=CALIBRATION, part=TRAIN, preprocessing=preprocessing
    )
    note(f"Calibrated on {samples.n} samples of {samples.source}")
    return samples


def _same(calibration: str, data: str) -> bool:
    """Whether two arguments are the same file or folder, which has no part of its own to test."""
    from .samples import has_parts

    first, second = Path(calibration), Path(data)
    return first.exists() and second.exists() and first.samefile(second) and not has_parts(first)
