"""Which Keras class is read by which importer, with the limits of each as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, Unsupported

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
                "read the output at the last step or average it yourself, or give the input a "
                "fixed shape and use no TimeDistributed, so that the axis is a spatial one",
                final=True,
            )
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

    Args:
        entries: Class to its importer and limits.
        refusals: Class to why it has none, and what to do.
    """

    entries: dict[type, Entry] = field(default_factory=dict)
    refusals: dict[type, tuple[str, str]] = field(default_factory=dict)

    def register(
        self, *classes: type, timewise: bool = False, **limits: Any
    ) -> Callable[[Importer], Importer]:
        """Decorator: read these classes with the function, if every limit's attribute matches.

        Args:
            *classes: Keras layers or operations.
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

        def add(importer: Importer) -> Importer:
            for cls in classes:
                if cls in self.entries:
                    raise InputError(f"{cls.__name__} is registered twice")
                self.entries[cls] = Entry(importer, dict(limits), timewise)
            return importer

        return add

    def extended(self, importers: Mapping[type, Importer]) -> Registry:
        """A copy that also reads the given classes, in place of what was registered for them."""
        more = {cls: Entry(importer, {}) for cls, importer in importers.items()}
        return Registry({**self.entries, **more}, dict(self.refusals))

    def refuse(self, *classes: type, reason: str, fix: str) -> None:
        """Say why layers of these classes, and of subclasses, are not read, and what to do."""
        self.refusals.update(dict.fromkeys(classes, (reason, fix)))

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
        for parent, (reason, fix) in self.refusals.items():
            if isinstance(operation, parent):
                raise Unsupported(reason, fix)
        raise Unsupported(
            "this layer is not supported",
            f"replace it, or pass convert(..., layers={{{cls.__name__}: importer}})",
        )


LAYERS = Registry()
"""Everything kconvert reads. Filled by the modules of ``kconvert.reader.layers``."""
