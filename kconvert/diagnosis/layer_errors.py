"""What every layer of neurons does on average, against Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ..fidelity.histogram import Histogram
from ..ir import Graph, Node, product
from ..results.display import plain
from ..simulators import Job, Runner
from .remedies import Speed

PARTS = ("curve", "inherited", "saturation", "transient", "noise")
OWN = ("curve", "saturation", "transient", "noise")
"""The parts that are a layer's own."""
PAIRS = 500
"""Values of a layer that are kept to be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDiagnosis:
    """One layer of neurons against Keras.

    Errors are root mean squares over samples and units, as shares of that of Keras' values. The
    five parts add up, unit by unit, to the difference of the layer's mean output over the run and
    Keras' value; their root mean squares do not.

    Args:
        layer: Its name.
        n_neurons: Number of neurons.
        error: Of the mean output over the run.
        curve: What the rates that were converted already differ from Keras, before there are
            spikes: of LIF curves that were scaled.
        inherited: What the layer makes of the error of the layers before it.
        saturation: Of neurons that would have to fire faster than once a step and cannot.
        transient: What the dead time at the beginning takes away: the share of the signal by which
            the second half of the run alone is larger than the whole.
        noise: The rest: spikes come in whole numbers, in some order.
        bias: The mean of ``noise``, as a share of the mean of Keras' values: it does not average
            out, however long the run is.
        correlation: Of the mean output with Keras' values, over samples and units.
        silent: Share of the neurons that never fire though Keras' value is above zero for some
            sample.
        slow: Share of Keras' values above zero that stand for less than one spike in the run.
        saturated: Share of Keras' values that ask for more than a spike a step of a neuron that
            cannot.
        mean_rate: Mean firing rate in Hz.
        rate_99: 99th percentile in Hz of the firing rates above zero.
        pairs: Some of Keras' values, and the mean outputs beside them, for a figure: shape (m, 2).
    """

    layer: str
    n_neurons: int
    error: float
    curve: float
    inherited: float
    saturation: float
    transient: float
    noise: float
    bias: float
    correlation: float
    silent: float
    slow: float
    saturated: float
    mean_rate: float
    rate_99: float
    pairs: np.ndarray = field(repr=False, compare=False)

    def __repr__(self) -> str:
        largest = max(PARTS, key=lambda part: getattr(self, part))
        return (
            f"<LayerDiagnosis {self.layer!r}: {self.n_neurons:,} neurons, error {self.error:.3f}, "
            f"largest part {largest} {getattr(self, largest):.3f}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain data that ``json.dumps`` takes; NaN becomes None. Without pairs."""
        names = [each.name for each in fields(self) if each.name != "pairs"]
        return {name: plain(getattr(self, name)) for name in names}

    @property
    def own(self) -> float:
        """The error that the layer adds: its parts but the inherited one, together."""
        return math.sqrt(sum(getattr(self, part) ** 2 for part in OWN))


