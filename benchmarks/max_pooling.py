"""What each way to take a maximum keeps of the accuracy, on two trained CNNs with max pooling.

    make bench BENCH=max_pooling    # ARGS: [--images 400] [--quick]

Trains a CNN with batch normalisation and ReLU, and one with rate-LIF neurons, on real digits, and
converts each with every value of ``max_pooling``. Writes benchmarks/results/max_pooling.json.
"""

from __future__ import annotations

import argparse
import time
import warnings

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402
from reference import Digits, load_digits  # noqa: E402
from report import errors_at, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402
from kconvert.layers import RateLIF  # noqa: E402
from kconvert.passes.set_max_pooling import CIRCUIT_RATE  # noqa: E402

STEPS = (3, 5, 10, 20, 30, 60, 100)
RATE = 250.0
"""Hz at the 99.9th percentile of a ReLU layer's values over training images."""


def build(kind: str) -> keras.Sequential:
    """Three convolutions, two of them pooled."""

    def block(filters: int, name: str) -> list[L.Layer]:
        if kind == "ReLU":
            norm = [L.BatchNormalization(name=f"{name}_norm")]
            return [L.Conv2D(filters, 3, name=name), *norm, L.ReLU(name=f"{name}_act")]
        return [L.Conv2D(filters, 3, name=name), RateLIF(name=f"{name}_act")]

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *block(16, "conv0"),
            L.MaxPooling2D(2, name="pool0"),
            *block(32, "conv1"),
            L.MaxPooling2D(2, name="pool1"),
            *block(32, "conv2"),
            L.Flatten(),
            L.Dense(10, name="end"),
        ]
    )


def train(kind: str, digits: Digits, epochs: int) -> keras.Sequential:
    keras.utils.set_random_seed(0)
    model = build(kind)
    model.compile(
        keras.optimizers.Adam(0.002),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(digits.x_train, digits.y_train, batch_size=64, epochs=epochs, verbose=0)
    return model


def scales(model: keras.Sequential, x: np.ndarray) -> dict[str, float]:
    """For each ReLU layer the factor that brings its large values to RATE, and for its pool."""
    found, before = {}, 1.0
    for layer in model.layers:
        if isinstance(layer, L.ReLU):
            values = keras.Model(model.inputs, layer.output)(x)
            before = RATE / float(np.percentile(values, 99.9))
            found[layer.name] = before
        elif isinstance(layer, L.MaxPooling2D):
            found[layer.name] = before / CIRCUIT_RATE
    return found


def settings(kind: str, choice: str, factors: dict[str, float]) -> dict[str, object]:
    """Arguments of ``convert``; only a circuit has neurons of its own to scale."""
    if kind != "ReLU":
        return {"max_pooling": choice}
    chosen = dict(factors)
    pools = [name for name in factors if name.startswith("pool")]
    if choice != "circuit":
        for name in pools:
            del chosen[name]
    return {"max_pooling": choice, "scale_firing_rates": chosen}


def main(images: int, steps: int, epochs: int, save_it: bool) -> None:
    digits = load_digits()
    rows = []
    for kind in ("ReLU", "rate-LIF"):
        model = train(kind, digits, epochs)
        factors = scales(model, digits.x_train[:200]) if kind == "ReLU" else {}
        for choice in ("sums", "values", "before", "circuit", "average"):
            spiking = kconvert.convert(model, **settings(kind, choice, factors))
            start = time.perf_counter()
            result = spiking.evaluate(digits.x_test[:images], digits.y_test[:images], steps)
            seconds = time.perf_counter() - start
            rows.append(
                {
                    "network": kind,
                    "max_pooling": choice,
                    **errors_at(result, STEPS),
                    "Keras": round(100 * (1 - result.reference_accuracy), 2),
                    "same class %": round(100 * float(result.agreement_per_step[-1]), 1),
                    "neurons": f"{sum(e.n_neurons for e in spiking.net.ensembles):,}",
                    "spikes": f"{result.spikes_per_sample:,.0f}",
                    "seconds": round(seconds, 1),
                }
            )
            print(markdown_table(rows[-1:]).splitlines()[-1], flush=True)
    print(markdown_table(rows))
    if save_it:
        save("max_pooling", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--images", type=int, default=400)
    given = parser.parse_args()
    if given.quick:
        main(10, 3, 1, save_it=False)
    else:
        main(given.images, 100, 10, save_it=True)
