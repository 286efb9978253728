"""Where a spiking network loses what the Keras model knows, and of what the loss is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..data.arrays import Feeds
from ..fidelity.trial import samples
from ..ir import Graph
from ..ops.synapse import delay
from ..passes.correct_values import without_corrections
from ..passes.set_spiking import without_synapses
from ..results.display import Display, as_frame, as_html, as_text, plain
from ..results.tables import table
from ..scoring.task import Task
from ..simulators import Job, Runner, RunSpec, make_runner
from .advice import Cause, caused
from .causes import MEANS, Activate, Shares, Wanted, fed_with_means, runs_of
from .layer_errors import PARTS, LayerDiagnosis, LayerSums, means_of, one_step
from .remedies import SAME, Variant, remedies

__all__ = ["Cause", "Diagnosis", "LayerDiagnosis", "diagnose"]

SLIGHT = 0.05
"""Errors that are no loss to speak of, as a share of the signal; and shares of causes that are not
named."""
LARGE = 0.3
"""Errors behind which what is left of the signal says little about where it was lost."""
TRIED = 32
"""Most samples on which causes are taken away."""
CANCELS = -0.05
"""Share of a cause below which it cancels so much that shares of the sum would mislead."""


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
        findings: Where the loss begins, and a sentence for each cause with what to change.
        causes: What the error of the read-out is made of, the largest share first.
    """

    layers: tuple[LayerDiagnosis, ...]
    output_error: float
    output_correlation: float
    agreement: float | None
    n_steps: int
    n: int
    dt: float
    findings: tuple[str, ...]
    causes: tuple[Cause, ...] = ()

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
        """The causes of the read-out's error, with their shares.

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
    def hides(self) -> bool:
        """Whether causes hide each other: one cancels a part of the error that the others make.

        The parts of the causes are then larger than the error of which they are parts, and shares
        of it are no percentages that one could compare.
        """
        return any(cause.share < CANCELS for cause in self.causes)

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
        after = [self._read_out, *self._causes(), *self.findings]
        return Display([self._run], head, rows, numbers=head[1:], after=after)

    def _causes(self) -> Iterator[str]:
        """The causes as a table, and what to think of it; nothing where there are none."""
        part = "squared error" if self.hides else "share"
        head = ("cause of the read-out's error", part, "change", "error with it", "layers")
        rows = [
            (
                cause.name,
                f"{cause.part:+.3g}" if self.hides else f"{100 * cause.share:.0f} %",
                cause.change or "-",
                "-" if math.isnan(cause.without) else f"{cause.without:.3f}",
                _some(cause.layers),
            )
            for cause in self.causes
            if abs(cause.share) >= 0.005
        ]
        if rows:
            yield table(head, rows, numbers=(head[1], head[3]))
        if self.hides:
            cancelling = [cause.name for cause in self.causes if cause.share < CANCELS]
            whole = sum(cause.part for cause in self.causes)
            yield (
                f"these causes hide each other: {' and '.join(cancelling)} (below 0) cancels error "
                f"that other causes make; together they make the squared error {whole:.3g}. Make "
                "one change and diagnose again"
            )


def _cells(layer: LayerDiagnosis) -> tuple[str, ...]:
    errors = [f"{getattr(layer, name):.3f}" for name in ("error", *PARTS)]
    between = [f"{layer.bias:+.3f}", f"{layer.correlation:.3f}"]
    shares = [f"{100 * share:.0f} %" for share in (layer.silent, layer.slow)]
    rates = [f"{layer.mean_rate:.1f}", f"{layer.rate_99:.0f}"]
    return (layer.layer, *errors, *between, *shares, *rates)


def _some(layers: tuple[str, ...]) -> str:
    shown = ", ".join(layers[:3])
    return shown if len(layers) <= 3 else f"{shown} and {len(layers) - 3} more"


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
    """Compare what every layer does on average with what it should, and find the causes.

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
    reference = without_synapses(reference)
    sums, got, trained = _measured(spec, reference, feeds, simulator, batch_size, known or {})
    layers = tuple(each.result() for each in sums.values())
    sizes = tuple(spec.graph.nodes[name].size for name in spec.graph.outputs)
    wanted = Wanted(trained, trained, sizes, lambda values: values)
    shown = activate(got), activate(trained)
    if known_outputs is not None:
        outputs = range(len(sizes))
        sizes = tuple(math.prod(spec.graph.output_shape(k)) for k in outputs)
        wanted = Wanted(known_outputs, activate(trained), sizes, activate)
        shown = activate(got), known_outputs
    error = math.sqrt(wanted.error(wanted.activate(got)))
    variant = Variant(graph=spec.graph, read_outs=spec.read_outs, n_steps=feeds.n_steps, dt=spec.dt)
    n = min(samples(spec.graph, TRIED), feeds.n)
    first = replace(wanted, keras=wanted.keras[:n], swapped=wanted.swapped[:n])
    runs = runs_of(
        feeds, n, simulator=simulator, batch_size=batch_size, seed=spec.seed, wanted=first
    )
    swapped = math.sqrt(wanted.error(wanted.swapped)) > SAME
    speeds = {name: each.speed for name, each in sums.items()}
    found = remedies(variant, reference, speeds, swapped=swapped)
    shares = Shares(variant, found, runs.error)
    causes = caused(shares.parts(), variant, found, runs.error)
    return Diagnosis(
        layers=layers,
        output_error=error,
        output_correlation=_correlation(wanted.activate(got), wanted.keras),
        agreement=_agreement(task, *shown),
        n_steps=feeds.n_steps,
        n=feeds.n,
        dt=spec.dt,
        findings=tuple(_findings(layers, causes, variant, error)),
        causes=causes,
    )


