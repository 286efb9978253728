"""Which Keras class is read by which importer, with the limits of each as data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import keras

from ..errors import InputError, Unsupported
from .attempts import checked

Importer = Callable[..., Any]
"""``importer(layer, builder, *inputs) -> name of the value``, or a list of names where the layer
has several outputs; raises ``Unsupported``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One importer, and what it is limited to.

    Args:
        importer: Reads one call.
        limits: Attribute to the one value of it that is supported.
        timewise: Whether the layer treats every index of an axis of time alike and apart, so that
            this axis may become simulation time.
    """

    importer: Importer
    limits: Mapping[str, Any]
    timewise: bool = False

    def read(self, layer: Any, builder: Any, *inputs: str) -> str | list[str]:
        if builder.in_time and not self.timewise:
            raise Unsupported(
                "it works across the first axis of its input, which is time here (the model has "
                "TimeDistributed layers, or inputs of unknown length) and becomes simulation time",
                "end the model before it with keras.Model(model.inputs, the value that it reads) "
                "and average the outputs of the steps yourself, or give the input a fixed shape "
                "and use no TimeDistributed, so that the axis is a spatial one",
                final=True,
            )
        for attribute, accepted in self.limits.items():
            value = getattr(layer, attribute)
            if value != accepted:
                raise Unsupported(
                    f"{attribute}={value!r} is not supported (only {accepted!r} is)",
                    f"set {attribute}={accepted!r}",
                )
        return checked(self.importer, layer, builder, *inputs)


@dataclass(slots=True)
class Registry:
    """Importers by exact Keras class.

    A subclass is not read by its parent's importer: its ``call`` may be overridden, and would then
    be converted wrongly in silence.

    Args:
        entries: Class, or function of an activation, to its importer and limits.
        refusals: Class to why it has none, and what to do.
    """

    entries: dict[Any, Entry] = field(default_factory=dict)
    refusals: dict[type, tuple[str, str]] = field(default_factory=dict)

    def register(
        self, *classes: Any, timewise: bool = False, **limits: Any
    ) -> Callable[[Importer], Importer]:
        """Decorator: read these classes with the function, if every limit's attribute matches.

        Args:
            *classes: Classes of Keras layers or operations, or functions that layers have as their
                ``activation``: the importer of a function gets the function for the layer.
            timewise: See :class:`Entry`.
            **limits: Attribute to the one value that is supported.

        Example:
            >>> import keras
            >>> from kconvert.ops import Relu
            >>> class MyRelu(keras.layers.Layer):
            ...     def call(self, x):
            ...         return keras.ops.relu(x)
            >>> mine = LAYERS.extended({})
            >>> @mine.register(MyRelu, timewise=True)
            ... def my_relu(layer, b, x):
            ...     return b.add(Relu(), x)
            >>> MyRelu in mine, MyRelu in LAYERS
            (True, False)
        """
        if not classes:
            raise InputError("register needs a class: @kconvert.register(MyLayer)")
        for cls in classes:
            _require_readable("register", cls)

        def add(importer: Importer) -> Importer:
            _require_importer("register", importer)
            for cls in classes:
                if cls in self.entries:
                    raise InputError(f"{cls.__name__} is registered twice")
                self.entries[cls] = Entry(importer, dict(limits), timewise)
            return importer

        return add

    def extended(self, importers: Mapping[Any, Any]) -> Registry:
        """A copy that also reads the given classes, in place of what was registered for them.

        Args:
            importers: Class, or function of an activation, to its importer, or to a class above it:
                it is then read as that class is.

        Raises:
            InputError: It is no such dict.
        """
        if not isinstance(importers, Mapping):
            raise InputError(
                "layers must be a dict {MyLayer: importer} or a registry. "
                f"Received: {importers!r}"
            )
        more = {}
        for cls, importer in importers.items():
            _require_readable("layers", cls)
            if isinstance(importer, type):
                more[cls] = self._as_parent(cls, importer)
            else:
                _require_importer(f"layers[{cls.__name__}]", importer)
                more[cls] = Entry(importer, {})
        return Registry({**self.entries, **more}, dict(self.refusals))

    def _as_parent(self, cls: Any, parent: type) -> Entry:
        if not (isinstance(cls, type) and issubclass(cls, parent) and parent in self.entries):
            raise InputError(
                f"layers[{cls.__name__}] must be an importer, or a class above {cls.__name__} that "
                f"kconvert reads. Received: {parent!r}"
            )
        return self.entries[parent]

    def refuse(self, *classes: type, reason: str, fix: str) -> None:
        """Say why layers of these classes, and of subclasses, are not read, and what to do."""
        self.refusals.update(dict.fromkeys(classes, (reason, fix)))

    def __contains__(self, cls: Any) -> bool:
        return cls in self.entries

    def find(self, operation: Any) -> Entry:
        """The entry for an operation, or ``Unsupported`` with the nearest explanation."""
        cls = type(operation)
        if entry := self.entries.get(cls):
            return entry
        for parent in cls.__mro__[1:]:
            if parent in self.entries:
                room = "keras.layers." if parent.__module__.startswith("keras.") else ""
                raise Unsupported(
                    f"a subclass of {parent.__name__} may compute something other than "
                    f"{parent.__name__}",
                    f"use {parent.__name__} itself, or pass convert(..., layers={{{cls.__name__}: "
                    "importer}), or if it computes the same convert(..., "
                    f"layers={{{cls.__name__}: {room}{parent.__name__}}})",
                )
        for parent, (reason, fix) in self.refusals.items():
            if isinstance(operation, parent):
                raise Unsupported(reason, fix)
        if not isinstance(operation, keras.layers.Layer):
            raise Unsupported(
                "this operation is not supported", "write it with others, or as layers"
            )
        raise Unsupported(
            "this layer is not supported",
            f"replace it, or pass convert(..., layers={{{cls.__name__}: importer}})",
        )


def spelling(cls: type) -> str:
    """How users write a class: ``keras.ops.average`` for the class of an operation's nodes."""
    if not cls.__module__.startswith("keras.src.") or issubclass(cls, keras.layers.Layer):
        return cls.__name__
    name = cls.__name__.lower()
    if cls.__module__.startswith("keras.src.activations."):
        return f"keras.activations.{name}"
    if name == "getitem":
        return "x[...]"
    public = _public_operations()
    # LayerNorm stands behind keras.ops.layer_normalization.
    return public.get(name) or public.get(f"{name}alization") or cls.__name__


@cache
def _public_operations() -> dict[str, str]:
    """The functions of ``keras.ops``, by their names without underscores."""
    rooms = {
        "keras.ops.linalg": keras.ops.linalg,
        "keras.ops.image": keras.ops.image,
        "keras.ops": keras.ops,
    }
    return {
        name.replace("_", ""): f"{room}.{name}"
        for room, module in rooms.items()
        for name in dir(module)
    }


def _require_readable(argument: str, cls: Any) -> None:
    """Refuse what no call in a model could be looked up by."""
    readable = (
        issubclass(cls, keras.Operation) if isinstance(cls, type) else inspect.isfunction(cls)
    )
    if not readable:
        raise InputError(
            f"{argument} takes classes of Keras layers, or functions of activations. "
            f"Received: {cls!r}"
        )


def _require_importer(argument: str, importer: Any) -> None:
    if not callable(importer):
        raise InputError(
            f"{argument} must be a function importer(layer, builder, *inputs). "
            f"Received: {importer!r}"
        )


LAYERS = Registry()
"""Everything kconvert reads. Filled by the modules of ``kconvert.reader.layers``."""
