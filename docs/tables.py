"""Writes the tables of the documentation that come from code or from results.

    make tables

A table stands between ``<!-- table: name -->`` and ``<!-- end -->``, on any page or in the README.
A test fails if one is stale.
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
README = DOCS.parent / "README.md"
RESULTS = DOCS.parent / "benchmarks" / "results"
SETTINGS = {
    "default": "kconvert's defaults: synapse of 2 ms, voltages spread",
    "seed": "the reference work's: no synapse, all voltages 0",
    "voltages": "voltages spread, no synapse",
    "half": "all voltages 1/2, no synapse",
    "synapse": "synapse of 2 ms, all voltages 0",
    "1 ms": "synapse of 1 ms, voltages spread",
    "5 ms": "synapse of 5 ms, voltages spread",
}
"""Names of the settings in the results of benchmarks/accuracy.py."""
PEERS = {
    "events": "**kconvert, event simulator**",
    "Keras": "Keras' forward pass x 30, without spikes",
    "nengo_dl": "NengoDL, the network of kconvert",
    "nengo": "Nengo, the network of kconvert",
    "nengo_dl, network of NengoDL's Converter": "NengoDL, its own converter (Keras 2)",
}
"""What benchmarks/reference_cnn.py timed, fastest first."""
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


def accuracy() -> str:
    """Error by settings and steps of the reference CNN."""
    rows = json.loads((RESULTS / "accuracy.json").read_text())["rows"]
    steps = [key for key in rows[0] if key.isdigit()]
    lines = [f"| settings | {' | '.join(steps)} | Keras | same class as Keras % |"]
    lines.append("|" + "---|" * (len(steps) + 3))
    for row in rows:
        cells = [str(row[key]) for key in (*steps, "Keras", "same class as Keras %")]
        lines.append(f"| {SETTINGS[row['setting']]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def peers() -> str:
    """Seconds of one run of benchmarks/reference_cnn.py."""
    rows = json.loads((RESULTS / "reference_cnn.json").read_text())["rows"]
    seconds = {row["what"]: row["seconds for 200 images x 30 steps"] for row in rows}
    lines = ["| 200 digits x 30 steps of the reference CNN, two cores | seconds |", "|---|---|"]
    lines += [f"| {text} | {seconds[what]:.2g} |" for what, text in PEERS.items()]
    return "\n".join(lines) + "\n"


def pages() -> list[Path]:
    """The README and every page of the documentation, without what builds leave behind."""
    return [README, *(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]


def _cell(value: object) -> str:
    """A number in at most as many digits as are of use."""
    return f"{value:.4g}" if isinstance(value, float) and len(str(value)) > 7 else str(value)


TABLES: dict[str, Callable[[], str]] = {
    "layers": layers,
    "refusals": refusals,
    "accuracy": accuracy,
    "peers": peers,
    "smoothing": lambda: results("smoothing"),
    "applications": lambda: results("applications"),
    "max_pooling": lambda: results("max_pooling"),
    "agreement": lambda: results("agreement"),
    "kernels": lambda: results("kernels"),
    "deep": lambda: results("deep"),
    "distribute": lambda: results("distribute"),
    "efficiency": lambda: results("efficiency"),
    "synthetic": lambda: results("synthetic"),
    "spiking_aware": lambda: results("spiking_aware"),
    "fine_tune_reference": lambda: results("fine_tune_reference"),
    "fine_tune_reference_4": lambda: results("fine_tune_reference_4"),
    "fine_tune_residual": lambda: results("fine_tune_residual"),
    "reference_cnn": lambda: results("reference_cnn"),
    "conversion_time": lambda: results("conversion_time"),
    "memory": lambda: results("memory"),
    **{
        f"cost_{part}": partial(results, "cost_model", part)
        for part in ("constants", "check", "schedules")
    },
    "spike_values": partial(results, "spike_values"),
    "first_result": lambda: results("first_result", "seconds"),
    **{
        f"fidelity_{name}": partial(results, f"fidelity_{name}")
        for name in ("lif", "lif_seeds", "relu", "residual", "glyphs")
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
    for page in pages():
        text = page.read_text()
        if (new := rewritten(text)) != text:
            page.write_text(new)
