"""Files that take the place of other ones only once they are complete."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import FileError, InputError


def file_path(path: Any) -> Path:
    """The name of a file, as users give it.

    Raises:
        InputError: It is none.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or "\0" in str(path):
        raise InputError(f"path must be the name of a file. Received: {path!r}")
    return Path(path)


@contextmanager
def replacing(target: Path) -> Iterator[Any]:
    """A file, open for bytes, that takes the place of another one once it is complete.

    Args:
        target: The file to replace, or to make.

    Raises:
        FileError: It cannot be written.
    """
    temporary = target.parent / f".{secrets.token_hex(8)}{target.suffix}"
    try:
        with open(temporary, "xb") as file:
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise FileError(f"{str(target)!r} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)  # is not there any more if all went well
