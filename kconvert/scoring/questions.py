"""From labels, weights and metrics as a user gives them to a question for each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import is_word, nearest
from ..errors import InputError
from ..ir import Graph
from ..ops import Sigmoid
from .judging import Asked, Question
from .labels import (
    by_output,
    check_classes,
    check_targets,
    check_weights,
    label_array,
    labels_tell,
)
from .scores import (
    Figure,
    default_figures,
    figure_of,
    is_accuracy,
    with_class_accuracy,
    with_own_names,
)
from .task import Task

if TYPE_CHECKING:
    from ..network import SpikingNetwork


def require_output(output: Any, names: Sequence[str]) -> None:
    """Refuse what is no name of an output.

    Args:
        output: As the user gave it.
        names: The names of all outputs.
    """
    if not is_word(output, names):
        raise InputError(
            f"output must name one of the model's outputs, {list(names)}. Received: "
            f"{output!r}{nearest(output, names)}"
        )


def questions_of(
    network: SpikingNetwork, asked: Asked, y: Any, weights: Any, n: int
) -> dict[int, Question]:
    """What is asked of each output that is evaluated, by its number.

    Args:
        network: The network.
        asked: What is asked of the run.
        y: Labels as the user gave them.
        weights: ``sample_weight`` as the user gave it.
        n: Number of samples.

    Raises:
        InputError: Labels or weights do not fit an output, or a metric is not known.
    """
    names = network.signature.outputs
    labels = by_output(y, names, asked.output, "y")
    nested = isinstance(weights, Mapping | list | tuple)
    parts = by_output(weights, names, asked.output, "sample_weight") if nested else {}
    found = {}
    for index, each in labels.items():
        own = check_weights(parts.get(index) if nested else weights, n, asked.streamed)
        found[index] = _question(network, index, each, n, asked.of(names[index]), own)
    return found


def _question(
    network: SpikingNetwork,
    index: int,
    y: Any,
    n: int,
    wanted: list[Any] | None,
    weights: np.ndarray | None,
) -> Question:
    name, shape = network.signature.outputs[index], network.graph.output_shape(index)
    task = network.tasks[index]
    if task.classes is None:
        task = replace(task, classes=labels_tell(y, shape, task.threshold, wanted))
    check = partial(check_classes, classes=shape[0]) if task.classes else None
    checked = check or partial(check_targets, shape=shape)
    targets = checked(y, n, name=name)
    figures = network._figures(index, targets, task, wanted)
    if task.classes:
        figures = with_class_accuracy(figures, task, shape[0])
    given = label_array(y, name)
    return Question(index, name, task, targets, given, with_own_names(figures), weights)


def figures_without_keras(
    graph: Graph, index: int, y: np.ndarray, task: Task, wanted: list[Any] | None
) -> list[Figure]:
    """What is to be found of an output, beside accuracy where it has classes.

    Args:
        graph: The network.
        index: The output's number.
        y: Its labels, checked.
        task: What it is for.
        wanted: Figures that the user asks for, or None for those that its task names.
    """
    wanted = task.metrics if wanted is None else wanted  # type: ignore[assignment]
    if wanted is not None:
        left = [each for each in wanted if not (task.classes and is_accuracy(each))]
        return [figure_of(each, task) for each in left]
    if task.classes:
        return []
    ends = [type(each) for each in graph.tail(index)]
    return default_figures(y, graph.output_shape(index), sigmoid=Sigmoid in ends)
