"""One line for each layer configuration. Every target runs every line (tests/test_cases.py)."""

from . import (
    activations,
    arithmetic,
    convolutional,
    core,
    image,
    merging,
    normalization,
    pooling,
    regularization,
    reshaping,
    rnn,
    structure,
)
from .build import Case, Refused, case, functional, randomized, refused

MODULES = (
    activations,
    arithmetic,
    convolutional,
    core,
    image,
    merging,
    normalization,
    pooling,
    regularization,
    reshaping,
    rnn,
    structure,
)
CASES: dict[str, Case | Refused] = {
    name: line for module in MODULES for name, line in module.CASES.items()
}

__all__ = ["CASES", "Case", "Refused", "case", "functional", "randomized", "refused"]
