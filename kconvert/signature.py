"""Names, order and nesting of the inputs and outputs of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .ir import Shape


@dataclass(frozen=True, slots=True)
class Signature:
    """Names, order and nesting of a network's inputs and outputs, as Keras has them.

    Args:
        inputs: Name of each input to the shape of one sample, without a time axis, in order.
        outputs: Name of each output, in the order of ``graph.outputs``.
        structure: The nested list, tuple or dict in which outputs are given, with the number of the
            output at each leaf.
        in_time: Whether the first axis of every input is time, and becomes simulation time.
        n_times: Length of that axis in the Keras model, or None if it has no fixed length.
    """

    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    structure: Any
    in_time: bool = False
    n_times: int | None = None

    def structured(self, outputs: list[Any]) -> Any:
        """A value for each output, in the structure in which Keras gives them."""

        def filled(part: Any) -> Any:
            if isinstance(part, Mapping):
                return {key: filled(value) for key, value in part.items()}
            if isinstance(part, list | tuple):
                return type(part)(map(filled, part))
            return outputs[part]

        return filled(self.structure)
