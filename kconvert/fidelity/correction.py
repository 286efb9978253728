"""Layers whose spikes have another mean than was trained, brought back to it one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from ..data.arrays import Feeds
from ..errors import InputError
from ..ir import Correction, Decision, Graph, Node
from ..memory import require_memory
from ..ops import RAMP, Gather, Replay, Reshape
from ..options import CORRECTIONS
from ..passes import Pass, run
from ..passes.correct_values import correct_values, takes_corrections
from ..passes.set_spiking import without_synapses
from ..per_layer import AUTO, PerLayer
from ..simulators import Job, RunSpec, make_runner
from .trial import RATIO, TRIED, Choice, Runs, Trial, here, samples, why_not_tried

STRENGTH = (None, *CORRECTIONS)
"""Corrections in order of what they change."""
DONE = {
    "none": "no correction",
    "bias": "feature maps shifted",
    "affine": "feature maps scaled and shifted",
    "as given": "feature maps corrected in the layers that the setting names",
}
LEAST, MOST = 32, 128
"""Samples that are run: the least number, and more where a feature map of a sample is small."""
LARGE, BYTES = 16, 4 * 2**30
"""Samples of a large network; fewer where their spikes take more than these bytes."""
RUNNING = 12
"""Bytes for each neuron and step of a sample that is run."""
KEPT = 2**28
"""Bytes of spikes of the first layers that are kept for all corrections that are tried."""
ENOUGH = 8
"""With fewer samples beside those that corrections are tried on, these are measured as well."""
FACTORS = (0.5, 2.0)
"""The least and the largest factor on a feature map."""
CANDIDATES = 8
"""About how many fits and synapses are tried before the corrections."""
MOST_WORK = 3e10
"""Steps of neurons that "auto" spends, some minutes."""
FEW = 1000
"""With fewer values of each feature map, as of dense layers, they share a factor."""
CORRELATED = 0.05
"""Share of a feature map's variance that must be left for a factor to be known."""


