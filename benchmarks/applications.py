"""Whole models of keras.applications: their rate networks against Keras.

    make bench BENCH=applications    # ARGS: [--models ResNet50,VGG16] [--size 32]

Random weights, batch statistics from data that runs through, small images. For each model one line:
what was converted, how long it took, the largest difference of any layer and at the output as
shares of their scale, and what was decided. It fails if in the first simulator (Nengo's, float64)
any layer, or in any simulator the output, differs by more than 1e-4. Every model has a process of
its own, so that memory is its own. Writes benchmarks/results/applications.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import warnings
from collections import Counter
from functools import partial
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

import kconvert  # noqa: E402

# Input sizes: small, but so large that batch normalisation has more than one position to look at in
# the last layers: with next to no variance there it would only magnify rounding.
SIZES = {
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "DenseNet121": 32,
    "Xception": 71,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "InceptionV3": 139,
    "EfficientNetB0": 32,
}
# EfficientNet multiplies signals (squeeze and excitation) and uses silu.
SETTINGS: dict[str, dict] = {"EfficientNetB0": {"allow": ("tensornode",)}}
SAMPLES = 64
TOLERANCE = 1e-4
"""Of each layer's scale. Keras itself computes in float32, over 20 to 120 layers in a row."""


def build(name: str, size: int, samples: int = SAMPLES) -> tuple[keras.Model, np.ndarray]:
    """A model with random weights whose batch statistics are those of random images."""
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    images = random_images(size, samples)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momentum = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, value in zip(norms, momentum, strict=True):
        layer.momentum = value
    return model, images


def random_images(size: int, samples: int = SAMPLES) -> np.ndarray:
    """Images that differ in colour, contrast and coarse structure, as photographs do.

    Plain noise looks the same to a deep layer in every image: batch normalisation would then divide
    by next to nothing, and magnify Keras' own rounding.
    """
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(samples, 5, 5, 3)).astype(np.float32)
    structure = keras.ops.image.resize(coarse, (size, size), interpolation="bicubic")
    contrast = rng.uniform(10, 80, (samples, 1, 1, 1))
    colour = rng.uniform(40, 200, (samples, 1, 1, 3))
    noise = rng.normal(0, 10, (samples, size, size, 3))
    images = colour + contrast * keras.ops.convert_to_numpy(structure) + noise
    return np.asarray(images, dtype=np.float32)


def measure(name: str, size: int, simulators: list[str]) -> dict[str, object]:
    """One line of the table."""
    model, images = build(name, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    spiking = kconvert.convert(model, calibration=False, **SETTINGS.get(name, {}))
    seconds = time.perf_counter() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    row: dict[str, object] = {
        "model": name,
        "input": f"{size} x {size}",
        "layers": len(model.layers),
        "parameters": f"{model.count_params():,}",
        "neurons": f"{sum(e.n_neurons for e in spiking.net.ensembles):,}",
        "conversion s": round(seconds, 2),
        "memory GiB": round(grown / 2**20, 2),
    }
    for simulator in simulators:
        if simulator == "nengo" and "allow" in SETTINGS.get(name, {}):
            row[f"{simulator}: any layer"] = row[f"{simulator}: output"] = "-"
            continue
        result = spiking.verify(images[:2], simulator=simulator, tolerance=TOLERANCE)
        row[f"{simulator}: any layer"] = f"{result.max_difference:.1e}"
        row[f"{simulator}: output"] = f"{result.layers[-1].relative:.1e}"
        failed = not result.passed if simulator == simulators[0] else False
        failed |= result.layers[-1].relative > TOLERANCE
        row["passed"] = bool(row.get("passed", True)) and not failed
    kinds = Counter(decision.kind for decision in spiking.decisions)
    row["decisions"] = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    return row


def main(
    models: list[str], size: int | None, simulators: list[str], checkpoint: str | None
) -> None:
    from report import alone, kept_rows, markdown_table, save

    def one(name: str) -> dict[str, Any]:
        arguments = ["--one", name, "--simulators", ",".join(simulators)]
        if size:
            arguments += ["--size", str(size)]
        return dict(alone(__file__, *arguments))

    rows = []
    with kept_rows(checkpoint, script="applications", size=size, simulators=simulators) as kept:
        for name in models:
            rows.append(kept(name, partial(one, name)))
            print(markdown_table(rows[-1:]).splitlines()[-1], flush=True)
    print(markdown_table(rows))
    if size is None and models == list(SIZES):
        save("applications", rows)
    if not all(row.get("passed", True) for row in rows):
        sys.exit("a model differs from Keras by more than it may")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default=",".join(SIZES))
    parser.add_argument("--size", type=int)
    parser.add_argument("--simulators", default="nengo,nengo_dl")
    parser.add_argument("--checkpoint", help="a folder that keeps the models that are done")
    parser.add_argument("--one", help="measure this model here and print a line of JSON")
    given = parser.parse_args()
    simulators = [name for name in given.simulators.split(",") if name]
    if given.one:
        row = measure(given.one, given.size or SIZES[given.one], simulators)
        print(json.dumps(row))
    else:
        main(given.models.split(","), given.size, simulators, given.checkpoint)
