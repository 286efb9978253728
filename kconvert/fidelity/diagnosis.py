"""Where a spiking network loses what the Keras model knows, and of what the loss is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from ..data.arrays import Feeds
from ..ir import Graph, Node, product
from ..ops import Input, Lif, ReadOut
from ..passes.correct_values import without_corrections
from ..passes.set_spiking import without_synapses
from ..results.display import Display, as_frame, as_html, as_text, plain
from ..scoring.task import Task
from ..simulators import Job, Runner, RunSpec, make_runner
from .histogram import Histogram

MEANS = "/mean"
"""Behind a layer's name: the input that stands for what its spikes are on average."""
SLIGHT = 0.05
"""Errors that are no loss to speak of, as a share of the signal."""
Activate = Callable[[np.ndarray], np.ndarray]
"""From read-outs to what Keras puts out."""
FINE = 0.1
"""Noise of spikes that the read-out's sum over neurons averages out."""
LARGE = 0.3
"""Errors behind which what is left of the signal says little about where it was lost."""
SECOND = 0.4
"""Causes are told whose share is larger than so many times the largest one's."""
PAIRS = 500
"""Values of a layer that are kept to be drawn."""
PARTS = ("curve", "inherited", "saturation", "transient", "noise")
OWN = ("curve", "saturation", "transient", "noise")
"""The parts that are a layer's own."""


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
        rectified: The part of ``noise`` that a floor under the membrane makes: what is of one sign,
            above zero. Its square and that of the rest add up to that of ``noise``.
        correlation: Of the mean output with Keras' values, over samples and units.
        silent: Share of the neurons that never fire though Keras' value is above zero for some
            sample.
        slow: Share of Keras' values above zero that stand for less than one spike in the run.
        saturated: Share of Keras' values that ask for more than a spike a step of a neuron that
            cannot.
        mean_rate: Mean firing rate in Hz.
        rate_99: 99th percentile in Hz of the firing rates above zero.
        slow_by: By what factor more spikes would take the rest of ``noise`` to a tenth, and let the
            values that make up three quarters of the signal stand for a spike each.
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
    rectified: float
    correlation: float
    silent: float
    slow: float
    saturated: float
    mean_rate: float
    rate_99: float
    slow_by: float
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
    def rounded(self) -> float:
        """The rest of ``noise``: spikes come in whole numbers."""
        return math.sqrt(max(self.noise**2 - self.rectified**2, 0.0))

    @property
    def own(self) -> float:
        """The error that the layer adds: its parts but the inherited one, together."""
        return math.sqrt(sum(getattr(self, part) ** 2 for part in OWN))


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result of :meth:`SpikingModel.diagnose`.

    Args:
        layers: One entry for each layer of neurons, in order.
        output_error: Error of the read-out at the last step, as a share of what tells samples
            apart (of all that it is for a single sample).
        output_correlation: Correlation over samples of the read-out with Keras', each unit's mean
            removed; NaN for a single sample.
        agreement: Share of samples with Keras' class, or None where there are no classes: the
            output is no vector, or the model was compiled for values or for several labels.
        n_steps: Number of steps.
        n: Number of samples.
        dt: Length of a step in seconds.
        findings: Where the loss begins, with numbers and the setting to change.
    """

    layers: tuple[LayerDiagnosis, ...]
    output_error: float
    output_correlation: float
    agreement: float | None
    n_steps: int
    n: int
    dt: float
    findings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Diagnosis: {len(self.layers)} layers, {self._run}; {self._read_out}>"

    def __str__(self) -> str:
        return as_text(self._display())

    def _repr_html_(self) -> str:
        return as_html(self._display())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data that ``json.dumps`` takes; NaN becomes None."""
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: plain(value) for name, value in held.items()}

    def to_frame(self) -> Any:
        """The table as a ``pandas.DataFrame``, one row for each layer of neurons.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        names = [each.name for each in fields(LayerDiagnosis) if each.name != "pairs"]
        return as_frame([each.to_dict() for each in self.layers], names)

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The causes of each layer's error.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.causes`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from ..plot import causes

        return causes(self, ax=ax, **options)

    @property
    def _run(self) -> str:
        return f"{self.n} samples, {self.n_steps} steps of {1000 * self.dt:g} ms"

    @property
    def _read_out(self) -> str:
        text = f"read-out: error {self.output_error:.3f}"
        if not math.isnan(self.output_correlation):
            text += f", correlation {self.output_correlation:.3f}"
        if self.agreement is not None:
            text += f", Keras' class {100 * self.agreement:.1f} %"
        return text

    def _display(self) -> Display:
        head = ("layer", "error", *PARTS, "bias", "corr.", "silent", "slow", "Hz", "99 % Hz")
        rows = [_cells(layer) for layer in self.layers]
        after = [self._read_out, *self.findings]
        return Display([self._run], head, rows, numbers=head[1:], after=after)


def _cells(layer: LayerDiagnosis) -> tuple[str, ...]:
    errors = [f"{getattr(layer, name):.3f}" for name in ("error", *PARTS)]
    between = [f"{layer.bias:+.3f}", f"{layer.correlation:.3f}"]
    shares = [f"{100 * share:.0f} %" for share in (layer.silent, layer.slow)]
    rates = [f"{layer.mean_rate:.1f}", f"{layer.rate_99:.0f}"]
    return (layer.layer, *errors, *between, *shares, *rates)


def diagnose(
    spec: RunSpec,
    reference: Graph,
    feeds: Feeds,
    simulator: str,
    batch_size: int,
    *,
    known: Mapping[str, np.ndarray] | None = None,
    known_outputs: np.ndarray | None = None,
    activate: Activate = lambda values: values,
    task: Task | None = None,
) -> Diagnosis:
    """Compare what every layer does on average with what it should.

    Args:
        spec: What spikes.
        reference: The same with the neurons that were trained: their rates are Keras' values.
        feeds: Samples, held.
        simulator: What runs it.
        batch_size: Samples at a time.
        known: Keras' values of layers, of shape (n, ...), where the reference has others: of
            activations that were replaced.
        known_outputs: Keras' outputs likewise, side by side. Without them read-outs are compared
            with those of the reference, both without the activations at outputs.
        activate: What makes Keras' outputs of read-outs, side by side: the activations at outputs
            that conversion removed.
        task: What the output is for, where there is one.
    """
    dt, read_outs = spec.dt, spec.read_outs
    names = tuple(node.name for node in spec.graph.neurons())
    spiking = make_runner(simulator, replace(spec, record=True), batch_size)
    graph, reference = without_synapses(spec.graph), without_synapses(reference)
    sums = {name: _Sums(graph.nodes[name], feeds.n_steps, dt) for name in names}

    def rates(of: Graph, wanted: tuple[str, ...]) -> Runner:
        return make_runner(simulator, RunSpec.of_rates(of, wanted), batch_size)

    expected = rates(reference, names)
    # What a correction makes up for is inherited: it belongs there, and not to the curves.
    converted = rates(without_corrections(graph), names)
    behind = rates(_fed_with_means(graph, names), names)
    last = rates(reference, reference.outputs)
    outputs: list[tuple[np.ndarray, np.ndarray]] = []
    for first in range(0, feeds.n, batch_size):
        here = slice(first, first + batch_size)
        arrays = {name: array[here] for name, array in feeds.arrays.items()}
        found, read_out = _means(spiking, Job(arrays, feeds.n_steps), graph, names, dt)
        if known_outputs is None:
            wanted = np.concatenate(_one_step(last, arrays), axis=1)
        else:
            wanted, read_out = known_outputs[here], activate(read_out)
        outputs.append((read_out, wanted))
        fed = arrays | {name + MEANS: found[name][0][:, None] for name in names}
        values = [_one_step(runner, arrays) for runner in (expected, converted)]
        values.append(_one_step(behind, fed))
        for name, target, rate, given in zip(names, *values, strict=True):
            if known and name in known:
                target = known[name][here].reshape(target.shape)
            mean, late, fired = found[name]
            scale = sums[name].scale
            sums[name].add(target, rate / scale, given / scale, mean / scale, late / scale, fired)
    layers = tuple(each.result() for each in sums.values())
    got, wanted = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    error, correlation = _compare(got, wanted)
    shown = (got, wanted) if known_outputs is not None else (activate(got), activate(wanted))
    return Diagnosis(
        layers=layers,
        output_error=error,
        output_correlation=correlation,
        agreement=_agreement(task, *shown),
        n_steps=feeds.n_steps,
        n=feeds.n,
        dt=dt,
        findings=tuple(findings(layers, graph, error, feeds.n_steps, dt, read_outs)),
    )


def _agreement(task: Task | None, got: np.ndarray, wanted: np.ndarray) -> float | None:
    """Share of samples with Keras' class; None where the output is not known to have classes."""
    if task is None:
        return None
    # A linear vector is likely to be logits; one linear unit, or several sigmoids, may be anything.
    likely = (got.shape[1] > 1) == (task.threshold == 0)
    if not (likely if task.classes is None else task.classes):
        return None
    return float((task.classes_of(got) == task.classes_of(wanted)).mean())


