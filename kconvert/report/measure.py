"""What a report measures on all samples, and what the outputs of its examples are to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.arrays import Feeds, array_of
from ..ir import Shape, product
from ..ops import Softmax
from ..results.evaluation import Evaluation
from ..scoring.labels import by_output
from . import sections
from .answers import Goal

if TYPE_CHECKING:
    from ..network import SpikingNetwork

COUNTED = 64
"""Samples whose spikes are counted where there is nothing to judge them by."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the network does on all samples.

    Args:
        evaluations: Name of each output that was judged to its evaluation.
        activity: What the neurons did.
        targets: Number of each output that has labels to its labels.
        labelled: Whether the user gave labels; else Keras' answers stand for them.
    """

    evaluations: Mapping[str, Evaluation]
    activity: sections.Activity
    targets: Mapping[int, Any]
    labelled: bool


def measure(
    network: SpikingNetwork, x: Any, y: Any, feeds: Feeds, settings: Mapping[str, Any]
) -> Measured:
    """Evaluate against the labels; without them against Keras, else only count spikes."""
    outputs = network.signature.outputs
    if y is not None:
        found = network.evaluate(x, y, feeds.n_steps, **settings)
        targets = by_output(y, outputs, None, "y")
    elif network._has_reference(feeds):
        found = _against_keras(network, x, feeds, settings)
        targets = {}
    else:
        first = feeds.some(slice(COUNTED))
        ran = network.simulate(first.as_given(network.signature.inputs), feeds.n_steps, **settings)
        n = len(ran.steps)
        activity = sections.Activity(ran.rates, ran.n_spikes, ran.n_operations, n)
        return Measured({}, activity, {}, False)
    judged = found if isinstance(found, Mapping) else {found.output: found}
    one = judged[next(name for name in outputs if name in judged)]
    activity = sections.Activity(one.rates, one.n_spikes, one.n_operations, one.n)
    return Measured(judged, activity, targets, y is not None)


def _against_keras(
    network: SpikingNetwork, x: Any, feeds: Feeds, settings: Mapping[str, Any]
) -> Any:
    """An evaluation whose labels are Keras' answers."""
    names = network.signature.outputs
    values = _reference(network, feeds)
    labels, metrics = {}, {}
    for index, name in enumerate(names):
        shape = network.graph.output_shape(index)
        if _likely_classes(network, index):
            classes = network.tasks[index].classes_of(values[index])
            labels[name], metrics[name] = classes, ["accuracy"]
        else:
            labels[name], metrics[name] = values[index].reshape(feeds.n, *shape), ["mae"]
    before = network.about.get("evaluation")
    try:
        return network.evaluate(x, labels, feeds.n_steps, metrics=metrics, **settings)
    finally:  # it says nothing of how good the network is
        network.about.pop("evaluation", None)
        if before is not None:
            network.about["evaluation"] = before


def _reference(network: SpikingNetwork, feeds: Feeds) -> list[np.ndarray]:
    """Keras' outputs, each of shape ``(n, *output_shape)``."""
    indices = list(range(len(network.signature.outputs)))
    parts = [values for _, values in network._reference_outputs(feeds, indices)]
    return [
        np.concatenate([part[k] for part in parts]).reshape(feeds.n, *network.graph.output_shape(k))
        for k in indices
    ]


def _likely_classes(network: SpikingNetwork, index: int) -> bool:
    """Whether an output without labels is a vector of classes."""
    task, shape = network.tasks[index], network.graph.output_shape(index)
    if len(shape) != 1:
        return False
    # A linear vector is likely to be logits; one linear unit, or several sigmoids, may be anything.
    likely = (shape[0] > 1) == (task.threshold == 0)
    return likely if task.classes is None else task.classes


def examples_of(evaluations: Mapping[str, Evaluation], wanted: int, n: int) -> list[int]:
    """Numbers of the samples in the player: the first ones, and some that are worth a look.

    Up to a quarter are samples on which the network is wrong, or differs from Keras.
    """
    special: list[int] = []
    for evaluation in evaluations.values():
        if evaluation.classes is None or evaluation.labels is None:
            continue
        odd = evaluation.classes != evaluation.labels
        if evaluation.reference_classes is not None:
            odd |= evaluation.classes != evaluation.reference_classes
        special += np.flatnonzero(odd).tolist()
    special = list(dict.fromkeys(special))[: wanted // 4]
    first = [k for k in range(n) if k not in special][: wanted - len(special)]
    return sorted([*first, *special])


def goals_of(
    network: SpikingNetwork,
    chosen: Feeds,
    numbers: Sequence[int],
    measured: Measured,
    class_names: Sequence[str] | None,
) -> list[Goal]:
    """What each output of the examples is to be."""
    reference = _reference(network, chosen) if network._has_reference(chosen) else None
    found = []
    for index, name in enumerate(network.signature.outputs):
        shape = network.graph.output_shape(index)
        given = measured.targets.get(index)
        labels = None if given is None else array_of("y", given)[list(numbers)]
        evaluation = measured.evaluations.get(name)
        if len(shape) > 1:
            classes = _is_mask(network, index, labels)
        elif evaluation is None:
            classes = _likely_classes(network, index)
        else:
            classes = evaluation.classes is not None
        if labels is not None and classes and len(shape) == 1 and evaluation is not None:
            known = evaluation.labels  # class numbers, also where one-hot rows were given
            labels = None if known is None else known[list(numbers)]
        elif labels is not None:
            labels = _fitting(labels, shape)
        values = None if reference is None else reference[index]
        found.append(Goal(name, network.tasks[index], classes, class_names, values, labels))
    return found


def _is_mask(network: SpikingNetwork, index: int, labels: np.ndarray | None) -> bool:
    """Whether the last axis of an output of several axes stands for classes."""
    shape = network.graph.output_shape(index)
    if shape[-1] == 1:
        return False
    if any(isinstance(op, Softmax) for op in network.graph.tail(index)):
        return True
    return labels is not None and labels.shape[1:] in (shape[:-1], (*shape[:-1], 1))


def _fitting(labels: np.ndarray, shape: Shape) -> np.ndarray | None:
    """Labels as values of an output or class numbers of its places; None if they are neither."""
    for wanted in (shape, shape[:-1]):
        if labels[0].size == product(wanted):
            return labels.reshape(len(labels), *wanted)
    return None
