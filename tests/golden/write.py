"""Writes the golden file of the present schema: PYTHONPATH=tests python tests/golden/write.py

A golden file is written once, by the first version that has its schema, and never again: it shows
that later versions still read it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import nengo
import numpy as np
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.files.schema import OPS
from kconvert.files.store import SCHEMA
from kconvert.ops import Relu

FOLDER = Path(__file__).parent
N_STEPS = 12


def model() -> keras.Model:
    """Every op that a file can hold."""
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    image, more = keras.Input((6, 6, 2), name="image"), keras.Input((6, 6, 2), name="more")
    x = L.ReLU(name="relu")(L.Conv2D(4, 3, padding="same", name="conv")(image))
    y = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(more)
    x = L.Add(name="residual")([x, L.ReLU(name="depthwise_relu")(y)])
    small = L.MaxPooling2D(2, name="max")(x)
    mean = L.AveragePooling2D(2, padding="same", strides=1, name="mean")(small)
    x = L.Concatenate(name="both")([small, L.BatchNormalization(name="norm")(mean)])
    x = L.UpSampling2D((2, 1), interpolation="bilinear", name="resize")(x)
    x = kconvert.layers.RateLIF(name="lif")(L.Conv2D(4, 2, groups=2, name="grouped")(x))
    x = L.Permute((2, 1, 3), name="turn")(x)
    x = L.ZeroPadding2D(((0, 1), (1, 0)), name="pad")(x)
    x = L.Conv2DTranspose(3, 2, strides=2, activation="sigmoid", name="transposed")(x)
    gate = L.GlobalAveragePooling2D(name="average")(x)
    gate = L.Dense(5, activation="elu", name="swapped")(gate)
    hidden = L.Dense(4, activation="relu", name="hidden")(L.Flatten(name="flat")(x))
    outputs = {
        "classes": L.Dense(3, activation="softmax", name="classes")(gate),
        "other": L.Dense(2, name="other")(hidden),
    }
    return randomized(keras.Model([image, more], outputs, name="golden"))


def samples() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.random((6, 6, 6, 2)).astype(np.float32) for name in ("image", "more")}


def network() -> kconvert.SpikingModel:
    """Every kind of neuron, synapse and read-out, corrections, and scales of feature maps."""
    spiking = kconvert.convert(
        model(),
        calibration=kconvert.Calibration(samples(), percentile={"relu": 99.9}),
        synapse={
            "relu": 0.002,
            "depthwise_relu": nengo.Alpha(0.001),
            "lif": nengo.LinearFilter([1.0], [0.002, 1.0]),
        },
        output_synapse={"classes": "window", "other": "ramp"},
        initial_voltage={"relu": "uniform"},
        correction={"lif": "affine", "relu": "bias"},
        swap_activations={"elu": nengo.LIF(amplitude=0.01)},
    )
    [swapped] = [node for node in spiking.graph.neurons() if node.layer == "swapped"]
    fitted = replace(swapped.op, trained=Relu())
    spiking.graph = spiking.graph.with_ops({swapped.name: fitted})
    y = np.arange(6) % 3
    spiking.evaluate(samples(), y, N_STEPS, output="classes")
    return spiking


def write() -> None:
    spiking = network()
    kinds = {type(node.op) for node in spiking.graph.nodes.values()}
    kinds |= {type(each.op) for each in spiking.graph.activations}
    assert kinds == set(OPS), {each.__name__ for each in set(OPS) - kinds}
    assert any(node.correction is not None for node in spiking.graph.nodes.values())
    assert any(np.size(node.scale) > 1 for node in spiking.graph.nodes.values())
    path = FOLDER / f"schema_{SCHEMA}.kconvert"
    assert not path.exists(), "a golden file is never written again"
    outputs = spiking.predict(samples(), N_STEPS, dtype="float64", logits=True)
    spiking.save(path)
    np.savez(path.with_suffix(".npz"), **samples(), **outputs)


if __name__ == "__main__":
    write()
