"""What an installed kconvert must do, alone in a fresh environment: ``make dist-test`` runs it.

No file of the clone is imported, and no test tool.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = sys.argv[1]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import kconvert

assert "site-packages" in kconvert.__file__, kconvert.__file__

import keras  # noqa: E402 - kconvert must be there before it

model = keras.Sequential(
    [
        keras.Input((12, 12, 1)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax"),
    ]
)
x = np.random.default_rng(0).random((8, 12, 12, 1), dtype=np.float32)
spiking = kconvert.convert(model, calibration=x)
assert spiking.verify(x).passed
outputs = spiking.predict(x, 32)
error = np.abs(outputs - model.predict(x, verbose=0)).max()
assert error < 0.1, error

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "net.kconvert"
    spiking.save(path)
    assert np.array_equal(kconvert.load(path).predict(x, 32), outputs)
    command = [Path(sys.executable).with_name("kconvert"), "--version"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout

assert kconvert.__version__ in version, version
python = sys.version.split()[0]
print(f"Python {python}, Keras {keras.__version__} on {sys.argv[1]}: {version.strip()}")
