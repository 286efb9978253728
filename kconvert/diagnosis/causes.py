"""What an error is made of: causes are taken away one after another, and the network runs again.

The error is the mean square of the read-out's difference from Keras. Each cause has a remedy
(``remedies.py``). The network is run with more and more of the remedies until all are in place. A
cause is charged with what its remedy takes away, so the shares add up to the whole error.

Causes interact, so what a remedy takes away depends on which others are in place. The mean over all
orders is the Shapley value. Two orders, of which the second is the reverse of the first, give
the same mean wherever causes interact in pairs only, with two runs for each cause and not two to
the power of their number (antithetic orders: Mitchell, Cooper, Frank & Holmes 2022, "Sampling
permutations for Shapley value estimation"). Some orders are fixed (as in Frye, Rowat & Feige 2020,
"Asymmetric Shapley values"): unevenness goes away last of all that has to do with the timing of
spikes, since a floor, a maximum over spikes or a delay do nothing without it. A long synapse goes
before a late start, since it is what makes the start late; and so do spikes that are too few, since
of few spikes a part of a run says less than the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data.arrays import Feeds
from ..ir import Graph, Node
from ..ops import Input
from ..passes.set_spiking import without_synapses
from ..simulators import SIMULATORS, Job, Runner, RunSpec, make_runner
from .remedies import CURVE, FEW, LATE, SATURATION, SYNAPSE, UNEVEN, Remedy, Variant

MEANS = "/mean"
"""Behind a layer's name: the input that stands for what its spikes are on average."""
WITHOUT_TIMING = (SATURATION, CURVE)
"""Causes that are there also where input is held."""

Activate = Callable[[np.ndarray], np.ndarray]
"""From read-outs, side by side, to what Keras puts out."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a network is compared with.

    Args:
        keras: Keras' outputs, side by side, of shape (n, values).
        swapped: What Keras would put out with the activations that were swapped in.
        sizes: Number of values of each output.
        activate: From read-outs, side by side, to what is compared.
    """

    keras: np.ndarray
    swapped: np.ndarray
    sizes: tuple[int, ...]
    activate: Activate

    def error(self, read_outs: np.ndarray, *, as_swapped: bool = False) -> float:
        """Mean over the outputs of the squared error, as a share of what tells samples apart."""
        target = self.swapped if as_swapped else self.keras
        ends = np.cumsum(self.sizes)[:-1]
        parts = [np.split(each, ends, axis=1) for each in (read_outs, target, self.keras)]
        errors = [
            np.square((got - wanted) / scale_of(keras)).sum()
            for got, wanted, keras in zip(*parts, strict=True)
        ]
        return float(np.mean(errors))


