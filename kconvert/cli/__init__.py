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
TENSORFLOW = ("", "tensorflow")
"""Values of ``KERAS_BACKEND`` with which Keras may import TensorFlow."""


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.showwarning = _one_line
            return _command(words)
    except KeyboardInterrupt:
        _say("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough of it. Python would complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        if debug:
            raise
        return _tell(error)


def _command(words: list[str]) -> int:
    from ..packages import needed

    with needed("the command line"):
        from typer.exceptions import Exit, TyperException

        from .app import command

    try:
        found: Any = command(words)(words, prog_name="kconvert", standalone_mode=False)
    except Exit as done:
        return int(done.exit_code)
    except TyperException as error:  # wrong words: it prints how the command is used
        shown: Any = error
        shown.show()
        return USAGE
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


def quiet_tensorflow() -> None:
    """Import TensorFlow, if Keras runs on it, without the lines that it prints whatever is set.

    They come from C++, so standard error is closed meanwhile. Python's exceptions are not lost.
    """
    from importlib.util import find_spec

    if find_spec("tensorflow") is None or os.environ.get("KERAS_BACKEND", "") not in TENSORFLOW:
        return
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow as tf

        tf.constant(0.0) + 1.0
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
