"""Which Keras class is read by which importer, with the limits of each as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..errors import InputError, Unsupported

Importer = Callable[..., str]
"""``importer(layer, builder, *inputs) -> name of the value``; raises ``Unsupported``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One importer and the attribute values it is limited to."""

    importer: Importer
    limits: Mapping[str, Any]

    def read(self, layer: Any, builder: Any, *inputs: str) -> str:
        for attribute, accepted in self.limits.items():
            value = getattr(layer, attribute)
            if value != accepted:
                raise Unsupported(
                    f"{attribute}={value!r} is not supported (only {accepted!r} is)",
                    f"set {attribute}={accepted!r}",
                )
        return self.importer(layer, builder, *inputs)


@dataclass(slots=True)
class Registry:
    """Importers by exact Keras class.

    A subclass is not read by its parent's importer: its ``call`` may be overridden, and would then
    be converted wrongly in silence.

    Example:
        >>> import keras
        >>> from kconvert.ops import Relu
        >>> class MyRelu(keras.layers.Layer):
        ...     def call(self, x):
        ...         return keras.ops.relu(x)
        >>> mine = LAYERS.extended({MyRelu: lambda layer, b, x: b.add(Relu(), x)})
        >>> MyRelu in mine, MyRelu in LAYERS
        (True, False)
    """

    entries: dict[type, Entry] = field(default_factory=dict)

    def register(self, *classes: type, **limits: Any) -> Callable[[Importer], Importer]:
        """Decorator: read these classes with the function, if every limit's attribute matches."""

        def add(importer: Importer) -> Importer:
            for cls in classes:
                if cls in self.entries:
                    raise InputError(f"{cls.__name__} is registered twice")
                self.entries[cls] = Entry(importer, MappingProxyType(limits))
            return importer

        return add

    def extended(self, importers: Mapping[type, Importer]) -> Registry:
        """A copy that also reads the given classes, in place of what was registered for them."""
        more = {cls: Entry(importer, MappingProxyType({})) for cls, importer in importers.items()}
        return Registry({**self.entries, **more})

    def __contains__(self, cls: type) -> bool:
        return cls in self.entries

    def find(self, operation: Any) -> Entry:
        """The entry for an operation, or ``Unsupported`` with the nearest explanation."""
        cls = type(operation)
        if entry := self.entries.get(cls):
            return entry
        for parent in cls.__mro__[1:]:
            if parent in self.entries:
                raise Unsupported(
                    f"a subclass of {parent.__name__} may compute something else than "
                    f"{parent.__name__}",
                    f"use {parent.__name__} itself, or pass "
                    f"convert(..., layers={{{cls.__name__}: importer}})",
                )
        raise Unsupported(
            "this layer is not supported",
            f"replace it, or pass convert(..., layers={{{cls.__name__}: importer}})",
        )


LAYERS = Registry()
"""Everything kconvert reads. Filled by the modules of ``kconvert.reader.layers``."""
