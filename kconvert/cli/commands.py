"""The commands that take a Keras model and convert it, or a network that is converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from . import FAILED
from .models import (
    input_shapes,
    is_network,
    output_sizes,
    read_class_names,
    read_model,
    read_network,
    require_unchanged,
)
from .output import new_file, note, print_json, show, size_of, working
from .parameters import (
    AsJson,
    Calibration,
    ClassNames,
    Data,
    Fit,
    Force,
    KerasModel,
    Labels,
    Model,
    Number,
    Preprocess,
    Scale,
    Source,
    Steps,
)

CALIBRATION, TUNED = 100, 500
"""Samples that calibrate, and that settings are chosen by, unless the user says how many."""


def check(settings: dict[str, Any], model: Model, as_json: AsJson = False) -> None:
    """Say what becomes of every layer.

    Ends with 1 if a layer cannot be converted.
    """
    keras_model = read_model(model)
    from ..checking import check as check_model

    found = check_model(keras_model, **settings)
    show(found, as_json)
    if not found:
        raise typer.Exit(FAILED)


def convert(
    settings: dict[str, Any],
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The file. [default: MODEL with .kconvert]",
            show_default=False,
        ),
    ] = None,
    calibration: Calibration = None,
    scale: Scale = None,
    preprocess: Preprocess = None,
    fit: Fit = "stretch",
    class_names: ClassNames = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Convert a Keras model, and write a .kconvert file."""
    path = new_file(out or model.with_suffix(".kconvert"), force)
    preprocessing = _preprocessing(scale, preprocess, fit)
    keras_model = read_model(model)
    names = _class_names(class_names, keras_model)
    spiking, samples = _converted(keras_model, settings, calibration, preprocessing)
    folders = samples.class_names if samples is not None else ()
    if names is None and output_sizes(spiking) == [len(folders)]:
        names = folders
        note(f"Class names are those of {samples.source}: {', '.join(names)}")
    spiking.save(path, class_names=names)
    show(spiking, as_json)
    note(f"Wrote {size_of(path)}.")


def evaluate(
    settings: dict[str, Any],
    source: Source,
    data: Data,
    labels: Labels = None,
    steps: Steps = None,
    n: Number = None,
    scale: Scale = None,
    preprocess: Preprocess = None,
    fit: Fit = "stretch",
    calibration: Calibration = None,
    model: KerasModel = None,
    class_names: ClassNames = None,
    max_error: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT", help="End with 1 if more than this percentage of samples is wrong."
        ),
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="End with 1 if more accuracy than this is lost against Keras: 0.005 is half a "
            "point. For a .kconvert file give --model too.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how good the outputs are, on labelled samples."""
    from .judging import require_within
    from .samples import require_labels

    if max_loss is not None and is_network(source) and model is None:
        raise InputError("--max-loss compares with Keras: pass --model with the Keras model")
    preprocessing = _preprocessing(scale, preprocess, fit)
    spiking = _network(settings, source, calibration, preprocessing, data=data, model=model)
    names = _class_names(class_names, spiking)
    samples = require_labels(
        _read(data, spiking, preprocessing, labels=labels, n=n, class_names=names)
    )
    note(f"Evaluated on {samples.n} samples of {samples.source}")
    found = spiking.evaluate(samples.x, samples.y, steps)
    show(found, as_json)
    require_within(found, max_error, max_loss)


