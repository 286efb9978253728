"""One output of a run, judged against its labels as the run goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import Graph
from ..results.evaluation import Evaluation
from ..results.simulation import require_same_steps, share
from ..running.settings import Settings
from ..running.totals import Totals
from ..simulators import Chunk
from .scores import Figure, ShareTally, Tally, listed
from .task import Task


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks of a run.

    Args:
        output: Name of the one output that is meant, or None.
        metrics: Figures to be found, or None; for several outputs also a dict by name.
        streamed: Whether samples come in batches.
    """

    output: str | None
    metrics: Any
    streamed: bool

    def of(self, name: str) -> list[Any] | None:
        """The figures that are wanted of one output."""
        given = self.metrics
        if isinstance(given, Mapping):
            given = given.get(name)
        return None if given is None else listed(given)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one output, on some samples.

    Args:
        output: Its number.
        name: Its name.
        task: What it is for; ``classes`` is not None.
        y: Labels, as figures take them: of n samples.
        given: Labels as the user gave them.
        figures: What is to be found; where the output has classes, first the share of right ones.
        weights: Weight of each sample, or None.
    """

    output: int
    name: str
    task: Task
    y: np.ndarray
    given: np.ndarray
    figures: Sequence[Figure]
    weights: np.ndarray | None

    def some(self, images: slice) -> Question:
        """The same of some of the samples."""
        weights = None if self.weights is None else self.weights[images]
        return replace(self, y=self.y[images], given=self.given[images], weights=weights)

    def tally(self, n_steps: int) -> ShareTally:
        """What finds the figures of these samples."""
        return ShareTally(self.figures, n_steps, self.y, self.given, self.weights)

    def is_like(self, other: Question) -> bool:
        """Whether the same is asked of other samples."""
        names = [[each.name for each in question.figures] for question in (self, other)]
        weighted = (self.weights is None) == (other.weights is None)
        return self.task == other.task and names[0] == names[1] and weighted


class Judge:
    """Finds what one output is worth in shares of the samples, and adds this up.

    What is found in a share is plain data, so that it can be kept, and found elsewhere.

    Args:
        question: What is asked, on the first samples.
        graph: What runs.
        n_steps: Number of steps.
        compares: Whether there will be outputs of Keras.
    """

    def __init__(self, question: Question, graph: Graph, n_steps: int, *, compares: bool) -> None:
        self._first, self._graph, self._compares = question, graph, compares
        self._n_steps = n_steps
        self._found = Tally(question.figures, n_steps)
        self._wanted = Tally(question.figures, 1) if compares else None
        self._same = np.zeros(n_steps)
        self._kept: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]] = []
        self._missed = 0

    @property
    def name(self) -> str:
        """The output's name."""
        return self._first.name

    @property
    def figures(self) -> Sequence[Figure]:
        """What is found."""
        return self._first.figures

    def start(self, question: Question, n_steps: int, *, compares: bool) -> None:
        """Begin with some samples.

        Raises:
            InputError: They are not to be judged like those before.
        """
        require_same_steps([self._n_steps, n_steps])
        if compares != self._compares:
            raise InputError(
                "some batches of x are held and some change in time: run them one by one"
            )
        if (question.weights is None) != (self._first.weights is None):
            raise InputError("some batches of x have sample weights and some have none")
        if not question.is_like(self._first):
            raise InputError(
                "the labels of some batches of x are class numbers and those of others are not: "
                "give arrays, or metrics that say which they are"
            )
        n = len(question.y)
        self._question = question
        self._labels = _labels(question) if question.task.classes else None
        self._classes = np.zeros(n, dtype=np.int64)
        self._reference = np.zeros(n, dtype=np.int64)

    def judged_reference(self, images: slice, outputs: np.ndarray) -> dict[str, Any]:
        """What is found in Keras' outputs of some samples."""
        classes = None if self._labels is None else self._question.task.classes_of(outputs)
        tally = self._question.some(images).tally(1)
        return {**tally.found(outputs[:, None]), "classes": classes}

    def add_reference(self, images: slice, found: Mapping[str, Any]) -> None:
        """Add what was found in Keras' outputs."""
        if self._wanted is not None:
            self._wanted.add(self._question.some(images).tally(1), found)
        if found["classes"] is not None:
            self._reference[images] = found["classes"]

    def judged(self, share: Chunk) -> dict[str, Any]:
        """What is found in the outputs of some samples at all steps."""
        output, images = self._question.output, share.images
        values = self._graph.activated(output, np.asarray(share.outputs[output], np.float64))
        found = self._question.some(images).tally(self._n_steps).found(values)
        if self._labels is None:
            return {**found, "classes": None, "same": None}
        classes = self._question.task.classes_of(values)
        same = None
        if self._wanted is not None:
            same = (classes == self._reference[images, None]).sum(axis=0)
        return {**found, "classes": classes[:, -1], "same": same}

    def add(self, images: slice, found: Mapping[str, Any]) -> None:
        """Add what was found in some samples; in the order of the samples."""
        self._found.add(self._question.some(images).tally(self._n_steps), found)
        if found["classes"] is not None:
            self._classes[images] = found["classes"]
        if found["same"] is not None:
            self._same += found["same"]

    def end(self, n: int) -> None:
        """The first ``n`` of these samples were done."""
        weights = self._question.weights
        labels = np.zeros(0, dtype=np.int64) if self._labels is None else self._labels[:n]
        kept = labels, self._classes[:n], self._reference[:n]
        self._kept.append((*kept, None if weights is None else weights[:n]))
        self._missed += len(self._question.y) - n

    def evaluation(self, run: Run) -> Evaluation:
        """What was found in the whole run."""
        labels, classes, reference_classes = (
            np.concatenate([part[k] for part in self._kept]) for k in range(3)
        )
        weights = None
        if self._first.weights is not None:
            weights = np.concatenate([part[3] for part in self._kept if part[3] is not None])
            if run.n and not weights.any():
                raise InputError("sample_weight is 0 for all samples of x")
        metrics, scores = self._found.result(), self._found.last
        reference, known = self._reference_figures(weights, run.n)
        has, first = bool(self._first.task.classes), self.figures[0].name if self.figures else ""
        agreement = share(self._same, run.n) if has and self._compares else None
        return Evaluation(
            accuracy_per_step=metrics[first] if has else None,
            reference_accuracy=reference[first] if has and reference is not None else None,
            agreement_per_step=agreement,
            rates=run.rates,
            n_spikes=run.n_spikes,
            spikes_per_step=run.spikes_per_step,
            n=run.n,
            output=self.name,
            simulator=run.simulator,
            n_operations=run.n_operations,
            mean_steps=run.mean_steps,
            complete=run.complete,
            spike_values=run.spike_values,
            spike_ranges=run.spike_ranges,
            labels=labels if has else None,
            classes=classes if has else None,
            reference_classes=reference_classes if has and self._compares else None,
            metrics=metrics,
            reference_metrics=reference,
            scores=scores,
            reference_scores=known,
            weights=weights,
            unweighted=tuple(each.name for each in self.figures if each.weighting != "mean"),
            modes={each.name: each.mode for each in self.figures if each.mode is not None},
        )

    def _reference_figures(
        self, weights: np.ndarray | None, n: int
    ) -> tuple[dict[str, float] | None, dict[str, np.ndarray] | None]:
        """Keras' figures, and its values of each sample.

        They are of the samples that were done. Keras had all of a piece that was interrupted, which
        a figure that is no mean cannot take back: it is NaN then.
        """
        if self._wanted is None:
            return None, None
        found = {name: float(values[0]) for name, values in self._wanted.result().items()}
        known = {name: values[:n] for name, values in self._wanted.last.items()}
        if self._missed:
            averaged = {each.name for each in self.figures if each.weighting == "mean"}
            for name in found:
                values = known.get(name, np.zeros(0))
                by = weights if weights is not None and name in averaged else np.ones(len(values))
                found[name] = share(float(by @ values), float(by.sum())) if len(values) else np.nan
        return found, known


