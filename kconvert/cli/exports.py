"""A network in formats that other programs read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..files.replacing import replacing


def write_export(network: Any, path: Path) -> None:
    """Write a network to a file; the ending says in which format, see ``FORMATS``."""
    with replacing(path) as file:
        FORMATS[path.suffix.lower()](network, file)


def _json(network: Any, file: IO[bytes]) -> None:
    file.write(json.dumps(network.graph.to_dict(), indent=2).encode())


def _csv(network: Any, file: IO[bytes]) -> None:
    nodes = network.graph.to_dict()["nodes"]
    text = io.StringIO()
    rows = csv.DictWriter(text, list(nodes[0]))
    rows.writeheader()
    rows.writerows(nodes)
    file.write(text.getvalue().encode())


def _npz(network: Any, file: IO[bytes]) -> None:
    arrays: dict[str, Any] = {
        f"{name}.{field.name}": value
        for name, node in network.graph.nodes.items()
        if is_dataclass(node.op)
        for field in fields(node.op)
        if isinstance(value := getattr(node.op, field.name), np.ndarray)
    }
    np.savez(file, **arrays)


FORMATS: Mapping[str, Callable[[Any, IO[bytes]], None]] = {
    ".json": _json,
    ".csv": _csv,
    ".npz": _npz,
}
"""Ending of a file to what writes it."""
