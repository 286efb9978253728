"""Error of the spiking reference CNN over time, for several synapses and start voltages.

    make bench BENCH=accuracy    # ARGS: [--quick] [--images 1000] [--only seed default]

Trained weights, held-out digits; one simulation of 100 steps in NengoDL for each setting. Prints
the table of docs/reference/benchmarks.md and writes benchmarks/results/accuracy.json.
"""

from __future__ import annotations

import argparse
import warnings

from quiet import start_tensorflow

start_tensorflow()

from reference import load_digits, load_model  # noqa: E402
from report import errors_at, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402

STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 100)
SETTINGS = {
    "seed": {"synapse": None, "initial_voltage": 0.0},
    "default": {},
    "voltages": {"synapse": None, "initial_voltage": "spread"},
    "half": {"synapse": None, "initial_voltage": 0.5},
    "synapse": {"synapse": 0.002, "initial_voltage": 0.0},
    "1 ms": {"synapse": 0.001, "initial_voltage": "spread"},
    "5 ms": {"synapse": 0.005, "initial_voltage": "spread"},
}


def main(images: int, names: list[str], steps: int) -> None:
    digits, model = load_digits(), load_model()
    rows = []
    for name in names:
        spiking = kconvert.convert(model, **SETTINGS[name])
        result = spiking.evaluate(digits.x_test[:images], digits.y_test[:images], steps)
        rows.append(
            {
                "setting": name,
                **errors_at(result, STEPS),
                "Keras": round(100 * (1 - result.reference_accuracy), 2),
                "same class as Keras %": round(100 * float(result.agreement_per_step[-1]), 2),
                "spikes per digit": round(result.spikes_per_sample),
            }
        )
        print(rows[-1], flush=True)
    print(markdown_table(rows))
    if steps == 100:
        save("accuracy", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--only", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    arguments = parser.parse_args()
    if arguments.quick:
        main(10, ["seed", "default"], 3)
    else:
        main(arguments.images, arguments.only, 100)
