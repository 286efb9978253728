"""What an output is for: whether it stands for classes, and where one unit says yes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir import Graph
from ..ops import Sigmoid, Softmax


@dataclass(frozen=True, slots=True)
class Task:
    """What an output is for. Values are on the scale of Keras' predict.

    Args:
        classes: Whether it is a vector of classes of which one is right; None where only labels
            tell.
        threshold: An output of one unit stands for class 1 above it, for class 0 else.
        metrics: Names of figures that the output is judged by and that need no Keras, as a network
            from a file knows them; None where nothing says it.
    """

    classes: bool | None = None
    threshold: float = 0.0
    metrics: tuple[str, ...] | None = None

    def classes_of(self, values: np.ndarray) -> np.ndarray:
        """The class of each output vector: the largest unit, or for one unit whether it is above
        the threshold.

        Args:
            values: Shape (..., units).

        Returns:
            Shape (...).

        Example:
            >>> Task(threshold=0.5).classes_of(np.array([[0.4], [0.6]]))
            array([0, 1])
        """
        if values.shape[-1] == 1:
            return np.asarray(values[..., 0] > self.threshold).astype(np.int64)
        return np.asarray(values.argmax(axis=-1))


def task_of(graph: Graph, output: int) -> Task:
    """What the network alone tells of one of its outputs."""
    ends = [each for each in graph.tail(output) if isinstance(each, Softmax | Sigmoid)]
    op = ends[0] if ends else graph.nodes[graph.outputs[output]].op
    threshold = 0.5 if isinstance(op, Sigmoid) else 0.0
    if len(graph.output_shape(output)) != 1:
        return Task(classes=False, threshold=threshold)
    if isinstance(op, Sigmoid):
        return Task(classes=None, threshold=threshold)
    return Task(classes=True if isinstance(op, Softmax) else None)
