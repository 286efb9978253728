"""Spikes, synaptic operations and error by window, as Hunsberger & Eliasmith (2016) report them.

    make bench BENCH=efficiency    # ARGS: [--quick] [--checkpoint FOLDER]

The reference CNN with its committed weights on the 1,000 held-out digits, in the event simulator.
"Conversion loss" is the error less that of Keras. "Efficiency" is theirs (arXiv 1611.05141): the
operations of one forward pass of the CNN, a multiplication and an addition counted as one, over
0.08 for each synaptic operation and 0.25 for each update of a neuron, of one digit. Writes
benchmarks/results/efficiency.json.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from reference import load_digits, load_model  # noqa: E402
from report import kept_rows, machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402

SYNAPTIC_OPERATION, UPDATE = 0.08, 0.25
WINDOWS = (3, 4, 5, 10, 20, 30, 60, 100, 200)


def operations(model: keras.Model) -> int:
    """Multiplications of weights in a forward pass."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            total += int(np.prod(layer.output.shape[1:-1]) * np.prod(layer.kernel.shape))
    return total


def measure(
    spiking: kconvert.SpikingModel, digits: tuple[Any, Any], steps: int, dense: int, name: str
) -> dict[str, Any]:
    """One line: a network in one window."""
    neurons = spiking.n_neurons
    found = spiking.evaluate(*digits, steps, simulator="events")
    cost = SYNAPTIC_OPERATION * found.operations_per_sample + UPDATE * neurons * steps
    low, high = found.interval()
    row = {
        "settings": name,
        "steps": steps,
        "error %": round(100 * (1 - found.accuracy), 2),
        "95 %": f"{100 * (1 - high):.1f} to {100 * (1 - low):.1f}",
        "conversion loss": round(100 * ((found.reference_accuracy or 0) - found.accuracy), 2),
        "spikes a digit": round(found.spikes_per_sample),
        "synaptic operations": round(found.operations_per_sample),
        "efficiency": round(dense / cost, 2),
    }
    print(row, flush=True)
    return row


def main(quick: bool, checkpoint: str | None) -> None:
    print(machine())
    model, digits = load_model(), load_digits()
    images, windows = (20, WINDOWS[:2]) if quick else (1000, WINDOWS)
    some = digits.x_test[:images], digits.y_test[:images]
    settings: dict[str, dict[str, Any]] = {
        "the reference work's settings": dict(kconvert.REFERENCE_WORK),
        "the defaults": {},
        "calibration=x": {"calibration": digits.x_train[:100]},
        "calibration=x, for 5 steps": {
            "calibration": kconvert.Calibration(digits.x_train[:100], n_steps=5)
        },
        "calibration=x, for 10 steps, half the rates": {
            "calibration": kconvert.Calibration(digits.x_train[:100], n_steps=10),
            "scale_firing_rates": 0.5,
        },
    }
    dense, rows = operations(model), []
    with kept_rows(checkpoint, script="efficiency", images=images) as kept:
        for number, (name, arguments) in enumerate(settings.items()):
            spiking = kconvert.convert(model, **arguments)
            for steps in windows:
                one = partial(measure, spiking, some, steps, dense, name)
                rows.append(kept(f"{number}-{steps}", one))
    print(f"{dense:,} operations in a forward pass")
    print(markdown_table(rows))
    if not quick:
        save("efficiency", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--checkpoint", help="a folder that keeps the rows that are done")
    given = parser.parse_args()
    main(given.quick, given.checkpoint)
