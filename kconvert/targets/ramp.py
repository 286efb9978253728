"""A read-out that forgets the start: a mean whose weights grow with time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np

from ..bridge import extend_nengo_dl


class Ramp(nengo.synapses.Synapse):  # type: ignore[misc]
    """The mean of a signal from the start on, the n-th step with the weight n.

    ``y += 2 / (n + 1) * (x - y)``. At the start a deep network has nothing at its output yet, and
    its rates have not settled: of a plain mean over n steps d such steps spoil the part d / n, of
    this one (d / n)^2, and no delay is to be chosen. (Means with such weights are known from
    stochastic optimization: Shamir & Zhang 2013, "Stochastic gradient descent for non-smooth
    optimization: convergence results and optimal averaging schemes".)

    Like other synapses of probes it gives at each step what it held before.
    """

    def make_state(
        self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None, y0: float = 0
    ) -> dict[str, np.ndarray]:
        """The mean, and the number of steps."""
        return {"mean": np.full(shape_out, y0, dtype=dtype), "n": np.zeros(1, dtype=dtype)}

    def make_step(
        self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: dict[str, np.ndarray]
    ) -> Callable[[float, np.ndarray], np.ndarray]:
        """One step in NumPy."""
        mean, n = state["mean"], state["n"]

        def step(t: float, x: np.ndarray) -> np.ndarray:
            n[...] += 1
            mean[...] += 2 / (n + 1) * (x - mean)
            return mean

        return step


def _add_to_nengo_dl(process_builders: Any) -> None:
    """The same step in TensorFlow."""

    class RampBuilder(process_builders.OpBuilder):  # type: ignore[misc]
        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            [op] = self.ops  # the bridge keeps them from being merged
            self.input_data, self.output_data = signals[op.input], signals[op.output]
            self.mean, self.n = signals[op.state["mean"]], signals[op.state["n"]]

        def build_step(self, signals: Any) -> None:
            n = signals.gather(self.n) + 1
            mean = signals.gather(self.mean)
            mean = mean + 2 / (n + 1) * (signals.gather(self.input_data) - mean)
            signals.scatter(self.n, n)
            signals.scatter(self.mean, mean)
            signals.scatter(self.output_data, mean)

    process_builders.SimProcessBuilder.TF_PROCESS_IMPL[Ramp] = RampBuilder


extend_nengo_dl("process_builders", _add_to_nengo_dl)
