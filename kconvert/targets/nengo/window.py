"""A read-out that forgets the start: a mean from some time on, or with weights that grow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
from nengo.params import BoolParam, NumberParam

from ...bridge import extend_nengo_dl
from ...errors import InputError, is_number
from ...ir import Graph
from ...ops import NeuronOp


class Window(nengo.synapses.Synapse):  # type: ignore[misc]
    """The mean of a signal from some time on.

    At the start a deep network has nothing at its output yet, and its rates have not settled. Of a
    plain mean over n steps d such steps spoil the part d / n; a window that begins with step d + 1
    leaves them out (as Hunsberger & Eliasmith 2016, "Training spiking deep networks for
    neuromorphic hardware", read out). With growing weights, the n-th step with the weight n, they
    spoil the part (d / n)^2, and no time is to be chosen: ``y += 2 / (n + 1) * (x - y)`` (such
    means are known from stochastic optimization: Shamir & Zhang 2013, "Stochastic gradient descent
    for non-smooth optimization: convergence results and optimal averaging schemes").

    Until the window begins, what came so far is averaged. Like other synapses of probes it gives at
    each step what it held before.

    Args:
        start: Seconds that are left out, >= 0, rounded to whole steps.
        growing: Whether weights grow with time from there on.

    Raises:
        InputError: The start is no time.

    Example:
        >>> import keras, kconvert
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="end")])
        >>> spiking = kconvert.convert(model, output_synapse=kconvert.Window(0.02))
        >>> spiking.outputs["end"].synapse
        Window(start=0.02)
    """

    start = NumberParam("start", low=0)
    growing = BoolParam("growing")

    def __init__(self, start: float = 0.0, growing: bool = False) -> None:
        super().__init__()
        if not is_number(start) or not 0 <= start < math.inf:
            raise InputError(f"Window: start must be seconds >= 0. Received: start={start!r}")
        self.start, self.growing = start, growing

    def first(self, dt: float) -> int:
        """How many steps are left out."""
        return round(self.start / dt)

    def make_state(
        self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None, y0: float = 0
    ) -> dict[str, np.ndarray]:
        """The mean, the number of steps, and how many of them are left out."""
        return {
            "mean": np.full(shape_out, y0, dtype=dtype),
            "n": np.zeros(1, dtype=dtype),
            "first": np.full(1, self.first(dt), dtype=dtype),
        }

    def make_step(
        self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: dict[str, np.ndarray]
    ) -> Callable[[float, np.ndarray], np.ndarray]:
        """One step in NumPy."""
        mean, n, first = state["mean"], state["n"], state["first"]
        growth = int(self.growing)

        def step(t: float, x: np.ndarray) -> np.ndarray:
            n[...] += 1
            since = n - first * (n > first)
            mean[...] += (1 + growth) / (since + growth) * (x - mean)
            return mean

        return step


def per_output(synapse: Any, n: int) -> list[Any]:
    """The filter of each of n outputs, from a tuple of them or one for all."""
    return list(synapse) if isinstance(synapse, tuple) else [synapse] * n


RAMP = Window(growing=True)
"""What ``output_synapse="ramp"`` is."""


def dead_time(graph: Graph, dt: float) -> float:
    """After how many seconds the input has gone through the whole network, by its longest way: a
    step for each layer of neurons, in which their membranes fill, and the mean delay of each
    synapse. A rule of thumb: neurons whose rates are low need longer.

    Args:
        graph: The network.
        dt: Length of a step in seconds.
    """
    found: dict[str, float] = {}
    for name, node in graph.nodes.items():
        own = dt + _delay(node.op.synapse) if isinstance(node.op, NeuronOp) else 0.0
        found[name] = own + max((found[source] for source in node.inputs), default=0.0)
    return round(max((found[name] for name in graph.outputs), default=0.0), 9)


def _delay(synapse: Any) -> float:
    """The mean time that a filter keeps a signal, in seconds; 0 where that is not known."""
    if not isinstance(synapse, nengo.LinearFilter) or not synapse.analog:
        return 0.0
    of = [
        float(poly[-2] / poly[-1]) if len(poly) > 1 and poly[-1] else 0.0
        for poly in (np.ravel(synapse.den), np.ravel(synapse.num))
    ]
    return max(of[0] - of[1], 0.0)


def _add_to_nengo_dl(process_builders: Any) -> None:
    """The same step in TensorFlow."""
    import tensorflow as tf

    class WindowBuilder(process_builders.OpBuilder):  # type: ignore[misc]
        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            [op] = self.ops  # the bridge keeps them from being merged
            self.input_data, self.output_data = signals[op.input], signals[op.output]
            self.mean, self.n, self.first = (signals[op.state[k]] for k in ("mean", "n", "first"))
            self.growth = int(op.process.growing)

        def build_step(self, signals: Any) -> None:
            n, first = signals.gather(self.n) + 1, signals.gather(self.first)
            since = n - first * tf.cast(n > first, n.dtype)
            mean = signals.gather(self.mean)
            change = signals.gather(self.input_data) - mean
            mean = mean + (1 + self.growth) / (since + self.growth) * change
            signals.scatter(self.n, n)
            signals.scatter(self.mean, mean)
            signals.scatter(self.output_data, mean)

    process_builders.SimProcessBuilder.TF_PROCESS_IMPL[Window] = WindowBuilder


extend_nengo_dl("process_builders", _add_to_nengo_dl)
