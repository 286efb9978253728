"""Keras 3 model -> Graph. The only module that reads Keras' private attributes."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional

from ..arguments import leaves, nearest
from ..errors import InputError, NoGraphError, Problem, Unsupported
from ..ir import Graph
from ..ops import Input, NeuronOp, Opaque
from .attempts import attempt
from .builder import Builder, Spiking, Statistics, check_policy, require_static
from .registry import LAYERS, Registry, spelling


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
        input_structure: The nested list or dict in which Keras takes its inputs, with the number of
            the input at each leaf.
        output_structure: The nested list or dict in which Keras gives its outputs, with the number
            of the output at each leaf.
        in_time: Whether the first axis of every input of the Keras model is simulation time; shapes
            in the graph are without it.
        predicts_differently: Whether Keras' ``predict`` gives other values than calling the model.
        statistics: Name of a node to the mean and deviation of its value in training, where a layer
            of normalisation knows.
        spiking: Name of a call to how it wants its neurons to spike, where it says so.
        calls: Name of each call of a layer or operation, in order, to its class. The layers of a
            model inside have names of their own, the model has none.
        unread: Calls that were not looked at, because they read what could not be read and has
            no known shape, to the first of those.
        fault: What an importer raised that it should not have; or None.
    """

    graph: Graph
    problems: tuple[Problem, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    tensors: Mapping[str, Any]
    input_structure: Any
    output_structure: Any
    in_time: bool
    predicts_differently: bool
    statistics: Mapping[str, Statistics]
    spiking: Mapping[str, Spiking]
    calls: Mapping[str, str]
    unread: Mapping[str, str]
    fault: BaseException | None


def read_keras(
    model: keras.Model,
    layers: Registry = LAYERS,
    *,
    swap: Mapping[str, NeuronOp | str] | None = None,
    allow: Collection[str] = (),
) -> Reading:
    """Read a Sequential or functional model.

    Args:
        model: What to read.
        layers: Importers by class.
        swap: Name of an activation to the neuron, or the name of the activation, in its place.
        allow: "tensornode" keeps layers that cannot be read as an :class:`Opaque` op.

    Raises:
        NoGraphError: It has no graph, is not built, or has an unknown size.
        InputError: It is no model, or has no activation that ``swap`` names.
    """
    check_model(model)
    swap = swap or {}
    # A Sequential model has no structure around its input and output.
    given = getattr(model, "_inputs_struct", None)
    structure = getattr(model, "_outputs_struct", model.outputs[0])
    if isinstance(structure, list | tuple) and len(structure) == 1:
        structure = structure[0]  # as Keras' predict has it
    input_names = _names(given, model.inputs)
    reserved = set(input_names) | set(_call_names(model, ()))
    walk = _Walk(layers, reserved, swap, "tensornode" in allow, _has_time_axis(model))
    walk.n_times = model.inputs[0].shape[1] if walk.builder.in_time else None
    for name, tensor in zip(input_names, model.inputs, strict=True):
        walk.feed(name, tensor)
    outputs = walk.model(model, ())
    builder = walk.builder
    _check_swaps(swap, builder.activations, bool(walk.problems))
    graph = Graph(
        builder.nodes,
        tuple(outputs),
        tuple(builder.decisions),
        replacements=tuple(builder.replacements),
    )
    return Reading(
        graph=graph,
        problems=tuple(walk.problems),
        input_names=input_names,
        output_names=_names(structure, model.outputs),
        tensors={node: tensor for tensor, node in walk.outermost if node in graph.nodes},
        input_structure=0
        if given is None
        else keras.tree.pack_sequence_as(given, list(range(len(model.inputs)))),
        output_structure=keras.tree.pack_sequence_as(structure, list(range(len(outputs)))),
        in_time=builder.in_time,
        predicts_differently=builder.predicts_differently,
        statistics={name: each for name, each in builder.statistics.items() if name in graph.nodes},
        spiking=builder.spiking,
        calls=walk.classes,
        unread=walk.unread,
        fault=walk.fault,
    )


def _check_swaps(swap: Mapping[str, Any], found: Collection[str], unread: bool) -> None:
    """Refuse to replace activations that the model does not have.

    Where layers could not be read, these may have them: Keras' own activations pass then.
    """
    for name in swap:
        if name not in found and not (unread and hasattr(keras.activations, name)):
            raise InputError(
                f"swap_activations names {name!r}, which is not an activation of the model. Its "
                f"activations: {sorted(found)}{nearest(name, found)}"
            )


def check_model(model: Any) -> None:
    """Raise ``NoGraphError`` unless this is a built Keras 3 model with a graph."""
    modules = {cls.__module__.split(".")[0] for cls in type(model).__mro__}
    if not isinstance(model, keras.Model):
        if "tf_keras" in modules and hasattr(model, "get_weights"):
            raise NoGraphError(
                "this is a Keras 2 model (tf_keras, or tf.keras with TF_USE_LEGACY_KERAS set)",
                "Save it with model.save('model.h5') and load it in Keras 3 with "
                "kconvert.read_h5('model.h5'), or build the same model with keras.layers and call "
                "new_model.set_weights(old_model.get_weights())",
            )
        raise InputError(
            f"convert() takes a keras.Model (Sequential or functional). Received: {model!r}"
        )
    if not isinstance(model, keras.Sequential) and not hasattr(model, "_nodes_by_depth"):
        raise NoGraphError(
            f"{model.name!r} is a subclassed model ({type(model).__name__}): its call() is Python "
            "code, and kconvert needs a graph of layers",
            "Rebuild it as a functional model: x = keras.Input(shape); "
            "model = keras.Model(x, the same layers called on x)",
        )
    if _is_model(model):
        try:
            _check_call_is_keras_own(model)
        except Unsupported as error:
            raise NoGraphError(f"{model.name!r}: {error.reason}", error.fix) from None
    if not model.built or not _is_model(model):
        raise NoGraphError(
            f"{model.name!r} is not built: its shapes and weights do not exist yet",
            "Add keras.Input(shape) as its first layer, or call model.build(input_shape), or call "
            "the model once on data",
        )
    _check_names(model)


def _check_names(model: keras.Model) -> None:
    """Refuse two layers of one name, with which Keras itself makes no model of a part."""
    parts = model.layers if isinstance(model, keras.Sequential) else model.operations
    counts = Counter(part.name for part in parts)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise NoGraphError(
            f"{model.name!r} has several layers with the name {twice[0]!r}",
            "Give each layer a name of its own: layer.name = ...",
        )
    for part in parts:
        if _is_model(part):
            _check_names(part)


class _Walk:
    """One pass over the calls of a model, and of the models inside it."""

    def __init__(
        self,
        layers: Registry,
        reserved: set[str],
        swap: Mapping[str, NeuronOp | str],
        keep_unread: bool,
        in_time: bool,
    ) -> None:
        self.builder = Builder(layers, reserved, swap, read_inside=self.inside, in_time=in_time)
        self.keep_unread = keep_unread
        self.problems: list[Problem] = []
        self.values: dict[int, str] = {}
        self.outermost: list[tuple[Any, str]] = []
        self.classes: dict[str, str] = {}
        self.called: set[str] = set()
        self.n_times: int | None = None
        self.lost: dict[str, str] = {}  # value of no known shape to the call that was refused
        self.unread: dict[str, str] = {}
        self.fault: BaseException | None = None

    def feed(self, name: str, tensor: Any) -> None:
        shape = require_static(name, self.sample(tensor))
        self.builder.call, self.builder.path = name, (name,)
        value = self.builder.rename(self.builder.add(Input(shape)), name)
        self.values[id(tensor)] = value
        self.outermost.append((tensor, value))

    def sample(self, tensor: Any) -> tuple[int | None, ...]:
        """Shape of one sample at one time."""
        return tuple(tensor.shape[2 if self.builder.in_time else 1 :])

    def model(self, model: keras.Model, path: tuple[str, ...]) -> list[str]:
        """Read all calls of a model whose inputs have values; return the values of its outputs."""
        for call in _calls(model):
            arguments = [self.values[id(tensor)] for tensor in call.input_tensors]
            results = self.call(call, arguments, path)
            for tensor, value in zip(call.outputs, results, strict=True):
                self.values[id(tensor)] = value
                if not path and not self.builder.inside:
                    self.outermost.append((tensor, value))
        return [self.values[id(tensor)] for tensor in model.outputs]

    def call(self, call: Any, arguments: list[str], path: tuple[str, ...]) -> list[str]:
        """Read one call; where it cannot be read, note why and let inputs stand in for it."""
        operation, builder = call.operation, self.builder
        name = self.call_name("/".join((*path, operation.name)))
        builder.call, builder.path = name, (*path, operation.name)
        self.called.add(name)
        if not _is_model(operation):
            self.classes[name] = spelling(type(operation))
        if refused := [self.lost[value] for value in arguments if value in self.lost]:
            self.unread[name] = refused[0]
            return self.stand_ins(call, refused[0])
        before = set(builder.nodes)
        decided, replaced = len(builder.decisions), len(builder.replacements)
        try:
            if isinstance(operation, keras.layers.Layer) and not _is_model(operation):
                builder.layers.find(operation)  # why it is not read goes before how it was called
            _check_arguments(call, builder)
            if _is_model(operation):
                return self.nested(operation, arguments, (*path, operation.name))
            return self.layer(call, arguments)
        except Unsupported as error:
            for added in set(builder.nodes) - before:
                del builder.nodes[added]
            builder.call, builder.path = name, (*path, operation.name)
            can_be_kept = self.can_be_kept(call, error)
            if can_be_kept and self.keep_unread:
                del builder.decisions[decided:]
                del builder.replacements[replaced:]
                return self.kept(call, arguments, error)
            flag = "tensornode" if can_be_kept else ""
            problem = Problem(name, spelling(type(operation)), error.reason, error.fix, flag)
            self.problems.append(problem)
            self.fault = self.fault or error.__cause__
            return self.stand_ins(call, name)

    def stand_ins(self, call: Any, refused: str) -> list[str]:
        """Inputs in the place of values that could not be read."""
        values = []
        for tensor in call.outputs:
            shape = tuple(size or 1 for size in self.sample(tensor))
            values.append(self.builder.add(Input(shape)))
            if self.builder.in_time and tuple(tensor.shape[1:2]) != (self.n_times,):
                self.lost[values[-1]] = refused  # where its axis of time is, only the layer knows
        return values

    def nested(self, model: keras.Model, arguments: list[str], path: tuple[str, ...]) -> list[str]:
        """Read a model inside the model; ``path`` is that of its layers."""
        _check_call_is_keras_own(model)
        # Inside, the same tensors may stand for other values than outside, and at every call.
        outside = self.values
        self.values = dict(zip(map(id, model.inputs), arguments, strict=True))
        try:
            return self.model(model, path)
        finally:
            self.values = outside

    def inside(self, operation: Any, arguments: list[str]) -> list[str]:
        """Read a layer, or a model, that another layer wraps."""
        builder = self.builder
        call, path = builder.call, builder.path
        builder.inside += 1
        try:
            if _is_model(operation):
                return self.nested(operation, arguments, path)
            _check_own_call(operation)
            value = builder.layers.find(operation).read(operation, builder, *arguments)
            return [value] if isinstance(value, str) else list(value)
        finally:
            builder.inside -= 1
            builder.call, builder.path = call, path

    def layer(self, call: Any, arguments: list[str]) -> list[str]:
        operation, builder = call.operation, self.builder
        before, name = set(builder.nodes), builder.call
        builder.inputs = tuple(arguments)
        # The names take the place of the tensors, in whatever structure these were given.
        names = iter(arguments)
        builder.arguments = call.arguments.convert(
            lambda value: next(names) if isinstance(value, keras.KerasTensor) else value
        )
        check_policy(operation, builder)
        _check_own_call(operation)
        found = builder.layers.find(operation).read(operation, builder, *arguments)
        values = [found] if isinstance(found, str) else list(found)
        if call.input_tensors[0].shape[0] is None and call.outputs[0].shape[0] is not None:
            raise Unsupported("it fixes the number of samples", "leave the first axis as it is")
        if len(values) != len(call.outputs):
            raise Unsupported(f"it has {len(call.outputs)} outputs, read as {len(values)}")
        for position, tensor in enumerate(call.outputs):
            shape = self.sample(tensor)
            found_shape = builder.shape(values[position])
            if len(shape) != len(found_shape) or any(
                theirs not in (None, ours) for theirs, ours in zip(shape, found_shape, strict=True)
            ):
                raise Unsupported(
                    f"its shape was read as {builder.shape(values[position])}, but Keras' symbolic "
                    f"shape is {shape}: one of them is wrong",
                    "write it with other operations",
                )
        if len(values) == 1 and values[0] not in before:
            values = [builder.rename(values[0], name)]
        return values

    def can_be_kept(self, call: Any, error: Unsupported) -> bool:
        """Whether the layer could run as it is, in a TensorNode."""
        static = all(None not in tensor.shape[1:] for tensor in call.outputs)
        static = static and not any(0 in tensor.shape[1:] for tensor in call.outputs)
        return (
            static
            and not error.final
            and not self.builder.in_time
            and not _is_model(call.operation)
            and bool(call.input_tensors)
            and _works_on_samples(call)
        )

    def kept(self, call: Any, arguments: list[str], error: Unsupported) -> list[str]:
        """Keep a layer as it is."""
        builder = self.builder
        builder.decide("tensornode", f"Keras computes it, without neurons: {error.reason}")
        values = []
        for position, tensor in enumerate(call.outputs):
            op = Opaque(
                partial(_run, call, position),
                keras.ops.convert_to_numpy,
                tuple(tensor.shape[1:]),
                in_tensorflow=keras.backend.backend() == "tensorflow",
            )
            values.append(builder.add(op, *arguments))
        if len(values) == 1:
            values = [builder.rename(values[0], builder.call)]
        return values

    def call_name(self, name: str) -> str:
        """The layer's name at its first call, then ``name.1`` and so on."""
        while name in self.called:
            name = self.builder.free_name(name)
        return name


def _run(call: Any, position: int, *values: Any) -> Any:
    """Compute one call of a layer with other tensors, and give one of its outputs."""
    tensors = iter(values)
    arguments, keywords = call.arguments.convert(
        lambda value: next(tensors) if isinstance(value, keras.KerasTensor) else value
    )
    return keras.tree.flatten(call.operation(*arguments, **keywords))[position]


def _works_on_samples(call: Any) -> bool:
    """Whether Keras computes a call for each sample apart, of the shapes that it says: tried."""
    rng = np.random.default_rng(0)
    batch = [
        rng.standard_normal((2, *tensor.shape[1:])).astype(np.float32)
        for tensor in call.input_tensors
    ]
    for position, tensor in enumerate(call.outputs):
        results = []
        for rows in (slice(None), slice(0, 1), slice(1, 2)):
            value, error = attempt(_run, call, position, *(array[rows] for array in batch))
            # Some operations give back a number, such as keras.ops.ndim.
            if error is not None or tuple(getattr(value, "shape", ())) != (
                len(batch[0][rows]),
                *tensor.shape[1:],
            ):
                return False
            results.append(np.asarray(keras.ops.convert_to_numpy(value), np.float64))
        both, *apart = results
        # Float32 rounds batches of other sizes in another order.
        if not np.allclose(both, np.concatenate(apart), rtol=1e-3, atol=1e-4, equal_nan=True):
            return False
    return True


def _has_time_axis(model: keras.Model) -> bool:
    """Whether the first axis of the inputs is time: of unknown length, or TimeDistributed's."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if all(shape[:1] == (None,) and None not in shape[1:] for shape in shapes):
        return True
    return _has_time_distributed(model)


def _has_time_distributed(model: keras.Model) -> bool:
    for call in _calls(model):
        if isinstance(call.operation, keras.layers.TimeDistributed):
            return True
        if _is_model(call.operation) and _has_time_distributed(call.operation):
            return True
    return False


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


def _check_arguments(call: Any, builder: Builder) -> None:
    """Refuse arguments beside the inputs that change what a layer computes."""
    if not isinstance(call.operation, keras.layers.Layer):
        return  # an operation's arguments are its meaning: its importer reads them
    for name, value in call.arguments.kwargs.items():
        # Keras itself records a structure of no masks.
        if value is False or all(leaf is None for leaf in leaves(value)):
            continue
        if name in ("inputs", "sequences", "query") and isinstance(value, keras.KerasTensor):
            continue  # the input by its name
        if name == "training":
            own = inspect.signature(type(call.operation).call).parameters.get("training")
            # A layer without it takes it all the same, and the layers that augment images have it
            # so by themselves.
            if own is not None and own.default is not True:
                builder.decide(
                    "inference",
                    "called with training=True: predict, evaluate and the network ignore this; "
                    "model(x) behaves as in training",
                )
            continue
        raise Unsupported(f"it was called with the argument {name}=", "call it without")


def _check_own_call(operation: Any) -> None:
    """Refuse a ``call`` that was put on an instance, and may compute anything."""
    if "call" in vars(operation):
        raise Unsupported(
            "its call() was replaced on this object: kconvert cannot read this Python code",
            "write a class of your own with this call, and an importer for it",
        )


def _check_call_is_keras_own(model: keras.Model) -> None:
    """Refuse a subclass whose ``call`` may compute something else than the graph."""
    _check_own_call(model)
    if type(model).call not in (Functional.call, keras.Sequential.call):
        raise Unsupported(
            f"{type(model).__name__} overrides call(): kconvert cannot read this Python code",
            "rebuild it as a functional model, keras.Model(inputs, outputs)",
        )


def _names(structure: Any, tensors: list[Any]) -> tuple[str, ...]:
    """Names of inputs or outputs: the keys of a dict, else the layers' names, each once.

    In a dict that holds dicts or lists the way to a tensor is its name: ``others/left``.
    """
    ways = keras.tree.flatten_with_path(structure) if isinstance(structure, dict) else ()
    keys = {id(tensor): "/".join(map(str, way)) for way, tensor in ways}
    names: list[str] = []
    for tensor in tensors:
        name = keys.get(id(tensor), tensor._keras_history.operation.name)
        unique, count = name, 0
        while unique in names:
            count += 1
            unique = f"{name}.{count}"
        names.append(unique)
    return tuple(names)
