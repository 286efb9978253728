"""Results of benchmarks: a JSON file that names the machine, and a Markdown table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("keras", "tensorflow", "tf-keras", "nengo", "nengo-dl", "numba", "numpy")


def machine() -> dict[str, str]:
    """Processor, cores, Python and package versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def save(name: str, rows: list[dict[str, Any]]) -> Path:
    """Write rows and machine to ``results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    return path


@contextmanager
def kept_rows(checkpoint: str | None, **settings: Any) -> Iterator[Callable[..., Any]]:
    """What runs a part of a benchmark, or takes it from a checkpoint where it is done already.

    Args:
        checkpoint: The folder, or None for no checkpoint.
        **settings: What tells this benchmark from others.

    Yields:
        A function of a name and a function, which gives what that function gives: rows.
    """
    from kconvert.jobs.work import opened

    about = {"run": "benchmark", "settings": settings, "versions": machine()}
    with opened(about, None, checkpoint) as work:
        yield lambda name, compute: work.once(name, lambda: {"rows": compute()})["rows"]


def alone(script: str, *arguments: str) -> Any:
    """What a script prints as JSON in its last line, in a process of its own."""
    run = subprocess.run(
        [sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def errors_at(result: Any, steps: Sequence[int]) -> dict[str, float]:
    """Columns with the error in percent of an ``Evaluation`` after each of these steps it has."""
    errors = 100 * (1 - result.accuracy_per_step)
    return {f"{n}": round(float(errors[n - 1]), 2) for n in steps if n <= len(errors)}


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """Rows with the same keys as a table."""
    header = list(rows[0])
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = [
            f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
