"""Plain data as bytes, and back, without pickles: numbers, texts, lists, dicts and arrays."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

ARRAY = "array"
"""Key of the dict that stands for an array, by its number."""
_DIGEST = hashlib.sha256().digest_size


def packed(value: Any) -> bytes:
    """Plain data as bytes with a checksum. Floats and arrays keep every bit.

    Example:
        >>> unpacked(packed({"a": [0.1, None, np.arange(2)]}))
        {'a': [0.1, None, array([0, 1])]}
    """
    arrays: list[np.ndarray] = []

    def plain(part: Any) -> Any:
        if isinstance(part, np.ndarray):
            arrays.append(part)
            return {ARRAY: len(arrays) - 1}
        if isinstance(part, Mapping):
            return {name: plain(each) for name, each in part.items()}
        if isinstance(part, list | tuple):
            return [plain(each) for each in part]
        return part.item() if isinstance(part, np.generic) else part

    text = json.dumps(plain(value)).encode()
    file = io.BytesIO()
    held = {str(number): array for number, array in enumerate(arrays)}
    np.savez(file, json=np.frombuffer(text, dtype=np.uint8), **held)  # type: ignore[arg-type]
    data = file.getvalue()
    return hashlib.sha256(data).digest() + data


def unpacked(data: bytes) -> Any:
    """Plain data from its bytes.

    Raises:
        ValueError: They are damaged.
    """
    digest, data = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("the checksum does not fit")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:

        def filled(part: Any) -> Any:
            if isinstance(part, dict):
                if list(part) == [ARRAY]:
                    return arrays[str(part[ARRAY])]
                return {name: filled(each) for name, each in part.items()}
            return [filled(each) for each in part] if isinstance(part, list) else part

        return filled(json.loads(arrays["json"].tobytes()))


def digest_of(value: Any) -> str:
    """A checksum of data: arrays, dataclasses, lists, dicts, and Keras' objects by their config;
    functions by their name, and other objects by their repr.

    Args:
        value: The data. Arrays count by their values, shape and type.
    """
    found = hashlib.sha256()
    _update(found, value)
    return found.hexdigest()


ROWS = 2**24
"""Bytes that are hashed at a time, so that a memory-mapped array is not read into memory."""


def _update(found: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        _update_array(found, value)
    elif isinstance(value, Mapping):
        found.update(f"dict {len(value)}".encode())
        for name, each in value.items():
            _update(found, str(name))
            _update(found, each)
    elif isinstance(value, list | tuple):
        found.update(f"list {len(value)}".encode())
        for each in value:
            _update(found, each)
    elif (parts := _parts_of(value)) is not None:
        found.update(type(value).__name__.encode())
        for each in parts:
            _update(found, each)
    elif hasattr(value, "__array__"):
        _update(found, np.asarray(value))
    else:
        found.update(f"{type(value).__name__} {text_of(value)}".encode())


def _update_array(found: Any, value: np.ndarray) -> None:
    found.update(f"array {value.dtype.str} {value.shape}".encode())
    rows = max(1, ROWS // max(1, value[:1].nbytes)) if value.ndim else 1
    for first in range(0, len(value) if value.ndim else 1, rows):
        part = value[first : first + rows] if value.ndim else value
        found.update(np.ascontiguousarray(part).tobytes())


def _parts_of(value: Any) -> list[Any] | None:
    """What tells an object from others of its class, where that is known."""
    if isinstance(value, type):
        return None
    if hasattr(value, "__dataclass_fields__"):
        return [getattr(value, name) for name in value.__dataclass_fields__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if hasattr(value, "get_config"):  # of Keras
        try:
            config = value.get_config()
        except NotImplementedError:  # of a user's own class, which need not have them
            return None
        return [config, getattr(value, "_fn_kwargs", None)]  # which some losses leave out of theirs
    return None


def text_of(value: Any) -> str:
    """A text for an object, the same in every process."""
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
