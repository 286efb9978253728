"""Keeping the accuracy: how the neurons are set from data."""

from __future__ import annotations

from .calibration import (
    Calibration,
    calibrate,
    check_calibration,
    choose_synapse,
    start_voltages,
)

__all__ = ["Calibration", "calibrate", "check_calibration", "choose_synapse", "start_voltages"]
