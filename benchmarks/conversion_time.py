"""What ``convert(model, calibration=x)`` costs, and which part of it.

    make bench BENCH=conversion_time    # ARGS: [--models reference,MobileNetV2] [--quick]

CPU seconds of all cores together, the least of some conversions after a first one: other work on
the machine makes them longer, never shorter. "s" is the least time on the clock. "reference" is the
reference CNN with its committed weights and 100 digits; "MobileNetV2" has 224 x 224 inputs, random
weights and the batch statistics of 32 random images (see applications.py), which calibrate it too.
Every model has a process of its own. Writes benchmarks/results/conversion_time.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

import kconvert  # noqa: E402
from kconvert import pipeline  # noqa: E402

MODELS = ("reference", "MobileNetV2")
PARTS = {
    "read": "prepare",
    "rates and signs": "calibrate",
    "synapses": "choose_synapse",
    "corrections": "correct",
}
"""Column to what ``convert`` calls for it."""
REPEATS = 3
IMAGES = 32


def network(name: str, quick: bool) -> tuple[keras.Model, np.ndarray]:
    """A model, and samples to calibrate with."""
    if name == "reference":
        from reference import load_digits, load_model

        return load_model(), load_digits().x_train[: 10 if quick else 100]
    from applications import build

    return build(name, 32 if quick else 224, 8 if quick else IMAGES)


def timed(spent: Counter[str], column: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with its CPU seconds added to a column."""

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[column] += time.process_time() - start

    return run


def measure(name: str, quick: bool) -> dict[str, Any]:
    """The line of one model."""
    model, x = network(name, quick)
    originals = {column: getattr(pipeline, part) for column, part in PARTS.items()}
    runs: list[Counter[str]] = []
    for _ in range(1 if quick else 1 + REPEATS):
        spent: Counter[str] = Counter()
        for column, part in PARTS.items():
            setattr(pipeline, part, timed(spent, column, originals[column]))
        start, start_clock = time.process_time(), time.perf_counter()
        spiking = kconvert.convert(model, calibration=x)
        spent["s"] = time.perf_counter() - start_clock
        spent["CPU s"] = time.process_time() - start
        runs.append(spent)
        print(name, dict(spent), file=sys.stderr, flush=True)
    runs = runs[1:] or runs  # the first one may compile the simulator
    least = min(runs, key=lambda spent: spent["CPU s"])
    return {
        "model": name,
        "samples": len(x),
        "neurons": f"{spiking.graph.n_neurons:,}",
        "s": round(min(spent["s"] for spent in runs), 2),
        **{column: round(least[column], 2) for column in ("CPU s", *PARTS)},
    }


def main(models: list[str], quick: bool) -> None:
    from report import alone, machine, markdown_table, save

    print(machine())
    rows = []
    for name in models:
        arguments = ["--one", name, *(["--quick"] if quick else [])]
        rows.append(alone(__file__, *arguments))
    print(markdown_table(rows))
    if not quick and models == list(MODELS):
        save("conversion_time", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--one", help="measure this model here and print a line of JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.quick)))
    else:
        main(given.models.split(","), given.quick)
