"""The table of supported layers, written from the registry at every build: it cannot be stale."""

from __future__ import annotations

from pathlib import Path

from kconvert.reader import LAYERS


def table() -> str:
    """One line for each registered class: where it lives, its name, and its limits."""
    rows = {}
    for cls, entry in LAYERS.entries.items():
        module = cls.__module__
        if module.startswith("keras.src.layers"):
            name = f"`keras.layers.{cls.__name__}`"
        elif module.startswith("keras.src.activations"):
            name = "`keras.activations.relu` called on a tensor"
        elif module.startswith("keras.src.ops"):
            name = f"`keras.ops.{cls.__name__.lower()}`"
        else:
            name = f"`kconvert.layers.{cls.__name__}`"
        limits = ", ".join(f"`{key}={value!r}`" for key, value in entry.limits.items())
        rows[name] = limits or "-"
    lines = ["| layer or operation | only with |", "|---|---|"]
    lines += [f"| {name} | {limits} |" for name, limits in sorted(rows.items())]
    return "\n".join(lines) + "\n"


def write_table(path: Path) -> None:
    """Write the table, if it changed."""
    path.parent.mkdir(exist_ok=True)
    text = table()
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
