"""Settings by layer: one value for all layers, or one for each of some layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from .arguments import nearest
from .errors import InputError
from .ir import Node

T = TypeVar("T")
AUTO = "auto"
"""The value with which users leave a setting to kconvert."""


@dataclass(frozen=True, slots=True, eq=False)
class PerLayer(Generic[T]):
    """A setting that may differ from layer to layer.

    Args:
        argument: What users call it, such as ``"synapse"``.
        default: The value of layers that no entry names.
        entries: Layer name, or pattern of names as :mod:`fnmatch` has it, to a value.
        of: What the layers have that it is for, for errors.
    """

    argument: str
    default: T
    entries: Mapping[str, T] = field(default_factory=dict)
    of: str = "neurons"

    @classmethod
    def read(
        cls,
        argument: str,
        setting: Any,
        check: Callable[[Any, str], T],
        *,
        others: T,
        of: str = "neurons",
    ) -> PerLayer[T]:
        """Read what a user passed.

        Args:
            argument: What users call it.
            setting: One value for all layers, or a dict from layer name or pattern to a value.
            check: From a value and what users call it to the value, or an ``InputError``.
            others: The value of layers that a dict does not name.
            of: As in the class.

        Raises:
            InputError: A value or a key is malformed.
        """
        if not isinstance(setting, Mapping):
            return cls(argument, check(setting, argument), {}, of)
        if bad := [key for key in setting if not isinstance(key, str)]:
            name = getattr(bad[0], "name", None)  # of a layer object
            hint = f". Its name is {name!r}" if isinstance(name, str) else ""
            raise InputError(f"{argument}: keys must be layer names. Received: {bad[0]!r}{hint}")
        entries = {key: check(value, f"{argument}[{key!r}]") for key, value in setting.items()}
        return cls(argument, others, entries, of)

    def on(self, nodes: Iterable[Node]) -> dict[str, T]:
        """The value of each node, by its name.

        A layer's own name goes before patterns; of patterns the first one that fits counts. An
        activation may become several nodes: the layer's name stands for all of them.

        Raises:
            InputError: An entry fits none of the nodes.
        """
        return self._resolve({node.name: (node.name, node.call or node.name) for node in nodes})

    def on_names(self, names: Iterable[str]) -> dict[str, T]:
        """The value of each name; as :meth:`on`."""
        return self._resolve({name: (name,) for name in names})

    def names(self, node: Node) -> bool:
        """Whether an entry names this layer itself, and not by a pattern."""
        return node.name in self.entries or node.call in self.entries

    def values(self) -> list[T]:
        """The values that the user gave."""
        return list(self.entries.values()) if self.entries else [self.default]

    def holds(self, *words: str) -> str:
        """The first of its values that is one of these words; empty if none is."""
        return next((v for v in self.values() if isinstance(v, str) and v in words), "")

    @property
    def is_auto(self) -> bool:
        """Whether the user left it to kconvert for all layers."""
        return not self.entries and isinstance(self.default, str) and self.default == AUTO

    def _resolve(self, known_as: Mapping[str, tuple[str, ...]]) -> dict[str, T]:
        """The value of each name, which is also known as some others, the user's own one last."""
        fits = {name: self._fitting(names) for name, names in known_as.items()}
        used = {key for keys in fits.values() for key in keys}
        if unknown := [key for key in self.entries if key not in used]:
            known = list(dict.fromkeys(names[-1] for names in known_as.values()))
            raise InputError(
                f"{self.argument} names layers that have no {self.of}: {unknown}. "
                f"Layers with {self.of}: {known}{nearest(unknown, known)}"
            )
        return {
            name: self.entries[keys[0]] if keys else self.default for name, keys in fits.items()
        }

    def _fitting(self, names: tuple[str, ...]) -> list[str]:
        """The entries that fit a layer: its own names first, then patterns."""
        own = [key for key in dict.fromkeys(names) if key in self.entries]
        return own + [key for key in self.entries if key not in own and fnmatchcase(names[-1], key)]
