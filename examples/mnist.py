"""A Keras 3 CNN classifies real digits with spikes, in NengoDL.

    python examples/mnist.py                 # committed weights, 400 held-out digits
    python examples/mnist.py --images 1000   # all held-out digits
    python examples/mnist.py --train         # train in Keras first: an hour of one core
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
    print(f"converted in {time.perf_counter() - started:.2f} s: {spiking!r}")

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
    print(f"figure: {plot(spiking, x[:3], arguments.steps, arguments.out)}")


def plot(spiking: kconvert.SpikingModel, x: np.ndarray, n_steps: int, path: Path) -> Path:
    """Some digits: the probability of each class over time, and the spikes behind it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    run = spiking.simulate(x, n_steps, spikes=True)
    layer = list(run.spikes)[-1]
    figure, axes = plt.subplots(
        len(x), 2, figsize=(11, 2.7 * len(x)), width_ratios=(1.5, 1), layout="constrained"
    )
    for sample, (left, right) in enumerate(axes):
        kconvert.plot.outputs(run, sample, image=x[sample], activation="softmax", ax=left)
        kconvert.plot.raster(run, layer, sample, n_neurons=250, ax=right)
        left.set_ylim(-0.03, 1.03)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


if __name__ == "__main__":
    # NengoDL has its progress and warnings; a demo shows its own.
    warnings.simplefilter("ignore")
    main()
