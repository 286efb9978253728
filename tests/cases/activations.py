"""Activations: as layers, as arguments of layers, as operations."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers as L
from keras import ops

from kconvert.layers import RateLIF, SpikingAware

from .build import Case, Refused, case, functional, refused

A = keras.activations


def _prelu() -> keras.Model:
    model = keras.Sequential([keras.Input((4, 3)), L.PReLU(), L.PReLU(shared_axes=[1])])
    for index, layer in enumerate(model.layers):
        layer.alpha.assign(np.random.default_rng(index).uniform(-0.4, 0.6, layer.alpha.shape))
    return model


def _refused_function(name: str) -> Refused:
    match = f"no neuron computes the activation {name}"
    return refused(lambda: L.Activation(name), (5,), match)


def _refused_operation(operation, name: str) -> Refused:
    build = functional((5,), lambda x: operation(L.Dense(4)(x))).build
    return Refused(build, f"no neuron computes the activation {name}")


CASES = {
    "spiking_aware_lif": case(lambda: SpikingAware(RateLIF(), n_steps=5), (5,)),
    "spiking_aware_relu": case(
        lambda: [L.Conv2D(3, 2), SpikingAware(L.ReLU(), n_steps=5, amplitude=0.01)], (5, 4, 2)
    ),
    "activation_relu": case(lambda: L.Activation("relu"), (5,)),
    "activation_linear": case(lambda: [L.Activation("linear"), L.Dense(2)], (5,)),
    "activation_function": Refused(
        functional((5,), lambda x: L.Activation(lambda y: y * y)(x)).build,
        "is not one of Keras' activations",
    ),
    "relu": case(lambda: L.ReLU(), (5, 2)),
    "relu_6": case(lambda: [L.Rescaling(8.0), L.ReLU(6.0), L.Dense(2)], (5,)),
    "relu_leaky": case(lambda: [L.Dense(4), L.ReLU(negative_slope=0.1)], (5,)),
    "relu_all": case(
        lambda: [L.Conv2D(4, 2), L.ReLU(max_value=0.5, negative_slope=0.3), L.Conv2D(2, 2)],
        (5, 4, 2),
    ),
    "relu_threshold": refused(
        lambda: L.ReLU(threshold=0.5), (5,), r"threshold=0.5 is not supported \(only 0.0 is\)"
    ),
    "leaky_relu": case(lambda: [L.Dense(4), L.LeakyReLU(0.15)], (5,)),
    "leaky_relu_argument": case(lambda: L.Conv2D(4, 2, activation="leaky_relu"), (5, 4, 2)),
    "prelu": Case(_prelu),
    "relu6_argument": case(lambda: [L.Rescaling(9.0), L.Dense(4, activation="relu6")], (5,)),
    "hard_sigmoid": case(lambda: [L.Rescaling(4.0), L.Activation("hard_sigmoid")], (5,)),
    "hard_tanh": case(lambda: L.Activation("hard_tanh"), (5,)),
    "sparse_sigmoid": case(lambda: L.Activation("sparse_sigmoid"), (5,)),
    "soft_shrink": case(lambda: L.Activation("soft_shrink"), (5, 3)),
    "sigmoid": case(lambda: [L.Dense(4, activation="sigmoid"), L.Dense(3)], (5,)),
    "sigmoid_output": case(lambda: L.Dense(4, activation="sigmoid"), (5,)),
    "tanh": case(lambda: [L.Conv2D(3, 2, activation="tanh"), L.Conv2D(2, 1)], (5, 4, 2)),
    "tanh_output": case(lambda: L.Dense(4, activation="tanh"), (5,)),
    "rate_lif": case(
        lambda: RateLIF(
            tau_rc=0.03, tau_ref=0.001, amplitude=0.05, max_rate=200, intercept=-0.3, smoothing=0.1
        ),
        (6, 2),
    ),
    "softmax_argument": case(lambda: L.Dense(4, activation="softmax"), (5,)),
    "softmax_layer": case(lambda: [L.Dense(4), L.Softmax()], (5,)),
    "softmax_activation": case(lambda: [L.Dense(4), L.Activation("softmax")], (5,)),
    "softmax_axis": case(lambda: [L.Dense(4), L.Softmax(axis=1)], (3, 5)),
    "softmax_inside": refused(
        lambda: [L.Dense(4, activation="softmax"), L.Dense(3)],
        (5,),
        "'dense' .*softmax is supported only as the last layer of an output",
    ),
    "softmax_axes": refused(lambda: L.Softmax(axis=(1, 2)), (4, 5), "only one axis is"),
    "identity": case(lambda: [L.Identity(), L.Dense(2)], (5,)),
    "softmax_twice": refused(
        lambda: [L.Dense(4, activation="softmax"), L.Softmax()], (5,), "no spiking form"
    ),
    "softmax_of_sigmoid": case(lambda: [L.Dense(4, activation="sigmoid"), L.Softmax()], (5,)),
    "activation_from_ops": case(lambda: L.Dense(4, activation=ops.relu), (5,)),
    "ops_relu": functional((5,), lambda x: ops.relu(L.Dense(4)(x))),
    "ops_relu6": functional((5,), lambda x: ops.relu6(x * 9.0)),
    "ops_leaky_relu": functional((5,), lambda x: ops.leaky_relu(L.Dense(4)(x), 0.3)),
    "ops_hard_sigmoid": functional((5,), lambda x: ops.hard_sigmoid(x * 4.0)),
    "ops_sparse_sigmoid": functional((5,), ops.sparse_sigmoid),
    "ops_hard_tanh": functional((5,), ops.hard_tanh),
    "ops_soft_shrink": functional((5, 3), lambda x: ops.soft_shrink(x, 0.3)),
    "ops_soft_shrink_negative": Refused(
        functional((5,), lambda x: ops.soft_shrink(x, -1.0)).build, "threshold=-1.0 is not"
    ),
    "activations_relu_max_negative": Refused(
        functional((5,), lambda x: A.relu(x, max_value=-1.0)).build, "max_value=-1.0 is not"
    ),
    "ops_leaky_relu_nan": Refused(
        functional((5,), lambda x: ops.leaky_relu(x, np.nan)).build, "NaN or infinite"
    ),
    "ops_sigmoid": functional((5,), lambda x: L.Dense(2)(ops.sigmoid(x))),
    "ops_tanh": functional((5,), lambda x: ops.tanh(L.Dense(4)(x))),
    "ops_softmax": functional((5,), lambda x: ops.softmax(L.Dense(4)(x))),
    "ops_log_softmax": functional((5,), lambda x: ops.log_softmax(L.Dense(4)(x))),
    "activations_relu": functional((5,), lambda x: A.relu(L.Dense(4)(x))),
    "activations_relu_max": functional(
        (5,), lambda x: A.relu(L.Dense(4)(x), negative_slope=0.2, max_value=0.4)
    ),
    "activations_relu_threshold": Refused(
        functional((5,), lambda x: A.relu(x, threshold=0.5)).build,
        "threshold=0.5 is not supported",
    ),
    "elu": refused(lambda: L.ELU(), (5,), "no neuron computes the activation elu"),
    **{
        f"activation_{name}": _refused_function(name)
        for name in ("gelu", "silu", "selu", "softplus", "mish", "exponential", "hard_silu")
    },
    **{
        f"ops_{name}": _refused_operation(operation, name)
        for name, operation in {
            "celu": ops.celu,
            "elu": ops.elu,
            "exponential": ops.exp,
            "gelu": ops.gelu,
            "hard_shrink": ops.hard_shrink,
            "hard_silu": ops.hard_silu,
            "log_sigmoid": ops.log_sigmoid,
            "selu": ops.selu,
            "silu": ops.silu,
            "softplus": ops.softplus,
            "softsign": ops.softsign,
            "sparse_plus": ops.sparse_plus,
            "squareplus": ops.squareplus,
            "tanh_shrink": ops.tanh_shrink,
            "threshold": lambda x: ops.threshold(x, 0.5, 0.1),
        }.items()
    },
}
