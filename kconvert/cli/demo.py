"""A trained network on real digits, without Keras."""

from __future__ import annotations

import time
from pathlib import Path

from ..files.store import load
from .samples import read_samples

NETWORK = Path(__file__).with_name("demo.kconvert")
"""The reference CNN with its trained weights: ``examples/reference.py`` trains it."""


def run_demo(n: int, n_steps: int) -> str:
    """Classify held-out digits.

    Args:
        n: How many, up to 1,000.
        n_steps: For so many steps of 1 ms.
    """
    network = load(NETWORK)
    samples = read_samples("mnist5k:test", network.signature.inputs, n=n)
    network.predict(samples.x[:1], 1)  # compiles the simulator, once on a machine
    started = time.perf_counter()
    found = network.evaluate(samples.x, samples.y, n_steps)
    seconds = time.perf_counter() - started
    (name,) = network.graph.outputs
    feeds = {network.graph.inputs[0]: samples.x.astype("float64")}
    rates = network.graph.evaluate(feeds)[name].argmax(axis=1)
    spikes_wrong, rates_wrong = 1 - found.accuracy, (rates != samples.y).mean()
    return "\n".join(
        [
            f"{network!r}",
            f"{samples.n} held-out digits ({samples.source})",
            f"error of the trained rates:  {100 * rates_wrong:5.2f} %",
            f"error of the spikes:         {100 * spikes_wrong:5.2f} % after {n_steps} steps",
            f"spikes per digit:            {found.spikes_per_sample:,.0f}",
            f"time per digit:              {1000 * seconds / samples.n:.1f} ms",
        ]
    )
