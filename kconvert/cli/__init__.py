"""The command line. ``main`` is what the command ``kconvert`` runs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

OK, FAILED, USAGE, BAD_INPUT, BUG, INTERRUPTED = 0, 1, 2, 3, 70, 130
"""Exit codes: docs/reference/command_line.md says what each means."""
DEBUG = "--debug"
COMPLETES = "_KCONVERT_COMPLETE"
"""The variable with which a shell asks for completions."""
READERS = r"(keras|tf_keras|tensorflow|h5py)\b"
"""Packages whose warnings are for people who program with them."""
TENSORFLOW = ("", "tensorflow")
"""Values of ``KERAS_BACKEND`` with which Keras may import TensorFlow."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process.

    Args:
        arguments: The words behind ``kconvert``; by default those of the process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal may lack a letter of a file's name. That is no reason to fail.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    debug = DEBUG in words
    sys.exit(run([word for word in words if word != DEBUG], debug=debug))


def run(words: list[str], *, debug: bool = False) -> int:
    """Run a command, and turn what goes wrong into one message and an exit code.

    Args:
        words: The words behind ``kconvert``.
        debug: Let errors through, with their traceback.

    Returns:
        The exit code.
    """
    # TensorFlow reads this when it is imported. A user's own process is left alone.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", category=UserWarning)
            warnings.filterwarnings("ignore", module=READERS)
            warnings.showwarning = _one_line
            code = _command(words)
            if sys.stdout is not None:
                sys.stdout.flush()  # what fails here has a message, later it would have none
            return code
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
        from typer.exceptions import Abort, Exit, TyperException

        from .app import command

    commands: Any = command()
    if COMPLETES in os.environ:
        commands(words, prog_name="kconvert")  # answers the shell, and leaves
    try:
        # Not by its main, which has exit codes and messages of its own for what goes wrong.
        with commands.make_context("kconvert", list(words)) as context:
            commands.invoke(context)
    except Exit as done:
        return int(done.exit_code)
    except Abort:
        raise KeyboardInterrupt from None
    except TyperException as error:  # wrong words: it prints how the command is used
        shown: Any = error
        shown.show()
        return USAGE
    return OK


def _tell(error: Exception) -> int:
    """Print an error without its traceback, and find its exit code."""
    from ..errors import KconvertError, UnsupportedModelError

    if isinstance(error, UnsupportedModelError):
        _say(f"Error: {error}")
        return FAILED
    if isinstance(error, MemoryError):
        _say(f"Error: not enough memory. {error}".rstrip())
        return BAD_INPUT
    if isinstance(error, KconvertError | OSError):
        _say(f"Error: {error or type(error).__name__}")
        return BAD_INPUT
    _say(
        f"Error: {type(error).__name__}: {error}\n"
        f"This is a defect of kconvert, or of a package that it uses. Run the command again with "
        f"{DEBUG} for the traceback, and report it."
    )
    return BUG


def _one_line(message: Any, *_: Any, **__: Any) -> None:
    _say(f"Warning: {' '.join(str(message).split())}")


def quiet_tensorflow() -> None:
    """Import TensorFlow, if Keras runs on it, without the lines that it prints whatever is set.

    They come from C++, so standard error is closed meanwhile. Python's exceptions are not lost.
    """
    if os.environ.get("KERAS_BACKEND", "") not in TENSORFLOW or "tensorflow" in sys.modules:
        return
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed already, and so it stays
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with suppress(ImportError):  # Keras says what it lacks, when it is imported
            import tensorflow as tf

            tf.constant(0.0) + 1.0
            tf.get_logger().setLevel("ERROR")
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
    with suppress(ImportError):
        from absl import logging

        logging.set_verbosity(logging.ERROR)


def _say(text: str) -> None:
    """Write to standard error, with advice as it is typed here."""
    with suppress(ImportError):  # Typer itself may be missing, which is what is to be said
        from .advice import as_typed

        text = as_typed(text)
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"{text}\n")
