"""Max pooling in time, as a Nengo process: of running sums, or of the values at each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo
import numpy as np
from nengo.params import Parameter

from ...bridge import extend_nengo_dl
from ...ir import Shape, product
from ...ops import MaxPool


class MaxPooling(nengo.Process):
    """The maximum over windows of a signal that changes in time.

    Spikes are noise around a rate, and the maximum of noisy values is too large: each window picks
    whichever value happens to be high. Of the sums S up to now the largest belongs to the largest
    rate after a few steps, so that ``y_t = max(S_t) - max(S_(t-1))`` is what that input added; over
    time the output's mean is the largest mean of its inputs (Rueckauer et al. 2017, "Conversion of
    continuous-valued deep networks to efficient event-driven networks for image classification",
    gate the maximum by such estimates too).

    Args:
        op: The windows; ``op.over`` is "sums" or "values".
        shape: Shape of one sample of the input.
    """

    op = Parameter("op")
    shape = Parameter("shape")

    def __init__(self, op: MaxPool, shape: Shape) -> None:
        super().__init__(
            default_size_in=product(shape), default_size_out=product(op.out_shape(shape))
        )
        self.op, self.shape = op, shape

    def make_state(
        self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None
    ) -> dict[str, np.ndarray]:
        """The sums, and their maxima, before the first step."""
        if self.op.over == "values":
            return {}
        return {
            "sums": np.zeros(shape_in, dtype=dtype),
            "largest": np.zeros(shape_out, dtype=dtype),
        }

    def make_step(
        self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: dict[str, np.ndarray]
    ) -> Callable[[float, np.ndarray], np.ndarray]:
        """One step in NumPy."""

        def largest(x: np.ndarray) -> np.ndarray:
            return self.op.evaluate(x.reshape(1, *self.shape)).ravel()

        def step_sums(t: float, x: np.ndarray) -> np.ndarray:
            state["sums"] += x
            now = largest(state["sums"])
            y = now - state["largest"]
            state["largest"][...] = now
            return y

        def step_values(t: float, x: np.ndarray) -> np.ndarray:
            return largest(x)

        return step_values if self.op.over == "values" else step_sums


def _add_to_nengo_dl(process_builders: Any) -> None:
    """The same steps in TensorFlow, for all samples of a batch at once."""
    import tensorflow as tf

    class MaxPoolingBuilder(process_builders.OpBuilder):
        def build_pre(self, signals: Any, config: Any) -> None:
            super().build_pre(signals, config)
            [op] = self.ops  # the bridge keeps them from being merged
            self.pooling = op.process
            self.input_data = signals[op.input]
            self.output_data = signals[op.output]
            self.state = {name: signals[signal] for name, signal in op.state.items()}

        def largest(self, x: Any, n: int) -> Any:
            op, shape = self.pooling.op, self.pooling.shape
            image = tf.reshape(x, (n, *shape))
            if any(any(pad) for pad in op.pads):
                image = tf.pad(image, ((0, 0), *op.pads, (0, 0)), constant_values=image.dtype.min)
            pooled = tf.nn.max_pool(image, op.pool, op.strides, "VALID")
            return tf.reshape(pooled, (n, -1))

        def build_step(self, signals: Any) -> None:
            x, n = signals.gather(self.input_data), signals.minibatch_size
            if not self.state:
                signals.scatter(self.output_data, self.largest(x, n))
                return
            sums = signals.gather(self.state["sums"]) + x
            now = self.largest(sums, n)
            signals.scatter(self.output_data, now - signals.gather(self.state["largest"]))
            signals.scatter(self.state["sums"], sums)
            signals.scatter(self.state["largest"], now)

    process_builders.SimProcessBuilder.TF_PROCESS_IMPL[MaxPooling] = MaxPoolingBuilder


extend_nengo_dl("process_builders", _add_to_nengo_dl)
