"""Accuracy and other figures over time, beside Keras'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ..arguments import count, is_word, nearest, seed_of
from ..errors import InputError, is_number
from .display import Display, as_frame, as_html, as_text, percent, plain
from .simulation import layer_display, layer_records, share
from .spikes import spikes_lines, spikes_of, whole_range

MOST_DRAWN = 1_000_000
"""How often :meth:`Evaluation.difference` may draw samples."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How good a converted model is.

    The fields of classes and accuracy are None where the output has no classes. After Ctrl-C before
    the first sample was done there is none, and every mean is NaN.

    Args:
        accuracy_per_step: Share of samples classified rightly by the filtered output at each
            step, of shape (n_steps,).
        reference_accuracy: The same share for the Keras model, or None for input that changes in
            time.
        agreement_per_step: Share of samples on which the network gives Keras' class, of shape
            (n_steps,), or None.
        rates: Layer name to mean firing rate in Hz.
        n_spikes: Layer name to number of spikes over all samples.
        spikes_per_step: Spikes of all layers in each step, for one sample, of shape (n_steps,).
        n: Number of samples.
        output: The output that was evaluated.
        simulator: What ran the network.
        n_operations: Layer name to synaptic operations over all samples, counted by the event
            simulator (see :class:`~kconvert.Simulation`); empty for others.
        mean_steps: Steps that a sample took on average: fewer than were asked for with
            ``early_exit``, whose class then counts for all later steps.
        complete: Whether all samples were run (see :class:`~kconvert.Simulation`).
        labels: The right classes, of shape (n,).
        classes: The network's classes at the last step, of shape (n,).
        reference_classes: Keras' classes, of shape (n,), or None for input that changes in time.
        metrics: Name to the figure at each step, of shape (n_steps,): what the model was compiled
            with, or what was asked for.
        reference_metrics: Name to Keras' figure; None for input that changes in time.
        scores: Name to each sample's value at the last step, of shape (n,), for the metrics that
            are means over samples.
        reference_scores: The same of Keras.
        weights: The weight of each sample, or None. They count in ``metrics`` and accuracies.
        unweighted: Names of the metrics in whose means weights do not count: as in Keras those that
            were compiled as ``metrics``, and losses, whose values are multiplied by them.
        modes: Name to "min" or "max": whether a metric should fall or rise, where that is known.
        spike_values: Which spikes the neurons may send in one step: "binary" (0 or 1), "ternary"
            (-1, 0 or 1) or "graded" (any integer, also where Nengo's own neurons decide). None for
            a network that sends rates.
        spike_ranges: Layer name to the lowest and the highest number of spikes that one of its
            neurons sent in one step of this run, such as ``(-3, 12)``; ``(0, 0)`` if it sent none.
            Without layers that send rates.
    """

    accuracy_per_step: np.ndarray | None
    reference_accuracy: float | None
    agreement_per_step: np.ndarray | None
    rates: Mapping[str, float]
    n_spikes: Mapping[str, float]
    spikes_per_step: np.ndarray
    n: int
    output: str
    simulator: str
    n_operations: Mapping[str, int]
    mean_steps: float
    complete: bool
    labels: np.ndarray | None
    classes: np.ndarray | None
    reference_classes: np.ndarray | None
    metrics: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference_metrics: Mapping[str, float] | None = None
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference_scores: Mapping[str, np.ndarray] | None = None
    weights: np.ndarray | None = None
    unweighted: tuple[str, ...] = ()
    modes: Mapping[str, str] = field(default_factory=dict)
    spike_values: str | None = None
    spike_ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.spikes_per_step)

    @property
    def accuracy(self) -> float | None:
        """The accuracy at the last step."""
        return None if self.accuracy_per_step is None else float(self.accuracy_per_step[-1])

    def difference(
        self, metric: str, confidence: float = 0.95, n_resamples: int = 2000, seed: int = 0
    ) -> tuple[float, float, float] | None:
        """By how much a metric at the last step differs from Keras', and where that may lie.

        A paired bootstrap over samples (Efron & Tibshirani 1993, "An introduction to the
        bootstrap", percentile intervals): each time as many samples are drawn, with replacement,
        and the network and Keras are compared on the same ones.

        Args:
            metric: Name of one of :attr:`scores`.
            confidence: > 0 and < 1.
            n_resamples: How often samples are drawn, from 1 to a million.
            seed: Seed of the drawing.

        Returns:
            The difference, network minus Keras, and the ends of its interval; None if there is
            nothing to compare with; NaN if there is no sample.

        Raises:
            InputError: There is no such metric, it is no mean over samples, or another argument
                does not fit.
        """
        if not is_word(metric, self.scores):
            raise InputError(
                f"difference: metric must be one of {list(self.scores)}. Received: "
                f"{metric!r}{nearest(metric, self.scores)}"
            )
        _check_confidence(confidence)
        n_resamples, seed = count("n_resamples", n_resamples, most=MOST_DRAWN), seed_of(seed)
        if self.reference_scores is None:
            return None
        if not self.n:
            return (float("nan"),) * 3
        pairs = self.scores[metric] - self.reference_scores[metric]
        counts = self.weights is not None and metric not in self.unweighted
        weights = self.weights if counts and self.weights is not None else np.ones(self.n)
        rng, means = np.random.default_rng(seed), np.zeros(n_resamples)
        for k in range(n_resamples):
            drawn = rng.integers(0, self.n, self.n)
            means[k] = share(float(weights[drawn] @ pairs[drawn]), float(weights[drawn].sum()))
        low, high = np.nanquantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
        return float(weights @ pairs / weights.sum()), float(low), float(high)

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Where the accuracy at the last step may lie, had other samples been drawn.

        Args:
            confidence: > 0 and < 1.

        Returns:
            The ends of the score interval (Wilson 1927, "Probable inference, the law of succession,
            and statistical inference"); NaN if there is no sample; None without classes, or with
            weights, for which it does not hold.

        Raises:
            InputError: ``confidence`` does not fit.
        """
        _check_confidence(confidence)
        if self.classes is None or self._is_weighted:
            return None
        if not self.n:
            return float("nan"), float("nan")
        from scipy.stats import binomtest  # takes half a second to import

        right = int((self.classes == self.labels).sum())
        found = binomtest(right, self.n).proportion_ci(confidence, method="wilson")
        return float(found.low), float(found.high)

    @property
    def changed(self) -> np.ndarray | None:
        """The numbers of the samples whose class at the last step is not Keras'."""
        if self.reference_classes is None or self.classes is None:
            return None
        return np.flatnonzero(self.classes != self.reference_classes)

    @property
    def lost_and_gained(self) -> tuple[int, int] | None:
        """Samples that Keras has right and the network wrong, and the other way round."""
        if self.reference_classes is None or self.classes is None:
            return None
        right, before = self.classes == self.labels, self.reference_classes == self.labels
        right, before = np.asarray(right), np.asarray(before)
        return int((before & ~right).sum()), int((right & ~before).sum())

    @property
    def p_value(self) -> float | None:
        """How likely a difference to Keras as large as this is, were both equally good.

        Only the samples that one of them has right and the other wrong tell (McNemar 1947, "Note on
        the sampling error of the difference between correlated proportions or percentages", here
        with the exact binomial probability). Small: the accuracies do differ. None if there is
        nothing to compare with or samples have weights, NaN if there is no sample.
        """
        if self.lost_and_gained is None or self._is_weighted:
            return None
        if not self.n:
            return float("nan")
        from scipy.stats import binomtest

        lost, gained = self.lost_and_gained
        return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0

    @property
    def _is_weighted(self) -> bool:
        """Whether samples have different weights in the accuracy."""
        first = next(iter(self.metrics), "accuracy")
        return self.weights is not None and first not in self.unweighted

    def _line(self, name: str) -> str:
        """A metric in words."""
        text = f"{name}: {self.metrics[name][-1]:.4g}"
        if self.reference_metrics is None:
            return text
        text += f" (Keras: {self.reference_metrics[name]:.4g}"
        found = self.difference(name) if name in self.scores else None
        if found is not None:
            text += f"; difference, 95 %: {found[1]:+.2g} to {found[2]:+.2g}"
        return f"{text})"

    @property
    def spikes_per_sample(self) -> float:
        """Spikes of all layers together, for one sample."""
        return share(sum(self.n_spikes.values()), self.n)

    @property
    def spike_range(self) -> tuple[int, int] | None:
        """The lowest and the highest number of spikes that any neuron sent in one step.

        None for a network that sends rates.
        """
        return whole_range(self.spike_ranges.values()) if self.spike_ranges else None

    @property
    def operations_per_sample(self) -> float | None:
        """Synaptic operations of all layers together, for one sample, where they are counted."""
        return share(sum(self.n_operations.values()), self.n) if self.n_operations else None

    def __repr__(self) -> str:
        text = f"<Evaluation: {self._run}"
        for name in list(self.metrics)[:2] if self.accuracy is None else ():
            text += f"; {self._line(name)}"
        if self.accuracy is not None:
            text += f"; accuracy {percent(self.accuracy)}"
            if self.reference_accuracy is not None:
                text += f" (Keras: {percent(self.reference_accuracy)})"
        spikes = spikes_of(self.spike_values, self.spike_range)
        return f"{text}; {self.spikes_per_sample:,.0f} {spikes} per sample>"

    def __str__(self) -> str:
        return as_text(self._display())

    def _repr_html_(self) -> str:
        return as_html(self._display())

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The result as plain data that ``json.dumps`` takes; NaN becomes None.

        Args:
            arrays: Write out every array. By default one of more than 1000 values becomes its shape
                and type.
        """
        left_out = ("rates", "n_spikes", "n_operations", "spike_ranges")
        derived = {
            "n_steps": self.n_steps,
            "accuracy": self.accuracy,
            "accuracy_interval": self.interval(),
            "lost_and_gained": self.lost_and_gained,
            "p_value": self.p_value,
            "spikes_per_sample": self.spikes_per_sample,
            "operations_per_sample": self.operations_per_sample,
            "spike_range": self.spike_range,
            "layers": self._layers(),
        }
        held = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name not in left_out
        }
        return {name: plain(each, arrays=arrays) for name, each in {**held, **derived}.items()}

    def to_frame(self) -> Any:
        """The figures at each step as a ``pandas.DataFrame``, one row for each step.

        The columns are ``step`` (from 1), ``accuracy``, ``agreement`` and the other metrics as far
        as there are any, ``spikes_per_sample`` up to that step, and Keras' figures again in each
        row, as ``keras_accuracy`` and so on.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        curves: dict[str, Any] = {"step": np.arange(1, self.n_steps + 1)}
        for name, curve, keras in self._curves():
            curves[name] = curve
            if keras is not None:
                curves[f"keras_{name}"] = np.full(self.n_steps, keras)
        curves["spikes_per_sample"] = np.cumsum(self.spikes_per_step)
        rows = zip(*(np.asarray(each).tolist() for each in curves.values()), strict=True)
        return as_frame([dict(zip(curves, row, strict=True)) for row in rows], list(curves))

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The accuracy against the number of steps, beside Keras'.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.accuracy`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from ..plot import accuracy

        return accuracy(self, ax=ax, **options)

    @property
    def _run(self) -> str:
        if not self.n:
            return (
                f"0 samples, {self.n_steps} steps, {self.simulator}: interrupted before the first"
            )
        ended = "" if self.complete else ", interrupted"
        return f"{self.n:,} samples, {self.n_steps:,} steps, {self.simulator}{ended}"

    def _curves(self) -> list[tuple[str, np.ndarray, float | None]]:
        """Each figure with its values at every step, and Keras'."""
        found: list[tuple[str, np.ndarray, float | None]] = []
        if self.accuracy_per_step is not None:
            found.append(("accuracy", self.accuracy_per_step, self.reference_accuracy))
        if self.agreement_per_step is not None:
            found.append(("agreement", self.agreement_per_step, None))
        known = self.reference_metrics or {}
        return found + [
            (name, curve, known.get(name))
            for name, curve in self.metrics.items()
            if name not in ("accuracy", "agreement")
        ]

    def _layers(self) -> list[dict[str, Any]]:
        return layer_records(self)

    def _display(self) -> Display:
        if not self.n:
            return Display([self._run])
        lines = [f"{self.n:,} samples, {self.n_steps:,} steps, {self.simulator}"]
        if self.accuracy is not None:
            lines[0] += f": error {100 * (1 - self.accuracy):.2f} %"
        if (interval := self.interval()) is not None:
            low, high = interval
            lines[0] += f" (95 %: {100 * (1 - high):.2f} to {100 * (1 - low):.2f})"
        if not self.complete:
            lines.append("interrupted: these are the samples that were done")
        if self.mean_steps < self.n_steps:
            lines.append(f"steps per sample, with early exit: {self.mean_steps:.1f}")
        if self.reference_accuracy is not None:
            lines.append(f"Keras: error {100 * (1 - self.reference_accuracy):.2f} %")
        if self.agreement_per_step is not None:
            lines.append(f"same class as Keras: {100 * self.agreement_per_step[-1]:.2f} %")
        if self.lost_and_gained is not None:
            lost, gained = self.lost_and_gained
            p = "" if self.p_value is None else f" (McNemar p = {self.p_value:.2g})"
            lines.append(f"against Keras {lost} lost, {gained} gained{p}")
        told = 0 if self.accuracy is None else 1  # the first is the share of right classes
        lines += [self._line(name) for name in list(self.metrics)[told:]]
        lines += spikes_lines(self.spike_values, self.spike_range)
        lines.append(f"spikes per sample: {self.spikes_per_sample:,.0f}")
        if self.operations_per_sample is not None:
            lines.append(f"synaptic operations per sample: {self.operations_per_sample:,.0f}")
        return layer_display(lines, self._layers())


def _check_confidence(confidence: Any) -> None:
    if not is_number(confidence) or not 0 < confidence < 1:
        raise InputError(f"confidence must be > 0 and < 1. Received: {confidence!r}")
