"""Accuracy over time, conversion without and with what keeps it, on held-out digits.

    make bench BENCH=fidelity    # ARGS: [--quick] [--only lif lif_seeds relu residual glyphs]

The reference CNN (rate-LIF) with its committed weights; the same trained here; the same layers
with ReLU; a batch-normalised residual CNN of 20 layers with max pooling. The last three have three
seeds each, trained on the 4,000 embedded training digits; calibration takes 100 of these. Then a
ResNet-20 and a MobileNet with their committed weights on glyphs of fonts (benchmarks/glyphs.py).
One simulation for each line in the event simulator. Prints the tables of
docs/reference/benchmarks.md and writes benchmarks/results/fidelity_<network>.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import glyphs  # noqa: E402
import keras  # noqa: E402
import nengo  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402
from reference import Digits, build_model, load_digits, load_model  # noqa: E402
from report import machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402

CALIBRATION = 100
LAYERWISE = {"rate": 1000.0, "per_channel": False}
LIF: dict[str, dict[str, Any]] = {
    "the reference work's: no synapse, voltages 0": {"synapse": None, "initial_voltage": 0.0},
    "synapse of 2 ms only": {"synapse": 0.002, "initial_voltage": 0.0},
    "start voltages only": {"synapse": None, "initial_voltage": "spread"},
    "both: the defaults": {},
    "calibration=x, not corrected": {"calibration": {}, "correction": None},
    "calibration=x": {"calibration": {}},
    "calibration=x, for 5 steps": {"calibration": {"n_steps": 5}},
    "calibration=x, voltages of the equilibrium": {
        "calibration": {},
        "initial_voltage": "equilibrium",
    },
}
RELU: dict[str, dict[str, Any]] = {
    "scale_firing_rates=100": {"scale_firing_rates": 100.0},
    "rates from calibration, Nengo's own": {
        "calibration": LAYERWISE,
        "min_voltage": None,
        "initial_voltage": 0.0,
        "output_synapse": 0.1,
        "correction": None,
    },
    "the same, voltages from 1/2": {
        "calibration": LAYERWISE,
        "min_voltage": None,
        "output_synapse": 0.1,
        "correction": None,
    },
    "the same, corrected": {
        "calibration": LAYERWISE,
        "min_voltage": None,
        "output_synapse": 0.1,
    },
    "membranes without a floor in the place of that": {
        "calibration": LAYERWISE,
        "signed": False,
        "output_synapse": 0.1,
    },
    "the same, read out by a ramp": {"calibration": LAYERWISE, "signed": False},
    "the same, rates by feature map: calibration=x": {"calibration": {}},
    "the same, signed": {"calibration": {}, "signed": True},
    "LIF neurons in its place, scale_firing_rates=100": {
        "swap_activations": {"relu": nengo.LIF()},
        "scale_firing_rates": 100.0,
    },
    "LIF neurons, calibration=x, not corrected": {
        "swap_activations": {"relu": nengo.LIF()},
        "calibration": {},
        "correction": None,
    },
    "LIF neurons, calibration=x": {
        "swap_activations": {"relu": nengo.LIF()},
        "calibration": {},
    },
    "LIF neurons, calibrated for 10 steps": {
        "swap_activations": {"relu": nengo.LIF()},
        "calibration": {"n_steps": 10},
    },
}
GLYPHS: dict[str, dict[str, Any]] = {
    "scale_firing_rates=100": {"scale_firing_rates": 100.0},
    "calibration=x, binary": {"calibration": {}, "spike_values": "binary"},
    "calibration=x, ternary": {"calibration": {}, "spike_values": "ternary"},
    "calibration=x, graded": {"calibration": {}, "spike_values": "graded"},
    "LIF neurons, calibration=x": {
        "swap_activations": {L.ReLU: nengo.LIF()},
        "calibration": {},
    },
}
FEW = (1, 2, 3, 5, 10, 20, 32, 64, 100)
GLYPH_STEPS = (4, 8, 16, 32, 64)


def relu_cnn() -> keras.Model:
    """The layers of the reference CNN, with ReLU."""
    x = images = keras.Input((28, 28, 1))
    for number, filters in enumerate((32, 64, 128)):
        x = L.Conv2D(filters, 3, activation="relu")(x)
        if number > 0:
            x = L.AveragePooling2D(2)(x)
    return keras.Model(images, L.Dense(10)(L.Flatten()(x)))


def residual_cnn() -> keras.Model:
    """20 layers with weights on the way, nine residual blocks, max pooling at the start."""

    def convolution(x: Any, filters: int, size: int = 3, strides: int = 1) -> Any:
        x = L.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        return L.BatchNormalization(momentum=0.9)(x)

    x = images = keras.Input((28, 28, 1))
    x = L.MaxPooling2D(2)(L.ReLU()(convolution(x, 16)))
    for filters in (16, 32, 64):
        for block in range(3):
            strides = 2 if filters > 16 and block == 0 else 1
            y = L.ReLU()(convolution(x, filters, strides=strides))
            y = convolution(y, filters)
            if strides > 1:
                x = convolution(x, filters, 1, strides)
            x = L.ReLU()(L.Add()([x, y]))
    return keras.Model(images, L.Dense(10)(L.GlobalAveragePooling2D()(x)))


BUILT = {"lif_seeds": build_model, "relu": relu_cnn, "residual": residual_cnn}


def trained(build: Callable[[], keras.Model], digits: Digits, seed: int, epochs: int) -> Any:
    """Adam whose rate falls to nothing."""
    keras.utils.set_random_seed(seed)
    model = build()
    steps = epochs * -(-len(digits.x_train) // 64)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.PolynomialDecay(0.002, steps, 1e-5)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(digits.x_train, digits.y_train, epochs=epochs, batch_size=64, verbose=0)
    return model


def table(
    models: list[keras.Model],
    settings: dict[str, Any],
    x: np.ndarray,
    y: np.ndarray,
    samples: np.ndarray,
    steps: tuple[int, ...],
    **first: str,
) -> list[dict[str, Any]]:
    """A line for each of the settings: means over the models. ``first`` are more columns."""
    rows = []
    for name, arguments in settings.items():
        given = dict(arguments)
        if "calibration" in given:
            given["calibration"] = kconvert.Calibration(samples, **given["calibration"])
        found = [
            kconvert.convert(model, **given).evaluate(x, y, steps[-1], simulator="events")
            for model in models
        ]
        errors = 100 * (1 - np.mean([one.accuracy_per_step for one in found], axis=0))
        keras_error = 100 * (1 - np.mean([one.reference_accuracy for one in found]))
        spikes = np.mean([one.spikes_per_sample for one in found]) / steps[-1]
        rows.append(
            {
                **first,
                "error % after steps": name,
                **{str(n): round(float(errors[n - 1]), 2) for n in steps},
                "Keras": round(float(keras_error), 2),
                "spikes a step": round(float(spikes)),
            }
        )
        print(rows[-1], flush=True)
    print(markdown_table(rows))
    return rows


def on_digits(name: str, quick: bool) -> list[dict[str, Any]]:
    """The table of a network on digits."""
    digits = load_digits()
    images, epochs, seeds = (20, 1, 1) if quick else (1000, 8, 3)
    models, settings, steps = [load_model()], LIF, (*FEW[:6], 30, 60, 100, 200, 1000)
    if name in BUILT:
        settings, steps = (LIF, steps[:-1]) if name == "lif_seeds" else (RELU, FEW)
        models = [trained(BUILT[name], digits, seed, epochs) for seed in range(seeds)]
    x, y = digits.x_test[:images], digits.y_test[:images]
    samples = digits.x_train[:CALIBRATION]
    return table(models, settings, x, y, samples, steps[:4] if quick else steps)


def on_glyphs(quick: bool) -> list[dict[str, Any]]:
    """One table of both networks on glyphs."""
    images, steps = (10, GLYPH_STEPS[:2]) if quick else (720, GLYPH_STEPS)
    rows = []
    for name in glyphs.NETWORKS:
        model, x, y, samples = glyphs.load(name)
        x, y = x[:images], y[:images]
        rows += table([model], GLYPHS, x, y, samples[:CALIBRATION], steps, network=name)
    return rows


def main(only: list[str], quick: bool) -> None:
    print(machine())
    for name in only:
        rows = on_glyphs(quick) if name == "glyphs" else on_digits(name, quick)
        if not quick:
            save(f"fidelity_{name}", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    names = ["lif", *BUILT, "glyphs"]
    parser.add_argument("--only", nargs="*", default=names, choices=names)
    arguments = parser.parse_args()
    main(["lif"] if arguments.quick else arguments.only, arguments.quick)