@dataclass(slots=True)
class LayerSums:
    """What is added up over the samples for one layer."""

    node: Node
    n_steps: int
    dt: float
    scale: np.ndarray = field(init=False)
    unit: np.ndarray = field(init=False)
    squares: dict[str, float] = field(init=False)
    products: np.ndarray = field(init=False)
    totals: np.ndarray = field(init=False)
    moments: np.ndarray = field(init=False)
    fired: np.ndarray = field(init=False)
    called: np.ndarray = field(init=False)
    rates: Histogram = field(default_factory=Histogram)
    wanted: Histogram = field(default_factory=Histogram)
    n: int = 0
    n_slow: int = 0
    n_positive: int = 0
    n_saturated: int = 0
    own_squares: float = 0.0
    hertz: float = 0.0
    fastest: float = 0.0
    pairs: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = product(self.node.shape)
        self.scale = np.broadcast_to(self.node.scale, self.node.shape).ravel()
        self.unit = abs(self.node.op.unit) / self.scale
        self.squares = dict.fromkeys(("error", "target", *PARTS), 0.0)
        self.products, self.totals = np.zeros(3), np.zeros(3)
        self.moments = np.zeros(5)
        self.fired, self.called = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)

    def add(
        self,
        target: np.ndarray,
        rate: np.ndarray,
        given: np.ndarray,
        mean: np.ndarray,
        late: np.ndarray,
        fired: np.ndarray,
    ) -> None:
        """Add samples: Keras' values, the converted rates, the rates at the mean input that the
        layer had, its mean output, that of the second half, and which neurons fired.
        """
        target, rate, given, mean, late = (
            np.asarray(each, dtype=np.float64) for each in (target, rate, given, mean, late)
        )
        op: Any = self.node.op
        most = op.max_spikes * self.unit / self.dt
        over = np.abs(given) > most
        own = mean - given
        parts = {
            "curve": rate - target,
            "inherited": given - rate,
            "saturation": np.where(over, own, 0.0),
        }
        for row, values in enumerate((mean - late, own, given)):
            self.products[row] += float((values * given)[~over].sum())
            self.totals[row] += float(values[~over].sum())
        self.own_squares += float((own[~over] ** 2).sum())
        for name, values in {"error": mean - target, "target": target, **parts}.items():
            self.squares[name] += float((values**2).sum())
        x, y = target.ravel(), mean.ravel()
        self.moments += (x.sum(), y.sum(), x @ x, y @ y, x @ y)
        self.n += x.size
        self.pairs.append(_some(np.stack((x, y), axis=1)))
        positive = target > 0
        spikes = (np.abs(rate) / self.unit)[positive] * (self.dt * self.n_steps)
        self.n_positive += int(positive.sum())
        self.n_slow += int((spikes < 1).sum())
        self.n_saturated += int((np.abs(rate) > most).sum())
        per_step = np.abs(rate) / self.unit * self.dt
        self.wanted.add(per_step)
        self.fastest = max(self.fastest, float(per_step.max(initial=0.0)))
        self.rates.add(np.abs(mean) / self.unit)
        self.hertz += float((mean / self.unit).sum())
        self.fired |= fired.any(axis=0)
        self.called |= positive.any(axis=0)

    @property
    def speed(self) -> Speed:
        """How fast the neurons would have to fire."""
        return Speed(typical=self.wanted.percentile(99), fastest=self.fastest)

    def result(self) -> LayerDiagnosis:
        """The layer's figures."""
        # The transient is so many times the rates at the input that the layer had.
        dead, own, given = self.products
        share = dead / given if given else 0.0
        self.squares["transient"] = share**2 * given
        left = self.own_squares - 2 * share * own + share**2 * given
        self.squares["noise"] = max(left, 0.0)
        noise = self.totals[1] - share * self.totals[2]
        scale = self.squares["target"] or 1.0
        shares = {name: math.sqrt(self.squares[name] / scale) for name in ("error", *PARTS)}
        x, y, xx, yy, xy = self.moments / max(self.n, 1)
        spread = math.sqrt(max(xx - x * x, 0.0) * max(yy - y * y, 0.0))
        return LayerDiagnosis(
            layer=self.node.name,
            n_neurons=len(self.fired),
            **shares,
            bias=float(noise / self.n / abs(x)) if x else 0.0,
            correlation=float((xy - x * y) / spread) if spread else math.nan,
            silent=float((self.called & ~self.fired).mean()),
            slow=self.n_slow / max(self.n_positive, 1),
            saturated=self.n_saturated / max(self.n, 1),
            mean_rate=self.hertz / max(self.n, 1),
            rate_99=self.rates.percentile(99),
            pairs=_some(np.concatenate(self.pairs)),
        )


def _some(rows: np.ndarray) -> np.ndarray:
    """Some rows, at even distances."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), PAIRS), dtype=int))]


def one_step(runner: Runner, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    chunks = [chunk.outputs for chunk in runner.run(Job(arrays, 1))]
    return [np.concatenate([part[:, 0] for part in parts]) for parts in zip(*chunks, strict=True)]


def means_of(
    spiking: Runner, job: Job, graph: Graph, names: tuple[str, ...], dt: float
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], np.ndarray]:
    """Mean outputs over the whole run and its second half, which neurons fired, and the read-out's
    last values.
    """
    half = job.n_steps // 2
    counts = {
        name: np.zeros((3, job.n, product(graph.nodes[name].shape)), dtype=np.float32)
        for name in names
    }
    last = [np.zeros((job.n, product(graph.nodes[name].shape))) for name in graph.outputs]
    for chunk in spiking.run(job):
        late = max(half - chunk.steps.start, 0)
        for name in names:
            train = chunk.spikes[name]
            counts[name][0, chunk.images] += train.sum(axis=1)
            counts[name][1, chunk.images] += train[:, late:].sum(axis=1)
            counts[name][2, chunk.images] += np.abs(train).sum(axis=1)
        for whole, part in zip(last, chunk.outputs, strict=True):
            whole[chunk.images] = part[:, -1]
    seconds = np.array([job.n_steps, job.n_steps - half]) * dt
    means = {}
    for name, pair in counts.items():
        unit = graph.nodes[name].op.unit
        mean, late_mean = pair[0] * (unit / seconds[0]), pair[1] * (unit / seconds[1])
        means[name] = (mean, late_mean, pair[2] > 0)
    return means, np.concatenate(last, axis=1)