def _compare(got: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Error as a share of what tells samples apart, and correlation without each unit's mean."""
    x, y = wanted - wanted.mean(axis=0), got - got.mean(axis=0)
    scale = float(np.linalg.norm(x if len(x) > 1 else wanted)) or 1.0
    spread = float(np.linalg.norm(x) * np.linalg.norm(y))
    correlation = float((x * y).sum()) / spread if spread else math.nan
    return float(np.linalg.norm(got - wanted)) / scale, correlation


def findings(
    layers: tuple[LayerDiagnosis, ...],
    graph: Graph,
    output_error: float,
    n_steps: int,
    dt: float,
    read_outs: Sequence[ReadOut | None],
) -> Iterator[str]:
    """In words, where the loss begins and what to change.

    Args:
        layers: The layers.
        graph: What spikes.
        output_error: Error of the read-out.
        n_steps: Number of steps.
        dt: Length of a step in seconds.
        read_outs: Filter of each output.
    """
    yield from _read_out_findings(graph, output_error, n_steps, dt, read_outs)
    largest_error = max((each.error for each in layers), default=0.0)
    if output_error <= SLIGHT and largest_error <= LARGE:
        yield f"no loss to speak of: the read-out's error is {output_error:.3f}"
        return
    if not layers:
        return
    lost = next((k for k, each in enumerate(layers) if each.error > LARGE), len(layers) - 1)
    begins = max(layers[: lost + 1], key=lambda each: each.own)
    nonlinear = [
        each for each in layers[: lost + 1] if not graph.nodes[each.layer].op.scales_exactly
    ]
    if nonlinear and begins.curve == max(getattr(begins, part) for part in OWN):
        # A curve that was changed changes the rates of all that comes behind it.
        begins = max(nonlinear, key=lambda each: each.curve)
    op: Any = graph.nodes[begins.layer].op
    (largest, first), *others = _causes(begins, op, n_steps, dt, graph.calibrated_dt is not None)
    yield (
        f"{begins.layer}: the loss begins here (error {begins.error:.2f}, correlation "
        f"{begins.correlation:.3f}); the largest part is {first}"
    )
    for share, text in others:
        if share > max(SECOND * largest, SLIGHT):
            yield f"{begins.layer}: then {text}"
    silent = max(layers, key=lambda each: each.silent)
    if silent.silent > 0.2:
        yield (
            f"{silent.layer}: {100 * silent.silent:.0f} % of the neurons never fire in {n_steps} "
            "steps though Keras' value is above zero"
        )


def _read_out_findings(
    graph: Graph,
    output_error: float,
    n_steps: int,
    dt: float,
    read_outs: Sequence[ReadOut | None],
) -> Iterator[str]:
    """What the number of steps is too small for, whatever the layers do."""
    layers_deep = graph.depth
    if layers_deep >= n_steps:
        yield (
            f"{layers_deep} layers of neurons stand one behind the other, each a step later than "
            f"the one before it: of {n_steps} steps none is left for the read-out; "
            f"n_steps={2 * layers_deep} or more"
        )
    names = graph.outputs
    for name, synapse in zip(names, read_outs, strict=True):
        which = f"read-out of {name!r}" if len(names) > 1 else "read-out"
        start = getattr(synapse, "start", 0.0)
        if start >= n_steps * dt:
            yield (
                f"{which}: its window begins after {start:g} s, and {n_steps} steps end before; "
                f"n_steps={math.ceil(2 * start / dt)}"
            )
        tau = getattr(synapse, "tau", 0.0)
        behind = math.exp(-n_steps * dt / tau) if tau else 0.0
        if behind > SLIGHT and output_error > SLIGHT:
            yield (
                f"{which}: after {n_steps} steps its filter of {tau:g} s still lacks "
                f"{100 * behind:.0f} % of the values; output_synapse='ramp', or "
                f"n_steps={math.ceil(3 * tau / dt)}"
            )


def _causes(
    begins: LayerDiagnosis, op: Any, n_steps: int, dt: float, calibrated: bool
) -> Iterator[tuple[float, str]]:
    """Of what the error of the layer where the loss begins is made, and the setting to change: with
    its share, the largest first.
    """
    causes = (
        (begins.curve, _curved(begins, op, calibrated)),
        (begins.saturation, _saturated(begins, dt)),
        (begins.transient, _transient(begins, op, n_steps)),
        (begins.rectified, _rectified(begins, op, calibrated)),
        (begins.rounded, _rounded(begins, op, n_steps, calibrated)),
    )
    return iter(sorted(causes, key=lambda cause: -cause[0]))


def _curved(begins: LayerDiagnosis, op: Any, calibrated: bool) -> str:
    return (
        f"a rate curve that is not the trained one, {begins.curve:.2f} of the signal: "
        f"{_why_another_curve(op, calibrated)}"
    )


def _saturated(begins: LayerDiagnosis, dt: float) -> str:
    factor = 0.5 / (begins.rate_99 * dt) if begins.rate_99 else 0.5
    return (
        f"saturation, {begins.saturation:.2f} of the signal: {100 * begins.saturated:.0f} % of its "
        f"values ask for more than a spike a step; scale_firing_rates={{{begins.layer!r}: "
        f"{factor:.2g}}}, or dt={dt / 2:g}"
    )


def _transient(begins: LayerDiagnosis, op: Any, n_steps: int) -> str:
    less = "" if op.synapse is None else ", or a shorter synapse"
    return (
        f"the transient, {begins.transient:.2f} of the signal: the first {n_steps // 2} steps are "
        f"unlike the others; n_steps={2 * n_steps}{less}"
    )


def _rectified(begins: LayerDiagnosis, op: Any, calibrated: bool) -> str:
    floor = "-np.inf" if op.homogeneous else -1.0
    return (
        f"a bias of {100 * begins.bias:+.0f} %, {begins.rectified:.2f} of the signal: a floor "
        "under the membrane rectifies the noise of spikes, and more steps do not help; "
        f"min_voltage={{{begins.layer!r}: {floor}}}{'' if calibrated else ', or calibration=x'}"
    )


def _rounded(begins: LayerDiagnosis, op: Any, n_steps: int, calibrated: bool) -> str:
    share = f"{begins.rounded:.2f} of the signal"
    if begins.slow > 0.1 and begins.slow_by > 1.5:
        factor = begins.slow_by
        finer = f"scale_firing_rates={{{begins.layer!r}: {factor:.2g}}}"
        if not op.scales_exactly:
            finer = ("" if calibrated else "calibration=x, or ") + f"{finer} (not exact)"
        return (
            f"too few spikes, {share}: {100 * begins.slow:.0f} % of the values above zero "
            f"stand for less than a spike in {n_steps} steps; {finer}, or "
            f"n_steps={math.ceil(factor * n_steps)}"
        )
    signed = op.can_be_signed and not op.signed
    more = f", signed={{{begins.layer!r}: True}}" if signed else ""
    return (
        f"the noise of spikes, {share}, at {begins.mean_rate:.0f} Hz on average; "
        f"n_steps={2 * n_steps}{more}, or scale_firing_rates={{{begins.layer!r}: 2}}"
    )


def _why_another_curve(op: Any, calibrated: bool) -> str:
    if not isinstance(op, Lif):
        return "these neurons compute something else than the activation that they replaced"
    if op.trained is None:
        exact = "" if calibrated else "; calibration=x instead keeps their curve"
        return f"scale_firing_rates is not exact for LIF neurons{exact}"
    if not calibrated:
        return "calibration=x fits LIF neurons to the curve of the ReLU that they replaced"
    return (
        "the curve of LIF neurons is not ReLU's, the less so the faster they fire: no "
        "scale_firing_rates, a lower kconvert.Calibration(x, rate=), or ReLU neurons"
    )


def _fed_with_means(graph: Graph, names: tuple[str, ...]) -> Graph:
    """Every layer reads, in the place of the neurons before it, what these gave on average."""
    means = {name: name + MEANS for name in names}
    nodes = {
        mean: Node(mean, Input(graph.nodes[name].shape), (), graph.nodes[name].shape)
        for name, mean in means.items()
    }
    for name, node in graph.nodes.items():
        nodes[name] = replace(node, inputs=tuple(means.get(each, each) for each in node.inputs))
    return Graph(nodes, names)


def _one_step(runner: Runner, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    chunks = [chunk.outputs for chunk in runner.run(Job(arrays, 1))]
    return [np.concatenate([part[:, 0] for part in parts]) for parts in zip(*chunks, strict=True)]


def _means(
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


def _some(rows: np.ndarray) -> np.ndarray:
    """Some rows, at even distances."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), PAIRS), dtype=int))]


@dataclass(slots=True)
class _Sums:
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
    own_sizes: float = 0.0
    hertz: float = 0.0
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
        self.own_sizes += float(np.abs(own[~over]).sum())
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
        self.wanted.add(spikes, weighted=True)
        self.rates.add(np.abs(mean) / self.unit)
        self.hertz += float((mean / self.unit).sum())
        self.fired |= fired.any(axis=0)
        self.called |= positive.any(axis=0)

    def result(self) -> LayerDiagnosis:
        """The layer's figures."""
        # The transient is so many times the rates at the input that the layer had.
        dead, own, given = self.products
        share = dead / given if given else 0.0
        self.squares["transient"] = share**2 * given
        left = self.own_squares - 2 * share * own + share**2 * given
        self.squares["noise"] = max(left, 0.0)
        noise = self.totals[1] - share * self.totals[2]
        # Rounding is of both signs, and as large on average above as below, also where few neurons
        # fire; what is left out at a floor is of one.
        sizes = max(self.own_sizes - abs(share * self.totals[2]), abs(noise))
        one_sided = max(noise, 0.0) / sizes if sizes and self.node.op.floored else 0.0
        scale = self.squares["target"] or 1.0
        shares = {name: math.sqrt(self.squares[name] / scale) for name in ("error", *PARTS)}
        x, y, xx, yy, xy = self.moments / max(self.n, 1)
        spread = math.sqrt(max(xx - x * x, 0.0) * max(yy - y * y, 0.0))
        quarter = self.wanted.percentile(25)
        rounded = shares["noise"] * math.sqrt(1.0 - one_sided)
        return LayerDiagnosis(
            pairs=_some(np.concatenate(self.pairs)),
            layer=self.node.name,
            n_neurons=len(self.fired),
            **shares,
            bias=float(noise / self.n / abs(x)) if x else 0.0,
            rectified=shares["noise"] * math.sqrt(one_sided),
            correlation=float((xy - x * y) / spread) if spread else math.nan,
            silent=float((self.called & ~self.fired).mean()),
            slow=self.n_slow / max(self.n_positive, 1),
            saturated=self.n_saturated / max(self.n, 1),
            mean_rate=self.hertz / max(self.n, 1),
            rate_99=self.rates.percentile(99),
            slow_by=max(1.0, rounded / FINE, 1.0 / quarter if quarter else 1.0),
        )
