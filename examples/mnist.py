"""A Keras 3 CNN classifies real digits with spikes, in NengoDL.

    python examples/mnist.py                 # committed weights, 400 held-out digits
    python examples/mnist.py --images 1000   # all held-out digits
    python examples/mnist.py --train         # train in Keras first, some 15 minutes
    python examples/mnist.py --data mnist    # the full MNIST set, downloaded by Keras

The network and its settings are those of NengoDL's example "Optimizing a spiking neural network",
after Hunsberger & Eliasmith 2016: rate-LIF units in training, spiking LIF neurons afterwards.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

from quiet import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
from reference import build_model, compile_model, error, load_digits, load_model, train  # noqa: E402

import kconvert  # noqa: E402

SEED_SETTINGS = {"synapse": None, "initial_voltage": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="train instead of loading weights")
    parser.add_argument("--data", choices=("embedded", "mnist"), default="embedded")
    parser.add_argument("--images", type=int, default=400, help="held-out digits to classify")
    parser.add_argument("--steps", type=int, default=30, help="steps of 1 ms for each digit")
    parser.add_argument("--out", type=Path, default=Path("out/mnist.png"), help="the figure")
    arguments = parser.parse_args()

    digits = load_digits(arguments.data)
    x, y = digits.x_test[: arguments.images], digits.y_test[: arguments.images]
    print(f"{len(x)} held-out digits ({arguments.data})")

    keras.utils.set_random_seed(0)
    print(f"error before training:   {error(build_model(), x, y):6.2f} %")
    if not arguments.train:
        model = load_model()
    elif arguments.data == "embedded":
        model = train()
    else:
        model = build_model()
        compile_model(model)
        model.fit(digits.x_train, digits.y_train, batch_size=200, epochs=10, verbose=2)
    print(f"Keras error:             {error(model, x, y):6.2f} %")

    started = time.perf_counter()
    spiking = kconvert.convert(model)
    print(f"converted in {time.perf_counter() - started:.2f} s: {spiking}")

    for name, network in (
        ("kconvert's defaults", spiking),
        ("the reference work's settings", kconvert.convert(model, **SEED_SETTINGS)),
    ):
        started = time.perf_counter()
        result = network.evaluate(x, y, arguments.steps)
        seconds = time.perf_counter() - started
        print(
            f"spiking error:           {100 * (1 - result.accuracy):6.2f} %  after "
            f"{arguments.steps} steps, {name} ({result.spikes_per_sample:,.0f} spikes per digit, "
            f"{seconds:.0f} s)"
        )
    print(f"figure: {plot(spiking, x[:5], arguments.steps, arguments.out)}")


def plot(spiking: kconvert.SpikingModel, x: np.ndarray, n_steps: int, path: Path) -> Path:
    """Five digits beside their class outputs over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    outputs = spiking.simulate(x, n_steps).outputs
    figure, axes = plt.subplots(len(x), 2, figsize=(7, 2 * len(x)), width_ratios=(1, 2.5))
    for image, output, (left, right) in zip(x, outputs, axes, strict=True):
        left.imshow(image[..., 0], cmap="gray_r")
        left.axis("off")
        for digit in range(10):
            right.plot(np.arange(1, n_steps + 1), output[:, digit], color=f"C{digit}", label=digit)
        right.set_ylabel("output")
        right.margins(x=0)
    axes[0, 1].legend(ncol=10, fontsize=7, handlelength=0.8, columnspacing=0.8, loc="lower left",
                      bbox_to_anchor=(0, 1), frameon=False)  # fmt: skip
    axes[-1, 1].set_xlabel("time (ms)")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


if __name__ == "__main__":
    # NengoDL has its progress and warnings; a demo shows its own.
    warnings.simplefilter("ignore")
    main()
