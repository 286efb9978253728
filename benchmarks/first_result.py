"""From the start of a process to the first prediction of a stored network: cold, warm, and why.

    make bench BENCH=first_result    # ARGS: [--python PATH] [--runs 5] [--quick]

A fresh process imports kconvert, loads a ``.kconvert`` file and predicts ten digits for 30 steps.
The cold run has an empty folder for Numba's compiled code, the warm ones what it left there. CPU is
that of the process, user and system, which other programs disturb less than the time on the clock.
``--python`` is that of another environment, which needs kconvert, NumPy, SciPy, Numba, safetensors
and cattrs only. Writes benchmarks/results/first_result.json.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from report import machine, markdown_table, save

PROGRAM = """
import sys, time
start = time.perf_counter()
import kconvert
imported = time.perf_counter()
network = kconvert.load(sys.argv[1])
loaded = time.perf_counter()
import numpy as np
outputs = network.predict(np.load(sys.argv[2]), n_steps=30)
predicted = time.perf_counter()
np.save(sys.argv[3], outputs)
print(imported - start, loaded - imported, predicted - loaded)
"""
IMPORT = re.compile(r"import time:\s*(\d+) \|\s*\d+ \|\s*(\w+)")


def store(folder: Path, n_filters: int) -> np.ndarray:
    """Write a network and its input; what this process predicts."""
    import keras
    from keras import layers as L

    import kconvert

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *(L.Conv2D(n_filters, 3), kconvert.layers.RateLIF()),
            *(L.Conv2D(2 * n_filters, 3, strides=2), kconvert.layers.RateLIF()),
            *(L.Conv2D(4 * n_filters, 3, strides=2), kconvert.layers.RateLIF()),
            *(L.Flatten(), L.Dense(10)),
        ]
    )
    x = np.random.default_rng(0).random((42, 28, 28, 1))
    spiking = kconvert.convert(model, calibration=x[10:])
    spiking.save(folder / "net")
    np.save(folder / "x.npy", x[:10])
    outputs: np.ndarray = spiking.predict(x[:10], n_steps=30)
    return outputs


def run(
    python: str, folder: Path, *options: str, cache: Path | None = None
) -> tuple[dict[str, float], str]:
    """One fresh process: its seconds, and what it wrote to standard error.

    Args:
        python: What runs it.
        folder: Where the network is.
        options: Of Python.
        cache: Where Numba keeps compiled code; where it always does if None.
    """
    paths = [str(folder / name) for name in ("net.kconvert", "x.npy", "y.npy")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    result = subprocess.run(
        [python, *options, "-c", PROGRAM, *paths],
        capture_output=True,
        text=True,
        env=os.environ | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {}),
        cwd=folder,
        check=False,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode:
        sys.exit(result.stderr)
    seconds = {
        "wall": wall,
        "CPU": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }
    parts = ("import kconvert", "load", "predict")
    seconds |= dict(zip(parts, map(float, result.stdout.split()), strict=True))
    return seconds, result.stderr


def by_package(log: str) -> dict[str, float]:
    """Package to the milliseconds that its own modules took to import, the heaviest first."""
    found: dict[str, float] = defaultdict(float)
    for microseconds, module in IMPORT.findall(log):
        name = "standard library" if module in sys.stdlib_module_names else module
        found[name] += int(microseconds) / 1000
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = store(folder, 2 if args.quick else 32)
        # Compiling takes some seconds, which the smallest form does not spend.
        cache = None if args.quick else folder / "cache"
        cold, _ = run(args.python, folder, cache=cache)
        equal = bool((np.load(folder / "y.npy") == expected).all())
        n_runs = 1 if args.quick else args.runs
        warm = [run(args.python, folder, cache=cache)[0] for _ in range(n_runs)]
        _, log = run(args.python, folder, "-X", "importtime", cache=cache)
    rows: list[dict[str, object]] = [
        {"fresh process": "cold", **{key: round(value, 2) for key, value in cold.items()}}
    ]
    for label, of in (("warm, median", statistics.median), ("warm, best", min)):
        rows.append(
            {
                "fresh process": label,
                **{key: round(of([each[key] for each in warm]), 2) for key in cold},
            }
        )
    print(markdown_table(rows))
    print(f"\nThe outputs are those of the process that saved the network, to the bit: {equal}\n")
    imports = by_package(log)
    print(markdown_table([{"import": key, "ms": imports[key]} for key in list(imports)[:10]]))
    print(f"\n{machine()['processor']}, {os.cpu_count()} cores")
    if not args.quick:
        rows = [{"part": "seconds", **row, "equal to the bit": equal} for row in rows]
        rows += [
            {"part": "imports", "import": name, "ms": round(imports[name])}
            for name in list(imports)[:10]
        ]
        print(f"wrote {save('first_result', rows)}")


if __name__ == "__main__":
    main()
