"""Keras 3 CNNs as spiking networks for Nengo and NengoDL that keep their accuracy.

Example:
    >>> import keras, kconvert
    >>> lif = kconvert.layers.RateLIF()
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), lif], name="tiny")
    >>> kconvert.convert(model)
    <SpikingModel 'tiny': spiking, 3 neurons>

Only the names below are public; everything else may change.
"""

from . import callbacks, layers, regularizers
from .checking import Check, CheckedLayer, check
from .errors import BridgeError, InputError, KconvertError, Unsupported, UnsupportedModelError
from .evaluation import Evaluation
from .fidelity import Calibration, Diagnosis, LayerDiagnosis
from .ir import Decision
from .model import SpikingModel
from .passes.receipts import Receipt
from .pipeline import REFERENCE_WORK, convert
from .reader import LAYERS
from .simulation import Simulation
from .simulators import EarlyExit
from .targets.nengo.window import Window
from .tuning import Candidate, Tuning, tune
from .verification import Verification

register = LAYERS.register

__version__ = "0.1.0"

__all__ = [
    "LAYERS",
    "REFERENCE_WORK",
    "BridgeError",
    "Calibration",
    "Candidate",
    "Check",
    "CheckedLayer",
    "Decision",
    "Diagnosis",
    "EarlyExit",
    "Evaluation",
    "InputError",
    "KconvertError",
    "LayerDiagnosis",
    "Receipt",
    "Simulation",
    "SpikingModel",
    "Tuning",
    "Unsupported",
    "UnsupportedModelError",
    "Verification",
    "Window",
    "callbacks",
    "check",
    "convert",
    "layers",
    "register",
    "regularizers",
    "tune",
]
