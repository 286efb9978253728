"""The command line. ``main`` is what the command ``kconvert`` runs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

OK, FAILED, USAGE, BAD_INPUT, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130
"""Exit codes: docs/reference/command_line.md says what each means."""
DEBUG = "--debug"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process.

    Args:
        arguments: The words behind ``kconvert``; by default those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    sys.exit(_run([word for word in words if word != DEBUG], debug))


def _run(words: list[str], debug: bool) -> int:
    """Run a command, and turn what goes wrong into one message and an exit code."""
    # TensorFlow reads this when it is imported. A user's own process is left alone.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.showwarning = _one_line
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        return _command(words)
    except KeyboardInterrupt:
        _say("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough of it. Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # noqa: BLE001 - the last place where a message can be made of it
        if debug:
            raise
        return _tell(error)


def _command(words: list[str]) -> int:
    from click.exceptions import ClickException, Exit

    from .app import command

    try:
        found: Any = command()(words, prog_name="kconvert", standalone_mode=False)
    except Exit as done:
        return int(done.exit_code)
    except ClickException as error:
        error.show()
        return error.exit_code
    return found if isinstance(found, int) else OK


def _tell(error: Exception) -> int:
    """Print an error without its traceback, and find its exit code."""
    from ..errors import KconvertError, UnsupportedModelError

    if isinstance(error, UnsupportedModelError):
        _say(f"Error: {error}")
        return FAILED
    if isinstance(error, KconvertError | OSError | MemoryError):
        _say(f"Error: {error or type(error).__name__}")
        return BAD_INPUT
    _say(
        f"Error: {type(error).__name__}: {error}\n"
        f"This error is not a planned one. Run the command again with {DEBUG} for the traceback."
    )
    return BUG


def _one_line(message: Any, *_: Any, **__: Any) -> None:
    _say(f"Warning: {message}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
