"""A trained network on real digits, without Keras."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.replacing import replacing
from ..files.store import load
from ..packages import needed
from .samples import read_samples

NETWORK = Path(__file__).with_name("demo.kconvert")
"""The reference CNN with its trained weights: ``examples/reference.py`` trains it."""
DIGITS = "mnist5k:test"


def run_demo(n: int, n_steps: int) -> dict[str, Any]:
    """Classify held-out digits.

    Args:
        n: How many, up to 1,000.
        n_steps: For so many steps of 1 ms.

    Returns:
        Errors as shares of the digits, spikes for one digit, and seconds for one digit.
    """
    network = load(NETWORK)
    samples = read_samples(DIGITS, network.signature.inputs, n=n)
    network.predict(samples.x[:1], 1)  # compiles the simulator, once on a machine
    started = time.perf_counter()
    found = network.evaluate(samples.x, samples.y, n_steps)
    seconds = time.perf_counter() - started
    (name,) = network.graph.outputs
    feeds = {network.graph.inputs[0]: samples.x.astype("float64")}
    rates = network.graph.evaluate(feeds)[name].argmax(axis=1)
    return {
        "network": network.name,
        "neurons": network.n_neurons,
        "digits": samples.n,
        "steps": n_steps,
        "error_of_rates": float((rates != samples.y).mean()),
        "error_of_spikes": float(1 - (found.accuracy or 0.0)),
        "spikes_per_digit": float(found.spikes_per_sample),
        "seconds_per_digit": seconds / samples.n,
    }


def demo_text(found: Mapping[str, Any]) -> str:
    """The figures of a demo in lines."""
    return "\n".join(
        [
            f"A CNN of {found['neurons']:,} spiking LIF neurons, trained in Keras on 4,000 digits.",
            f"It classifies {found['digits']} digits that it was not trained on ({DIGITS}).",
            f"error of the trained rates:  {100 * found['error_of_rates']:5.2f} %",
            f"error of the spikes:         {100 * found['error_of_spikes']:5.2f} % after "
            f"{found['steps']} steps",
            f"spikes per digit:            {found['spikes_per_digit']:,.0f}",
            f"time per digit:              {1000 * found['seconds_per_digit']:.1f} ms",
        ]
    )


def draw(n_steps: int, path: Path, n: int = 3) -> None:
    """Draw some digits: the probability of each class over time, and the spikes behind it.

    Args:
        n_steps: Steps of 1 ms.
        path: The file.
        n: How many digits.

    Raises:
        MissingPackageError: Matplotlib is not installed.
        FileError: The file cannot be written.
    """
    with needed("a figure"):
        from matplotlib.figure import Figure
    from ..plot import outputs, raster

    network = load(NETWORK)
    x = read_samples(DIGITS, network.signature.inputs, n=n).x
    run = network.simulate(x, n_steps, spikes=True)
    layer = list(run.spikes)[-1]
    figure = Figure(figsize=(11, 2.7 * n), layout="constrained")
    axes = figure.subplots(n, 2, width_ratios=(1.5, 1))
    for sample, (left, right) in enumerate(axes):
        outputs(run, sample, image=x[sample], activation="softmax", ax=left)
        raster(run, layer, sample, n_neurons=250, ax=right)
        left.set_ylim(-0.03, 1.03)
    with replacing(path) as file:
        figure.savefig(file, dpi=110, format=path.suffix[1:].lower())
