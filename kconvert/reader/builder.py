"""What importers write with: adds nodes for one call of one layer to the growing graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from ..errors import GraphError, InputError, Unsupported
from ..ir import Decision, Node, Op, Parameter, Shape
from .registry import Registry

_HALF = ("float16", "bfloat16")


@dataclass(slots=True)
class Builder:
    """Collects nodes and decisions while the reader walks the model.

    Importers use :meth:`add`, :meth:`weight`, :meth:`parameters`, :meth:`shape` and :meth:`decide`.

    Args:
        layers: What the model is read with.
        reserved: Names of the model's own layers, which no other node may take.
        nodes: The nodes so far.
        decisions: The decisions so far.
        call: Name of the call that is being read.
        path: Names of its layer and of the models around it, outermost first.
        places: Identity of a Keras variable to where it was found first.
    """

    layers: Registry
    reserved: set[str]
    nodes: dict[str, Node] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    call: str = ""
    path: tuple[str, ...] = ()
    places: dict[int, Parameter] = field(default_factory=dict)

    def shape(self, name: str) -> Shape:
        """Shape of an earlier value, without the batch axis."""
        return self.nodes[name].shape

    def add(self, op: Op, *inputs: str, parameters: Mapping[str, Parameter] | None = None) -> str:
        """Add a node to the call that is being read, and return its name."""
        name = f"{self.call}/{type(op).__name__.lower()}"
        if name in self.nodes or name in self.reserved:
            name = self.free_name(name)
        try:
            shape = op.out_shape(*(self.shape(source) for source in inputs))
        except GraphError as error:
            raise Unsupported(str(error)) from error
        self.nodes[name] = Node(
            name, op, inputs, tuple(shape), (self.path[-1],), dict(parameters or {})
        )
        return name

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
                "it has LoRA weights beside its own",
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


def check_policy(layer: Any, builder: Builder) -> None:
    """List that a layer computed in half precision in Keras is converted at full precision."""
    compute = getattr(layer, "compute_dtype", None)
    if compute in _HALF:
        builder.decide("precision", f"computed in {compute} by Keras, in float32 or better here")


def require_static(name: str, shape: tuple[int | None, ...]) -> Shape:
    """The shape without its batch axis, or an error where a size is not known."""
    sizes = tuple(shape[1:])
    if any(size is None for size in sizes):
        raise InputError(
            f"the input {name!r} has the shape {sizes}: a spiking network has a fixed number of "
            f"neurons, so every size must be known. Build the model with "
            f"keras.Input(shape=(height, width, channels)) in numbers"
        )
    return tuple(int(size) for size in sizes if size is not None)
