"""Where the accuracy is lost, of what the loss is made, and what to change."""

from __future__ import annotations

from .advice import Cause
from .diagnosis import Diagnosis, diagnose
from .layer_errors import LayerDiagnosis

__all__ = ["Cause", "Diagnosis", "LayerDiagnosis", "diagnose"]
