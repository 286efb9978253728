"""One line for each layer configuration. Every target runs every line (tests/test_cases.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers as L
from keras import ops

from kconvert.layers import RateLIF


@dataclass(frozen=True)
class Case:
    """A model that converts, and is exact in rate mode."""

    build: Callable[[], keras.Model]


@dataclass(frozen=True)
class Refused:
    """A model that is refused with a text that matches."""

    build: Callable[[], keras.Model]
    match: str


def _sequential(make: Callable[[], object], shape: tuple[int, ...]) -> keras.Model:
    made = make()
    stack = made if isinstance(made, list) else [made]
    return randomized(keras.Sequential([keras.Input(shape), *stack]))


def case(make: Callable[[], object], shape: tuple[int, ...]) -> Case:
    return Case(lambda: _sequential(make, shape))


def refused(make: Callable[[], object], shape: tuple[int, ...], match: str) -> Refused:
    return Refused(lambda: _sequential(make, shape), match)


def randomized(model: keras.Model) -> keras.Model:
    """Fill every weight with asymmetric values: biases and statistics are not left at 0 and 1."""
    rng = np.random.default_rng(11)
    for layer in model._flatten_layers(include_self=False):
        for variable in layer.weights:
            if "seed" in variable.path or "rng" in variable.path:
                continue
            value = rng.normal(0.1, 0.6, variable.shape) / np.sqrt(max(variable.shape[0], 1))
            if variable.path.endswith("variance"):
                value = rng.uniform(0.5, 2.0, variable.shape)
            if variable.path.endswith("gamma"):
                value = rng.uniform(-1.5, 1.5, variable.shape)
            variable.assign(value)
    return model


def _functional(shape: tuple[int, ...], body: Callable) -> Case:
    def build() -> keras.Model:
        x = keras.Input(shape)
        return randomized(keras.Model(x, body(x)))

    return Case(build)


def _two_inputs_two_outputs() -> keras.Model:
    a, b = keras.Input((5, 4, 2), name="image"), keras.Input((3,), name="vector")
    x = RateLIF(name="lif_a")(L.Conv2D(3, 2, name="conv")(a))
    y = L.Dense(4, activation="relu", name="hidden")(b)
    left = L.Dense(2, name="left")(L.Flatten()(x))
    right = L.Dense(5, name="right")(y)
    model = keras.Model({"image": a, "vector": b}, {"left": left, "right": right})
    return randomized(model)


def _shared_layer() -> keras.Model:
    a, b = keras.Input((6,)), keras.Input((6,))
    dense = L.Dense(4, activation="relu", name="shared")
    return randomized(keras.Model([a, b], [dense(a), L.Dense(3, name="end")(dense(b))]))


def _nested() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((5, 4, 2)), L.Conv2D(3, 2), L.BatchNormalization(), L.ReLU()], name="inner"
    )
    x = keras.Input((5, 4, 2))
    return randomized(keras.Model(x, L.Dense(3)(L.Flatten()(inner(x)))))


def _middle_output() -> keras.Model:
    x = keras.Input((5, 4, 2))
    middle = L.Conv2D(3, 2, name="middle")(x)
    return randomized(keras.Model(x, [middle, L.ReLU(name="end")(middle), x]))


def _nested_shares_a_tensor() -> keras.Model:
    """The outer model reads the inner model's own input and a tensor inside it."""
    x = keras.Input((4,))
    inside = L.Dense(5, name="inside")(x)
    inner = keras.Model(x, L.Dense(4, name="end_of_inner")(inside), name="inner")
    outer = L.Dense(4)(inner(L.Dense(4)(x)))
    return randomized(keras.Model(x, [outer, L.Dense(3)(x), L.Dense(2)(inside)]))


def _nested_twice() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, activation="relu")], name="inner")
    x = keras.Input((4,))
    return randomized(keras.Model(x, [inner(x), L.Dense(2)(inner(inner(x)))]))


def _names_that_collide() -> keras.Model:
    """Names that the reader would make up are taken by other layers."""
    d, e = L.Dense(4, name="d"), L.Dense(4, name="d.1")
    x = keras.Input((4,))
    a = d(x)
    f = L.Dense(4, activation="relu", name="f")(a)
    g = L.Identity(name="g")(L.Dense(4, name="dense.f")(f))
    return randomized(keras.Model(x, [e(x), d(a), d(g)]))


def _fixed_batch() -> keras.Model:
    x = keras.Input(batch_shape=(5, 4))
    return randomized(keras.Model(x, L.Dense(3, activation="relu")(x)))


class OverriddenCall(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def _overridden_nested() -> keras.Model:
    x = keras.Input((4,))
    inner = OverriddenCall(x, L.Dense(4)(x), name="inner")
    y = keras.Input((4,))
    return keras.Model(y, L.Dense(2)(inner(y)))


def _nested_in_training() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), L.BatchNormalization()], name="inner")
    x = keras.Input((4,))
    return keras.Model(x, inner(x, training=True))