def correct(
    graph: Graph,
    trained: Graph,
    setting: PerLayer[str | None],
    feeds: Feeds,
    *,
    n_steps: int,
    dt: float,
    runs: Runs = here,
) -> Graph:
    """Scale and shift what layers read until the means of their spikes match Keras.

    A floor under the membrane, a nonlinear curve, or neurons that start together give the spikes of
    a layer another mean than its rate, and the layers behind add theirs. From the first layer to
    the last, samples are run in spikes, and the mean input of every feature map of the next layer
    (and the output) is brought to Keras': by a shift, "bias" (the "light" calibration of Li et al.
    2021, "A free lunch from ANN", and the bias correction of Nagel et al. 2019, "Data-free
    quantization through weight equalization and bias correction", for quantised networks), or by a
    factor and a shift, "affine"; a factor on what neurons read is one on their threshold, as in
    local threshold balancing (Bu et al. 2025, "Inference-scale complexity in ANN-SNN conversion").
    The factor is one over the slope of what spikes give on what was trained, which noise does not
    make smaller.

    The layers before have theirs when a layer is measured, so it makes up for what these miss. For
    how many steps to measure is tried on other samples: what is wrong at the start, and is right
    later, is best measured early where a run is short. The correction itself is chosen first, as
    the most steps ask for it.

    Args:
        graph: With everything else set.
        trained: The same with the neurons that were trained, whose rates are wanted.
        setting: None, "bias", "affine" or "auto" for each layer of neurons. "auto" is tried, except
            where all neurons are ReLU without a floor, whose means are right after some steps, and
            in networks so large that it would take very long.
        feeds: Samples; the first ones try, the others are measured.
        n_steps: For about how many steps the network will run.
        dt: Length of a step in seconds.
        runs: Where candidates are run.

    Returns:
        The graph, with what was decided.

    Raises:
        InputError: The setting asks for a network to be run that cannot be.
    """
    modes = setting.on(graph.neurons())
    given = [mode for mode in modes.values() if mode in CORRECTIONS]
    auto = any(mode == AUTO and not graph.nodes[name].op.unbiased for name, mode in modes.items())
    if not given and not auto:
        return graph
    if refused := why_not_tried(graph, feeds):
        if given:
            raise InputError(
                "correction needs to run held samples in the event simulator, which is not "
                f"possible here: {refused}. Use correction=None"
            )
        return _decided(graph, f"not tried: {refused}")
    trial = Trial(trained, feeds, n_steps=n_steps, dt=dt, runs=runs)
    measured = Measured(trained, feeds, trial)
    if not measured.groups:
        return _decided(graph, "nothing to correct: no layer reads spikes") if given else graph
    if not given and measured.work(sum(_horizons(trial)) * len(CORRECTIONS)) > MOST_WORK:
        text = "not tried, because it takes long in a large network: correction='affine' tries it"
        return _decided(graph, text)
    horizons = _horizons(trial)
    tried = [*(["as given"] if given else []), *(CORRECTIONS if auto else [])]
    made: dict[str, tuple[str, Callable[[], Graph]]] = {"none": (DONE["none"], lambda: graph)}
    for mode in tried:
        own = mode if mode in CORRECTIONS else None
        chosen = {name: own if each == AUTO else each for name, each in modes.items()}
        for steps in horizons:
            done = f"{DONE[mode]}, as measured in {steps} steps of {measured.n} samples"
            make = _corrected_once(measured, graph, chosen, steps)
            made[_called(mode, steps)] = done, make

    def choose(names: list[str], against: Choice | None = None) -> Choice:
        candidates = [(name, made[name][1]) for name in names]
        return trial.choose(candidates, over_time=True, against=against)

    first, rest = None, horizons
    if len(tried) > 1 and len(horizons) > 1:
        # Which one is best hardly depends on the number of steps; the most say it best.
        longest = [_called(mode, horizons[-1]) for mode in tried]
        first, rest = choose(longest), horizons[:-1]
        tried = [tried[longest.index(first.name)]]
    names = [_called(mode, steps) for mode in tried for steps in rest]
    found = choose(names if given else ["none", *names], first)
    others = "others" if measured.apart else "the same samples, because there are few,"
    text = (
        f"{made[found.name][0]}: the read-out's error on {others} {trial.when(over_time=True)} "
        f"{RATIO}, by correction, is {found.tried}"
    )
    return _decided(found.graph, text)


def _called(mode: str, steps: int) -> str:
    return f"{mode} of {steps} steps"


def _corrected_once(
    measured: Measured, graph: Graph, modes: Mapping[str, str | None], n_steps: int
) -> Callable[[], Graph]:
    """What makes the corrected graph; it measures once, however often the graph is made."""
    corrections = cache(partial(measured.corrections, graph, modes, n_steps))
    return lambda: run(graph, corrections())


def _decided(graph: Graph, text: str) -> Graph:
    first = graph.neurons()[0]
    return graph.rewrite(decisions=[Decision("correction", first.layer, text, first.name)])


def tentative(
    trained: Graph, setting: PerLayer[str | None], feeds: Feeds, trial: Trial
) -> Callable[[Graph], tuple[Pass, ...]]:
    """From a network to about the corrections that it will have, for what is chosen before them.

    Args:
        trained: As for :func:`correct`.
        setting: As for :func:`correct`; "auto" is "affine" here.
        feeds: See there.
        trial: Where it is to be tried.
    """
    found = setting.on(trained.neurons())
    modes = {name: "affine" if mode == AUTO else mode for name, mode in found.items()}
    measured = Measured(trained, feeds, trial) if any(modes.values()) else None
    if measured is None or CANDIDATES * measured.work(trial.n_steps) > MOST_WORK:
        return lambda graph: ()
    return lambda graph: measured.corrections(graph, modes, trial.n_steps)


def _horizons(trial: Trial) -> list[int]:
    """Numbers of steps to measure for, the shortest first."""
    early = (2 * trial.depth, 4 * trial.depth)
    return sorted({*(n for n in early if n < trial.n_steps), trial.n_steps})


