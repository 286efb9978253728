"""Keras 3 model -> Graph. The only module that reads Keras' private attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional

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
            For inputs and outputs given as a dict, the keys.
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
    # A Sequential model has no structure around its input and output.
    given = getattr(model, "_inputs_struct", None)
    structure = getattr(model, "_outputs_struct", model.outputs[0])
    if isinstance(structure, list | tuple) and len(structure) == 1:
        structure = structure[0]  # as Keras' predict has it
    input_names = _names(given, model.inputs)
    walk = _Walk(layers, set(input_names) | set(_call_names(model, ())))
    for name, tensor in zip(input_names, model.inputs, strict=True):
        walk.feed(name, tensor)
    outputs = walk.model(model, ())
    graph = Graph(walk.builder.nodes, tuple(outputs), tuple(walk.builder.decisions))
    return Reading(
        graph=graph,
        problems=tuple(walk.problems),
        input_names=input_names,
        output_names=_names(structure, model.outputs),
        tensors={node: tensor for tensor, node in walk.outermost if node in graph.nodes},
        output_structure=keras.tree.map_structure(lambda tensor: 0, structure),
    )


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
    if _is_model(model):
        try:
            _check_call_is_keras_own(model)
        except Unsupported as error:
            raise InputError(f"{model.name!r}: {error.reason}; {error.fix}") from None
    if not model.built or not _is_model(model):
        raise InputError(
            f"{model.name!r} is not built, its shapes and weights do not exist yet. Add "
            "keras.Input(shape) as its first layer, or call model.build(input_shape), or call the "
            "model once on data"
        )


class _Walk:
    """One pass over the calls of a model, and of the models inside it."""

    def __init__(self, layers: Registry, reserved: set[str]) -> None:
        self.builder = Builder(layers, reserved)
        self.problems: list[Problem] = []
        self.values: dict[int, str] = {}
        self.outermost: list[tuple[Any, str]] = []
        self.called: set[str] = set()

    def feed(self, name: str, tensor: Any) -> None:
        shape = require_static(name, tensor.shape)
        self.builder.call, self.builder.path = name, (name,)
        value = self.builder.rename(self.builder.add(Input(shape)), name)
        self.values[id(tensor)] = value
        self.outermost.append((tensor, value))

    def model(self, model: keras.Model, path: tuple[str, ...]) -> list[str]:
        """Read all calls of a model whose inputs have values; return the values of its outputs."""
        for call in _calls(model):
            arguments = [self.values[id(tensor)] for tensor in call.input_tensors]
            results = self.call(call, arguments, path)
            for tensor, value in zip(call.outputs, results, strict=True):
                self.values[id(tensor)] = value
                if not path:
                    self.outermost.append((tensor, value))
        return [self.values[id(tensor)] for tensor in model.outputs]

    def call(self, call: Any, arguments: list[str], path: tuple[str, ...]) -> list[str]:
        """Read one call; where it cannot be read, note why and let inputs stand in for it."""
        operation, builder = call.operation, self.builder
        name = self.call_name("/".join((*path, operation.name)))
        builder.call, builder.path = name, (*path, operation.name)
        before = set(builder.nodes)
        try:
            _check_arguments(call)
            if _is_model(operation):
                return self.nested(operation, arguments, path)
            if len(call.outputs) != 1:
                raise Unsupported(f"it has {len(call.outputs)} outputs (only one is supported)")
            return [self.layer(operation, arguments, call.outputs[0])]
        except Unsupported as error:
            self.problems.append(Problem(name, type(operation).__name__, error.reason, error.fix))
            for added in set(builder.nodes) - before:
                del builder.nodes[added]
            return [
                builder.add(Input(require_static(name, tensor.shape))) for tensor in call.outputs
            ]

    def nested(self, model: keras.Model, arguments: list[str], path: tuple[str, ...]) -> list[str]:
        _check_call_is_keras_own(model)
        # Inside, the same tensors may stand for other values than outside, and at every call.
        outside = self.values
        self.values = dict(zip(map(id, model.inputs), arguments, strict=True))
        try:
            return self.model(model, (*path, model.name))
        finally:
            self.values = outside

    def layer(self, operation: Any, arguments: list[str], tensor: Any) -> str:
        builder, before = self.builder, set(self.builder.nodes)
        name = builder.call
        check_policy(operation, builder)
        value = builder.layers.find(operation).read(operation, builder, *arguments)
        if value not in before:
            value = builder.rename(value, name)
        shape = tuple(tensor.shape[1:])
        if builder.shape(value) != shape:
            raise Unsupported(f"it was read as {builder.shape(value)}, Keras gives {shape}")
        return value

    def call_name(self, name: str) -> str:
        """The layer's name at its first call, then ``name.1`` and so on."""
        if name in self.called:
            name = self.builder.free_name(name)
        self.called.add(name)
        return name


def _calls(model: keras.Model) -> Iterator[Any]:
    """The calls of a model's layers and operations, in an order in which they can be computed."""
    # keras.Function gives one view of Sequential and functional models, and adds no call nodes to
    # the user's layers.
    function = keras.Function(model.inputs, model.outputs)
    inputs = {id(tensor) for tensor in model.inputs}
    for depth in sorted(function._nodes_by_depth, reverse=True):
        for call in function._nodes_by_depth[depth]:
            if not any(id(tensor) in inputs for tensor in call.outputs):
                yield call


def _call_names(model: keras.Model, path: tuple[str, ...]) -> Iterator[str]:
    """The names that the first calls of all layers will have."""
    for call in _calls(model):
        yield "/".join((*path, call.operation.name))
        if _is_model(call.operation):
            yield from _call_names(call.operation, (*path, call.operation.name))


def _is_model(operation: Any) -> bool:
    return isinstance(operation, keras.Model) and bool(getattr(operation, "inputs", None))


def _check_arguments(call: Any) -> None:
    """Refuse arguments beside the inputs that change what a layer computes."""
    for name, value in call.arguments.kwargs.items():
        if value is None or value is False:
            continue
        if name == "training":
            raise Unsupported(
                "it was called with training=True, so it behaves as in training at inference",
                "call it without the argument",
            )
        raise Unsupported(f"it was called with the argument {name}=", "call it without")


def _check_call_is_keras_own(model: keras.Model) -> None:
    """Refuse a subclass whose ``call`` may compute something else than the graph."""
    if type(model).call not in (Functional.call, keras.Sequential.call):
        raise Unsupported(
            f"{type(model).__name__} overrides call(), which is Python code beside the graph",
            "rebuild it as a functional model, keras.Model(inputs, outputs)",
        )


def _names(structure: Any, tensors: list[Any]) -> tuple[str, ...]:
    """Names of inputs or outputs: the keys of a dict, else the layers' names, each once."""
    keys = {id(t): key for key, t in structure.items()} if isinstance(structure, dict) else {}
    names: list[str] = []
    for tensor in tensors:
        name = keys.get(id(tensor), tensor._keras_history.operation.name)
        unique, count = name, 0
        while unique in names:
            count += 1
            unique = f"{name}.{count}"
        names.append(unique)
    return tuple(names)
