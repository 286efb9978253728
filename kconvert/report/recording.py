"""The examples of a report: a run of each, and what the player draws of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import Feeds
from ..ir import Node
from ..memory import free_memory, size_of
from .answers import Goal, answer
from .maps import MapPlan, plan_maps, shared_out
from .packing import narrowest, packed
from .views import Scale, View, frames_last, input_view, map_head, output_view

if TYPE_CHECKING:
    from ..network import SpikingNetwork

FRAMES = 120
"""Frames of the player at most; a longer run has several steps in a frame."""
CELLS = 20_000_000
"""Cells of all layers, frames and examples together that the player may draw."""
LAYER_CELLS = 40_000
"""Cells of one layer: more cannot be told apart on a screen."""
LEAST = 1000
"""With fewer cells than these there is nothing to save."""
BYTES = 4_200_000
"""Text that all examples together may take in the page."""
RECORDED_BYTES = 10
"""Bytes that a simulator needs for a neuron and a step while it records spikes."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Which steps of a run make a frame.

    Args:
        n_steps: Steps of the run.
    """

    n_steps: int

    @property
    def length(self) -> int:
        """Steps in a frame."""
        return math.ceil(self.n_steps / FRAMES)

    @property
    def starts(self) -> np.ndarray:
        """The first step of each frame."""
        return np.arange(0, self.n_steps, self.length)

    @property
    def ends(self) -> np.ndarray:
        """The last step of each frame."""
        return np.append(self.starts[1:], self.n_steps) - 1

    def sums(self, steps: np.ndarray) -> np.ndarray:
        """Values of each step, of shape ``(n_steps, ...)``, added up in each frame."""
        if self.length == 1:
            return steps
        return np.add.reduceat(steps, self.starts, axis=0, dtype=np.int64)


def player_data(
    network: SpikingNetwork,
    feeds: Feeds,
    numbers: Sequence[int],
    goals: Sequence[Goal],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """All that the player draws, as plain values for JSON.

    Args:
        network: The network.
        feeds: Its input: the examples only.
        numbers: Numbers of the examples in the user's data.
        goals: What each output is to be.
        settings: Arguments of ``simulate``.
    """
    cells = CELLS
    while True:
        player = _Player(network, feeds, goals, settings, cells)
        found = player.data(numbers)
        size = sum(len(each["spikes"]) for one in found["examples"] for each in one["layers"])
        if size <= BYTES or cells < LEAST:
            return found
        # These spikes do not deflate as well as most do: draw less, of a new run.
        cells = int(player.n_cells * min(0.8, 0.9 * BYTES / size))


class _Player:
    """Runs the examples, and draws at most so many cells."""

    def __init__(
        self,
        network: SpikingNetwork,
        feeds: Feeds,
        goals: Sequence[Goal],
        settings: Mapping[str, Any],
        cells: int,
    ) -> None:
        self.network, self.feeds, self.goals, self.settings = network, feeds, goals, settings
        self.frames = Frames(feeds.n_steps)
        nodes = [node for node in network.graph.neurons() if node.op.spikes]
        self.why_no_spikes = self._why_not(nodes)
        self.nodes: list[Node] = [] if self.why_no_spikes else nodes
        n_frames = len(self.frames.starts)
        shares = shared_out(
            [node.size for node in self.nodes], cells // (n_frames * feeds.n), LAYER_CELLS
        )
        self.plans: list[MapPlan] = [
            plan_maps(node.shape, share) for node, share in zip(self.nodes, shares, strict=True)
        ]

    @property
    def n_cells(self) -> int:
        """Cells of all layers, frames and examples."""
        one = sum(len(plan.kept) * plan.rows * plan.columns for plan in self.plans)
        return one * len(self.frames.starts) * self.feeds.n

    def _why_not(self, nodes: Sequence[Node]) -> str:
        """Why no spikes can be shown; empty if they can."""
        if not self.network.spiking:
            return "This is a rate network: its neurons send rates, and no spikes."
        if not nodes:
            return "This network has no neurons that spike."
        needs = RECORDED_BYTES * self.network.n_neurons * self.feeds.n_steps
        free = free_memory()
        if free is not None and needs > free:
            return (
                f"Recording the spikes of {self.network.n_neurons:,} neurons for "
                f"{self.feeds.n_steps:,} steps needs {size_of(needs)} of memory, and "
                f"{size_of(free)} were free. Fewer steps need less."
            )
        return ""

    def data(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Heads, and the examples."""
        runs = [self._run(k) for k in range(self.feeds.n)]
        inputs = self._inputs()
        outputs = [self._output_view(k, [run.outputs[k] for run in runs]) for k in self._indices]
        examples = []
        for k, (number, run) in enumerate(zip(numbers, runs, strict=True)):
            shown = [view.numbers(values[k]) for view, values in inputs.values()]
            answers = [
                answer(goal, k, run.outputs[j], outputs[j]) for j, goal in enumerate(self.goals)
            ]
            examples.append(
                {"number": number, "inputs": shown, "layers": run.layers, "outputs": answers}
            )
        return {
            "dt": float(self.settings["dt"]),
            "n_steps": self.feeds.n_steps,
            "ends": self.frames.ends.tolist(),
            "steps_per_frame": self.frames.length,
            "why_no_spikes": self.why_no_spikes,
            "inputs": [
                {"name": name, "frames": values.shape[1], "shape": list(shape), **view.head()}
                for (name, (view, values)), shape in zip(
                    inputs.items(), self.network.signature.inputs.values(), strict=True
                )
            ],
            "layers": [
                {"name": node.name, "neurons": node.size, "shape": list(node.shape)}
                | map_head(plan)
                for node, plan in zip(self.nodes, self.plans, strict=True)
            ],
            "outputs": [
                {"name": goal.name, "classes": goal.classes, **view.head()}
                for goal, view in zip(self.goals, outputs, strict=True)
            ],
            "examples": examples,
        }

    @property
    def _indices(self) -> range:
        return range(len(self.goals))

    def _run(self, example: int) -> _Run:
        """One example by itself: the spikes of no more are in memory at a time."""
        graph, ends = self.network.graph, self.frames.ends
        x = {name: self._sample(name, example) for name in self.feeds.arrays}
        spikes = not self.why_no_spikes
        found = self.network.simulate(x, self.feeds.n_steps, spikes=spikes, **self.settings)
        read_outs = flat_outputs(self.network.signature.structure, found.outputs)
        outputs = [
            graph.activated(k, read_outs[k][0, ends].reshape(len(ends), -1)) for k in self._indices
        ]
        layers = []
        for node, plan in zip(self.nodes, self.plans, strict=True):
            framed = self.frames.sums(found.spikes[node.name][0])
            drawn = narrowest(frames_last(plan.drawn(framed)))
            counts = np.abs(framed.reshape(len(framed), -1).astype(np.int64)).sum(axis=1)
            layers.append(
                {
                    "spikes": packed(drawn),
                    "type": drawn.dtype.name,
                    "counts": counts.tolist(),
                }
            )
        return _Run(outputs, layers)

    def _sample(self, name: str, example: int) -> np.ndarray:
        """One example as ``simulate`` takes it: held, or with an axis of steps."""
        shape, steps = self.network.signature.inputs[name], self.feeds.arrays[name][example]
        return steps.reshape(1, *shape) if len(steps) == 1 else steps.reshape(1, -1, *shape)

    def _inputs(self) -> dict[str, tuple[View, np.ndarray]]:
        """Each input's view, and its frames in all examples."""
        found = {}
        for name, array in self.feeds.arrays.items():
            shape = self.network.signature.inputs[name]
            steps = array if array.shape[1] == 1 else array[:, self.frames.ends]
            values = steps.reshape(*steps.shape[:2], *shape)
            found[name] = (input_view(shape, values.shape[1], Scale.of(values)), values)
        return found

    def _output_view(self, index: int, values: Sequence[np.ndarray]) -> View:
        goal = self.goals[index]
        known = [] if goal.reference is None else [goal.reference]
        shape = self.network.graph.output_shape(index)
        return output_view(shape, Scale.of(*values, *known), classes=goal.classes)


@dataclass(frozen=True, slots=True)
class _Run:
    """One example: outputs at the end of each frame, and its layers as the page has them."""

    outputs: list[np.ndarray]
    layers: list[dict[str, Any]]


def flat_outputs(structure: Any, outputs: Any) -> dict[int, np.ndarray]:
    """Outputs in Keras' structure, by their numbers.

    Example:
        >>> flat_outputs({"a": 1, "b": [0]}, {"a": "one", "b": ["zero"]})
        {1: 'one', 0: 'zero'}
    """

    def leaves(part: Any, values: Any) -> Iterator[tuple[int, Any]]:
        if isinstance(part, Mapping):
            for key, each in part.items():
                yield from leaves(each, values[key])
        elif isinstance(part, list | tuple):
            for each, value in zip(part, values, strict=True):
                yield from leaves(each, value)
        else:
            yield part, values

    return dict(leaves(structure, outputs))