class Measured:
    """Samples, and what was trained to be the input of every layer on them.

    Args:
        trained: The network with the neurons that were trained.
        feeds: Samples.
        trial: What they are tried on: its samples are left out if there are enough others.
    """

    def __init__(self, trained: Graph, feeds: Feeds, trial: Trial) -> None:
        self.apart = feeds.n - trial.n >= ENOUGH
        first = trial.n if self.apart else 0
        self.groups, self.readers = _groups(trained)
        most = samples(trained, _wanted(trained, self.groups), LARGE)
        self.widest = _widest(trained)
        most = min(most, BYTES // (trial.n_steps * self.widest))
        chosen = slice(first, first + max(most, 1))
        self.arrays = {name: array[chosen] for name, array in feeds.arrays.items()}
        self.n, self.dt = min(feeds.n, chosen.stop) - first, trial.dt
        self.size = trained.n_neurons
        self._bare: dict[Any, tuple[list[np.ndarray], dict[str, np.ndarray]]] = {}
        names = tuple(name for group in self.groups for name in group)
        rates = RunSpec.of_rates(without_synapses(trained), names)
        found = here(lambda: rates, [Job(self.arrays, 1)], TRIED)
        parts = [[part[:, 0] for part in outputs] for outputs in found]
        self.wanted = dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))

    def work(self, n_steps: int) -> float:
        """Steps of neurons that :meth:`corrections` takes."""
        return float(self.size * self.n * n_steps)

    def corrections(
        self, graph: Graph, modes: Mapping[str, str | None], n_steps: int
    ) -> tuple[Pass, ...]:
        """Every layer in turn, with those before it corrected.

        Corrections do not change the layers before, so each layer of neurons runs once: for later
        ones its spikes are kept, and replayed.

        Args:
            graph: What spikes.
            modes: Layer of neurons to "bias", "affine", or None.
            n_steps: For how many steps it is run.

        Raises:
            InputError: The spikes of its widest layers do not fit into memory.
        """
        # A byte for each neuron and step is kept; a sample that runs needs more.
        require_memory(
            "the spikes that corrections measure",
            (self.n + RUNNING) * self.widest * n_steps,
            "Calibration: n_steps",
            n_steps,
            "correction=None needs none",
        )
        passes: list[Pass] = []
        spikes: dict[str, np.ndarray] = {}
        strongest = max(modes.values(), key=STRENGTH.index)
        for number, group in enumerate(self.groups):
            wanted = {}
            for name in group:
                # Where layers read the same value, None of one of them is None of all.
                uses = {modes[each] for each in self.readers[name]} or {strongest}
                mode = None if None in uses else max(uses, key=STRENGTH.index)
                if mode is not None:
                    wanted[name] = mode
            if wanted:
                found = self._run(graph, wanted, n_steps, spikes, keep=not passes)
                corrections = {
                    name: _correction(self.wanted[name], mean, graph.nodes[name], wanted[name])
                    for name, mean in zip(wanted, found, strict=True)
                }
                passes.append(correct_values(corrections))
                graph = passes[-1](graph)
                later = [name for group in self.groups[number + 1 :] for name in group]
                read = graph.subgraph(later, _replayed(graph, spikes)).nodes
                spikes = {name: each for name, each in spikes.items() if name in read}
        return tuple(passes)

    def _run(
        self,
        graph: Graph,
        names: Collection[str],
        n_steps: int,
        spikes: dict[str, np.ndarray],
        *,
        keep: bool = False,
    ) -> list[np.ndarray]:
        """Mean values of nodes of the spiking network, each of shape (samples, values).

        Args:
            graph: The network.
            names: The nodes.
            n_steps: For how many steps it runs.
            spikes: Name of each layer that ran before to its spikes, of shape (samples, steps,
                neurons), for those that are read again. Those of the layers that run now are added.
            keep: Whether the same will be asked for again, as before the first correction.
        """
        key = graph, tuple(names), n_steps
        if key in self._bare:
            found, first = self._bare[key]
            spikes |= first
            return found
        part = graph.subgraph(names, _replayed(graph, spikes))
        feeds = {name: (spikes if name in spikes else self.arrays)[name] for name in part.inputs}
        more = not set(names) <= set(self.groups[-1])  # nothing is read behind the last group
        spec = RunSpec(part, (RAMP,) * len(names), dt=self.dt, record=more)
        outputs, trains = [], []
        for chunk in make_runner("events", spec, TRIED).run(Job(feeds, n_steps, last_only=True)):
            outputs.append([part[:, -1] for part in chunk.outputs])
            trains.append(chunk.spikes)
        found = [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
        new = {name: np.concatenate([each[name] for each in trains]) for name in trains[0]}
        spikes |= new
        if keep and sum(each.nbytes for each in new.values()) <= KEPT:
            self._bare[key] = found, new
        return found


def _replayed(graph: Graph, names: Collection[str]) -> dict[str, Replay]:
    """Inputs in the place of neurons whose spikes are known."""
    return {name: Replay(graph.nodes[name].shape, graph.nodes[name].op) for name in names}


def _groups(graph: Graph) -> tuple[list[list[str]], dict[str, list[str]]]:
    """What layers of neurons read, by the layers of neurons before, and outputs last; and which
    layers read it.
    """
    before = graph.longest(lambda node: node.is_neuron)
    groups: dict[float, list[str]] = {}
    readers: dict[str, list[str]] = {}
    for node in graph.neurons():
        # In front of the first layer there are no spikes.
        if before[node.name] > 1 and node.shape:
            name = _in_front(graph, node)
            if name not in readers:
                groups.setdefault(before[node.name], []).append(name)
            readers.setdefault(name, []).append(node.name)
    outputs = [
        name
        for name in dict.fromkeys(graph.outputs)
        if before[name]
        and graph.nodes[name].shape
        and not graph.nodes[name].is_neuron
        and not graph.readers(name)
    ]
    readers |= {name: [] for name in outputs}
    return [groups[key] for key in sorted(groups)] + ([outputs] if outputs else []), readers


def _wanted(graph: Graph, groups: list[list[str]]) -> int:
    """How many samples give each feature map enough values for a factor of its own.

    Maps that have too few of them in :data:`MOST` samples, as of dense layers, do not count.
    """
    values = [math.prod(graph.nodes[name].shape[:-1]) for group in groups for name in group]
    return max([LEAST, *(-(-FEW // each) for each in values if MOST * each >= FEW)])


def _widest(graph: Graph) -> int:
    """The most neurons that have as many layers of neurons before them."""
    before = graph.longest(lambda node: node.is_neuron)
    sizes: Counter[float] = Counter()
    for node in graph.neurons():
        sizes[before[node.name]] += node.size
    return max(sizes.values())


def _in_front(graph: Graph, node: Node) -> str:
    """What a layer of neurons reads: where that is rearranged and read by nothing else, the linear
    layer's value, whose last axis has the feature maps (they may have been moved to the front).
    """
    name = node.inputs[0]
    while isinstance(graph.nodes[name].op, Gather | Reshape) and graph.is_private(name):
        name = graph.nodes[name].inputs[0]
    return name if takes_corrections(graph, name) else node.inputs[0]


def _correction(wanted: np.ndarray, found: np.ndarray, node: Node, mode: str) -> Correction:
    """From the values of one node over samples, feature map by feature map."""
    units = node.shape[-1]
    x, y = (each.reshape(-1, units).astype(np.float64) for each in (wanted, found))
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    scale = np.ones(units)
    if mode == "affine":
        spread = np.square(x - mean_x).mean(axis=0)
        common = ((x - mean_x) * (y - mean_y)).mean(axis=0)
        if len(x) < FEW:
            spread, common = (np.full(units, each.sum()) for each in (spread, common))
        # A map that varies by the rounding of float32 says nothing.
        varies = spread > np.square(1e-5 * np.abs(x).max(axis=0))
        known = varies & (common > CORRELATED * spread)
        scale = np.where(known, spread / np.where(known, common, 1.0), 1.0).clip(*FACTORS)
    shift = mean_x - scale * mean_y
    known = np.isfinite(shift)  # a network that runs away says nothing
    return Correction(np.where(known, scale, 1.0), np.where(known, shift, 0.0))
