"""What spiking-aware training is worth at few steps, on held-out digits.

    make bench BENCH=spiking_aware    # ARGS: [--quick]

The same small rate-LIF CNN, trained here with three seeds on the 4,000 embedded training digits:
with plain RateLIF layers, with training noise, and with SpikingAware ones for some numbers of
steps. Each is converted with the defaults and with calibration=x, without corrections, so that what
the training does is seen alone. Prints the table of docs/reference/benchmarks.md and writes
benchmarks/results/spiking_aware.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from fidelity import trained  # noqa: E402
from keras import layers as L  # noqa: E402
from reference import load_digits  # noqa: E402
from report import machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402
from kconvert.layers import RateLIF, SpikingAware  # noqa: E402

SETTINGS = {"the defaults": False, "calibration=x, not corrected": True}
STEPS = (1, 2, 3, 5, 10, 20, 60)
LAYERS: dict[str, Callable[[], Any]] = {
    "RateLIF": lambda: RateLIF(max_rate=200.0),
    "RateLIF, noise of 10 Hz": lambda: RateLIF(max_rate=200.0, noise=10.0),
    "SpikingAware, n_steps=10": lambda: SpikingAware(RateLIF(max_rate=200.0), n_steps=10),
    "SpikingAware, n_steps=5": lambda: SpikingAware(RateLIF(max_rate=200.0), n_steps=5),
    "SpikingAware, n_steps=3": lambda: SpikingAware(RateLIF(max_rate=200.0), n_steps=3),
}


def network(activation: Callable[[], Any]) -> keras.Model:
    """Three convolutions with this activation, and the logits."""
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for filters, strides in ((16, 1), (32, 2), (48, 2)):
        model.add(L.Conv2D(filters, 3, strides=strides))
        model.add(activation())
    model.add(L.Flatten())
    model.add(L.Dense(10))
    return model


def main(quick: bool) -> None:
    print(machine())
    digits = load_digits()
    images, epochs, seeds = (20, 1, 1) if quick else (1000, 10, 3)
    x, y = digits.x_test[:images], digits.y_test[:images]
    rows = []
    for name, activation in LAYERS.items():
        build = partial(network, activation)
        models = [trained(build, digits, seed, epochs) for seed in range(seeds)]
        for text, settings in SETTINGS.items():
            given = {"calibration": digits.x_train[:100], "correction": None} if settings else {}
            found = [kconvert.convert(model, **given).evaluate(x, y, STEPS[-1]) for model in models]
            rows.append(row(f"{name}; {text}", found))
            print(rows[-1], flush=True)
    print(markdown_table(rows))
    if not quick:
        save("spiking_aware", rows)


def row(name: str, found: list[kconvert.Evaluation]) -> dict[str, Any]:
    """Means and standard deviations over the seeds."""
    errors = 100 * (1 - np.array([one.accuracy_per_step for one in found]))
    keras_error = 100 * (1 - np.mean([one.reference_accuracy for one in found]))
    spikes = np.mean([one.spikes_per_sample for one in found]) / STEPS[-1]
    return {
        "error % after steps": name,
        **{str(n): f"{errors[:, n - 1].mean():.2f} ± {errors[:, n - 1].std():.2f}" for n in STEPS},
        "Keras": round(float(keras_error), 2),
        "spikes a step": round(float(spikes)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    main(parser.parse_args().quick)
