"""What a NIR graph is collected in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ir import Graph, Node
from ...ops import AvgPool, Lif, Relu, Reshape, Sum
from .values import Value, flat_order

SUBTRACT, ZERO = "subtract", "zero"
RESETS = (SUBTRACT, ZERO)
"""What a spike does to the membrane of ReLU neurons, in the file."""


@dataclass(slots=True, eq=False)
class NirModel:
    """NIR nodes and edges.

    Args:
        graph: What is emitted.
        dt: Length of a step in seconds: the unit of time of the file.
        reset: One of :data:`RESETS`.
        dtype: Type of the arrays.
        matrices: Layers that are written as matrices, since NIR has no node for them.
    """

    graph: Graph
    dt: float
    reset: str
    dtype: np.dtype
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    matrices: list[str] = field(default_factory=list)

    def array(self, values: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Values as an array of the file's type, spread over a shape."""
        array = np.asarray(values, self.dtype)
        return np.array(array if shape is None else np.broadcast_to(array, shape))

    def add(self, name: str, node: Any, *sources: str) -> str:
        """Add a NIR node that reads others.

        Args:
            name: What it is called, if nothing has this name; HDF5 has its own use for slashes.
            node: The node.
            sources: What it reads.

        Returns:
            The name that it has.
        """
        name = free = name.replace("/", ".")
        number = 1
        while free in self.nodes:
            number += 1
            free = f"{name}.{number}"
        self.nodes[free] = node
        self.edges += [(source, free) for source in sources]
        return free

    def of(self, node: Node) -> Value:
        """The value that a node with one input reads."""
        return self.values[node.inputs[0]]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a value in NIR."""
        return self.values[name].laid_out(self.graph.nodes[name].shape)

    def flat(self, name: str) -> Value:
        """A value as a vector."""
        import nir

        value = self.values[name]
        if value.order is not None:
            return value
        shape = np.array(self.shape_of(name))
        # Without an axis of samples, of which NIR knows nothing.
        node = nir.Flatten(input_type={"input": shape}, start_dim=0, end_dim=-1)
        flat = self.add(f"{name}.flat", node, *value.sources)
        return Value((flat,), value.factor, flat_order(self.graph.nodes[name].shape))

    def unscaled(self, name: str) -> Value:
        """A value whose sources add up to it."""
        import nir

        value = self.values[name]
        if value.factor == 1.0:
            return value
        scale = nir.Scale(self.array(value.factor, self.shape_of(name)))
        return Value((self.add(f"{name}.scale", scale, *value.sources),), 1.0, value.order)

    def factor_for(self, name: str) -> float:
        """By how much to multiply a value so that the neurons that read it need no factor.

        Readers of files leave out the resistance of a neuron (nir: r) more often than not.
        """
        factors = {self._wanted(reader) for reader in self.graph.readers(name)}
        return factors.pop() if len(factors) == 1 else 1.0

    def _wanted(self, node: Node) -> float:
        op: Any = node.op
        if isinstance(op, Relu):
            return op.gain * self.dt
        if isinstance(op, Lif):
            return op.gain
        passes_on = isinstance(op, AvgPool | Reshape | Sum)
        return self.factor_for(node.name) if passes_on else 1.0
