"""RateLIF against Nengo's and NengoDL's own neurons, which are the definition."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from keras import ops

from kconvert.bridge import nengo_dl
from kconvert.layers import RateLIF

# Currents around the threshold (J = 1) and at both ends of what float32 holds.
NEAR = np.concatenate([-np.logspace(-7, 0, 60), np.logspace(-7, 0, 60), np.linspace(-1, 1, 101)])
WIDE = np.concatenate([-np.logspace(0, 30, 61), np.logspace(0, 30, 61)])

PARAMETERS = [
    {},
    {"max_rate": 200.0, "intercept": -0.5},
    {"tau_rc": 0.05, "tau_ref": 0.001, "amplitude": 2.0, "max_rate": 30.0, "intercept": 0.4},
    {"tau_ref": 0.0, "max_rate": 400.0},
]


def inputs(layer: RateLIF, above: np.ndarray) -> np.ndarray:
    """The float32 x whose current is nearest to 1 + above."""
    return (above / layer.gain + layer.intercept).astype(np.float32)


def expected(layer: RateLIF, x: np.ndarray) -> np.ndarray:
    """What Nengo computes for the same x in float64."""
    common = {"tau_rc": layer.tau_rc, "tau_ref": layer.tau_ref, "amplitude": layer.amplitude}
    if layer.smoothing:
        neuron = nengo_dl.SoftLIFRate(sigma=layer.smoothing, **common)
    else:
        neuron = nengo.LIFRate(**common)
    current = layer.gain * x.astype(np.float64) + layer.bias
    out = np.zeros_like(current)
    with np.errstate(over="ignore", divide="ignore"):  # NengoDL's own, in the branch not taken
        neuron.step(0.001, current, out)
    return out


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("smoothing", [0.0, 1e-3, 0.02, 0.3, 2.0])
@pytest.mark.parametrize("above", [NEAR, WIDE], ids=["near", "wide"])
def test_equals_nengo(parameters, smoothing, above):
    layer = RateLIF(smoothing=smoothing, **parameters)
    x = inputs(layer, above)
    y = ops.convert_to_numpy(layer(x))
    assert y.dtype == np.float32
    reference = expected(layer, x)
    # Float32 carries 6e-8; u = (J - 1) / smoothing below zero goes through exp(u), which turns its
    # rounding into 1e-6, and the sum of logarithms adds a little.
    np.testing.assert_allclose(y, reference, rtol=5e-6, atol=1e-30)


def test_max_rate_and_intercept_are_what_nengo_solves_for():
    layer = RateLIF(max_rate=180.0, intercept=-0.25)
    gain, bias = nengo.LIFRate(tau_rc=0.02, tau_ref=0.002).gain_bias([180.0], [-0.25])
    np.testing.assert_allclose([layer.gain, layer.bias], [gain[0], bias[0]], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("smoothing", [0.0, 1e-3, 0.02, 1.0])
def test_gradients_are_finite_everywhere(smoothing, dtype):
    import tensorflow as tf

    layer = RateLIF(smoothing=smoothing, dtype=dtype)
    above = np.concatenate([[0.0], NEAR, WIDE])
    compute = layer.compute_dtype
    with np.errstate(over="ignore"):
        x = tf.cast(tf.constant(above / layer.gain), compute)
    x = tf.clip_by_value(x, x.dtype.min, x.dtype.max)  # float16 ends at 65,504
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    gradient = tape.gradient(y, x)
    assert np.isfinite(np.asarray(tf.cast(y, "float64"))).all()
    assert y.dtype == compute
    wide = np.asarray(tf.cast(gradient, "float64"))
    assert np.isfinite(wide).all()
    assert (wide >= 0).all()


@pytest.mark.parametrize("smoothing", [0.005, 0.05])
def test_gradient_is_the_slope(smoothing):
    import tensorflow as tf

    layer = RateLIF(smoothing=smoothing, dtype="float64")
    x = tf.constant(np.linspace(-0.3, 2.0, 97))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    step = 1e-6
    slope = (np.asarray(layer(x + step)) - np.asarray(layer(x - step))) / (2 * step)
    # Central differences in float64: error of order step**2 and 1e-16 / step.
    np.testing.assert_allclose(tape.gradient(y, x), slope, rtol=1e-6, atol=1e-8)


def test_noise_acts_in_training_on_firing_units_only():
    layer = RateLIF(noise=10.0, seed=1)
    plain = RateLIF()
    x = np.array([-1.0, -0.1, 0.1, 1.0], dtype=np.float32)[None].repeat(20_000, axis=0)
    clean = ops.convert_to_numpy(plain(x))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), clean)
    difference = ops.convert_to_numpy(layer(x, training=True)) - clean
    assert (difference[:, :2] == 0).all()
    # 0.01 * 10 Hz; the standard error of a standard deviation from n samples is sd / sqrt(2 n)
    spread = difference[:, 2:].std(axis=0)
    np.testing.assert_allclose(spread, 0.1, atol=5 * 0.1 / np.sqrt(2 * 20_000))
    assert (np.abs(difference[:, 2:].mean(axis=0)) < 5 * 0.1 / np.sqrt(20_000)).all()


def test_saves_and_loads(tmp_path, rng):
    values = {
        "tau_rc": 0.03,
        "tau_ref": 0.001,
        "amplitude": 0.5,
        "max_rate": 150.0,
        "intercept": -0.2,
        "smoothing": 0.05,
        "noise": 3.0,
        "seed": 5,
    }
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation=RateLIF(smoothing=0.1)),
            RateLIF(**values),
        ]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    config = loaded.layers[-1].get_config()
    assert {name: config[name] for name in values} == values
    x = rng.standard_normal((5, 4)).astype(np.float32)
    np.testing.assert_array_equal(model(x), loaded(x))


def test_trains():
    """A threshold that no unit passes at first can still be learnt, thanks to the smoothing."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 6)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(np.int64)
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(16), RateLIF(), keras.layers.Dense(2)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.RMSprop(0.01), loss)
    history = model.fit(x, y, epochs=10, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"tau_rc": 0}, r"`tau_rc` must be a time in seconds > 0. Received: tau_rc=0"),
        ({"tau_ref": -0.001}, "`tau_ref` must be a time in seconds >= 0"),
        ({"amplitude": 0.0}, "`amplitude` must be a number > 0"),
        ({"max_rate": 500.0}, "`max_rate` must be a rate in Hz > 0 and < 1/tau_ref = 500"),
        ({"max_rate": -1.0}, "`max_rate`"),
        ({"max_rate": 1e-3}, "cannot be represented"),
        ({"intercept": 1.0}, "`intercept` must be a number < 1"),
        ({"smoothing": -0.1}, "`smoothing` must be 0 or a number >= 1e-6"),
        ({"noise": -1.0}, "`noise` must be a standard deviation in Hz >= 0"),
        ({"tau_rc": float("nan")}, "`tau_rc`"),
        ({"max_rate": float("inf"), "tau_ref": 0.0}, "`max_rate`"),
        ({"amplitude": "0.1"}, "`amplitude`"),
        ({"smoothing": True}, "`smoothing`"),
        ({"tau_rc": None}, "`tau_rc`"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        RateLIF(**arguments)
