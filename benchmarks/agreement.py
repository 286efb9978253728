"""NengoDL (float32) against Nengo core (float64) on the reference CNN, spike by spike.

    make bench BENCH=agreement    # ARGS: [--images 20] [--steps 100]

Also the rate network against Keras on random input in both. Writes
benchmarks/results/agreement.json.
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
    rows = []
    for simulator in ("nengo", "nengo_dl"):
        result = kconvert.convert(model).verify(simulator=simulator, n=16)
        print(result)
        rows.append(
            {
                "what": f"rate network in {simulator}: largest difference, of scale",
                "value": result.max_difference,
            }
        )
    for name, settings in (
        ("defaults", {}),
        ("reference work's settings", {"synapse": None, "initial_voltage": 0.0}),
    ):
        spiking = kconvert.convert(model, **settings)
        core = spiking.simulate(x, steps, simulator="nengo", spikes=True)
        fast = spiking.simulate(x, steps, simulator="nengo_dl", spikes=True)
        for layer, train in core.spikes.items():
            differ = np.count_nonzero(train != fast.spikes[layer])
            what = f"{name}, {layer}: neurons x steps that differ, of {int(train.sum()):,} spikes"
            rows.append({"what": what, "value": differ / train.sum()})
        output = np.abs(core.outputs - fast.outputs).max() / np.abs(core.outputs).max()
        rows.append({"what": f"{name}, output, of scale", "value": float(output)})
        same = (core.outputs.argmax(-1) == fast.outputs.argmax(-1)).mean()
        rows.append({"what": f"{name}, same class, all steps", "value": float(same)})
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
