"""Peak memory of conversion, calibration and evaluation of large models.

    make bench BENCH=memory    # ARGS: [--models ResNet50,VGG16] [--size 224] [--trials] [--quick]

Models of keras.applications with random weights. Every number has a process of its own: it is the
highest resident memory during the call, less the resident memory right before it, in GiB. Before
`convert` the process holds the Keras model. Before `load and evaluate` it holds only kconvert and
the samples, as a worker without Keras does; the network is that of `convert(calibration=False)`.
Evaluation runs for two numbers of steps, since its peak must not depend on them. Calibration has a
given rate and signs, which need no trials. `--trials` adds `convert(calibration=x)`, which
tries settings one after the other and takes long. Linux only: it reads and resets the kernel's
high-water mark. Writes benchmarks/results/memory.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODELS = ("ResNet50", "VGG16")
SIZE = 224
SAMPLES = 2
"""Samples of calibration, and of evaluation: one for each thread of a machine with two cores."""
STEPS = (2, 4)
CALLS = {
    "convert": "convert(calibration=False)",
    "calibrate": "convert(calibration=Calibration(x, rate=1000), signed=True)",
    "try": "convert(calibration=x)",
    "evaluate": "load and evaluate",
}
GIB = 2**30


def resident(name: str) -> int:
    """Bytes of this process: "VmRSS" is now, "VmHWM" the highest since :func:`peak_of` began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [found] = [line for line in lines if line.startswith(f"{name}:")]
    return 1024 * int(found.split()[1])


def peak_of(call: Callable[[], Any]) -> dict[str, float]:
    """Resident memory before a call, and the most that it adds, in GiB."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    before = resident("VmRSS")
    call()
    added = resident("VmHWM") - before
    return {"before GiB": round(before / GIB, 2), "peak above GiB": round(added / GIB, 2)}


def images(size: int, n: int = SAMPLES) -> Any:
    import numpy as np

    return np.random.default_rng(0).random((n, size, size, 3), dtype=np.float32)


def convert(name: str, size: int, call: str, path: Path) -> dict[str, Any]:
    """Convert a model in this process; what is not calibrated is kept in a file."""
    from quiet import start_tensorflow

    start_tensorflow()
    import keras

    import kconvert

    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    x = images(size)
    model(x[:1])  # Keras' own first call allocates
    kconvert.warm_up(progress=False)  # what the machine needs once is none of the model's
    settings: dict[str, Any] = {
        "convert": {"calibration": False},
        "calibrate": {"calibration": kconvert.Calibration(x, rate=1000.0), "signed": True},
        "try": {"calibration": x},
    }[call]
    kept: list[kconvert.SpikingModel] = []
    found = peak_of(lambda: kept.append(kconvert.convert(model, **settings)))
    if call == "convert":
        kept[0].save(path)
    return {
        "parameters": f"{model.count_params():,}",
        "neurons": f"{kept[0].n_neurons:,}",
        "call": CALLS[call],
        "samples": "-" if call == "convert" else len(x),
        "steps": "-",
        **found,
    }


def evaluate(path: Path, size: int, n_steps: int) -> dict[str, Any]:
    """Load a network from its file and evaluate it, without Keras in this process."""
    import numpy as np

    import kconvert

    kconvert.warm_up(progress=False)
    x, y = images(size), np.arange(SAMPLES)

    def call() -> None:
        kconvert.load(path).evaluate(x, y, n_steps, simulator="events", progress=False)

    return {"call": CALLS["evaluate"], "samples": len(x), "steps": n_steps, **peak_of(call)}


def rows_of(name: str, size: int, *, trials: bool) -> list[dict[str, Any]]:
    """The lines of one model."""
    from report import alone

    with tempfile.TemporaryDirectory() as folder:
        one = ("--models", name, "--size", str(size), "--path", f"{folder}/network.kconvert")
        calls = ["convert", "calibrate", *(["try"] if trials else [])]
        rows = [alone(__file__, *one, "--one", call) for call in calls]
        rows += [alone(__file__, *one, "--one", "evaluate", "--steps", str(n)) for n in STEPS]
    known = {key: rows[0][key] for key in ("parameters", "neurons")}
    return [{"model": name, "input": f"{size} x {size}", **known, **row} for row in rows]


def main(models: list[str], size: int, quick: bool, trials: bool) -> None:
    from report import machine, markdown_table, save

    print(machine())
    size = 32 if quick else size
    rows = [row for name in models for row in rows_of(name, size, trials=trials)]
    print(markdown_table(rows))
    if not quick and models == list(MODELS) and size == SIZE:
        save("memory", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--trials", action="store_true", help="also calibrate by trying settings")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--one", choices=CALLS)
    parser.add_argument("--path", type=Path, help="the file of the network")
    parser.add_argument("--steps", type=int, default=STEPS[0])
    given = parser.parse_args()
    if given.one == "evaluate":
        print(json.dumps(evaluate(given.path, given.size, given.steps)))
    elif given.one:
        print(json.dumps(convert(given.models, given.size, given.one, given.path)))
    else:
        main(given.models.split(","), given.size, given.quick, given.trials)