def _measured(
    spec: RunSpec,
    reference: Graph,
    feeds: Feeds,
    simulator: str,
    batch_size: int,
    known: Mapping[str, np.ndarray],
) -> tuple[dict[str, LayerSums], np.ndarray, np.ndarray]:
    """Sums over the samples for each layer, the read-outs, and those of the reference."""
    dt = spec.dt
    names = tuple(node.name for node in spec.graph.neurons())
    spiking = make_runner(simulator, replace(spec, record=True), batch_size)
    graph = without_synapses(spec.graph)
    sums = {name: LayerSums(graph.nodes[name], feeds.n_steps, dt) for name in names}

    def rates(of: Graph, wanted: tuple[str, ...]) -> Runner:
        return make_runner(simulator, RunSpec.of_rates(of, wanted), batch_size)

    expected = rates(reference, names)
    # What a correction makes up for is inherited: it belongs there, and not to the curves.
    converted = rates(without_corrections(graph), names)
    behind = rates(fed_with_means(graph, names), names)
    last = rates(reference, reference.outputs)
    outputs: list[tuple[np.ndarray, np.ndarray]] = []
    for first in range(0, feeds.n, batch_size):
        here = slice(first, first + batch_size)
        arrays = {name: array[here] for name, array in feeds.arrays.items()}
        found, read_out = means_of(spiking, Job(arrays, feeds.n_steps), graph, names, dt)
        outputs.append((read_out, np.concatenate(one_step(last, arrays), axis=1)))
        fed = arrays | {name + MEANS: found[name][0][:, None] for name in names}
        values = [one_step(runner, arrays) for runner in (expected, converted)]
        values.append(one_step(behind, fed))
        for name, target, rate, given in zip(names, *values, strict=True):
            if name in known:
                target = known[name][here].reshape(target.shape)
            mean, late, fired = found[name]
            scale = sums[name].scale
            sums[name].add(target, rate / scale, given / scale, mean / scale, late / scale, fired)
    got, trained = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    return sums, got, trained


def _agreement(task: Task | None, got: np.ndarray, wanted: np.ndarray) -> float | None:
    """Share of samples with Keras' class; None where the output is not known to have classes."""
    if task is None:
        return None
    # A linear vector is likely to be logits; one linear unit, or several sigmoids, may be anything.
    likely = (got.shape[1] > 1) == (task.threshold == 0)
    if not (likely if task.classes is None else task.classes):
        return None
    return float((task.classes_of(got) == task.classes_of(wanted)).mean())


def _correlation(got: np.ndarray, wanted: np.ndarray) -> float:
    """Correlation over samples without each unit's mean."""
    x, y = wanted - wanted.mean(axis=0), got - got.mean(axis=0)
    spread = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float((x * y).sum()) / spread if spread else math.nan


def _findings(
    layers: Sequence[LayerDiagnosis], causes: Sequence[Cause], variant: Variant, error: float
) -> Iterator[str]:
    """In words, where the loss begins, and why."""
    yield from _too_short(variant)
    largest = max((each.error for each in layers), default=0.0)
    if error <= SLIGHT and largest <= LARGE:
        yield "almost no loss"
        return
    if layers:
        lost = next((k for k, each in enumerate(layers) if each.error > LARGE), len(layers) - 1)
        begins = max(layers[: lost + 1], key=lambda each: each.own)
        yield f"the loss begins in {begins.layer!r}"
    yield from (cause.text for cause in causes if cause.share > SLIGHT)


def _too_short(variant: Variant) -> Iterator[str]:
    """What the number of steps is too small for, whatever the neurons do."""
    graph, dt, n_steps = variant.graph, variant.dt, variant.n_steps
    filtered = graph.longest(
        lambda node: dt + delay(node.op.synapse) if node.is_neuron and node.op.synapse else 0.0
    )
    names = graph.outputs
    for name, synapse in zip(names, variant.read_outs, strict=True):
        which = f"the read-out of {name!r}" if len(names) > 1 else "the read-out"
        if (needed := math.ceil(filtered[name] / dt)) >= n_steps:
            yield (
                f"{which} has received no signal yet: it is still passing through the synapses; "
                f"n_steps={3 * needed}"
            )
        start = getattr(synapse, "start", 0.0)
        if start >= n_steps * dt:
            yield (
                f"{which} has a window that begins after the last step; "
                f"n_steps={math.ceil(2 * start / dt)}"
            )
