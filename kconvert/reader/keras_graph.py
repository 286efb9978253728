"""Keras 3 model -> Graph. The only module that reads Keras' private attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from ..errors import InputError, Problem, Unsupported
from ..ir import Graph
from ..ops import Input
from .builder import Builder, check_policy, require_static
from .registry import LAYERS, Registry


@dataclass(frozen=True, slots=True)
class Reading:
    """A model as read.

    Args:
        graph: Its graph. Where a layer could not be read, an input of the right shape stands in.
        problems: Why layers could not be read; empty when all is well.
        input_names: Keras' names of the inputs, in Keras' order.
        output_names: Keras' names of the outputs, each once, in the order of ``graph.outputs``.
        tensors: Node name to the KerasTensor of the same value, for the layers of the outermost
            model.
        output_structure: The nested list or dict in which Keras gives its outputs, or a leaf.
    """

    graph: Graph
    problems: tuple[Problem, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    tensors: Mapping[str, Any]
    output_structure: Any

    def structured(self, outputs: Sequence[Any]) -> Any:
        """A value for each output, in the structure in which Keras gives them."""
        return keras.tree.pack_sequence_as(self.output_structure, list(outputs))


def read_keras(model: keras.Model, layers: Registry = LAYERS) -> Reading:
    """Read a Sequential or functional model.

    Raises:
        InputError: It is no Keras 3 model, has no graph, is not built, or has an unknown size.
    """
    check_model(model)
    walk = _Walk(layers)
    names = [tensor._keras_history.operation.name for tensor in model.inputs]
    for name, tensor in zip(names, model.inputs, strict=True):
        walk.feed(name, tensor)
    outputs = walk.model(model, ())
    found = [tensor._keras_history.operation.name for tensor in model.outputs]
    graph = Graph(walk.builder.nodes, tuple(outputs), tuple(walk.builder.decisions))
    tensors = {node: tensor for tensor, node in walk.outermost if node in graph.nodes}
    # A Sequential model has no structure around its output.
    structure = getattr(model, "_outputs_struct", model.outputs[0])
    leaves = keras.tree.map_structure(lambda tensor: 0, structure)
    problems = tuple(walk.problems)
    return Reading(graph, problems, tuple(names), _unique(found), tensors, leaves)


def check_model(model: Any) -> None:
    """Raise ``InputError`` unless this is a built Keras 3 model with a graph."""
    modules = {cls.__module__.split(".")[0] for cls in type(model).__mro__}
    if not isinstance(model, keras.Model):
        if "tf_keras" in modules:
            raise InputError(
                "this is a Keras 2 model (tf_keras, or tf.keras with TF_USE_LEGACY_KERAS set). "
                "Save it with model.save('model.h5') and load it in Keras 3 with "
                "keras.models.load_model('model.h5', compile=False), or build the same model with "
                "keras.layers and call new_model.set_weights(old_model.get_weights())"
            )
        raise InputError(
            f"convert() takes a keras.Model (Sequential or functional). Received: {model!r}"
        )
    if not isinstance(model, keras.Sequential) and not hasattr(model, "_nodes_by_depth"):
        raise InputError(
            f"{model.name!r} is a subclassed model ({type(model).__name__}): its call() is Python "
            "code without a graph that could be walked. Rebuild it as a functional model: "
            "x = keras.Input(shape); model = keras.Model(x, the same layers called on x)"
        )
    if not model.built or not getattr(model, "inputs", None):
        raise InputError(
            f"{model.name!r} is not built, its shapes and weights do not exist yet. Add "
            "keras.Input(shape) as its first layer, or call model.build(input_shape), or call the "
            "model once on data"
        )


class _Walk:
    """One pass over the calls of a model, and of the models inside it."""

    def __init__(self, layers: Registry) -> None:
        self.builder = Builder(layers)
        self.problems: list[Problem] = []
        self.values: dict[int, str] = {}
        self.outermost: list[tuple[Any, str]] = []
        self.calls: dict[str, int] = {}

    def feed(self, name: str, tensor: Any) -> None:
        shape = require_static(name, tensor.shape)
        self.builder.call, self.builder.path = name, (name,)
        value = self.builder.rename(self.builder.add(Input(shape)), name)
        self.calls[name] = 1
        self.values[id(tensor)] = value
        self.outermost.append((tensor, value))

    def model(self, model: keras.Model, path: tuple[str, ...]) -> list[str]:
        """Read all calls of a model whose inputs have values; return the values of its outputs."""
        # keras.Function gives one view of Sequential and functional models, and adds no call
        # nodes to the user's layers.
        function = keras.Function(model.inputs, model.outputs)
        inputs = {id(tensor) for tensor in model.inputs}
        for depth in sorted(function._nodes_by_depth, reverse=True):
            for call in function._nodes_by_depth[depth]:
                if not any(id(tensor) in inputs for tensor in call.outputs):
                    self.call(call, path)
        return [self.values[id(tensor)] for tensor in model.outputs]

    def call(self, call: Any, path: tuple[str, ...]) -> None:
        operation = call.operation
        arguments = [self.values[id(tensor)] for tensor in call.input_tensors]
        if isinstance(operation, keras.Model) and hasattr(operation, "inputs"):
            results = self.nested(operation, arguments, path)
        else:
            results = [self.layer(call, arguments, path)]
        for tensor, value in zip(call.outputs, results, strict=False):
            self.values[id(tensor)] = value
            if not path:
                self.outermost.append((tensor, value))

    def nested(self, model: keras.Model, arguments: list[str], path: tuple[str, ...]) -> list[str]:
        # The inner tensors of a shared model get new values at every call.
        for tensor, value in zip(model.inputs, arguments, strict=True):
            self.values[id(tensor)] = value
        return self.model(model, (*path, model.name))

    def layer(self, call: Any, arguments: list[str], path: tuple[str, ...]) -> str:
        operation, tensor = call.operation, call.outputs[0]
        name = self.call_name("/".join((*path, operation.name)))
        builder = self.builder
        builder.call, builder.path = name, (*path, operation.name)
        before = set(builder.nodes)
        try:
            if call.arguments.kwargs.get("training"):
                raise Unsupported(
                    "it was called with training=True, so it behaves as in training at inference",
                    "call it without the argument",
                )
            if len(call.outputs) != 1:
                raise Unsupported(f"it has {len(call.outputs)} outputs (only one is supported)")
            check_policy(operation, builder)
            value = builder.layers.find(operation).read(operation, builder, *arguments)
            if value not in before:
                value = builder.rename(value, name)
            shape = tuple(tensor.shape[1:])
            if builder.shape(value) != shape:
                raise Unsupported(f"it was read as {builder.shape(value)}, Keras gives {shape}")
            return value
        except Unsupported as error:
            self.problems.append(Problem(name, type(operation).__name__, error.reason, error.fix))
            for added in set(builder.nodes) - before:
                del builder.nodes[added]
            stand_in = builder.add(Input(require_static(name, tensor.shape)))
            return builder.rename(stand_in, name)

    def call_name(self, name: str) -> str:
        count = self.calls.get(name, 0)
        self.calls[name] = count + 1
        return f"{name}.{count}" if count else name


def _unique(names: list[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        unique.append(f"{name}.{count}" if count else name)
    return tuple(unique)
