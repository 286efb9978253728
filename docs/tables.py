"""Writes the tables of these pages that come from code or from results.

    make tables

A table stands between ``<!-- table: name -->`` and ``<!-- end -->``. A test fails if one is stale.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kconvert.reader import LAYERS
from kconvert.reader.registry import spelling

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def layers() -> str:
    """One line for each module of importers, with its classes and their limits."""
    groups: dict[str, dict[str, list[str]]] = {}
    for cls, entry in LAYERS.entries.items():
        room = entry.importer.__module__.rsplit(".", 1)[-1]
        kind, name = _spelling(cls)
        limits = ", ".join(f"{key}={value!r}" for key, value in entry.limits.items())
        if entry.importer.__name__ == "only_swapped":
            limits = "only with swap_activations"
        text = f"{name} ({limits})" if limits else name
        groups.setdefault(room, {}).setdefault(kind, []).append(text)
    lines = ["| module | layers | `keras.ops` nodes |", "|---|---|---|"]
    for room, kinds in sorted(groups.items()):
        cells = [", ".join(sorted(kinds.get(kind, ["-"]))) for kind in ("layer", "operation")]
        lines.append(f"| {room} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def refusals() -> str:
    """One line for each reason for which layers are refused."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for cls, why in LAYERS.refusals.items():
        reasons.setdefault(why, []).append(spelling(cls))
    lines = ["| layers | why not | instead |", "|---|---|---|"]
    for (reason, fix), names in reasons.items():
        lines.append(f"| {', '.join(names)} | {reason} | {fix} |")
    return "\n".join(lines) + "\n"


def results(name: str, part: str = "") -> str:
    """The rows of a benchmark, or of a part of it."""
    rows = json.loads((RESULTS / f"{name}.json").read_text())["rows"]
    if part:
        rows = [
            {key: value for key, value in row.items() if key != "part"}
            for row in rows
            if row["part"] == part
        ]
    header: list[str] = []
    for row in rows:
        header += [key for key in row if key not in header and key != "passed"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(key, "-")) for key in header) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    """A number in at most as many digits as are of use."""
    return f"{value:.4g}" if isinstance(value, float) and len(str(value)) > 7 else str(value)


TABLES: dict[str, Callable[[], str]] = {
    "layers": layers,
    "refusals": refusals,
    "applications": lambda: results("applications"),
    "max_pooling": lambda: results("max_pooling"),
    "agreement": lambda: results("agreement"),
    "kernels": lambda: results("kernels"),
    "deep": lambda: results("deep"),
    "efficiency": lambda: results("efficiency"),
    "synthetic": lambda: results("synthetic"),
    "spiking_aware": lambda: results("spiking_aware"),
    "reference_cnn": lambda: results("reference_cnn"),
    "first_result": lambda: results("first_result", "seconds"),
    **{
        f"fidelity_{name}": partial(results, f"fidelity_{name}")
        for name in ("lif", "lif_seeds", "relu", "residual")
    },
    **{
        f"events_{part}": partial(results, "events", part)
        for part in ("first", "activity", "width", "depth", "images", "steps", "networks", "early")
    },
}


def rewritten(text: str) -> str:
    """A page with its tables as they should be."""
    return _BLOCK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)


def _spelling(cls: type) -> tuple[str, str]:
    module = cls.__module__
    if module.startswith("keras.src.layers"):
        return "layer", cls.__name__
    if module.startswith("keras.src"):
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        return "operation", {"re_lu": "activations.relu", "get_item": "x[...]"}.get(snake, snake)
    return "layer", f"kconvert.layers.{cls.__name__}"


if __name__ == "__main__":
    for page in DOCS.glob("*.md"):
        text = page.read_text()
        if (new := rewritten(text)) != text:
            page.write_text(new)
