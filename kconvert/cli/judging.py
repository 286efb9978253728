"""Whether an evaluation is good enough, for continuous integration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from ..errors import InputError
from . import FAILED
from .output import note


def require_within(found: Any, max_error: float | None, max_loss: float | None) -> None:
    """End the command if an evaluation is worse than it may be.

    Args:
        found: An evaluation, or a dict of them by output, each of which must be good enough.
        max_error: Percentage of samples that may be wrong, or None.
        max_loss: Share of accuracy, or of the loss, that may be lost against Keras, or None.

    Raises:
        InputError: The output has no classes, or there is nothing to compare with.
    """
    failed = False
    for each in found.values() if isinstance(found, Mapping) else [found]:
        if max_error is not None and _error(each) > max_error:
            note(f"{each.output}: the error of {_error(each):.2f} % is above {max_error:g} %.")
            failed = True
        if max_loss is not None and (lost := _lost(each)) > max_loss + 1e-9:  # rounding of shares
            note(f"{each.output}: the loss of {lost:.4g} against Keras is above {max_loss:g}.")
            failed = True
    if failed:
        raise typer.Exit(FAILED)


def _error(evaluation: Any) -> float:
    """The error in percent after the last step."""
    if evaluation.accuracy is None:
        raise InputError("--max-error is for classes, and this network's output has none")
    return float(100 * (1 - evaluation.accuracy))


def _lost(evaluation: Any) -> float:
    """What is lost against Keras: accuracy as a share of samples, or the loss as a share of it."""
    if evaluation.accuracy is not None and evaluation.reference_accuracy is not None:
        return float(evaluation.reference_accuracy - evaluation.accuracy)
    reference = evaluation.reference_metrics or {}
    for name in ("loss", "mse"):
        if name in evaluation.metrics and reference.get(name):
            ours, keras = float(evaluation.metrics[name][-1]), float(reference[name])
            return (ours - keras) / abs(keras)
    raise InputError(
        "--max-loss needs an accuracy or a loss of Keras, and this evaluation has none: compile "
        "the model before it is saved"
    )
