"""The rate network against Keras, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from .data.arrays import Feeds
from .errors import InputError
from .ir import Graph
from .reader import Reading, attempt
from .results.display import Display, as_frame, as_html, as_text, plain
from .simulators import Job, Runner, RunSpec, make_runner
from .targets.nengo.merging import is_merged

BATCH = 64
"""Samples that Keras computes at a time, if their layers are small."""
VALUES = 200_000_000
"""Values of all layers that it may hold at a time: 0.8 GiB in float32."""
TOLERANCE = 1e-5
"""Of a layer's largest value. Float32 carries 6e-8, and a sum over a thousand inputs loses about
two digits more."""


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """One layer's value in the network and in Keras.

    Args:
        layer: Its name.
        max_difference: Largest absolute difference over samples and units.
        scale: Largest absolute value in Keras.
    """

    layer: str
    max_difference: float
    scale: float

    @property
    def relative(self) -> float:
        """``max_difference`` as a share of ``scale`` (of 1 where Keras' values are all 0)."""
        return self.max_difference / (self.scale or 1.0)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of :meth:`SpikingModel.verify`.

    Args:
        layers: One entry for each layer whose value both have, in order.
        simulator: What ran the rate network.
        tolerance: Largest accepted difference, as a share of each layer's scale.
        n: Number of samples.
    """

    layers: tuple[LayerDifference, ...]
    simulator: str
    tolerance: float
    n: int

    @property
    def max_difference(self) -> float:
        """The largest relative difference of any layer."""
        return float(np.max([layer.relative for layer in self.layers]))  # NaN stays NaN

    @property
    def passed(self) -> bool:
        """Whether every layer is within the tolerance."""
        return all(layer.relative <= self.tolerance for layer in self.layers)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        return (
            f"<Verification: {verdict}, {len(self.layers)} layers, {self.n} samples, "
            f"{self.simulator}; largest difference {self.max_difference:.1e} of a layer's scale>"
        )

    def __str__(self) -> str:
        return as_text(self._display())

    def _repr_html_(self) -> str:
        return as_html(self._display())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data that ``json.dumps`` takes; NaN becomes None."""
        held = {
            "passed": self.passed,
            "max_difference": self.max_difference,
            "tolerance": self.tolerance,
            "n": self.n,
            "simulator": self.simulator,
            "layers": self._records(),
        }
        return {name: plain(value) for name, value in held.items()}

    def to_frame(self) -> Any:
        """The differences as a ``pandas.DataFrame``, one row for each layer.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        return as_frame(self._records(), ("layer", "scale", "max_difference", "relative", "passed"))

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The difference of each layer from Keras, beside the tolerance.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.differences`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from .plot import differences

        return differences(self, ax=ax, **options)

    def _records(self) -> list[dict[str, Any]]:
        return [
            {
                "layer": each.layer,
                "scale": each.scale,
                "max_difference": each.max_difference,
                "relative": each.relative,
                "passed": each.relative <= self.tolerance,
            }
            for each in self.layers
        ]

    def _display(self) -> Display:
        rows = [
            (
                layer.layer,
                f"{layer.scale:.3g}",
                f"{layer.max_difference:.3g}",
                f"{layer.relative:.1e}",
                "ok" if layer.relative <= self.tolerance else "DIFFERS",
            )
            for layer in self.layers
        ]
        head = ("layer", "scale", "max difference", "of scale", "")
        first = f"rate network ({self.simulator}) against Keras on {self.n} samples"
        return Display([first], head, rows, numbers=head[1:4])


def verify(
    graph: Graph,
    model: keras.Model,
    reading: Reading,
    tensors: Mapping[str, Any],
    feeds: Feeds,
    simulator: str,
    tolerance: float,
) -> Verification:
    """Run a graph's rate network and compare every value it shares with Keras.

    Args:
        graph: Without synapses, which would delay the values.
        model: The Keras model with the same weights.
        reading: How it, or a model like it, was read.
        tensors: Node name to its KerasTensor in the model.
        feeds: One step of input, or for a model with a time axis as many as it has.
        simulator: "events", "nengo_dl" or "nengo".
        tolerance: As in :class:`Verification`.
    """
    # Layer name to the node that has its value: by the same name, or in front of its softmax.
    removed = {each.layer: each for each in graph.activations}
    nodes = {layer: removed[layer].node if layer in removed else layer for layer in tensors}
    # A linear op that is part of a connection has no value of its own to probe, and stays so.
    nodes = {
        layer: node
        for layer, node in nodes.items()
        if node in graph.nodes and not is_merged(graph, graph.nodes[node])
    }
    steps = feeds.n_steps
    expected = keras_batches(
        model,
        [tensors[layer] for layer in nodes],
        feeds,
        at_a_time=samples_at_a_time(reading.graph, steps),
        in_time=reading.in_time,
        compiled=reading.predicts_differently,
    )
    runner: Runner | None = None
    largest, scales = dict.fromkeys(nodes, 0.0), dict.fromkeys(nodes, 0.0)
    for images, references in expected:
        some = feeds.some(images)
        if runner is None:  # the first batch is the largest
            spec = RunSpec.of_rates(graph, tuple(nodes.values()))
            runner = make_runner(simulator, spec, some.n)
        found = [np.empty((some.n, steps, graph.nodes[node].size)) for node in nodes.values()]
        for chunk in runner.run(Job(some.arrays, steps)):
            for whole, part in zip(found, chunk.outputs, strict=True):
                whole[chunk.images, chunk.steps] = part
        for layer, value, reference in zip(nodes, found, references, strict=True):
            node = graph.nodes[nodes[layer]]
            ours = value.reshape(some.n * steps, *node.shape) / node.scale
            if layer in removed:
                ours = removed[layer].op.evaluate(ours)
            # np.maximum keeps NaN.
            far = np.max(np.abs(ours.reshape(reference.shape) - reference))
            largest[layer] = float(np.maximum(largest[layer], far))
            scales[layer] = float(np.maximum(scales[layer], np.max(np.abs(reference))))
    differences = [LayerDifference(layer, largest[layer], scales[layer]) for layer in nodes]
    return Verification(tuple(differences), simulator, tolerance, feeds.n)


def samples_at_a_time(graph: Graph, steps: int = 1) -> int:
    """So many samples that Keras' values of all layers, which it holds together, are not too many.

    Args:
        graph: The model as it was read.
        steps: Entries of the time axis of a sample.
    """
    values = sum(node.size for node in graph.nodes.values()) * steps
    return max(1, min(BATCH, VALUES // max(values, 1)))


def keras_batches(
    model: keras.Model,
    tensors: Sequence[Any],
    feeds: Feeds,
    *,
    at_a_time: int,
    in_time: bool = False,
    compiled: bool = False,
    known: Callable[[slice], bool] | None = None,
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Values of some of a model's tensors at inference, in float64, a batch at a time.

    Args:
        model: The model.
        tensors: Some of its tensors.
        feeds: The input.
        at_a_time: Samples of a batch: see :func:`samples_at_a_time`.
        in_time: Whether the first axis of a sample is time.
        compiled: Compute as ``predict`` does, where calling the model gives something else.
        known: Whether the values of some samples are known already; these are not computed.

    Yields:
        Which samples, and their values; an empty list for those that are known.
    """
    function = keras.Model(model.inputs, list(tensors))
    fixed = model.inputs[0].shape[0]  # None, unless the model has a fixed batch size
    size = fixed or min(at_a_time, feeds.n)
    for first in range(0, feeds.n, size):
        n = min(size, feeds.n - first)
        if known is not None and known(slice(first, first + n)):
            yield slice(first, first + n), []
            continue
        rows = np.minimum(np.arange(first, first + (fixed or n)), feeds.n - 1)
        batch = [
            np.asarray(array[rows] if in_time else array[rows, 0], dtype=np.float32).reshape(
                len(rows), *((array.shape[1],) if in_time else ()), *tensor.shape[1 + in_time :]
            )
            for array, tensor in zip(feeds.arrays.values(), model.inputs, strict=True)
        ]
        found = _computed(function, batch, compiled)
        values = [
            np.asarray(keras.ops.convert_to_numpy(part), dtype=np.float64)[:n]
            for part in keras.tree.flatten(found)
        ]
        yield slice(first, first + n), values


def keras_values(
    model: keras.Model, tensors: Sequence[Any], feeds: Feeds, **settings: Any
) -> list[np.ndarray]:
    """Values of all samples; arguments as for :func:`keras_batches`."""
    batches = [values for _, values in keras_batches(model, tensors, feeds, **settings)]
    return [np.concatenate(values) for values in zip(*batches, strict=True)]


def _computed(function: keras.Model, batch: list[np.ndarray], compiled: bool) -> Any:
    """What Keras computes of a batch.

    Raises:
        InputError: It cannot, as TensorFlow has some layers with channels first for GPUs only.
    """
    if compiled:
        found, error = attempt(function.predict_on_batch, batch)
    else:
        found, error = attempt(partial(function, training=False), batch)
    if error is not None and not isinstance(error, MemoryError):
        raise InputError(
            f"Keras cannot compute the model on this machine, so there is nothing to compare with: "
            f"{type(error).__name__}: {error}"
        ) from error
    if error is not None:
        raise error
    return found
