"""The whole graph as one Keras layer: some steps of spikes forward, the gradient of rates backward.

Each value is carried twice. *Steps* are the values at all steps, from spikes; no gradient runs
through them. The *mean* over the steps, with the weights of the read-out, is what gradients run
through: a linear op makes means of means, and a layer of neurons puts the mean of its spikes there,
with the gradient of its rate at the mean of its input. So a pass backward costs that of one step,
however many there are (Yu et al. 2024, "Advancing training efficiency of deep spiking neural
networks through rate-based backpropagation").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from ...ir import Graph, Node
from ...ops import MaxPool
from . import linear, neurons

Place = tuple[str, str]
"""A node and the field of its op."""


class Value(NamedTuple):
    """A value of the graph.

    Args:
        mean: Weighted mean over the steps, of shape (n, *shape).
        steps: At all steps, one after the other, of shape (steps * n, *shape); None where the value
            is the same at all of them.
    """

    mean: Any
    steps: Any = None


def unsupported(graph: Graph) -> list[Node]:
    """The nodes that a :class:`Spiking` layer cannot compute."""
    tails = [op for number in range(len(graph.outputs)) for op in graph.tail(number)]
    known = all(map(linear.is_computed, tails))
    found = [graph.nodes[name] for name in graph.outputs if not known]
    for node in graph.nodes.values():
        can = neurons.has_spikes if node.is_neuron else linear.is_computed
        if node.inputs and not can(node.op):
            found.append(node)
    return found


class Spiking(keras.layers.Layer):  # type: ignore[misc]
    """From the inputs of a graph, in order, to Keras' outputs after some steps of spikes.

    Args:
        graph: The network, without synapses.
        variables: Where an op's array follows a Keras variable.
        shares: Share of each step in the read-out; they sum to 1.
        dt: Length of a step in seconds.
    """

    def __init__(
        self,
        graph: Graph,
        variables: Mapping[Place, keras.Variable],
        shares: np.ndarray,
        dt: float,
    ) -> None:
        super().__init__(dtype="float32", name="spiking")
        self.graph, self.dt = graph, dt
        self.shares = np.asarray(shares, np.float32)
        # Keras trains the variables that it finds in an attribute.
        self.followed = list({id(each): each for each in variables.values()}.values())
        self._arrays: dict[str, dict[str, tuple[Any, ...]]] = {}
        for (name, field), each in variables.items():
            arrays = self._arrays.setdefault(name, {})
            arrays[field] = (each, *_fixed(graph.nodes[name], field, each))

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        feeds = iter(inputs)
        values: dict[str, Value] = {}
        for name, node in self.graph.nodes.items():
            if not node.inputs:
                values[name] = Value(ops.cast(next(feeds), "float32"))
                continue
            xs = [values[source] for source in node.inputs]
            if node.is_neuron:
                values[name] = self._neurons(node, *xs)
            elif isinstance(node.op, MaxPool) and node.op.over == "sums":
                values[name] = self._maximum(node, *xs)
            else:
                values[name] = self._linear(node, xs)
        return [
            self._output(number, values[name]) for number, name in enumerate(self.graph.outputs)
        ]

    def _linear(self, node: Node, xs: list[Value]) -> Value:
        arrays = {
            field: fixed + scale * ops.reshape(variable, fixed.shape)
            for field, (variable, fixed, scale) in self._arrays.get(node.name, {}).items()
        }
        mean = linear.compute(node.op, arrays, *(x.mean for x in xs))
        if all(x.steps is None for x in xs):
            return Value(mean)
        still = {field: ops.stop_gradient(each) for field, each in arrays.items()}
        steps = linear.compute(node.op, still, *(self._at_all_steps(x) for x in xs))
        if isinstance(node.op, MaxPool):  # the maximum of a mean is not the mean of maxima
            mean = self._with_value(mean, self._apart(steps, node.shape))
        return Value(mean, steps)

    def _neurons(self, node: Node, x: Value) -> Value:
        source = self.graph.nodes[node.inputs[0]].shape
        still = ops.stop_gradient(x.mean)
        xs = [still] * len(self.shares) if x.steps is None else self._apart(x.steps, source)
        found = neurons.outputs(node.op, xs, node.shape, self.dt)
        found = [ops.stop_gradient(each) for each in found]
        mean = self._with_value(neurons.rate(node.op, x.mean), found)
        return Value(mean, ops.concatenate(found, axis=0))

    def _maximum(self, node: Node, x: Value) -> Value:
        """What the largest of the running sums grows by."""
        mean = linear.compute(node.op, {}, x.mean)
        if x.steps is None:
            return Value(mean)
        total: Any = 0.0
        largest: Any = 0.0
        found = []
        for each in self._apart(x.steps, self.graph.nodes[node.inputs[0]].shape):
            total = total + each
            now = linear.compute(node.op, {}, total)
            found.append(now - largest)
            largest = now
        return Value(self._with_value(mean, found), ops.concatenate(found, axis=0))

    def _output(self, number: int, value: Value) -> Any:
        y = value.mean
        for op in self.graph.tail(number):
            y = linear.compute(op, {}, y)
        return y

    def _with_value(self, gradient: Any, steps: list[Any]) -> Any:
        """The mean of some steps, with the gradient of something else."""
        mean: Any = 0.0
        for share, each in zip(self.shares, steps, strict=True):
            mean = mean + float(share) * each
        return gradient + ops.stop_gradient(mean - gradient)

    def _apart(self, steps: Any, shape: tuple[int, ...]) -> list[Any]:
        """Values at all steps, one tensor for each step."""
        apart = ops.reshape(steps, (len(self.shares), -1, *shape))
        return [apart[step] for step in range(len(self.shares))]

    def _at_all_steps(self, value: Value) -> Any:
        if value.steps is not None:
            return value.steps
        return ops.concatenate([ops.stop_gradient(value.mean)] * len(self.shares), axis=0)

    def compute_output_shape(self, input_shape: Any) -> list[tuple[int | None, ...]]:
        found = []
        for number, name in enumerate(self.graph.outputs):
            shape = self.graph.nodes[name].shape
            for op in self.graph.tail(number):
                shape = op.out_shape(shape)
            found.append((None, *shape))
        return found


def _fixed(node: Node, field: str, variable: keras.Variable) -> tuple[np.ndarray, np.ndarray]:
    """What an op's array is beside a factor times its variable, and the factor.

    Returns:
        Both of the op's array's shape; the factor may broadcast to it.
    """
    array: np.ndarray = getattr(node.op, field)
    scale = np.asarray(node.parameters[field].scale, np.float64)
    now = np.asarray(ops.convert_to_numpy(variable), np.float64).reshape(array.shape)
    fixed = array - scale * now
    # Nothing but the rounding of the product.
    fixed = np.where(np.abs(fixed) <= 1e-12 * np.abs(array), 0.0, fixed)
    return fixed.astype(np.float32), scale.astype(np.float32)
