"""A Keras model, read and simplified, for ``convert``, ``check``, ``tune`` and callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import keras

from .data.arrays import InputShapes
from .errors import Problem, UnsupportedModelError
from .ir import Decision, Graph
from .ops import Opaque, Softmax
from .options import Options, max_pooling_choices
from .passes import SIMPLIFY, Pass, run
from .passes.set_max_pooling import set_max_pooling
from .reader import LAYERS, Entry, Reading, Registry, not_finite, read_keras
from .recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A model that was read and simplified.

    Args:
        recipe: How.
        layers: With which importers.
        reading: As read.
        passes: What the graph went through.
        graph: The graph after them.
        problems: Why the model cannot be converted; empty when all is well.
    """

    recipe: Recipe
    layers: Registry
    reading: Reading
    passes: tuple[Pass, ...]
    graph: Graph
    problems: tuple[Problem, ...]

    @property
    def input_shapes(self) -> InputShapes:
        """Keras' input names, in its order, and the shapes of a sample."""
        return {name: self.graph.nodes[name].shape for name in self.reading.input_names}

    def read(self, model: keras.Model) -> Reading:
        """Read another model in the same way."""
        return _read(model, self.recipe, self.layers)

    def require_convertible(self, name: str) -> None:
        """Raise ``UnsupportedModelError`` with all problems, if there are any."""
        if self.problems:
            what = f"{name!r} cannot be converted"
            raise UnsupportedModelError(what, self.problems) from self.reading.fault


def prepare(model: keras.Model, options: Options) -> Prepared:
    """Read and simplify a model as the options say; errors as for :func:`prepare_by`."""
    own = tuple(cls.__name__ for cls in own_entries(options.layers))
    recipe = Recipe(options.swap_activations, options.allow, options.max_pooling, own_layers=own)
    return prepare_by(recipe, model, options.layers)


def own_entries(layers: Registry) -> dict[type, Entry]:
    """The importers in a registry that are not kconvert's."""
    return {
        cls: each for cls, each in layers.entries.items() if each is not LAYERS.entries.get(cls)
    }


def prepare_by(recipe: Recipe, model: keras.Model, layers: Registry) -> Prepared:
    """Read and simplify a model.

    Raises:
        InputError: The model has no graph that could be read, or an option does not fit it.
    """
    reading = _read(model, recipe, layers)
    in_time = reading.in_time
    simple = run(reading.graph, SIMPLIFY)
    choices = max_pooling_choices(recipe.max_pooling, simple, in_time=in_time)
    rest: tuple[Pass, ...] = (set_max_pooling(choices, in_time=in_time),)
    if "tensornode" in recipe.allow:
        rest = (*rest, keep_softmax)
    graph = run(simple, rest)
    problems = (
        *reading.problems,
        *_without_spiking_form(graph, reading.calls),
        *_out_of_range(graph, reading.calls),
        *_not_as_the_others(graph, reading),
    )
    return Prepared(recipe, layers, reading, (*SIMPLIFY, *rest), graph, problems)


def _read(model: keras.Model, recipe: Recipe, layers: Registry) -> Reading:
    return read_keras(model, layers=layers, swap=recipe.swap_activations, allow=recipe.allow)


def _without_spiking_form(graph: Graph, calls: Mapping[str, str]) -> list[Problem]:
    return [
        Problem(
            node.layer,
            calls.get(node.layer, type(node.op).__name__),
            "it has no spiking form",
            "softmax is supported only as the last layer of an output",
            flag="tensornode",
        )
        for node in graph.nodes.values()
        if isinstance(node.op, Softmax)
    ]


def _out_of_range(graph: Graph, calls: Mapping[str, str]) -> list[Problem]:
    """Weights that became infinite, or too large, as layers were folded into each other."""
    return [
        Problem(
            node.layer,
            calls.get(node.layer, type(node.op).__name__),
            f"after folding, its {bad} holds values that float32 cannot hold",
            "train the model again with smaller weights, or larger variances",
        )
        for node in graph.nodes.values()
        if (bad := not_finite(node.op))
    ]


def _not_as_the_others(graph: Graph, reading: Reading) -> list[Problem]:
    """Layers of neurons that do not spike as those that say how they do (SpikingAware)."""
    own = reading.spiking
    if not own:
        return []
    first, dt = next((name, each.dt) for name, each in own.items())
    silent = dict.fromkeys(node.layer for node in graph.neurons() if node.layer not in own)
    found = [
        Problem(
            layer,
            reading.calls.get(layer, "neurons"),
            f"it does not say how its neurons spike, and {first!r} does",
            "use SpikingAware with spike_values around all activations, or around none",
        )
        for layer in silent
    ]
    return found + [
        Problem(
            layer,
            reading.calls.get(layer, "SpikingAware"),
            f"its steps have {each.dt:g} s, and those of {first!r} {dt:g} s",
            "use the same dt in all SpikingAware layers with spike_values",
        )
        for layer, each in own.items()
        if each.dt != dt
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
        text = "Keras computes softmax, without neurons"
        decisions.append(Decision("tensornode", node.layer, text, node.name))
    return graph.rewrite(swap=swap, decisions=decisions) if swap else graph
