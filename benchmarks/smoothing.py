"""Which smoothing should RateLIF have by default? Trains the reference CNN with several.

    make bench BENCH=smoothing    # ARGS: [--quick]

Writes benchmarks/results/smoothing.json and prints the table of docs/reference/benchmarks.md.
Every network starts from Keras' default initializers and sees 2,000 digits for six epochs, as in
the reference work but for the number of digits: few updates, so that trainability shows.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from reference import build_model, compile_model, load_digits
from report import markdown_table, save

import kconvert

SMOOTHINGS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3)


def measure(smoothing: float, seeds: int, epochs: int, n_spiking: int) -> dict[str, float]:
    digits = load_digits()
    losses, errors = [], []
    for seed in range(seeds):
        keras.utils.set_random_seed(seed)
        model = build_model(smoothing=smoothing)
        compile_model(model)
        history = model.fit(
            digits.x_train[:2000], digits.y_train[:2000], batch_size=50, epochs=epochs, verbose=0
        )
        losses.append(history.history["loss"][-1])
        if seed == 0:  # by far the slowest part
            result = kconvert.convert(model).evaluate(
                digits.x_test[:n_spiking], digits.y_test[:n_spiking], 30, progress=False
            )
            lost = 100 * (result.reference_accuracy - result.accuracy)
        predicted = model.predict(digits.x_test, verbose=0).argmax(axis=1)
        errors.append(100 * float((predicted != digits.y_test).mean()))
        print(smoothing, seed, losses[-1], errors[-1], flush=True)
    return {
        "smoothing": smoothing,
        "training loss": float(np.mean(losses)),
        "Keras error %": float(np.mean(errors)),
        "spread of error (s.d.)": float(np.std(errors)),
        f"points lost by spikes (seed 0, {n_spiking} digits)": lost,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch: a smoke test")
    quick = parser.parse_args().quick
    settings = (1, 1, 20) if quick else (3, 6, 250)
    rows = [measure(smoothing, *settings) for smoothing in SMOOTHINGS]
    print(markdown_table(rows))
    if not quick:
        save("smoothing", rows)
