"""A checkpoint: a folder that keeps the results of finished shares, one file each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import FileError, InputError
from ..files.replacing import replacing
from ..packages import needed
from .plain import packed, unpacked

ABOUT, LOCK, SUFFIX = "about.json", "lock", ".share"
FORMAT = "kconvert checkpoint 1"
WHAT = {
    "run": "another function of kconvert",
    "network": "another network",
    "model": "another Keras model",
    "settings": "other settings",
    "versions": "other versions",
    "data": "other samples",
    "metrics": "other metrics",
    "candidates": "other candidates",
}
"""What differs, by the part of the fingerprint."""


class Checkpoint:
    """The results of shares, in a folder that one run at a time may use.

    Args:
        folder: The folder.
        kept: Names of the shares that are there.
    """

    def __init__(self, folder: Path, kept: set[str]) -> None:
        self._folder, self._kept = folder, kept

    def has(self, name: str) -> bool:
        """Whether a share is there."""
        return name in self._kept

    def load(self, name: str) -> Any:
        """The result of a share.

        Raises:
            FileError: Its file is damaged.
        """
        path = self._folder / f"{name}{SUFFIX}"
        try:
            return unpacked(path.read_bytes())
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise FileError(
                f"checkpoint={str(self._folder)!r}: {path.name!r} is damaged: {error}. Delete this "
                "file to run its share again. All other shares stay"
            ) from error

    def save(self, name: str, result: Mapping[str, Any]) -> None:
        """Keep the result of a share.

        Raises:
            FileError: It cannot be written. All that was saved before stays.
        """
        data = packed(result)
        path = self._folder / f"{name}{SUFFIX}"
        with _written(self._folder, len(self._kept)), replacing(path) as file:
            file.write(data)
        self._kept.add(name)

    def require_same(self, what: str, name: str, digest: str) -> None:
        """Keep a checksum, or compare it with the one that is there.

        Raises:
            FileError: The checksums differ.
        """
        if not self.has(name):
            self.save(name, {"sha256": digest})
        elif self.load(name)["sha256"] != digest:
            raise _of_another(self._folder, what)


@contextmanager
def checkpoint_at(path: Any, about: Mapping[str, Any]) -> Iterator[Checkpoint]:
    """Open a checkpoint, or make one.

    Args:
        path: Its folder, as the user gave it.
        about: Plain data that tells this run from others: "run", "network", "settings" and so on.

    Raises:
        InputError: This is no name of a folder.
        FileError: It cannot be used: another run has it, it is of another run, it cannot be
            written, or it is no checkpoint.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or "\0" in str(path):
        raise InputError(f"checkpoint must be the name of a folder, or None. Received: {path!r}")
    with needed("checkpoint"):
        from filelock import FileLock, Timeout

    folder = Path(path)
    _require_free(folder)
    with _written(folder, 0):
        folder.mkdir(exist_ok=True)
        # The system frees it when the process ends, however it ends.
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise FileError(
                f"checkpoint={str(folder)!r} is in use by another run: wait for it, or give "
                "another folder"
            ) from None
    try:
        yield Checkpoint(folder, _opened(folder, {"format": FORMAT, **about}))
    finally:
        lock.release()


def _require_free(folder: Path) -> None:
    """Refuse a path that exists and is no checkpoint, before anything is written."""
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        if not folder.parent.is_dir():
            raise FileError(
                f"checkpoint={str(folder)!r}: the folder {str(folder.parent)!r} does not exist"
            ) from None
        return
    except NotADirectoryError:
        raise FileError(f"checkpoint={str(folder)!r} must be a folder, and is a file") from None
    except OSError as error:
        raise FileError(f"checkpoint={str(folder)!r} cannot be read: {error.strerror}") from error
    if ABOUT not in names and (others := [name for name in names if not _is_own(name)]):
        raise FileError(
            f"checkpoint={str(folder)!r} is a folder without a checkpoint that holds "
            f"{others[0]!r}: give a new or an empty one"
        )


def _is_own(name: str) -> bool:
    """Whether a file may be left by a run that was killed as it made the checkpoint."""
    return name == LOCK or _is_left(name)


def _is_left(name: str) -> bool:
    """Whether a file was being written when a run was killed."""
    return name.startswith(".") and name.endswith((SUFFIX, ".json"))


def _opened(folder: Path, about: Mapping[str, Any]) -> set[str]:
    """The shares in a folder that is locked, after a look at what they are of."""
    names = os.listdir(folder)
    about = json.loads(json.dumps(about))
    if ABOUT in names:
        _require_same(folder, about)
    else:
        with _written(folder, 0), replacing(folder / ABOUT) as file:
            file.write(json.dumps(about, indent=1).encode())
    for name in filter(_is_left, names):
        with suppress(OSError):
            os.unlink(folder / name)
    return {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}


def _require_same(folder: Path, about: Mapping[str, Any]) -> None:
    try:
        found = json.loads((folder / ABOUT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"checkpoint={str(folder)!r}: {ABOUT!r} is damaged: {error}") from error
    if not isinstance(found, dict) or found.get("format") != about["format"]:
        raise FileError(f"checkpoint={str(folder)!r}: {ABOUT!r} is of no checkpoint of this kind")
    for part, what in about.items():
        there = found.get(part)
        if there == what:
            continue
        if not isinstance(what, dict) or not isinstance(there, dict):
            raise _of_another(folder, part)
        names = [name for name in {**there, **what} if there.get(name) != what.get(name)]
        name = names[0]
        raise _of_another(folder, part, f"{name}: {there.get(name)} there, {what.get(name)} here")


def _of_another(folder: Path, part: str, detail: str = "") -> FileError:
    what = WHAT.get(part, "another run")
    told = f" ({detail:.300})" if detail else ""
    return FileError(
        f"checkpoint={str(folder)!r} is of {what}{told}. Nothing in it was changed: give another "
        "folder, or delete this one"
    )


@contextmanager
def _written(folder: Path, n: int) -> Iterator[None]:
    """Turn errors of writing into a FileError that says what stays in the checkpoint."""
    try:
        yield
    except FileError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        raise _not_written(folder, n, error.__cause__) from error.__cause__
    except OSError as error:
        raise _not_written(folder, n, error) from error


def _not_written(folder: Path, n: int, error: OSError) -> FileError:
    stays = "" if not n else ". All that was saved stays: make room, and run the same again"
    return FileError(
        f"checkpoint={str(folder)!r} cannot be written: {error.strerror or error}{stays}"
    )
