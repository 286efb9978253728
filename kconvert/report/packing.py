"""Arrays as text in a page, which the browser unpacks by itself."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np

INTEGERS = (np.int8, np.int16, np.int32)
LEVEL = 7
"""Of deflate: 9 takes ten times as long for spikes, and saves a tenth."""


def packed(array: np.ndarray) -> str:
    """An array's bytes, little-endian, deflated without a header, in base64.

    A browser reads this with ``DecompressionStream("deflate-raw")``.
    """
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
    return base64.b64encode(deflate.compress(plain.tobytes()) + deflate.flush()).decode()


def unpacked(text: str, dtype: Any) -> np.ndarray:
    """The flat array of :func:`packed`.

    Example:
        >>> unpacked(packed(np.array([1, -2], dtype=np.int8)), np.int8)
        array([ 1, -2], dtype=int8)
    """
    raw = zlib.decompress(base64.b64decode(text), -15)
    return np.frombuffer(raw, dtype=np.dtype(dtype).newbyteorder("<")).astype(dtype)


def narrowest(array: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest of the types that JavaScript has an array for."""
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    for kind in INTEGERS:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return array.astype(kind)
    raise OverflowError(f"counts from {low} to {high} do not fit")  # 2**31 spikes of a neuron


def script_json(value: Any) -> str:
    """JSON that may stand in a ``<script>`` element: nothing in it ends the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
