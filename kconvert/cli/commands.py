"""The commands that take a Keras model and convert it, or a network that is converted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from . import FAILED
from .models import (
    is_network,
    output_sizes,
    read_model,
)
from .output import new_file, note, print_json, show, size_of
from .parameters import (
    AsJson,
    Calibration,
    Checkpoint,
    ClassNames,
    Data,
    Distribute,
    Fit,
    Force,
    KerasModel,
    Labels,
    Model,
    Number,
    Output,
    Preprocess,
    Scale,
    Source,
    Steps,
)
from .reading import (
    calibration_samples,
    class_names_for,
    converted,
    network_of,
    preprocessing_of,
    read_for,
)

TUNED = 500
"""Samples that settings are chosen by, unless the user says how many."""


def check(settings: dict[str, Any], model: Model, as_json: AsJson = False) -> None:
    """Say how every layer is converted.

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
            help="The file. (default: MODEL with .kconvert)",
            show_default=False,
        ),
    ] = None,
    calibration: Calibration = None,
    scale: Scale = None,
    preprocess: Preprocess = None,
    fit: Fit = "stretch",
    class_names: ClassNames = None,
    force: Force = False,
    distribute: Distribute = None,
    as_json: AsJson = False,
) -> None:
    """Convert a Keras model, and write a .kconvert file."""
    path = new_file(out or model.with_suffix(".kconvert"), force)
    preprocessing = preprocessing_of(scale, preprocess, fit)
    keras_model = read_model(model)
    names = class_names_for(class_names, keras_model)
    spiking, samples = converted(keras_model, settings, calibration, preprocessing, distribute)
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
    output: Output = None,
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
    distribute: Distribute = None,
    checkpoint: Checkpoint = None,
    as_json: AsJson = False,
) -> None:
    """Say how good the outputs are, on labelled samples."""
    from .judging import require_within
    from .samples import require_labels

    if max_loss is not None and is_network(source) and model is None:
        raise InputError("--max-loss compares with Keras: pass --model with the Keras model")
    preprocessing = preprocessing_of(scale, preprocess, fit)
    spiking = network_of(settings, source, calibration, preprocessing, data=data, model=model)
    names = class_names_for(class_names, spiking)
    samples = require_labels(
        read_for(data, spiking, preprocessing, labels=labels, n=n, class_names=names)
    )
    note(f"Evaluated on {samples.n} samples of {samples.source}")
    found = spiking.evaluate(
        *(samples.x, samples.y, steps), output=output, distribute=distribute, checkpoint=checkpoint
    )
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
        bool, typer.Option("--logits", help="Print the outputs before softmax or sigmoid.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Write outputs to a .npy, .csv or .json file."
        ),
    ] = None,
    force: Force = False,
    distribute: Distribute = None,
    checkpoint: Checkpoint = None,
    as_json: AsJson = False,
) -> None:
    """Run samples, and print or write the outputs."""
    from .predictions import prediction_table, predictions_of, write_outputs

    path = None if out is None else new_file(out, force, (".npy", ".csv", ".json"))
    preprocessing = preprocessing_of(scale, preprocess, fit)
    spiking = network_of(settings, source, calibration, preprocessing)
    names = class_names_for(class_names, spiking)
    samples = read_for(data, spiking, preprocessing, n=n, judged=False)
    note(f"Predicted for {samples.n} samples of {samples.source}")
    array = path if path is not None and path.suffix.lower() == ".npy" else None
    if array is not None and len(spiking.graph.outputs) > 1:
        raise InputError(".npy files hold one output, and there are several: write a .json file")
    outputs = spiking.predict(
        *(samples.x, steps),
        logits=logits,
        out=array,
        distribute=distribute,
        checkpoint=checkpoint,
    )
    listed = as_json or array is None
    found = predictions_of(outputs, samples, names, top) if listed else []
    if path is not None:
        if array is None:
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
    output: Output = None,
    max_steps: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps of each simulation.")
    ] = 64,
    max_loss: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="How much accuracy may be lost against Keras: 0.005 is half a point.",
        ),
    ] = 0.005,
    goal: Annotated[
        str, typer.Option(metavar="GOAL", help="What to keep low: steps or spikes.")
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
    distribute: Distribute = None,
    checkpoint: Checkpoint = None,
    as_json: AsJson = False,
) -> None:
    """Find the settings that need the fewest steps or spikes.

    Of a data set the training part is used: evaluate the result on others. Ends with 1 if nothing
    stays within --max-loss.
    """
    path = None if out is None else new_file(out, force)
    preprocessing = preprocessing_of(scale, preprocess, fit)
    keras_model = read_model(model)
    names = class_names_for(class_names, keras_model)
    from ..tuning import tune as search
    from .data_sets import TRAIN
    from .samples import require_labels

    given = {}
    if "," in str(values := settings.get("spike_values", "")):
        settings["spike_values"] = [each.strip() for each in values.split(",")]
    if calibration is not None:
        if calibration.lower() == "false":
            raise InputError("tune calibrates every candidate: leave out --calibration false")
        given["calibration"] = calibration_samples(calibration, keras_model, preprocessing).x
    samples = require_labels(
        read_for(
            data, keras_model, preprocessing, labels=labels, n=n, part=TRAIN, class_names=names
        )
    )
    note(f"Tuned on {samples.n} samples of {samples.source}: evaluate the result on other samples")
    found = search(
        keras_model,
        samples.x,
        samples.y,
        max_steps=max_steps,
        max_loss=max_loss,
        goal=goal,
        output=output,
        distribute=distribute,
        checkpoint=checkpoint,
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
    preprocessing = preprocessing_of(scale, preprocess, fit)
    spiking = network_of(settings, source, calibration, preprocessing, data=data, model=model)
    names = class_names_for(class_names, spiking)
    samples = read_for(data, spiking, preprocessing, labels=labels, n=n, class_names=names)
    note(f"Reported on {samples.n} samples of {samples.source}")
    shown = names or samples.class_names or None
    spiking.report(samples.x, samples.y, path, n_steps=steps, class_names=shown)
    if as_json:
        print_json({"path": str(path), "bytes": path.stat().st_size, "samples": samples.n})
    note(f"Wrote {size_of(path)}.")
