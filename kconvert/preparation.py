"""A Keras model, read and simplified, for ``convert``, ``check``, ``tune`` and callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import keras

from .data import InputShapes
from .errors import Problem, UnsupportedModelError
from .ir import Decision, Graph
from .ops import NeuronOp, Opaque, Softmax
from .options import Options, max_pooling_choices
from .passes import SIMPLIFY, Pass, run
from .passes.set_max_pooling import set_max_pooling
from .per_layer import PerLayer
from .reader import Reading, Registry, read_keras


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How a Keras model becomes a simplified graph.

    Args:
        layers: Importers.
        swap_activations: Keras' name of an activation to what replaces it.
        allow: Flags.
        max_pooling: How maxima are taken.
    """

    layers: Registry
    swap_activations: Mapping[str, NeuronOp | str]
    allow: tuple[str, ...]
    max_pooling: PerLayer[str]

    @classmethod
    def of(cls, options: Options) -> Recipe:
        """The part of the options that says how a model is read."""
        return cls(options.layers, options.swap_activations, options.allow, options.max_pooling)

    def read(self, model: keras.Model) -> Reading:
        """Read a model, without simplifying it."""
        return read_keras(model, layers=self.layers, swap=self.swap_activations, allow=self.allow)

    def prepare(self, model: keras.Model) -> Prepared:
        """Read and simplify a model.

        Raises:
            InputError: The model has no graph that could be read, or an option does not fit it.
        """
        reading = self.read(model)
        choices = max_pooling_choices(
            self.max_pooling, run(reading.graph, SIMPLIFY), in_time=reading.in_time
        )
        passes: tuple[Pass, ...] = (*SIMPLIFY, set_max_pooling(choices, in_time=reading.in_time))
        if "tensornode" in self.allow:
            passes = (*passes, keep_softmax)
        graph = run(reading.graph, passes)
        problems = (*reading.problems, *_without_spiking_form(graph))
        return Prepared(self, reading, passes, graph, problems)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A model that was read and simplified.

    Args:
        recipe: How.
        reading: As read.
        passes: What the graph went through.
        graph: The graph after them.
        problems: Why the model cannot be converted; empty when all is well.
    """

    recipe: Recipe
    reading: Reading
    passes: tuple[Pass, ...]
    graph: Graph
    problems: tuple[Problem, ...]

    @property
    def input_shapes(self) -> InputShapes:
        """Keras' input names, in its order, and the shapes of a sample."""
        return {name: self.graph.nodes[name].shape for name in self.reading.input_names}

    def require_convertible(self, name: str) -> None:
        """Raise ``UnsupportedModelError`` with all problems, if there are any."""
        if self.problems:
            raise UnsupportedModelError(f"{name!r} cannot be converted", self.problems)


def prepare(model: keras.Model, options: Options) -> Prepared:
    """Read and simplify a model.

    Raises:
        InputError: The model has no graph that could be read, or an option does not fit it.
    """
    return Recipe.of(options).prepare(model)


def _without_spiking_form(graph: Graph) -> list[Problem]:
    return [
        Problem(
            node.layer,
            type(node.op).__name__,
            "it has no spiking form",
            "softmax is supported as the last layer of an output only",
            flag="tensornode",
        )
        for node in graph.nodes.values()
        if isinstance(node.op, Softmax)
    ]


def keep_softmax(graph: Graph) -> Graph:
    """Softmax that is left, away from the outputs, as TensorNodes."""
    swap, decisions = {}, []
    for node in graph.nodes.values():
        if not isinstance(node.op, Softmax):
            continue
        function = keras.ops.log_softmax if node.op.log else keras.ops.softmax
        op = Opaque(
            partial(function, axis=node.op.axis + 1),
            keras.ops.convert_to_numpy,
            node.shape,
            in_tensorflow=keras.backend.backend() == "tensorflow",
        )
        swap[node.name] = replace(node, op=op)
        text = "softmax is computed by Keras, without neurons"
        decisions.append(Decision("tensornode", node.layer, text, node.name))
    return graph.rewrite(swap=swap, decisions=decisions) if swap else graph
