"""All commands. Each reads files, calls one public function of kconvert and prints its result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import typer

from .. import __version__
from . import DEBUG, USAGE
from .commands import check, convert, evaluate, predict, report, tune
from .options import with_settings
from .output import on_terminal
from .tools import demo, doctor, export, inspect, warm_up

CONVERTING: tuple[Callable[..., None], ...] = (check, convert, evaluate, predict, tune, report)
"""Commands that take the settings of ``convert``."""
OTHERS: tuple[Callable[..., None], ...] = (inspect, export, warm_up, doctor, demo)


VALUES = (
    "A VALUE is none, true, false, a number or a word. LAYER=VALUE sets a single layer, or those "
    "that a pattern names (block1_*=0.002), and may be repeated."
)


@cache
def command() -> Any:
    """The whole command line, to be called with words."""
    app = typer.Typer(
        name="kconvert",
        help="Keras CNNs as spiking networks. Every command explains itself with --help.",
        epilog="To begin: kconvert demo. What is missing on this machine: kconvert doctor.",
        # Boxes and colours are for terminals.
        rich_markup_mode="rich" if on_terminal(sys.stdout) and not _plain() else None,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_kconvert)
    for converting in CONVERTING:
        app.command(converting.__name__, epilog=VALUES)(with_settings(converting))
    for other in OTHERS:
        app.command(other.__name__.replace("_", "-"))(other)
    return typer.main.get_command(app)


def _plain() -> bool:
    """Whether the user wants no colours: https://no-color.org."""
    return bool(os.environ.get("NO_COLOR"))


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
