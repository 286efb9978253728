"""Compiled code on the disk, for later processes. No fault of it breaks a run.

Each part is a file of its own, with a digest of what is in it, and appears whole or not at all.
Its name says what it is made from and for, so that a file of another version is never looked at,
and processes that compile at the same time write the same.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.serialize import dumps

from ..compiler import instructions, program
from ..notice import say

DIGEST_BYTES = hashlib.sha256().digest_size


def sources() -> list[Path]:
    """The files that compiled code follows from."""
    here = sorted(Path(__file__).parent.glob("*.py"))
    return [*here, Path(program.__file__), Path(instructions.__file__)]


@cache
def _origin() -> str:
    """A digest of what is compiled, with what, and for which processor."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.read_bytes())
    versions = sys.version, np.__version__, numba.__version__, llvmlite.__version__
    processor = cpu_target.target_context.codegen().magic_tuple()
    digest.update(repr((versions, processor, str(numba.config.OPT))).encode())
    return digest.hexdigest()[:16]


def folders() -> list[Path]:
    """Where compiled code may be: the first that can be written to takes what is new."""
    if numba.config.CACHE_DIR:
        return [Path(numba.config.CACHE_DIR) / "kconvert"]
    user = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [Path(__file__).parent / "__pycache__", Path(user) / "kconvert"]


class Store:
    """Compiled parts by name."""

    def __init__(self) -> None:
        self._said = False

    def read(self, name: str) -> bytes | None:
        """What was written under a name, or None where there is nothing that can be used."""
        for folder in folders():
            try:
                content = (folder / self._file(name)).read_bytes()
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue  # another folder may have it
            except OSError as fault:
                self.fault(f"cannot read {fault.filename} ({fault.strerror})")
                continue
            payload = content[DIGEST_BYTES:]
            if hashlib.sha256(payload).digest() == content[:DIGEST_BYTES]:
                return payload
            self.fault(f"{folder / self._file(name)} is damaged")
        return None

    def write(self, name: str, payload: bytes) -> None:
        """Keep a part, if that is possible anywhere."""
        faults = []
        for folder in folders():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                _write(folder / self._file(name), hashlib.sha256(payload).digest() + payload)
            except OSError as fault:
                faults.append(f"{folder} ({fault.strerror})")
            else:
                return
        self.fault(f"cannot write to {', '.join(faults)}")

    def fault(self, text: str) -> None:
        """Say once what is wrong."""
        if not self._said:
            say(f"{text}: the event simulator is compiled again, without the copy on the disk")
        self._said = True

    def _file(self, name: str) -> str:
        return f"{name}-{_origin()}.kernel"


def _write(path: Path, content: bytes) -> None:
    """Write a file that other processes see whole or not at all."""
    number, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


class Kept(NullCache):  # type: ignore[misc]
    """The cache of one compiled function, as Numba asks for it.

    Args:
        store: Where it is.
        name: Under which name.
        payload: What the store has under it.
    """

    def __init__(self, store: Store, name: str, payload: bytes | None) -> None:
        self.store, self.name, self.payload = store, name, payload

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if self.payload is None:
            return None
        target_context.refresh()
        try:
            return CompileResult._rebuild(target_context, *pickle.loads(self.payload))
        except Exception as fault:  # noqa: BLE001  whatever it is, the part can be compiled
            self.store.fault(f"cannot use {self.name} ({fault})")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        self.store.write(self.name, dumps(data._reduce()))