@dataclass(frozen=True, slots=True)
class Run:
    """What is said of a run as a whole, as in :class:`Evaluation`."""

    n: int
    n_steps: int
    rates: Mapping[str, float]
    n_spikes: Mapping[str, float]
    spikes_per_step: np.ndarray
    simulator: str
    n_operations: Mapping[str, int]
    mean_steps: float
    complete: bool
    spike_values: str | None
    spike_ranges: Mapping[str, tuple[int, int]]


@dataclass(slots=True)
class Judging:
    """An evaluation as it goes, over the pieces of its samples.

    Args:
        asked: What the user asks.
        simulator: As the user gave it.
        settings: How it is run.
        n_steps: As the user gave it.
        judges: The judge of each output, by its number.
        totals: What is added up of the run, from its first piece on.
        ran: Name of the simulator.
    """

    asked: Asked
    simulator: str
    settings: Settings
    n_steps: int | None
    judges: dict[int, Judge] = field(default_factory=dict)
    totals: Totals | None = None
    ran: str = ""

    def run(self, complete: bool) -> Run:
        """What is said of the run as a whole."""
        totals = self.totals
        if totals is None:
            raise AssertionError("a run has at least one piece")
        return Run(
            n=totals.n,
            n_steps=totals.n_steps,
            rates=totals.rates,
            n_spikes=totals.n_spikes,
            spikes_per_step=share(totals.spikes, totals.n),
            simulator=self.ran,
            n_operations=totals.n_operations,
            mean_steps=float(share(totals.n_taken, totals.n)),
            complete=complete,
            spike_values=totals.spike_values,
            spike_ranges=totals.spike_ranges,
        )


def judge_of(
    judges: dict[int, Judge], question: Question, graph: Graph, n_steps: int, *, compares: bool
) -> Judge:
    """The judge of an output, which begins with some samples; the first ones call it.

    Args:
        judges: Those that were called, by the number of the output.
        question: What is asked.
        graph: What runs.
        n_steps: Number of steps.
        compares: Whether there will be outputs of Keras.
    """
    judge = judges.get(question.output)
    if judge is None:
        judge = judges[question.output] = Judge(question, graph, n_steps, compares=compares)
    judge.start(question, n_steps, compares=compares)
    return judge


def _labels(question: Question) -> np.ndarray:
    """The class of each sample, of shape (n,)."""
    y = question.y
    rows = y.ndim == 2 and y.shape[1] > 1
    return (y.argmax(axis=1) if rows else y.reshape(len(y))).astype(np.int64)
