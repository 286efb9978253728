"""The commands that convert nothing: they show, export, compile and examine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import FAILED
from .models import read_network
from .output import new_file, note, print_json, show, size_of
from .parameters import AsJson, Force, Network


def inspect(source: Network, as_json: AsJson = False) -> None:
    """Show what is in a .kconvert file, and how it was made."""
    network = read_network(source)
    if as_json:
        print_json({**network.to_dict(), "about": network.about})
        return
    show(network, as_json=False)
    for line in _made(network):
        typer.echo(line)


def _made(network: Any) -> list[str]:
    """How a network was made, in lines."""
    lines = []
    if network.class_names:
        lines.append(f"classes: {', '.join(network.class_names)}")
    if settings := network.about.get("settings"):
        given = ", ".join(f"{name}={value}" for name, value in settings.items())
        lines.append(f"settings: {given}")
    if versions := network.about.get("versions"):
        lines.append(f"made with: {', '.join(f'{a} {b}' for a, b in versions.items())}")
    return lines


def export(
    source: Network,
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A .nir, .json, .csv or .npz file.", show_default=False),
    ],
    reset: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="In a .nir file, what a spike does to ReLU neurons: subtract (as kconvert runs "
            "them, as three nodes) or zero (as IF nodes). (default: subtract)",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Write a converted network as .nir, .json, .csv or .npz.

    .nir is for other simulators and chips; .json has nodes, shapes and decisions; .csv has the
    nodes as a table; .npz has every array by the name of its node. There is no export to ONNX.
    """
    from ..exporting import FORMATS

    path = new_file(out, force, tuple(FORMATS), ". There is no export to ONNX")
    settings = {} if reset is None else {"reset": reset}
    notes = read_network(source).export(path, **settings)
    if as_json:
        print_json({"path": str(path), "bytes": path.stat().st_size, "notes": notes})
    note(f"Wrote {size_of(path)}.")
    for line in notes:
        note(f"  {line}")


def warm_up(
    dtype: Annotated[str, typer.Option(metavar="TYPE", help="float32 or float64.")] = "float32",
    as_json: AsJson = False,
) -> None:
    """Compile the event simulator now, for later runs."""
    from ..simulators.events.machine.store import folders
    from ..simulators.events.runner import warm_up as compile_all

    compile_all(dtype)
    if as_json:
        print_json({"dtype": dtype, "folders": [str(each) for each in folders()]})
    else:
        typer.echo(f"The event simulator is compiled for {dtype}.")


def doctor(as_json: AsJson = False) -> None:
    """Say what works here, and what to do about the rest."""
    from .doctor import examine, examined_text

    found = examine()
    if as_json:
        print_json([each.to_dict() for each in found])
    else:
        typer.echo(examined_text(found))
    if not all(each.works for each in found if each.required):
        raise typer.Exit(FAILED)


def demo(
    n: Annotated[
        int, typer.Option("--n", min=1, max=1000, metavar="N", help="Held-out digits.")
    ] = 200,
    steps: Annotated[
        int, typer.Option("--steps", min=1, metavar="N", help="Simulation steps of 1 ms.")
    ] = 30,
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            metavar="FILE",
            help="Also draw three digits, their outputs and spikes over time, to a .png file.",
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Classify real digits with a trained spiking network."""
    from .demo import demo_text, draw, run_demo

    path = None if figure is None else new_file(figure, force, (".png", ".pdf", ".svg"))
    found = run_demo(n, steps)
    if as_json:
        print_json(found)
    else:
        typer.echo(demo_text(found))
    if path is not None:
        draw(steps, path)
        note(f"Wrote {size_of(path)}.")
