"""Which spikes a network may send in one step, and which ones it sent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..ir import Graph
from ..ops import NeuronOp, OtherNeuron

BINARY, TERNARY, GRADED = "binary", "ternary", "graded"


def layer_values(op: NeuronOp, dt: float, *, spiking: bool = True) -> str:
    """Which numbers of spikes a neuron may send in one step, in words.

    Args:
        op: The neurons.
        dt: Length of a step in seconds.
        spiking: Whether the network spikes.
    """
    if not spiking or not op.spikes:
        return "none: sends its rate"
    if isinstance(op, OtherNeuron):
        return f"decided by Nengo's {op.kind}"
    least, most = op.spike_range(dt)
    if math.isinf(most):
        return "..., -1, 0, 1, ... (signed)" if least else "0, 1, 2, ... (unsigned)"
    if least:
        return f"{least:g} to {most:g} (signed)"
    return "0 or 1 (binary)" if most <= 1 else f"0 to {most:g} (unsigned)"


def spike_values(graph: Graph, dt: float, *, spiking: bool = True) -> str | None:
    """Which spikes a network may send: "binary" (0 or 1), "ternary" (-1, 0 or 1), or "graded", any
    number, also where Nengo's own neurons decide; None if it sends none.

    Args:
        graph: The network.
        dt: Length of a step in seconds.
        spiking: Whether it spikes.
    """
    ranges = [node.op.spike_range(dt) for node in graph.neurons() if spiking and node.op.spikes]
    if not ranges:
        return None
    least, most = min(low for low, _ in ranges), max(high for _, high in ranges)
    if most > 1 or least < -1:
        return GRADED
    return TERNARY if least else BINARY


def joined_ranges(
    parts: Iterable[Mapping[str, tuple[int, int]]],
) -> dict[str, tuple[int, int]]:
    """The ranges of some samples after each other, by layer."""
    found: dict[str, tuple[int, int]] = {}
    for part in parts:
        for layer, seen in part.items():
            found[layer] = whole_range([found.get(layer, seen), seen])
    return found


def whole_range(ranges: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The lowest and the highest number of some ranges, 0 among them.

    Example:
        >>> whole_range([(0, 3), (-2, 1)])
        (-2, 3)
    """
    lows, highs = zip((0, 0), *ranges, strict=True)
    return min(lows), max(highs)


def seen_text(seen: tuple[int, int]) -> str:
    """What a neuron sent in one step, in a few words.

    Args:
        seen: The lowest and the highest number.

    Example:
        >>> seen_text((0, 1)), seen_text((-3, 64)), seen_text((0, 0))
        ('0 to 1', '-3 to 64', 'none')
    """
    return f"{seen[0]} to {seen[1]}" if any(seen) else "none"


def spikes_of(values: str | None, seen: tuple[int, int] | None) -> str:
    """The spikes of a run, as words that follow their number.

    Args:
        values: Which ones it may send.
        seen: The lowest and the highest number in one step.
    """
    if values is None or seen is None:
        return "spikes"
    return f"{values} spikes" + (f" ({seen_text(seen)} in a step)" if values == GRADED else "")


def spikes_lines(values: str | None, seen: tuple[int, int] | None) -> list[str]:
    """Which spikes a run had, as a line; none for a network that sends rates.

    Args:
        values: Which ones it may send.
        seen: The lowest and the highest number in one step.
    """
    if values is None or seen is None:
        return []
    sent = f"a neuron sent {seen_text(seen)} in one step" if any(seen) else "none was sent"
    return [f"spikes: {values}; {sent}"]
