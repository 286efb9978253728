"""What importers write with: adds nodes for one call of one layer to the growing graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import keras
import numpy as np

from ..errors import GraphError, NoGraphError, Unsupported
from ..ir import Decision, Node, Op, Parameter, Replacement, Shape, product
from ..ops import Affine, Gather, NeuronOp, Reshape, Sum
from .registry import Registry

HALF = ("float16", "bfloat16")
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What a layer of normalisation knows of its input in training.

    Args:
        mean: Broadcasts to the shape of a sample.
        deviation: Standard deviation, of the same shape.
    """

    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True, slots=True)
class Spiking:
    """How a layer wants its neurons to spike, instead of being calibrated.

    Args:
        dt: Length of a step in seconds.
        initial_voltage: As for :func:`kconvert.convert`.
    """

    dt: float
    initial_voltage: float | str


@dataclass(slots=True)
class Builder:
    """Collects nodes and decisions while the reader walks the model.

    Importers use :meth:`add` and the methods made of it, :meth:`weight`, :meth:`parameters`,
    :meth:`shape`, :meth:`axis`, :meth:`read` and :meth:`decide`.

    Args:
        layers: What the model is read with.
        reserved: Names of the model's own layers, which no other node may take.
        swap: Name of an activation to the neuron, or the name of the activation, in its place.
        nodes: The nodes so far.
        decisions: The decisions so far.
        replacements: The activations replaced so far.
        activations: Names of all activations that the model has, as far as it was read.
        statistics: Name of a value to what it was in training, where a layer knows.
        spiking: Name of a call to how it wants its neurons to spike, where it says so.
        predicts_differently: Whether Keras' ``predict`` gives other values than calling the model,
            as it does for some layers with channels first.
        call: Name of the call that is being read.
        inputs: Names of the values that it reads.
        path: Names of its layer and of the models around it, outermost first.
        arguments: Positional and keyword arguments of the call, with the names of values for
            tensors. For operations; a layer's settings are its attributes.
        places: Identity of a Keras variable to where it was found first.
        in_time: Whether the values have a time axis in Keras, in front of their shape here.
        inside: How many layers are around the one that is being read, as wrappers.
        read_inside: The reader's own way into a wrapped layer or model.
    """

    layers: Registry
    reserved: set[str]
    swap: Mapping[str, NeuronOp | str] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    replacements: list[Replacement] = field(default_factory=list)
    activations: dict[str, None] = field(default_factory=dict)
    statistics: dict[str, Statistics] = field(default_factory=dict)
    spiking: dict[str, Spiking] = field(default_factory=dict)
    predicts_differently: bool = False
    call: str = ""
    inputs: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    places: dict[int, Parameter] = field(default_factory=dict)
    in_time: bool = False
    inside: int = 0
    read_inside: Callable[[Any, list[str]], list[str]] | None = None

    def shape(self, name: str) -> Shape:
        """Shape of an earlier value, without the batch axis."""
        return self.nodes[name].shape

    def add(self, op: Op, *inputs: str, parameters: Mapping[str, Parameter] | None = None) -> str:
        """Add a node to the call that is being read, and return its name."""
        name = f"{self.call}/{type(op).__name__.lower()}"
        if name in self.nodes or name in self.reserved:
            name = self.free_name(name)
        _check_op(op)
        if unknown := [each for each in inputs if each not in self.nodes]:
            raise Unsupported(f"its importer reads {unknown[0]!r}, but no value has this name")
        try:
            shape = op.out_shape(*(self.shape(source) for source in inputs))
        except GraphError as error:
            raise Unsupported(str(error)) from error
        if 0 in shape:
            raise Unsupported(f"its value is empty, of the shape {tuple(shape)}", "remove it")
        self.nodes[name] = Node(
            name, op, inputs, tuple(shape), (self.call,), self.call, dict(parameters or {})
        )
        return name

    def affine(self, x: str, scale: Any = 1.0, shift: Any = 0.0) -> str:
        """Add ``x * scale + shift``; nothing where that changes nothing."""
        scale, shift = np.asarray(scale, np.float64), np.asarray(shift, np.float64)
        if np.all(scale == 1) and np.all(shift == 0):
            return x
        for value in (scale, shift):
            if not np.all(np.isfinite(value)):
                raise Unsupported("it multiplies by or adds NaN or infinite values", final=True)
        return self.add(Affine(scale, shift), x)

    def sum(self, terms: Sequence[tuple[str, float]]) -> str:
        """Add the sum of values, each times a number."""
        return self.add(Sum(tuple(float(c) for _, c in terms)), *(x for x, _ in terms))

    def reshape(self, x: str, shape: Shape) -> str:
        """Add the same values under another shape; nothing where they have it."""
        if self.shape(x) == tuple(shape):
            return x
        return self.add(Reshape(tuple(shape)), x)

    def gather(self, x: str, pick: Callable[[np.ndarray], np.ndarray]) -> str:
        """Add a rearrangement.

        Args:
            x: Of what.
            pick: Does it, to an array of the value's shape.
        """
        places = np.arange(product(self.shape(x)), dtype=np.int64).reshape(self.shape(x))
        return self.add(Gather(np.ascontiguousarray(pick(places))), x)

    def transpose(self, x: str, axes: Sequence[int]) -> str:
        """Add a permutation of the axes of a sample; nothing where it is the identity."""
        if tuple(axes) == tuple(range(len(axes))):
            return x
        return self.gather(x, lambda places: places.transpose(axes))

    def broadcast(self, x: str, shape: Shape) -> str:
        """Repeat a value along axes of size 1, as NumPy does; nothing where it has the shape."""
        if self.shape(x) == shape:
            return x
        return self.gather(x, lambda places: np.broadcast_to(places, shape))

    def read(self, layer: Any, *inputs: str) -> str | list[str]:
        """Read a layer or model that the layer that is being read wraps."""
        if self.read_inside is None:
            raise GraphError("this builder belongs to no reader")
        values = self.read_inside(layer, list(inputs))
        return values[0] if len(values) == 1 else values

    def axis(self, axis: int) -> int:
        """The axis of a sample that is Keras' axis number ``axis``.

        Raises:
            Unsupported: It is the axis of the batch, or of time.
        """
        rank, lead = len(self.shape(self.inputs[0])), 2 if self.in_time else 1
        found = axis - lead if axis >= 0 else axis + rank
        if not 0 <= found < rank:
            which = "time" if self.in_time and axis % (rank + lead) == 1 else "batch"
            raise Unsupported(f"axis={axis} is the {which} axis", "use another axis", final=True)
        return found

    def rename(self, old: str, new: str) -> str:
        """Give the newest node the name of its call."""
        if new in self.nodes:
            raise GraphError(f"two nodes want the name {new!r}")
        node = replace(self.nodes.pop(old), name=new)
        self.nodes[new] = node
        return new

    def free_name(self, name: str) -> str:
        """The first of ``name.1``, ``name.2``, ... that nothing else has."""
        count = 1
        while (free := f"{name}.{count}") in self.nodes or free in self.reserved:
            count += 1
        return free

    def decide(self, kind: str, text: str) -> None:
        """List a decision about the layer that is being read."""
        self.decisions.append(Decision(kind, self.call, text))

    def weight(self, layer: keras.layers.Layer, attribute: str) -> np.ndarray:
        """A variable of the layer in float64.

        Raises:
            Unsupported: The values are quantized, or not all finite.
        """
        variable = getattr(layer, attribute)
        if getattr(layer, "lora_enabled", False):
            raise Unsupported(
                "it has LoRA weights in addition to its own",
                "save its weights, load them into a layer without LoRA, and convert that",
            )
        if getattr(layer, "quantization_mode", None):
            raise Unsupported(
                f"its weights are quantized ({layer.quantization_mode})",
                "convert the model before quantizing it",
            )
        value = np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float64)
        if bad := int(np.sum(~np.isfinite(value))):
            raise Unsupported(
                f"{attribute} holds {bad} NaN or infinite values of {value.size}",
                "train the model again with a lower learning rate, or load other weights",
                final=True,
            )
        return value

    def optional_weight(self, layer: keras.layers.Layer, attribute: str) -> np.ndarray | None:
        """A variable that a layer may be without: None where it is."""
        return None if getattr(layer, attribute) is None else self.weight(layer, attribute)

    def parameters(self, layer: keras.layers.Layer, **fields: str) -> dict[str, Parameter]:
        """Where an op's arrays live in the model: op field to the layer's attribute.

        Variables that the user has frozen are left out, so that they stay so in NengoDL.
        """
        found = {}
        for name, attribute in fields.items():
            variable = getattr(layer, attribute)
            if variable is None:
                continue
            # A layer that is in the model by two paths has one place all the same.
            place = self.places.setdefault(id(variable), Parameter(self.path, attribute))
            if variable.trainable:
                found[name] = place
            else:
                self.decide("training", f"{attribute} is not trainable in Keras, nor in NengoDL")
        return found


