"""Accuracy over time, beside Keras'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How a converted model classifies.

    After Ctrl-C before the first sample was done there is none, and every mean is NaN.

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
    """

    accuracy_per_step: np.ndarray
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
    labels: np.ndarray
    classes: np.ndarray
    reference_classes: np.ndarray | None

    @property
    def accuracy(self) -> float:
        """The accuracy at the last step."""
        return float(self.accuracy_per_step[-1])

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Where the accuracy at the last step may lie, had other samples been drawn.

        Args:
            confidence: From 0 to 1.

        Returns:
            The ends of the score interval (Wilson 1927, "Probable inference, the law of succession,
            and statistical inference"); NaN if there is no sample.
        """
        if not self.n:
            return float("nan"), float("nan")
        from scipy.stats import binomtest  # takes half a second to import

        right = int((self.classes == self.labels).sum())
        found = binomtest(right, self.n).proportion_ci(confidence, method="wilson")
        return float(found.low), float(found.high)

    @property
    def changed(self) -> np.ndarray | None:
        """The numbers of the samples whose class at the last step is not Keras'."""
        if self.reference_classes is None:
            return None
        return np.flatnonzero(self.classes != self.reference_classes)

    @property
    def lost_and_gained(self) -> tuple[int, int] | None:
        """Samples that Keras has right and the network wrong, and the other way round."""
        if self.reference_classes is None:
            return None
        right, before = self.classes == self.labels, self.reference_classes == self.labels
        return int((before & ~right).sum()), int((right & ~before).sum())

    @property
    def p_value(self) -> float | None:
        """How likely a difference to Keras as large as this is, were both equally good.

        Only the samples that one of them has right and the other wrong tell (McNemar 1947, "Note on
        the sampling error of the difference between correlated proportions or percentages", here
        with the exact binomial probability). Small: the accuracies do differ. None if there is
        nothing to compare with, NaN if there is no sample.
        """
        if self.lost_and_gained is None:
            return None
        if not self.n:
            return float("nan")
        from scipy.stats import binomtest

        lost, gained = self.lost_and_gained
        return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0

    @property
    def spikes_per_sample(self) -> float:
        """Spikes of all layers together, for one sample."""
        return share(sum(self.n_spikes.values()), self.n)

    @property
    def operations_per_sample(self) -> float | None:
        """Synaptic operations of all layers together, for one sample, where they are counted."""
        return share(sum(self.n_operations.values()), self.n) if self.n_operations else None

    def __str__(self) -> str:
        steps = len(self.accuracy_per_step)
        if not self.n:
            return f"0 samples, {steps} steps, {self.simulator}: interrupted before the first"
        low, high = self.interval()
        lines = [
            f"{self.n} samples, {steps} steps, {self.simulator}: "
            f"error {100 * (1 - self.accuracy):.2f} % "
            f"(95 %: {100 * (1 - high):.2f} to {100 * (1 - low):.2f})"
        ]
        if not self.complete:
            lines.append("interrupted: these are the samples that were done")
        if self.mean_steps < steps:
            lines.append(f"steps per sample, with early exit: {self.mean_steps:.1f}")
        if self.reference_accuracy is not None:
            lines.append(f"Keras: error {100 * (1 - self.reference_accuracy):.2f} %")
        if self.agreement_per_step is not None:
            lines.append(f"same class as Keras: {100 * self.agreement_per_step[-1]:.2f} %")
        if self.lost_and_gained is not None:
            lost, gained = self.lost_and_gained
            lines.append(
                f"against Keras {lost} lost, {gained} gained (McNemar p = {self.p_value:.2g})"
            )
        lines.append(f"spikes per sample: {self.spikes_per_sample:,.0f}")
        if self.operations_per_sample is not None:
            lines.append(f"synaptic operations per sample: {self.operations_per_sample:,.0f}")
        lines += [f"  {name}: {rate:.1f} Hz" for name, rate in self.rates.items()]
        return "\n".join(lines)


def share(totals: Any, n: int) -> Any:
    """Totals over ``n`` samples for each of them; NaN, without a warning, where there is none."""
    return totals / (n or np.nan)