def predict(
    settings: dict[str, Any],
    source: Source,
    data: Data,
    steps: Steps = None,
    n: Number = None,
    scale: Scale = None,
    preprocess: Preprocess = None,
    fit: Fit = "stretch",
    calibration: Calibration = None,
    class_names: ClassNames = None,
    top: Annotated[
        int, typer.Option(min=1, metavar="N", help="Classes to list for each sample.")
    ] = 3,
    logits: Annotated[
        bool, typer.Option("--logits", help="The outputs in front of softmax or sigmoid.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write outputs to a .npy, .csv or .json file."
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Run samples, and print or write the outputs."""
    from .predictions import prediction_table, predictions_of, write_outputs

    path = None if out is None else new_file(out, force, (".npy", ".csv", ".json"))
    preprocessing = _preprocessing(scale, preprocess, fit)
    spiking = _network(settings, source, calibration, preprocessing, data=data)
    names = _class_names(class_names, spiking)
    samples = _read(data, spiking, preprocessing, n=n, judged=False)
    note(f"Predicted for {samples.n} samples of {samples.source}")
    outputs = spiking.predict(samples.x, steps, logits=logits)
    found = predictions_of(outputs, samples, names, top)
    if path is not None:
        write_outputs(path, outputs, found, names)
        note(f"Wrote {size_of(path)}.")
    if as_json:
        print_json(found)
    elif path is None:
        typer.echo(prediction_table(found))


def tune(
    settings: dict[str, Any],
    model: Model,
    data: Data,
    labels: Labels = None,
    max_steps: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps of each simulation.")
    ] = 64,
    max_loss: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Accuracy that may be lost against Keras: 0.005 is half a point."
        ),
    ] = 0.005,
    goal: Annotated[
        str, typer.Option(metavar="GOAL", help="What is to be few: steps or spikes.")
    ] = "steps",
    n: Number = TUNED,
    scale: Scale = None,
    preprocess: Preprocess = None,
    fit: Fit = "stretch",
    calibration: Calibration = None,
    class_names: ClassNames = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Also write the best network to this file."
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find the settings that need the fewest steps or spikes.

    Of a data set the training part is used: evaluate the result on others. Ends with 1 if nothing
    stays within --max-loss.
    """
    path = None if out is None else new_file(out, force)
    preprocessing = _preprocessing(scale, preprocess, fit)
    keras_model = read_model(model)
    names = _class_names(class_names, keras_model)
    from ..tuning import tune as search
    from .data_sets import TRAIN
    from .samples import require_labels

    given = {}
    if calibration is not None:
        given["calibration"] = _calibration(calibration, keras_model, preprocessing).x
    samples = require_labels(
        _read(data, keras_model, preprocessing, labels=labels, n=n, part=TRAIN, class_names=names)
    )
    note(f"Tuned on {samples.n} samples of {samples.source}: evaluate the result on others")
    found = search(
        keras_model,
        samples.x,
        samples.y,
        max_steps=max_steps,
        max_loss=max_loss,
        goal=goal,
        **given,
        **settings,
    )
    show(found, as_json)
    if path is not None:
        found.convert().save(path, class_names=names)
        note(f"Wrote {size_of(path)}. It runs {found.best.n_steps or 'the default'} steps.")
    if not found.met:
        raise typer.Exit(FAILED)


def report(
    settings: dict[str, Any],
    source: Source,
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page.")] = Path(
        "report.html"
    ),
    labels: Labels = None,
    steps: Steps = None,
    n: Number = None,
    scale: Scale = None,
    preprocess: Preprocess = None,
    fit: Fit = "stretch",
    calibration: Calibration = None,
    model: KerasModel = None,
    class_names: ClassNames = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a page of HTML with figures and a player of spikes."""
    path = new_file(out, force, (".html",))
    preprocessing = _preprocessing(scale, preprocess, fit)
    spiking = _network(settings, source, calibration, preprocessing, data=data, model=model)
    names = _class_names(class_names, spiking)
    samples = _read(data, spiking, preprocessing, labels=labels, n=n, class_names=names)
    note(f"Reported on {samples.n} samples of {samples.source}")
    shown = names or samples.class_names or None
    spiking.report(samples.x, samples.y, path, n_steps=steps, class_names=shown)
    if as_json:
        print_json({"path": str(path), "bytes": path.stat().st_size, "samples": samples.n})
    note(f"Wrote {size_of(path)}.")


def _preprocessing(scale: str | None, preprocess: str | None, fit: str) -> Any:
    """What was typed, refused before anything else is done."""
    from .images import Preprocessing

    return Preprocessing.read(scale, preprocess, fit)


def _read(
    what: str,
    source: Any,
    preprocessing: Any,
    *,
    judged: bool = True,
    class_names: Sequence[str] | None = None,
    **how: Any,
) -> Any:
    """Samples for a network or a Keras model.

    Args:
        what: What the user typed.
        source: The network or model.
        preprocessing: What is done to the values.
        judged: Whether labels count: then folders are numbered as the classes are.
        class_names: Names of the classes, or None.
        **how: Arguments of ``read_samples``.
    """
    from .samples import read_samples, with_classes_of

    found = read_samples(what, input_shapes(source), preprocessing=preprocessing, **how)
    if preprocessing.leaves_arrays and getattr(found.x, "dtype", None) == "uint8":
        note(f"{found.source} holds bytes, used as they are. --scale 1/255 makes them 0 to 1.")
    return with_classes_of(found, class_names, output_sizes(source)) if judged else found


def _class_names(path: Path | None, source: Any) -> Sequence[str] | None:
    """The names in a file, one for each class; else those that the network has."""
    from ..network import check_class_names

    names = read_class_names(path)
    if names is None:
        return getattr(source, "class_names", None)
    return check_class_names(names, output_sizes(source))


def _network(
    settings: Mapping[str, Any],
    source: Path,
    calibration: str | None,
    preprocessing: Any,
    *,
    data: str,
    model: Path | None = None,
) -> Any:
    """A stored network, or a Keras model converted with the settings of the command."""
    if is_network(source):
        require_unchanged(source, settings, {"calibration": calibration})
        return read_network(source, model)
    if model is not None:
        raise InputError(f"--model goes with a .kconvert file: {str(source)!r} is a Keras model")
    if calibration is not None and _same(calibration, data):
        raise InputError(
            f"--calibration and DATA are both {data!r}: samples that set a network must not judge "
            "it. Give two files, or a .npz file with x_train and x_test"
        )
    return _converted(read_model(source), settings, calibration, preprocessing)[0]


def _converted(
    model: Any, settings: Mapping[str, Any], calibration: str | None, preprocessing: Any
) -> tuple[Any, Any]:
    """A Keras model converted, and the samples that calibrated it."""
    samples = None
    given: dict[str, Any] = {}
    if calibration is not None and calibration.lower() == "false":
        given = {"calibration": False}
    elif calibration is not None:
        samples = _calibration(calibration, model, preprocessing)
        given = {"calibration": samples.x}
    from ..pipeline import convert as convert_model

    with working("converting"):
        return convert_model(model, **given, **settings), samples


def _calibration(what: str, model: Any, preprocessing: Any) -> Any:
    """Samples that calibrate: never those that a data set has for tests."""
    from .data_sets import NAMED, TEST, TRAIN
    from .samples import read_samples

    name, _, part = what.partition(":")
    if name in NAMED and part == TEST:
        raise InputError(
            f"--calibration {what}: these are for tests, and what sets a network must not judge "
            f"it. Give --calibration {name}"
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
