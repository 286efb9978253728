"""Keeping the accuracy: how the neurons are set from data."""

from __future__ import annotations

from .calibration import Calibration, calibrate, check_calibration, choose_synapse
from .correction import correct
from .equilibrium import equilibrium
from .neurons import as_trained, with_neurons_of
from .swaps import SWAPPED, rate_outputs, swap_decision
from .synthetic import needs_synthetic, synthetic_samples, why_not_synthetic
from .thresholds import FACTORS, rounding_errors
from .trial import Outputs, Runs, here

__all__ = [
    "FACTORS",
    "SWAPPED",
    "Calibration",
    "Outputs",
    "Runs",
    "as_trained",
    "calibrate",
    "check_calibration",
    "choose_synapse",
    "correct",
    "equilibrium",
    "here",
    "needs_synthetic",
    "rate_outputs",
    "rounding_errors",
    "swap_decision",
    "synthetic_samples",
    "why_not_synthetic",
    "with_neurons_of",
]
