"""What the event simulator costs, against activity and size, and on other networks.

    make bench BENCH=events    # ARGS: [--quick] [--only activity width ...]

Parts: activity (a random ReLU network of the reference CNN's shape, whose layers fire at 5 to 500
Hz on average), width and depth (such networks at 40 Hz), images and steps (the reference CNN),
networks (a VGG-style and a MobileNet-style one beside nengo_dl and Keras' forward pass x steps) and
first (a fresh process, with and without what was compiled before). Times are medians of three runs.
Writes benchmarks/results/events.json and docs/figures/events.png.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402
from reference import load_digits, load_model  # noqa: E402
from report import RESULTS, machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402

RATE = 40.0
"""Hz: mean rate of every layer of the random networks."""
RUNS = 3
FIRST = """
import time
started = time.perf_counter()
import sys
sys.path.insert(0, {examples!r})
from quiet import start_tensorflow
start_tensorflow()
from reference import load_digits, load_model
import kconvert
model, x = load_model(), load_digits().x_test[:1]
spiking = kconvert.convert(model)
converted = time.perf_counter()
spiking.predict(x, 30, simulator={simulator!r})
print(converted - started, time.perf_counter() - converted)
"""


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def timed(spiking: kconvert.SpikingModel, x: np.ndarray, steps: int) -> dict[str, Any]:
    """Time, spikes and neurons of a run."""
    run = spiking.simulate(x, min(steps, 30), simulator="events")
    taken = statistics.median(
        seconds(lambda: spiking.predict(x, steps, simulator="events")) for _ in range(RUNS)
    )
    neurons = sum(ensemble.n_neurons for ensemble in spiking.net.ensembles)
    spikes = sum(run.n_spikes.values()) / len(x) / run.n_steps
    updates = len(x) * steps
    return {
        "neurons": neurons,
        "mean rate Hz": round(spikes / neurons / 0.001, 1),
        "spikes a step": round(spikes),
        "operations a step": round(sum(run.n_operations.values()) / len(x) / run.n_steps),
        "us a sample and step": round(1e6 * taken / updates, 1),
        "ns a spike": round(1e9 * taken / updates / spikes, 1),
    }


def at_rate(model: keras.Model, x: np.ndarray, rate: float = RATE) -> kconvert.SpikingModel:
    """Converted, every ReLU at the same mean rate: rate = scale * mean activation, exactly."""
    relus = [layer for layer in model.layers if isinstance(layer, L.ReLU)]
    values = keras.Model(model.inputs[0], [layer.output for layer in relus])(x)
    scales = {
        layer.name: rate / float(np.mean(value))
        for layer, value in zip(relus, keras.tree.flatten(values), strict=True)
    }
    return kconvert.convert(model, scale_firing_rates=scales)


def plain(filters: list[int], kernel: int = 3, pools: tuple[int, ...] = ()) -> keras.Model:
    keras.utils.set_random_seed(0)
    stack: list[Any] = [keras.Input((28, 28, 1))]
    for number, width in enumerate(filters):
        stack += [L.Conv2D(width, kernel, padding="same"), L.ReLU()]
        if number in pools:
            stack.append(L.AveragePooling2D(2))
    return keras.Sequential([*stack, L.Flatten(), L.Dense(10)])


def vgg() -> keras.Model:
    """VGG-style, 32 x 32 x 3, batch-normalised."""
    keras.utils.set_random_seed(0)
    stack: list[Any] = [keras.Input((32, 32, 3))]
    for width in (64, 128, 256):
        for _ in range(2):
            stack += [
                L.Conv2D(width, 3, padding="same", use_bias=False),
                L.BatchNormalization(),
                L.ReLU(),
            ]
        stack.append(L.MaxPooling2D(2))
    return keras.Sequential([*stack, L.Flatten(), L.Dense(256), L.ReLU(), L.Dense(10)])


def mobile() -> keras.Model:
    """MobileNet-style: depthwise and pointwise, batch-normalised."""
    keras.utils.set_random_seed(0)
    stack: list[Any] = [keras.Input((32, 32, 3)), L.Conv2D(32, 3, padding="same"), L.ReLU()]
    for width, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        stack += [
            L.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.Conv2D(width, 1, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
        ]
    return keras.Sequential([*stack, L.GlobalAveragePooling2D(), L.Dense(10)])


def forward(model: keras.Model, x: np.ndarray, times: int) -> None:
    for _ in range(times):
        model.predict_on_batch(x)


def activity(quick: bool) -> Iterator[dict[str, Any]]:
    x = load_digits().x_test[: 4 if quick else 60]
    model = plain([32, 64, 128], pools=(1, 2))
    for rate in (40.0,) if quick else (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0):
        yield timed(at_rate(model, x, rate), x, 30)


def width(quick: bool) -> Iterator[dict[str, Any]]:
    x = load_digits().x_test[: 2 if quick else 30]
    for factor in (0.25,) if quick else (0.25, 0.5, 1, 2, 4):
        filters = [int(factor * n) for n in (32, 64, 128)]
        spiking = at_rate(plain(filters, pools=(1, 2)), x)
        yield {"width": factor, **timed(spiking, x, 30)}


def depth(quick: bool) -> Iterator[dict[str, Any]]:
    x = load_digits().x_test[: 2 if quick else 30]
    for layers in (3,) if quick else (3, 5, 10, 20):
        yield {"layers": layers, **timed(at_rate(plain([32] * layers), x), x, 30)}


def images(quick: bool) -> Iterator[dict[str, Any]]:
    digits = load_digits()
    every = np.concatenate([digits.x_train, digits.x_test] * 2)
    spiking = kconvert.convert(load_model())
    spiking.predict(every[:2], 2, simulator="events")
    for n in (2,) if quick else (1, 10, 100, 1000, 10000):
        taken = seconds(lambda n=n: spiking.predict(every[:n], 30, simulator="events"))
        yield {
            "images": n,
            "us a sample and step": round(1e6 * taken / n / 30, 1),
            "peak memory MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }


def steps(quick: bool) -> Iterator[dict[str, Any]]:
    x = load_digits().x_test[: 2 if quick else 40]
    spiking = kconvert.convert(load_model())
    spiking.predict(x, 2, simulator="events")
    for n in (5,) if quick else (10, 30, 100, 300, 1000):
        taken = seconds(lambda n=n: spiking.predict(x, n, simulator="events"))
        yield {
            "steps": n,
            "us a sample and step": round(1e6 * taken / len(x) / n, 1),
            "peak memory MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }


def networks(quick: bool) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    x = rng.random((2 if quick else 40, 32, 32, 3)).astype(np.float32)
    n_steps = 2 if quick else 30
    made = {"VGG-style": vgg, "MobileNet-style": mobile}
    for name in list(made)[-1:] if quick else made:
        model = made[name]()
        events, theirs = at_rate(model, x), at_rate(model, x)
        row = timed(events, x, n_steps)
        contestants: dict[str, Callable[[], object]] = {
            "events": partial(events.predict, x, n_steps, simulator="events"),
            "nengo_dl": partial(
                theirs.predict, x, n_steps, simulator="nengo_dl", batch_size=len(x)
            ),
            "Keras": partial(forward, model, x, n_steps),
        }
        ratios: dict[str, list[float]] = {"nengo_dl": [], "Keras": []}
        for run in range(2 if quick else RUNS + 1):
            taken = {label: seconds(action) for label, action in contestants.items()}
            if run:  # the first builds and compiles
                for label, found in ratios.items():
                    found.append(taken[label] / taken["events"])
        yield {
            "network": name,
            **row,
            "faster than nengo_dl": round(statistics.median(ratios["nengo_dl"]), 1),
            "faster than Keras x steps": round(statistics.median(ratios["Keras"]), 1),
        }


def early(quick: bool) -> Iterator[dict[str, Any]]:
    digits = load_digits()
    x, y = (digits.x_test[:4], digits.y_test[:4]) if quick else (digits.x_test, digits.y_test)
    rules = [None, *(kconvert.EarlyExit(stable=n) for n in (4, 8, 16))]
    rules += [kconvert.EarlyExit(stable=4, confidence=p) for p in (0.5, 0.9)]
    model = load_model()
    for name, calibration in (("defaults", None), ("calibration=x", digits.x_train[:256])):
        spiking = kconvert.convert(model, calibration=calibration)
        for rule in rules:
            result = spiking.evaluate(x, y, 60, simulator="events", early_exit=rule)
            yield {
                "settings": name,
                "early_exit": str(rule),
                "error %": round(100 * (1 - result.accuracy), 2),
                "mean steps of 60": round(result.mean_steps, 1),
                "spikes a sample": round(result.spikes_per_sample),
            }


def first(quick: bool) -> Iterator[dict[str, Any]]:
    if quick:
        return
    examples = str(Path(__file__).parent.parent / "examples")
    with tempfile.TemporaryDirectory() as cache:
        for label, simulator in (
            ("events, nothing compiled yet", "events"),
            ("events", "events"),
            ("nengo_dl", "nengo_dl"),
        ):
            done = subprocess.run(
                [sys.executable, "-c", FIRST.format(examples=examples, simulator=simulator)],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            converted, result = map(float, done.stdout.split())
            yield {
                "fresh process": label,
                "s to convert, with imports": round(converted, 1),
                "s to the first result after it": round(result, 1),
            }


PARTS: dict[str, Callable[[bool], Iterator[dict[str, Any]]]] = {
    part.__name__: part for part in (activity, width, depth, images, steps, networks, early, first)
}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Time against spikes: one line for activity, width and depth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for part, label in (
        ("activity", "firing rates of 5 to 500 Hz"),
        ("width", "width 1/4 to 4"),
        ("depth", "3 to 20 layers"),
    ):
        of_part = [row for row in rows if row["part"] == part]
        axes.loglog(
            [row["operations a step"] for row in of_part],
            [row["us a sample and step"] for row in of_part],
            "o-",
            label=label,
        )
    axes.set_xlabel("synaptic operations per step")
    axes.set_ylabel("us per sample and step, two cores")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def main(quick: bool, only: list[str]) -> None:
    print(machine())
    path = RESULTS / "events.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() and not quick else []
    for name in only or PARTS:
        found = [{"part": name, **row} for row in PARTS[name](quick)]
        if found:
            print(f"\n{name}\n{markdown_table(found)}", flush=True)
        rows = [row for row in rows if row["part"] != name] + found
    if not quick:
        save("events", rows)
        plot(rows, Path(__file__).parent.parent / "docs" / "figures" / "events.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=[])
    arguments = parser.parse_args()
    main(arguments.quick, arguments.only)
