"""Speed of the reference CNN: conversion, and simulation against Keras' forward pass.

    make bench BENCH=reference_cnn    # ARGS: [--quick]

Trained weights, real digits, 200 images x 30 steps. Every repetition times all contestants one
after the other, and what is reported are medians of the ratios within a repetition: the machine
may be busy in between. Building a simulator and TensorFlow's tracing are timed apart. Writes
benchmarks/results/reference_cnn.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from quiet import start_tensorflow

start_tensorflow()

import numpy as np  # noqa: E402
from reference import load_digits, load_model  # noqa: E402
from report import machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402


def seconds(action: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main(images: int, steps: int, core_images: int, repetitions: int) -> None:
    digits, model = load_digits(), load_model()
    x = digits.x_test[:images]
    kconvert.convert(model)  # imports Nengo
    conversion = [seconds(lambda: kconvert.convert(model)) for _ in range(5)]

    events = kconvert.convert(model)
    compiled = seconds(lambda: events.predict(x, steps, simulator="events"))
    spiking = kconvert.convert(model)
    first = seconds(lambda: spiking.predict(x, steps, simulator="nengo_dl", batch_size=100))
    core = kconvert.convert(model)
    core_first = seconds(lambda: core.predict(x[:1], 1, simulator="nengo"))
    batch = np.ascontiguousarray(x[:100])
    model.predict_on_batch(batch)

    def keras_forward() -> None:
        for _ in range(steps):
            for start in range(0, images, 100):
                model.predict_on_batch(x[start : start + 100])

    def event_driven() -> None:
        events.predict(x, steps, simulator="events")

    def nengo_dl() -> None:
        spiking.predict(x, steps, simulator="nengo_dl", batch_size=100)

    def nengo_core() -> None:
        core.predict(x[:core_images], steps, simulator="nengo")

    times: dict[str, list[float]] = {"Keras": [], "events": [], "nengo_dl": [], "nengo": []}
    for _ in range(repetitions):
        times["Keras"].append(seconds(keras_forward))
        times["events"].append(seconds(event_driven))
        times["nengo_dl"].append(seconds(nengo_dl))
        times["nengo"].append(seconds(nengo_core) * images / core_images)
    rows = [
        {
            "what": name,
            f"seconds for {images} images x {steps} steps": statistics.median(taken),
            "times Keras' forward x steps": statistics.median(
                [mine / keras for mine, keras in zip(taken, times["Keras"], strict=True)]
            ),
            "events is faster by": statistics.median(
                [theirs / mine for theirs, mine in zip(taken, times["events"], strict=True)]
            ),
        }
        for name, taken in times.items()
    ]
    print(machine())
    print(f"conversion: {statistics.median(conversion):.3f} s (median of 5, imports done)")
    print(f"first run of events in this process: {compiled:.1f} s")
    print(f"first nengo_dl run, with build and tracing: {first:.1f} s")
    print(f"nengo: build and one step: {core_first:.1f} s; {core_images} images, extrapolated")
    print(markdown_table(rows))
    if repetitions > 1:
        save("reference_cnn", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    main(*((20, 3, 2, 1) if parser.parse_args().quick else (200, 30, 10, 7)))
