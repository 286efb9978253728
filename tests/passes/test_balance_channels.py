"""Factors on feature maps: the same outputs, and every value in between is what it says."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.ir import Graph, product
from kconvert.ops import Relu
from kconvert.passes import SIMPLIFY, run
from kconvert.passes.balance_channels import balance_channels, can_be_balanced
from kconvert.reader import read_keras


def residual(x):
    y = L.Conv2D(3, 3, padding="same")(L.ReLU(name="inner")(L.Conv2D(5, 3, padding="same")(x)))
    return L.Dense(2)(L.Flatten()(L.ReLU(name="outer")(L.Add()([x, y]))))


def two_readers(x):
    y = L.MaxPooling2D(2)(L.ReLU(name="inner")(L.Conv2D(5, 3)(x)))
    z = L.Concatenate()([L.Conv2D(2, 2)(y), L.Conv2D(3, 2, activation="relu", name="act")(y)])
    return L.Dense(2)(L.Flatten()(z))


def stack(*layers):
    def build(x):
        for layer in layers:
            x = layer(x)
        return x

    return build


def relu(name="inner"):
    return L.ReLU(name=name)


# What is built on an image of (9, 8, 3), and the layers that can be balanced.
CASES = {
    "convolutions": (stack(L.Conv2D(4, 3), relu(), L.Conv2D(3, 2)), {"inner"}),
    "batch normalisation": (
        stack(L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), relu(), L.Conv2D(3, 2)),
        {"inner"},
    ),
    "pooled before": (stack(L.Conv2D(4, 3), L.MaxPool2D(2), relu(), L.Conv2D(3, 2)), {"inner"}),
    "flattened": (stack(L.Conv2D(4, 3), relu(), L.Flatten(), L.Dense(3)), {"inner"}),
    "mean": (stack(L.Conv2D(4, 3), relu(), L.GlobalAveragePooling2D(), L.Dense(3)), {"inner"}),
    "padded, pooled": (
        stack(L.Conv2D(4, 3), relu(), L.ZeroPadding2D(1), L.AveragePooling2D(2), L.Conv2D(3, 2)),
        {"inner"},
    ),
    "enlarged": (
        stack(
            L.Conv2DTranspose(4, 3), relu(), L.UpSampling2D(interpolation="bilinear"), L.Dense(3)
        ),
        {"inner"},
    ),
    "by groups": (
        stack(L.Conv2D(6, 3), relu(), L.Conv2D(4, 2, groups=2), relu("b"), L.DepthwiseConv2D(3)),
        {"inner", "b"},
    ),
    "separable": (stack(L.Conv2D(4, 3), relu(), L.SeparableConv2D(3, 2)), {"inner"}),
    "several readers": (two_readers, {"inner"}),
    "residual": (residual, {"inner"}),
    "an output": (stack(L.Conv2D(4, 3), relu()), set()),
    "two neurons": (stack(L.Conv2D(4, 3), L.ReLU(6.0, name="inner"), L.Conv2D(3, 2)), set()),
    "not ReLU": (stack(L.Conv2D(4, 3), L.Activation("sigmoid"), L.Conv2D(3, 2)), set()),
}


def built(case) -> keras.Model:
    x = keras.Input((9, 8, 3))
    return randomized(keras.Model(x, CASES[case][0](x)))


def relus(graph: Graph) -> list[str]:
    return [name for name, node in graph.nodes.items() if isinstance(node.op, Relu)]


@pytest.mark.parametrize("case", CASES)
def test_outputs_stay_and_values_are_scaled(case, rng):
    graph = run(read_keras(built(case)).graph, SIMPLIFY)
    able = {name for name in relus(graph) if can_be_balanced(graph, name)}
    assert able == CASES[case][1]
    factors = {name: rng.uniform(0.3, 3.0, graph.nodes[name].shape[-1]) for name in sorted(able)}
    after = run(graph, [balance_channels(factors)])
    assert [decision.kind for decision in after.decisions].count("balanced") == len(able)
    assert list(after.nodes) == list(graph.nodes)
    feeds = {name: rng.standard_normal((3, *graph.nodes[name].shape)) for name in graph.inputs}
    old, new = graph.evaluate(feeds), after.evaluate(feeds)
    for name, values in old.items():
        # float64, in another order
        scaled = values * after.nodes[name].scale
        np.testing.assert_allclose(new[name], scaled, rtol=1e-11, atol=1e-12)
    for name, by in factors.items():
        np.testing.assert_array_equal(after.nodes[name].scale, by)
    for name in after.outputs:
        assert np.all(after.nodes[name].scale == 1)


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
def test_a_calibrated_network_is_keras_and_its_maps_fire_alike(simulator, rng):
    """One feature map is a third of what it was."""
    model = built("flattened")
    kernel, bias = model.layers[1].get_weights()
    kernel[..., 1] /= 3
    bias[1] /= 3
    model.layers[1].set_weights([kernel, bias])
    x = rng.standard_normal((8, 9, 8, 3)).astype(np.float32)

    def rates(per_channel):
        how = kconvert.Calibration(x, rate=500.0, per_channel=per_channel)
        spiking = kconvert.convert(model, calibration=how)
        assert spiking.verify(x, simulator=simulator)
        result = spiking.simulate(x, 60, simulator=simulator, spikes=True)
        found = spiking.diagnose(x, 60, simulator=simulator)
        train = np.asarray(result.spikes["inner"], dtype=np.float64)
        assert found.layers[0].mean_rate == pytest.approx(1000 * train.mean(), rel=1e-5)
        assert found.layers[0].curve < 1e-5
        by_map = train.mean(axis=1).reshape(-1, product(train.shape[2:-1]) or 1, 4)
        return np.percentile(by_map, 99, axis=(0, 1)), found

    layerwise, coarse = rates(False)
    balanced, fine = rates(True)
    assert balanced.max() / balanced.min() < 1.3 < layerwise.max() / layerwise.min()
    assert fine.layers[0].error < coarse.layers[0].error
    assert fine.output_error < 0.1


def test_bad_settings_are_refused():
    with pytest.raises(kconvert.InputError, match="per_channel"):
        kconvert.Calibration(np.zeros((2, 3)), per_channel="yes")
