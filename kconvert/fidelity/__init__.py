"""Keeping the accuracy: how the neurons are set from data."""

from __future__ import annotations

from .calibration import (
    Calibration,
    calibrate,
    check_calibration,
    choose_synapse,
    start_voltages,
)
from .correction import CORRECTIONS, check_correction, correct
from .diagnosis import Diagnosis, LayerDiagnosis, diagnose
from .equilibrium import equilibrium
from .neurons import as_trained, with_neurons

__all__ = [
    "CORRECTIONS",
    "Calibration",
    "Diagnosis",
    "LayerDiagnosis",
    "as_trained",
    "calibrate",
    "check_calibration",
    "check_correction",
    "choose_synapse",
    "correct",
    "diagnose",
    "equilibrium",
    "start_voltages",
    "with_neurons",
]