def _check_op(op: Any) -> None:
    """Refuse what is no op, and NaN or infinity in an op's arrays and factors."""
    methods = [getattr(op, name, None) for name in ("out_shape", "evaluate")]
    if isinstance(op, type) or not all(map(callable, methods)):
        raise Unsupported(
            f"its importer adds {op!r}, which is not an op", "add one of those in kconvert.ops"
        )
    if bad := not_finite(op):
        raise Unsupported(
            "it multiplies by or adds NaN or infinite values, or values that float32 cannot hold "
            f"({bad} of {type(op).__name__})",
            final=True,
        )


def not_finite(op: Any) -> str:
    """The first field of an op with values that float32 does not hold; empty if there is none.

    Single numbers may be infinite: the floor of a neuron is.
    """
    for each in fields(op) if is_dataclass(op) else ():
        value = getattr(op, each.name)
        floats = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        if floats and not np.all(np.abs(value) <= _LARGEST):
            return each.name
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, float) and np.isnan(number) for number in numbers):
            return each.name
    return ""


def check_policy(layer: Any, builder: Builder) -> None:
    """List what Keras does with a layer, and neither the network nor its training does."""
    _list_penalties(layer, builder)
    compute = getattr(layer, "compute_dtype", None)
    if compute in HALF:
        builder.decide(
            "precision", f"Keras computes it in {compute}; kconvert in float32 or better"
        )


def _list_penalties(layer: Any, builder: Builder) -> None:
    """List the regularizers and constraints of a layer, which are Keras' own in training."""
    found = [
        f"{variable.name}'s {kind} {type(value).__name__}"
        for variable in getattr(layer, "trainable_variables", ())
        for kind in ("regularizer", "constraint")
        if (value := getattr(variable, kind, None)) is not None
    ]
    if (value := getattr(layer, "activity_regularizer", None)) is not None:
        found.append(f"the activity regularizer {type(value).__name__}")
    if found:
        builder.decide("training", f"{', '.join(found)}: not applied when NengoDL trains")


def require_static(name: str, sizes: tuple[int | None, ...]) -> Shape:
    """The shape of a sample, or an error where a size is not known."""
    if any(size is None for size in sizes):
        raise NoGraphError(
            f"the input {name!r} has the shape {sizes}: a spiking network has a fixed number of "
            "neurons, so every size must be known",
            "Build the model with keras.Input(shape=(height, width, channels)) in numbers",
        )
    if 0 in sizes:
        raise NoGraphError(
            f"the input {name!r} has the shape {sizes}, which holds no values",
            "Build the model with sizes > 0",
        )
    return tuple(int(size) for size in sizes if size is not None)
