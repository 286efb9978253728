"""What ``kconvert.fine_tune`` is worth with binary spikes at few steps, on held-out digits.

    make bench BENCH=fine_tune    # ARGS: [--quick] [--only NETWORK ...] [--seeds 0 1 2]
                                  #       [--models FOLDER], which keeps the trained residual CNNs

The reference CNN (rate-LIF, committed weights) for 2 and 4 steps, and the batch-normalised residual
CNN of 20 layers (benchmarks/fidelity.py; trained here with each seed) for 8. Training sees the
4,000 embedded training digits only. Both learn from Keras' own answers, without labels. The
reference CNN learns from its answers to distorted digits, as it was trained to imitate others. The
residual CNN learns from its logits on the digits as they are: chosen, with its learning rate, on
800 training digits that a residual CNN of another seed had not seen. Prints the tables of
docs/reference/benchmarks.md and writes benchmarks/results/fine_tune_<network>.json, with a row for
each seed; seeds that are not run keep their rows.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from fidelity import CALIBRATION, residual_cnn, trained  # noqa: E402
from reference import Answered, Digits, imitation, load_digits, load_model  # noqa: E402
from report import RESULTS, machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402

SETTINGS: dict[str, dict[str, Any]] = {
    "reference": {"n_steps": 2, "epochs": 10, "learning_rate": 3e-4},
    "reference_4": {"n_steps": 4, "epochs": 10, "learning_rate": 3e-4},
    "residual": {"n_steps": 8, "epochs": 6, "learning_rate": 1e-3},
}


def model_of(
    network: str, digits: Digits, seed: int, quick: bool, models: Path | None
) -> tuple[keras.Model, Any, Any]:
    """The model that is to be fine-tuned, the data to do it with, and the loss."""
    if network.startswith("reference"):
        model = load_model()
        data = Answered(digits, [model], SETTINGS[network]["epochs"], seed), None
        return model, data, imitation
    kept = None if models is None or quick else models / f"{network}{seed}.keras"
    if kept is not None and kept.exists():
        model = keras.models.load_model(kept)
    else:
        model = trained(residual_cnn, digits, seed, 1 if quick else 8)
        if kept is not None:
            model.save(kept)
    return model, (digits.x_train, model.predict(digits.x_train, verbose=0)), "mse"


def measure(
    network: str, digits: Digits, seed: int, quick: bool, models: Path | None
) -> dict[str, Any]:
    """One seed: errors in percent of Keras, of the conversion, and of the fine-tuned network."""
    settings = dict(SETTINGS[network], epochs=1) if quick else SETTINGS[network]
    n = settings["n_steps"]
    images = 20 if quick else 1000
    x, y = digits.x_test[:images], digits.y_test[:images]
    model, data, loss = model_of(network, digits, seed, quick, models)
    samples = kconvert.Calibration(digits.x_train[:CALIBRATION], n_steps=n)
    free = kconvert.convert(model, calibration=samples, spike_values="binary")
    before = free.evaluate(x, y, n, simulator="events")
    model.compile("adam", loss)
    began = time.process_time()
    tuned = kconvert.fine_tune(
        model, *data, **settings, calibration=samples, spike_values="binary", seed=seed, verbose=0
    )
    seconds = time.process_time() - began
    tuned.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    # Longer runs too: what was trained for few steps goes on to its own rates.
    after = kconvert.convert(tuned).evaluate(x, y, 8 * n, simulator="events")

    def error(accuracy: float) -> float:
        return round(100 * (1 - float(accuracy)), 2)

    return {
        "seed": seed,
        "steps": n,
        "Keras": error(before.reference_accuracy),
        "converted": error(before.accuracy),
        "fine-tuned": error(after.accuracy_per_step[n - 1]),
        "fine-tuned, after 2 n": error(after.accuracy_per_step[2 * n - 1]),
        "after 8 n": error(after.accuracy),
        "the fine-tuned in Keras": error(after.reference_accuracy),
        "spikes a sample and step": round(after.spikes_per_sample / (8 * n)),
        "CPU seconds of training": round(seconds),
    }


def main(only: list[str], seeds: list[int], quick: bool, models: Path | None) -> None:
    print(machine())
    digits = load_digits()
    for network in only:
        name = f"fine_tune_{network}"
        file = RESULTS / f"{name}.json"
        rows: list[dict[str, Any]] = []
        for seed in seeds:
            row = measure(network, digits, seed, quick, models)
            kept = json.loads(file.read_text())["rows"] if file.exists() and not quick else []
            others = [each for each in kept if each["seed"] != seed]
            rows = sorted([*others, row], key=lambda each: each["seed"])
            print(row, flush=True)
            if not quick:
                save(name, rows)
        print(markdown_table(rows))
        for column in ("Keras", "converted", "fine-tuned"):
            print(f"{column}: {np.mean([each[column] for each in rows]):.2f} %")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--only", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--models", type=Path, help="folder of trained models")
    arguments = parser.parse_args()
    seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
    main(arguments.only, seeds, arguments.quick, arguments.models)
