"""One output of a run, judged against its labels as the run goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Graph
from ..results.evaluation import Evaluation
from ..results.simulation import share
from ..simulators import Chunk
from .scores import Measure, Score, Tally
from .task import Task


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one output.

    Args:
        output: Its number.
        name: Its name.
        task: What it is for; ``classes`` is not None.
        y: Labels, as figures take them: of n samples.
        figures: What is to be found, beside the accuracy of classes.
        weights: Weight of each sample, or None.
    """

    output: int
    name: str
    task: Task
    y: np.ndarray
    figures: Sequence[Score | Measure]
    weights: np.ndarray | None


class Judge:
    """Adds up what the outputs of a run are worth.

    Args:
        question: What is asked.
        graph: What runs.
        n_steps: Number of steps.
        compares: Whether there will be outputs of Keras.
    """

    def __init__(self, question: Question, graph: Graph, n_steps: int, *, compares: bool) -> None:
        self._question, self._graph = question, graph
        y, weights, figures = question.y, question.weights, question.figures
        n = len(y)
        self._weights = np.ones(n) if weights is None else weights
        self._found = Tally(figures, y, weights, n_steps)
        self._wanted = Tally(figures, y, weights, 1) if compares else None
        self._labels = _labels(question) if question.task.classes else None
        self._classes = np.zeros(n, dtype=np.int64)
        self._reference = np.zeros(n, dtype=np.int64)
        self._right, self._same = np.zeros(n_steps), np.zeros(n_steps)

    @property
    def name(self) -> str:
        """The output's name."""
        return self._question.name

    def take_reference(self, images: slice, outputs: np.ndarray) -> None:
        """Take Keras' outputs of some samples."""
        if self._wanted is not None:
            self._wanted.add(images, slice(0, 1), outputs[:, None])
        if self._labels is not None:
            self._reference[images] = self._question.task.classes_of(outputs)

    def take(self, chunk: Chunk) -> None:
        """Take the outputs of some samples at some steps."""
        output, images, steps = self._question.output, chunk.images, chunk.steps
        values = self._graph.activated(output, np.asarray(chunk.outputs[output], np.float64))
        self._found.add(images, steps, values)
        if self._labels is None:
            return
        found = self._question.task.classes_of(values)
        self._classes[images] = found[:, -1]
        right = found == self._labels[images, None]
        self._right[steps] += self._weights[images] @ right
        if self._wanted is not None:
            self._same[steps] += (found == self._reference[images, None]).sum(axis=0)

    def evaluation(self, n: int, **run: Any) -> Evaluation:
        """What was found.

        Args:
            n: Number of samples that are done.
            **run: Of :class:`Evaluation`, what is said of the whole run.
        """
        compares = self._wanted is not None
        metrics, scores = self._found.result(), self._found.last
        reference: dict[str, Any] = {} if self._wanted is None else self._wanted.result()
        known = {} if self._wanted is None else self._wanted.last
        labels = agreement = None
        if self._labels is not None:
            labels, total = self._labels[:n], float(self._weights[:n].sum())
            right = np.zeros((2, len(self._labels)))
            right[:, :n] = self._classes[:n] == labels, self._reference[:n] == labels
            metrics = {"accuracy": share(self._right, total), **metrics}
            scores = {"accuracy": right[0], **scores}
            agreement = share(self._same, n) if compares else None
            if compares:
                accuracy = share(float(self._weights[:n] @ right[1, :n]), total)
                reference = {"accuracy": [accuracy], **reference}
                known = {"accuracy": right[1], **known}
        has, weights = labels is not None, self._question.weights
        return Evaluation(
            accuracy_per_step=metrics["accuracy"] if has else None,
            reference_accuracy=float(reference["accuracy"][0]) if has and compares else None,
            agreement_per_step=agreement,
            labels=labels,
            classes=self._classes[:n] if has else None,
            reference_classes=self._reference[:n] if has and compares else None,
            n=n,
            output=self.name,
            metrics=metrics,
            reference_metrics=_each(reference, lambda values: float(values[0]), compares),
            scores={name: each[:n] for name, each in scores.items()},
            reference_scores=_each(known, lambda values: values[:n], compares),
            weights=None if weights is None else weights[:n],
            **run,
        )


def _each(
    found: Mapping[str, Any], of: Callable[[Any], Any], compares: bool
) -> dict[str, Any] | None:
    return {name: of(values) for name, values in found.items()} if compares else None


def _labels(question: Question) -> np.ndarray:
    """The class of each sample, of shape (n,)."""
    y = question.y
    one_hot = y.ndim == 2 and y.shape[1] > 1
    return (y.argmax(axis=1) if one_hot else y.reshape(len(y))).astype(np.int64)