def _split() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, [L.Dense(2)(part) for part in ops.split(x, 2, axis=-1)])


def _masked() -> keras.Model:
    x, mask = keras.Input((3, 4)), keras.Input((3,), dtype="bool")
    return keras.Model([x, mask], L.BatchNormalization()(x, mask=mask))


def _lora() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), L.Dense(3)])
    model.layers[0].enable_lora(2)
    return model


CASES: dict[str, Case | Refused] = {
    "dense": case(lambda: L.Dense(3), (5,)),
    "dense_no_bias": case(lambda: L.Dense(3, use_bias=False), (5,)),
    "dense_relu": case(lambda: L.Dense(3, activation="relu"), (5,)),
    "dense_rank_3": case(lambda: L.Dense(3, activation="relu"), (4, 2, 5)),
    "dense_lif_argument": case(lambda: L.Dense(3, activation=RateLIF(smoothing=0.01)), (5,)),
    "dense_linear": case(lambda: L.Dense(3, activation="linear"), (5,)),
    "conv2d": case(lambda: L.Conv2D(4, (3, 2)), (6, 5, 3)),
    "conv2d_no_bias": case(lambda: L.Conv2D(4, (3, 2), use_bias=False), (6, 5, 3)),
    "conv2d_same": case(lambda: L.Conv2D(4, (4, 3), padding="same"), (6, 5, 3)),
    "conv2d_strides": case(lambda: L.Conv2D(4, (3, 2), strides=(2, 3)), (8, 9, 3)),
    "conv2d_strides_same": case(
        lambda: L.Conv2D(4, (4, 3), strides=(3, 2), padding="same"), (8, 9, 3)
    ),
    "conv2d_dilation": case(lambda: L.Conv2D(4, (3, 2), dilation_rate=(2, 3)), (8, 9, 3)),
    "conv2d_dilation_same": case(
        lambda: L.Conv2D(4, (3, 2), dilation_rate=(2, 3), padding="same"), (8, 9, 3)
    ),
    "conv2d_groups": case(lambda: L.Conv2D(6, (3, 2), groups=2), (6, 5, 4)),
    "conv2d_depthwise": case(lambda: L.Conv2D(8, (3, 2), groups=4), (6, 5, 4)),
    "conv2d_relu": case(lambda: L.Conv2D(4, (3, 2), activation="relu"), (6, 5, 3)),
    "conv2d_lif": case(lambda: [L.Conv2D(4, (3, 2)), RateLIF()], (6, 5, 3)),
    "conv2d_lif_hard": case(lambda: [L.Conv2D(4, (3, 2)), RateLIF(smoothing=0)], (6, 5, 3)),
    "conv2d_first": refused(
        lambda: L.Conv2D(4, 3, data_format="channels_first"),
        (3, 6, 5),
        r"data_format='channels_first' is not supported \(only 'channels_last' is\)",
    ),
    "average_pooling2d": case(lambda: L.AveragePooling2D((2, 3)), (6, 9, 2)),
    "average_pooling2d_cut": case(lambda: L.AveragePooling2D((2, 3)), (7, 8, 2)),
    "average_pooling2d_strides": case(lambda: L.AveragePooling2D((3, 2), (2, 1)), (7, 8, 2)),
    "average_pooling2d_same": case(
        lambda: L.AveragePooling2D((3, 2), (2, 3), padding="same"), (7, 8, 2)
    ),
    "average_pooling2d_gaps": case(lambda: L.AveragePooling2D((2, 1), (3, 2)), (9, 8, 2)),
    "average_pooling2d_first": refused(
        lambda: L.AveragePooling2D(2, data_format="channels_first"), (2, 6, 4), "data_format="
    ),
    "flatten": case(lambda: [L.Flatten(), L.Dense(3)], (4, 3, 2)),
    "flatten_first": refused(
        lambda: L.Flatten(data_format="channels_first"), (4, 3, 2), "data_format='channels_first'"
    ),
    "reshape": case(lambda: [L.Reshape((3, 8)), L.Dense(2)], (4, 3, 2)),
    "reshape_inferred": case(lambda: [L.Reshape((2, -1, 3)), L.Conv2D(2, 2)], (4, 3, 2)),
    "reshape_twice": case(lambda: [L.Reshape((6, 4)), L.Reshape((3, 8)), L.Dense(2)], (4, 3, 2)),
    "ops_reshape": _functional((4, 3), lambda x: L.Dense(2)(ops.reshape(x, (-1, 2, 6)))),
    "batch_normalization": case(lambda: [L.Conv2D(4, (3, 2)), L.BatchNormalization()], (6, 5, 3)),
    "batch_normalization_dense": case(lambda: [L.Dense(4), L.BatchNormalization(), L.ReLU()], (5,)),
    "batch_normalization_no_bias": case(
        lambda: [L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), RateLIF()], (6, 5, 3)
    ),
    "batch_normalization_plain": case(
        lambda: [L.Dense(4), L.BatchNormalization(center=False, scale=False)], (5,)
    ),
    "batch_normalization_first": case(
        lambda: [L.BatchNormalization(), L.Conv2D(4, 3, padding="same", activation="relu")],
        (6, 5, 3),
    ),
    "batch_normalization_on_neurons": case(
        lambda: [L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dense(3)], (5,)
    ),
    "batch_normalization_axis": refused(
        lambda: L.BatchNormalization(axis=1), (4, 3, 2), "axis=1 is not supported"
    ),
    "activation_relu": case(lambda: L.Activation("relu"), (5,)),
    "activation_linear": case(lambda: [L.Activation("linear"), L.Dense(2)], (5,)),
    "activation_tanh": refused(
        lambda: L.Activation("tanh"), (5,), "activation=tanh is not supported"
    ),
    "relu": case(lambda: L.ReLU(), (5, 2)),
    "relu_6": refused(
        lambda: L.ReLU(6.0), (5,), r"max_value=6.0 is not supported \(only None is\)"
    ),
    "relu_leaky": refused(lambda: L.ReLU(negative_slope=0.1), (5,), "negative_slope=0.1"),
    "ops_relu": _functional((5,), lambda x: ops.relu(L.Dense(4)(x))),
    "activations_relu": _functional((5,), lambda x: keras.activations.relu(L.Dense(4)(x))),
    "activations_relu_threshold": Refused(
        _functional((5,), lambda x: keras.activations.relu(x, threshold=0.5)).build,
        "threshold=0.5 is not supported",
    ),
    "rate_lif": case(
        lambda: RateLIF(
            tau_rc=0.03, tau_ref=0.001, amplitude=0.05, max_rate=200, intercept=-0.3, smoothing=0.1
        ),
        (6, 2),
    ),
    "softmax_argument": case(lambda: L.Dense(4, activation="softmax"), (5,)),
    "softmax_layer": case(lambda: [L.Dense(4), L.Softmax()], (5,)),
    "softmax_activation": case(lambda: [L.Dense(4), L.Activation("softmax")], (5,)),
    "ops_softmax": _functional((5,), lambda x: ops.softmax(L.Dense(4)(x))),
    "softmax_inside": refused(
        lambda: [L.Dense(4, activation="softmax"), L.Dense(3)],
        (5,),
        "'dense' .*softmax is supported as the last layer of an output only",
    ),
    "softmax_axis": refused(lambda: L.Softmax(axis=1), (4, 5), "axis=1 is not supported"),
    "identity": case(lambda: [L.Identity(), L.Dense(2)], (5,)),
    "training_only": case(
        lambda: [
            L.ActivityRegularization(l1=0.1),
            L.AlphaDropout(0.2),
            L.Dropout(0.5),
            L.GaussianDropout(0.3),
            L.GaussianNoise(0.1),
            L.SpatialDropout2D(0.2),
            L.Conv2D(2, 2),
            L.Dropout(0.5),
        ],
        (4, 3, 2),
    ),
    "spatial_dropout_1d": case(lambda: [L.SpatialDropout1D(0.2), L.Dense(2)], (4, 3)),
    "spatial_dropout_3d": case(lambda: [L.SpatialDropout3D(0.2), L.Dense(2)], (2, 3, 4, 2)),
    "inputs_and_outputs": Case(_two_inputs_two_outputs),
    "nested_shares_a_tensor": Case(_nested_shares_a_tensor),
    "nested_twice": Case(_nested_twice),
    "names_that_collide": Case(_names_that_collide),
    "fixed_batch": Case(_fixed_batch),
    "overridden_nested": Refused(_overridden_nested, r"'inner' .*overrides call\(\)"),
    "nested_in_training": Refused(_nested_in_training, "'inner' .*called with training=True"),
    "several_outputs": Refused(_split, r"'split' \(Split\): it has 2 outputs"),
    "masked": Refused(_masked, "it was called with the argument mask="),
    "lora": Refused(_lora, "it has LoRA weights"),
    "dense_in_activation": Refused(
        lambda: keras.Sequential([keras.Input((4,)), L.Dense(4, activation=L.Dense(4))]),
        "activation=Dense is not supported",
    ),
    "shared_layer": Case(_shared_layer),
    "nested": Case(_nested),
    "middle_output": Case(_middle_output),
    "lstm": refused(lambda: L.LSTM(3), (4, 3), "this layer is not supported"),
    "layer_normalization": refused(
        lambda: L.LayerNormalization(), (4, 3), "this layer is not supported"
    ),
}