def scale_of(wanted: np.ndarray) -> float:
    """What tells the samples apart, or all that they are for a single sample."""
    apart = float(np.linalg.norm(wanted - wanted.mean(axis=0)))
    whole = float(np.linalg.norm(wanted))
    return (apart if apart > 1e-6 * whole else whole) or 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of variants of one network on some samples.

    Args:
        feeds: The samples, held.
        simulator: What runs the variants that the event simulator cannot.
        batch_size: Samples at a time.
        seed: Seed of neurons that behave at random.
        wanted: What they are compared with.
    """

    feeds: Feeds
    simulator: str
    batch_size: int
    seed: int
    wanted: Wanted

    def error(self, variant: Variant) -> float:
        """The squared error of the read-out."""
        got = self._even(variant) if variant.even else self._spiking(variant)
        found = self.wanted.activate(np.concatenate(got, axis=1))
        return self.wanted.error(found, as_swapped=variant.as_swapped)

    def _runner(self, spec: RunSpec) -> Runner:
        name = self.simulator if SIMULATORS["events"].refusal(spec) else "events"
        return make_runner(name, spec, self.batch_size)

    def _spiking(self, variant: Variant) -> list[np.ndarray]:
        spec = RunSpec(variant.graph, variant.read_outs, dt=variant.dt, seed=self.seed)
        job = Job(self.feeds.arrays, variant.n_steps, last_only=True)
        found = [np.zeros((self.feeds.n, variant.graph.nodes[e].size)) for e in spec.graph.outputs]
        for chunk in self._runner(spec).run(job):
            for whole, part in zip(found, chunk.outputs, strict=True):
                whole[chunk.images] = part[:, -1]
        return found

    def _even(self, variant: Variant) -> list[np.ndarray]:
        """Each layer runs by itself, on what the layers before it gave on average."""
        graph, n_steps = without_synapses(variant.graph), variant.n_steps
        names = tuple(node.name for node in graph.neurons())
        fed = fed_with_means(graph, names)
        arrays: dict[str, np.ndarray] = dict(self.feeds.arrays)
        for name in names:
            part = fed.subgraph((name,))
            spec = RunSpec(part, (None,), dt=variant.dt, record=True, seed=self.seed)
            spikes = np.zeros((self.feeds.n, graph.nodes[name].size))
            job = Job({each: arrays[each] for each in part.inputs}, n_steps)
            for chunk in self._runner(spec).run(job):
                spikes[chunk.images] += chunk.spikes[name].sum(axis=1)
            unit = graph.nodes[name].op.unit / (n_steps * variant.dt)
            arrays[name + MEANS] = (spikes * unit)[:, None]
        outputs = tuple(name + MEANS if name in names else name for name in graph.outputs)
        last = fed.subgraph(outputs)
        values = last.evaluate(
            {name: arrays[name].reshape(-1, *last.nodes[name].shape) for name in last.inputs}
        )
        return [values[name].reshape(self.feeds.n, -1) for name in outputs]


def fed_with_means(graph: Graph, names: tuple[str, ...]) -> Graph:
    """Every layer reads, in the place of the neurons before it, what these gave on average."""
    means = {name: name + MEANS for name in names}
    nodes = {
        mean: Node(mean, Input(graph.nodes[name].shape), (), graph.nodes[name].shape)
        for name, mean in means.items()
    }
    for name, node in graph.nodes.items():
        nodes[name] = replace(node, inputs=tuple(means.get(each, each) for each in node.inputs))
    return Graph(nodes, names)


@dataclass(slots=True)
class Shares:
    """The part of the squared error that each cause has.

    Args:
        variant: The network as it is.
        remedies: By cause, in an order in which they may be applied.
        error: From a variant to its squared error.
    """

    variant: Variant
    remedies: Mapping[str, Remedy]
    error: Callable[[Variant], float]
    _known: dict[frozenset[str], float] = field(default_factory=dict)

    def of(self, *gone: str) -> float:
        """The squared error without some causes."""
        key = frozenset(gone)
        if key not in self._known:
            changed = self.variant
            for name, remedy in self.remedies.items():
                if name in key:
                    changed = remedy.apply(changed)
            self._known[key] = self.error(replace(changed, even=UNEVEN in key))
        return self._known[key]

    def parts(self) -> dict[str, float]:
        """By cause; they add up to the squared error.

        A cause is below zero where it makes up for others. One that by itself makes no error is
        none, and left out.
        """
        names = self._causes()
        even = [UNEVEN] if self.of(*names, UNEVEN) < self.of(*names) else []
        parts = dict.fromkeys((FEW, *even, *names), 0.0)
        for each in orders(names):
            order = [name for name in each if name != UNEVEN or even]
            for k, name in enumerate(order):
                parts[name] += (self.of(*order[:k]) - self.of(*order[: k + 1])) / 2
        # With all remedies in place, what is left is that spikes come in whole numbers.
        parts[FEW] += self.of(*names, *even)
        return parts

    def _causes(self) -> list[str]:
        names = list(self.remedies)
        while names:
            whole = self.of(*names)
            alone = {
                name: self.of(*(each for each in names if each != name)) - whole for name in names
            }
            least = min(names, key=alone.__getitem__)
            if alone[least] > 0:
                break
            names.remove(least)
        return names


def orders(names: list[str]) -> tuple[list[str], list[str]]:
    """Two orders: of each pair of causes either one comes first once, unless this is fixed."""
    held = [name for name in names if name in WITHOUT_TIMING]
    timing = [name for name in names if name not in WITHOUT_TIMING]
    back = timing[::-1]
    before_late = [name for name in back if name in (SYNAPSE, FEW)]
    if LATE in back and before_late:
        back.remove(LATE)
        back.insert(back.index(before_late[-1]) + 1, LATE)
    return [*held, *timing, UNEVEN], [*back, UNEVEN, *held[::-1]]


def runs_of(feeds: Feeds, n: int, **settings: Any) -> Runs:
    """Runs on the first of the samples."""
    return Runs(feeds.some(slice(n)), **settings)
