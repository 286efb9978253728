"""Keeping the accuracy: how the neurons are set from data."""

from __future__ import annotations

from .calibration import (
    Calibration,
    as_trained,
    calibrate,
    check_calibration,
    choose_synapse,
    start_voltages,
)
from .diagnosis import Diagnosis, LayerDiagnosis, diagnose
from .equilibrium import equilibrium

__all__ = [
    "Calibration",
    "Diagnosis",
    "LayerDiagnosis",
    "as_trained",
    "calibrate",
    "check_calibration",
    "choose_synapse",
    "diagnose",
    "equilibrium",
    "start_voltages",
]
