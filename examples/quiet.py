"""Starts TensorFlow without the lines it prints from C++ whatever its log level is."""

from __future__ import annotations

import os


def start_tensorflow() -> None:
    """Import TensorFlow and run an op, with standard error closed meanwhile.

    Python exceptions are not lost: they are raised, and printed after standard error is back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow as tf

        tf.constant(0.0) + 1.0
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
