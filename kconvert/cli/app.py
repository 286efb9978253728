"""The commands. Each reads files, calls one public function of kconvert and prints its result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import FileError, InputError
from . import DEBUG, FAILED, USAGE
from .options import with_settings

app = typer.Typer(
    name="kconvert",
    help="Keras CNNs as spiking networks. Every command explains itself with --help.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Source = Annotated[
    Path, typer.Argument(help="A Keras model (.keras, .h5) or a converted network (.kconvert).")
]
Model = Annotated[Path, typer.Argument(help="A Keras model: .keras or .h5.")]
Data = Annotated[
    str,
    typer.Argument(
        help="Samples: a .npy or .npz file, an image, a folder of images, or a data set: mnist5k, "
        "mnist, fashion_mnist, cifar10, cifar100, each with :train or :test behind it."
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", help="Simulation steps. [default: 30]")]
Labels = Annotated[Path | None, typer.Option(help="A .npy file with the labels.")]
Number = Annotated[int | None, typer.Option("--n", min=1, help="Use at most so many samples.")]
Scale = Annotated[
    float | None,
    typer.Option(help="Factor on the values of the samples. [default: 1/255 for images, else 1]"),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        help="Samples that set the firing rates, given as DATA is; of a data set its training "
        "part, and of any the first 100. Or false, for rates as they are."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


@app.callback(invoke_without_command=True)
def _kconvert(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    if version:
        typer.echo(f"kconvert {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)


def check(settings: dict[str, Any], model: Model, as_json: AsJson = False) -> None:
    """Say what becomes of every layer. Ends with 1 if a layer cannot be converted."""
    from ..checking import check as check_model
    from .models import read_model

    found = check_model(read_model(model), **settings)
    _show(found, as_json)
    if not found:
        raise typer.Exit(FAILED)


def convert(
    settings: dict[str, Any],
    model: Model,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file. [default: MODEL with .kconvert]"),
    ] = None,
    calibration: Calibration = None,
    scale: Scale = None,
    class_names: Annotated[
        Path | None, typer.Option(help="A text file with the name of a class in each line.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Convert a Keras model and write the network to a .kconvert file."""
    path = _new_file(out or model.with_suffix(".kconvert"), force)
    names = _names_in(class_names)
    spiking = _network(settings, model, calibration, scale)
    spiking.save(path, class_names=names)
    _show(spiking, as_json)
    _note(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")


def evaluate(
    settings: dict[str, Any],
    source: Source,
    data: Data,
    labels: Labels = None,
    steps: Steps = None,
    n: Number = None,
    scale: Scale = None,
    calibration: Calibration = None,
    max_error: Annotated[
        float | None,
        typer.Option(help="End with 1 if more than this percentage of samples is wrong."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run labelled samples, and say how good the outputs are at every step."""
    from .samples import require_labels

    spiking = _network(settings, source, calibration, scale)
    samples = require_labels(_read(data, spiking, labels=labels, scale=scale, n=n))
    _note(f"{samples.n} samples of {samples.source}")
    found = spiking.evaluate(samples.x, samples.y, steps)
    _show(found, as_json)
    if max_error is not None and _error(found) > max_error:
        _note(f"The error of {_error(found):.2f} % is above {max_error:g} %.")
        raise typer.Exit(FAILED)


def predict(
    settings: dict[str, Any],
    source: Source,
    data: Data,
    steps: Steps = None,
    n: Number = None,
    scale: Scale = None,
    calibration: Calibration = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to list for each sample.")] = 3,
    logits: Annotated[bool, typer.Option("--logits", help="The read-out before softmax.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write outputs to a .npy, .csv or .json file."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Run samples, and print or write the network's outputs."""
    from .predictions import prediction_table, predictions_of, write_outputs

    path = None if out is None else _new_file(out, force, (".npy", ".csv", ".json"))
    spiking = _network(settings, source, calibration, scale)
    samples = _read(data, spiking, scale=scale, n=n)
    outputs = spiking.predict(samples.x, steps, logits=logits)
    found = predictions_of(outputs, samples, spiking.class_names, top)
    if path is not None:
        write_outputs(path, outputs, found)
        _note(f"Wrote {path}.")
    if as_json:
        _print_json(found)
    elif path is None:
        typer.echo(prediction_table(found))


def tune(
    settings: dict[str, Any],
    model: Model,
    data: Data,
    labels: Labels = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Steps of each simulation.")] = 64,
    max_loss: Annotated[
        float, typer.Option(help="Accuracy that may be lost against Keras: 0.005 is half a point.")
    ] = 0.005,
    goal: Annotated[str, typer.Option(help="What is to be few: steps or spikes.")] = "steps",
    n: Number = None,
    scale: Scale = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the best network to this file.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Search the settings that need the fewest steps or spikes. Of a data set the training part."""
    from ..tuning import tune as search
    from .models import read_model
    from .samples import require_labels

    path = None if out is None else _new_file(out, force, (".kconvert",))
    keras_model = read_model(model)
    samples = require_labels(
        _read(data, keras_model, labels=labels, scale=scale, n=n or 500, split="train")
    )
    _note(f"{samples.n} samples of {samples.source}")
    found = search(
        keras_model,
        samples.x,
        samples.y,
        max_steps=max_steps,
        max_loss=max_loss,
        goal=goal,
        **settings,
    )
    _show(found, as_json)
    if path is not None:
        found.convert().save(path)
        _note(f"Wrote {path}.")
    if not found.met:
        raise typer.Exit(FAILED)


def report(
    settings: dict[str, Any],
    source: Source,
    data: Data,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page.")] = Path("report.html"),
    labels: Labels = None,
    steps: Steps = None,
    n: Number = None,
    scale: Scale = None,
    calibration: Calibration = None,
    force: Force = False,
) -> None:
    """Write a page of HTML with figures, layers, energy and a player of spikes."""
    path = _new_file(out, force, (".html",))
    spiking = _network(settings, source, calibration, scale)
    samples = _read(data, spiking, labels=labels, scale=scale, n=n)
    spiking.report(
        samples.x, samples.y, path, n_steps=steps, class_names=samples.class_names or None
    )
    _note(f"Wrote {path} ({path.stat().st_size / 1e6:.1f} MB).")


def inspect(source: Source, as_json: AsJson = False) -> None:
    """Show the layers, neurons and decisions of a converted network."""
    from .models import read_network

    _require_network(source, "inspect")
    network = read_network(source, {})
    if as_json:
        _print_json({**network.to_dict(), "about": _plain(network.about)})
        return
    typer.echo(str(network))


def export(
    source: Source,
    out: Annotated[Path, typer.Argument(help="A .json, .csv or .npz file.")],
    force: Force = False,
) -> None:
    """Write a converted network in an open format.

    .json has nodes, shapes and decisions; .csv has them as a table; .npz has every array by the
    name of its node.
    """
    from .exports import FORMATS, write_export
    from .models import read_network

    _require_network(source, "export")
    path = _new_file(out, force, tuple(FORMATS))
    write_export(read_network(source, {}), path)
    _note(f"Wrote {path}.")


def warm_up(
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
) -> None:
    """Compile the event simulator now, so that later runs start at once."""
    from ..simulators.events.runner import warm_up as compile_all

    compile_all(dtype)
    typer.echo(f"The event simulator is compiled for {dtype}.")


def doctor(as_json: AsJson = False) -> None:
    """Say what is installed and works, and what to do about the rest."""
    from .doctor import examine, examined_table

    found = examine()
    if as_json:
        _print_json([each.to_dict() for each in found])
    else:
        typer.echo(examined_table(found))
    if not all(each.works for each in found if each.required):
        raise typer.Exit(FAILED)


def demo(
    n: Annotated[int, typer.Option("--n", min=1, help="Held-out digits.")] = 200,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Simulation steps.")] = 30,
) -> None:
    """Classify real digits with a trained network of 71,296 spiking neurons."""
    from .demo import run_demo

    typer.echo(run_demo(n, steps))


CONVERTING: tuple[Callable[..., None], ...] = (check, convert, evaluate, predict, tune, report)
"""Commands that take the settings of ``convert``."""
OTHERS: tuple[Callable[..., None], ...] = (inspect, export, warm_up, doctor, demo)


def command(words: Sequence[str]) -> Any:
    """All commands, to be called with words.

    Args:
        words: The words: only a command that is among them gets the settings of ``convert``.
    """
    for converting in CONVERTING:
        name = converting.__name__
        app.command(name)(with_settings(converting) if name in words else _explained(converting))
    for other in OTHERS:
        app.command(other.__name__.replace("_", "-"))(other)
    return typer.main.get_command(app)


def _explained(function: Callable[..., None]) -> Callable[[], None]:
    """A command without arguments, for the list of all commands."""

    def listed() -> None: ...

    listed.__doc__ = function.__doc__
    return listed


def _network(
    settings: Mapping[str, Any], source: Path, calibration: str | None, scale: float | None
) -> Any:
    """A stored network, or a Keras model converted with the settings of the command."""
    from .models import is_network, read_model, read_network

    if calibration is None or is_network(source):
        return read_network(source, settings, calibration)
    if calibration.lower() == "false":
        return read_network(source, settings, False)
    samples = _read(calibration, read_model(source), scale=scale, n=100, split="train")
    _note(f"Calibrated on {samples.n} samples of {samples.source}")
    return read_network(source, settings, samples.x)


def _read(what: str, source: Any, **how: Any) -> Any:
    from .models import input_shapes
    from .samples import read_samples

    return read_samples(what, input_shapes(source), **how)


def _require_network(path: Path, name: str) -> None:
    from .models import is_network

    if not is_network(path):
        raise FileError(
            f"{name} reads converted networks. {str(path)!r} does not end in .kconvert: run "
            "kconvert convert first"
        )


def _new_file(path: Path, force: bool, endings: tuple[str, ...] = (".kconvert",)) -> Path:
    """A file that may be written, known before any work is done."""
    if path.suffix not in endings:
        raise InputError(f"{str(path)!r} must end in {' or '.join(endings)}")
    if path.is_dir():
        raise FileError(f"{str(path)!r} is a folder")
    if not path.parent.is_dir():
        raise FileError(f"the folder {str(path.parent)!r} does not exist")
    if path.exists() and not force:
        raise FileError(f"{str(path)!r} exists. Pass --force to replace it")
    return path


def _names_in(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{str(path)!r} cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _error(found: Any) -> float:
    """The error in percent after the last step, of the worst output if there are several."""
    each = list(found.values()) if isinstance(found, Mapping) else [found]
    if any(one.accuracy is None for one in each):
        raise InputError("--max-error is for classes, and this network's output has none")
    return max(100 * (1 - one.accuracy) for one in each)


def _plain(value: Any) -> Any:
    from ..results.display import plain

    return plain(value)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(_plain(value), indent=2))


def _show(result: Any, as_json: bool) -> None:
    """A result, or a dict of them by output."""
    if as_json:
        _print_json(result)
        return
    if not isinstance(result, Mapping):
        typer.echo(str(result))
        return
    for name, each in result.items():
        typer.echo(f"{name}\n{each}")


def _note(text: str) -> None:
    """What is not the result: to standard error, so that a pipe has the result alone."""
    typer.echo(text, err=True)
