"""The read-out that is a mean over time, as a part of Nengo and NengoDL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
from nengo.params import Parameter

from ...bridge import extend_nengo_dl
from ...ops import Window


class WindowSynapse(nengo.synapses.Synapse):  # type: ignore[misc]
    """The read-out :class:`kconvert.Window` as a synapse, for Nengo and NengoDL.

    Args:
        window: What it does.
    """

    window = Parameter("window")

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    def make_state(
        self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None, y0: float = 0
    ) -> dict[str, np.ndarray]:
        """The mean, the number of steps, and how many of them are left out."""
        return {
            "mean": np.full(shape_out, y0, dtype=dtype),
            "n": np.zeros(1, dtype=dtype),
            "first": np.full(1, self.window.first(dt), dtype=dtype),
        }

    def make_step(
        self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: dict[str, np.ndarray]
    ) -> Callable[[float, np.ndarray], np.ndarray]:
        """One step in NumPy."""
        mean, n, first = state["mean"], state["n"], state["first"]
        growth = int(self.window.growing)

        def step(t: float, x: np.ndarray) -> np.ndarray:
            n[...] += 1
            since = n - first * (n > first)
            mean[...] += (1 + growth) / (since + growth) * (x - mean)
            return mean

        return step


def _add_to_nengo_dl(process_builders: Any) -> None:
    """The same step in TensorFlow."""
    import tensorflow as tf

    class WindowBuilder(process_builders.OpBuilder):  # type: ignore[misc]
        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            [op] = self.ops  # the bridge keeps them from being merged
            self.input_data, self.output_data = signals[op.input], signals[op.output]
            self.mean, self.n, self.first = (signals[op.state[k]] for k in ("mean", "n", "first"))
            self.growth = int(op.process.window.growing)

        def build_step(self, signals: Any) -> None:
            n, first = signals.gather(self.n) + 1, signals.gather(self.first)
            since = n - first * tf.cast(n > first, n.dtype)
            mean = signals.gather(self.mean)
            change = signals.gather(self.input_data) - mean
            mean = mean + (1 + self.growth) / (since + self.growth) * change
            signals.scatter(self.n, n)
            signals.scatter(self.mean, mean)
            signals.scatter(self.output_data, mean)

    process_builders.SimProcessBuilder.TF_PROCESS_IMPL[WindowSynapse] = WindowBuilder


extend_nengo_dl("process_builders", _add_to_nengo_dl)
