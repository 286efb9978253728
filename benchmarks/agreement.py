"""The simulators against Nengo core (float64) on the reference CNN, spike by spike.

    make bench BENCH=agreement    # ARGS: [--images 20] [--steps 100]

The event simulator in both precisions, and NengoDL (float32). Also the rate network against Keras
on random input in each. Writes benchmarks/results/agreement.json.
"""

from __future__ import annotations

import argparse
import warnings

from quiet import start_tensorflow

start_tensorflow()

import numpy as np  # noqa: E402
from reference import load_digits, load_model  # noqa: E402
from report import markdown_table, save  # noqa: E402

import kconvert  # noqa: E402


def main(images: int, steps: int) -> None:
    digits, model = load_digits(), load_model()
    x = digits.x_test[:images]
    for simulator in ("nengo", "events", "nengo_dl"):
        print(kconvert.convert(model).verify(simulator=simulator, n=16))
    rows = []
    for name, settings in (
        ("defaults", {}),
        ("the reference work's", {"synapse": None, "initial_voltage": 0.0}),
    ):
        spiking = kconvert.convert(model, **settings)
        core = spiking.simulate(x, steps, simulator="nengo", spikes=True)
        print(name, {layer: int(total) for layer, total in core.n_spikes.items()}, "spikes")
        for simulator, dtype in (
            ("events", "float64"),
            ("events", "float32"),
            ("nengo_dl", "float32"),
        ):
            run = spiking.simulate(x, steps, simulator=simulator, dtype=dtype, spikes=True)
            differ = {
                layer: round(
                    100 * np.count_nonzero(train != run.spikes[layer]) / int(train.sum()), 4
                )
                for layer, train in core.spikes.items()
            }
            error = np.abs(core.outputs - run.outputs).max() / np.abs(core.outputs).max()
            same = (core.outputs.argmax(-1) == run.outputs.argmax(-1)).mean()
            rows.append(
                {
                    "settings": name,
                    "simulator": f"{simulator}, {dtype}",
                    **{f"{layer}: % of spikes in another step": v for layer, v in differ.items()},
                    "largest output error, of scale": f"{error:.1e}",
                    "same class, % of steps": round(100 * float(same), 2),
                }
            )
    print(f"{images} digits x {steps} steps")
    print(markdown_table(rows))
    save("agreement", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    main(arguments.images, arguments.steps)
