"""A network in formats that spreadsheets, NumPy and other programs read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields, is_dataclass
from typing import IO, Any

import numpy as np

from ..ir import Graph


def write_json(graph: Graph, file: IO[bytes]) -> None:
    """Nodes, shapes and decisions."""
    file.write(json.dumps(graph.to_dict(), indent=2).encode())


def write_csv(graph: Graph, file: IO[bytes]) -> None:
    """The nodes as a table."""
    nodes = graph.to_dict()["nodes"]
    text = io.StringIO()
    rows = csv.DictWriter(text, list(nodes[0]))
    rows.writeheader()
    rows.writerows(nodes)
    file.write(text.getvalue().encode())


def write_npz(graph: Graph, file: IO[bytes]) -> None:
    """Every array, by the name of its node."""
    arrays: dict[str, Any] = {
        f"{name}.{field.name}": value
        for name, node in graph.nodes.items()
        if is_dataclass(node.op)
        for field in fields(node.op)
        if isinstance(value := getattr(node.op, field.name), np.ndarray)
    }
    np.savez(file, **arrays)
