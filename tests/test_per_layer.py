"""Settings by layer: own names, patterns and unknown keys, in every argument that takes them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert import InputError
from kconvert.ops import MaxPool
from kconvert.options import read_options

X = np.random.default_rng(0).random((8, 6, 6, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Three layers of neurons, three maxima and three outputs, with names that patterns fit."""
    keras.utils.set_random_seed(3)
    x = image = keras.Input((6, 6, 1), name="image")
    outputs = []
    for name in ("a1", "a2", "b1"):
        x = L.Conv2D(2, 2, padding="same", activation="relu", name=name)(x)
        x = L.MaxPooling2D(2, strides=1, padding="same", name=f"{name}_max")(x)
        outputs.append(L.Dense(2, name=f"{name}_out")(L.Flatten(name=f"{name}_flat")(x)))
    return keras.Model(image, outputs)


def of_neurons(field):
    return lambda spiking: [field(node.op) for node in spiking.graph.neurons()]


def of_outputs(spiking):
    return [each.tau for each in spiking.filters]


def of_maxima(spiking):
    found = {
        node.layer: node.op.over
        for node in spiking.graph.nodes.values()
        if isinstance(node.op, MaxPool)
    }
    return [found[f"{name}_max"] for name in ("a1", "a2", "b1")]


def converted(argument, suffix=""):
    """From a setting to the network that it gives; names of layers get a suffix."""

    def convert(model, setting):
        setting = {key + suffix: value for key, value in setting.items()}
        return kconvert.convert(model, calibration=False, **{argument: setting})

    return convert


def calibrated(argument):
    def convert(model, setting):
        if argument == "correction":
            settings = {"calibration": kconvert.Calibration(X, rate=1000.0), argument: setting}
            return kconvert.convert(model, **settings, signed=False, min_voltage=0.0)
        settings = {"rate": 1000.0, "per_channel": False, argument: setting}
        return kconvert.convert(model, calibration=kconvert.Calibration(X, **settings))

    return convert


def gains(spiking):
    return [float(node.op.gain) for node in spiking.graph.neurons()]


def corrections(spiking):
    changed = (node.name for node in spiking.graph.nodes.values() if node.correction is not None)
    made = {name[:2] for name in changed if not name.endswith("_out")}
    return [name in made for name in ("a1", "a2", "b1")]


# Argument, convert, the values of a name and of a pattern, the field, and what a1, a2, b1 then
# have: a1 by its name, a2 by the pattern, b1 what layers have that are not named.
SETTINGS = {
    "synapse": (
        converted("synapse"),
        0.003,
        0.004,
        of_neurons(lambda op: op.synapse and op.synapse.tau),
        [0.003, 0.004, None],
    ),
    "output_synapse": (
        converted("output_synapse", "_out"),
        0.003,
        0.004,
        of_outputs,
        [0.003, 0.004, 0.1],
    ),
    "initial_voltage": (
        converted("initial_voltage"),
        0.25,
        0.75,
        of_neurons(lambda op: np.mean(op.initial_voltage)),
        [0.25, 0.75, 0.0],
    ),
    "min_voltage": (
        converted("min_voltage"),
        -1.0,
        -2.0,
        of_neurons(lambda op: op.min_voltage),
        [-1.0, -2.0, None],
    ),
    "signed": (
        converted("signed"),
        False,
        True,
        of_neurons(lambda op: op.signed),
        [False, True, False],
    ),
    "neurons_per_unit": (
        converted("neurons_per_unit"),
        2,
        3,
        lambda spiking: [node.shape[-1] // 2 for node in spiking.graph.neurons()],
        [2, 3, 1],
    ),
    "scale_firing_rates": (
        converted("scale_firing_rates"),
        10.0,
        20.0,
        gains,
        [10.0, 20.0, 1.0],
    ),
    "max_pooling": (
        converted("max_pooling", "_max"),
        "values",
        "sums",
        of_maxima,
        ["values", "sums", "sums"],
    ),
    "correction": (calibrated("correction"), None, "bias", corrections, [False, True, True]),
    "Calibration: percentile": (calibrated("percentile"), 50.0, 90.0, gains, None),
    "Calibration: rate": (calibrated("rate"), 100.0, 200.0, gains, None),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_own_names_go_before_patterns(name, model):
    convert, own, pattern, field, expected = SETTINGS[name]
    # The pattern stands first, and fits both: the layer's own name counts all the same.
    found = field(convert(model, {"a*": pattern, "a1": own}))
    if expected is None:
        by_name = field(convert(model, {"a1": own, "a2": pattern}))
        assert found == by_name
        assert found[0] != field(convert(model, {"a*": pattern}))[0]
    else:
        assert found == expected
    # Of patterns the first one counts.
    first = field(convert(model, {"?1": own, "a*": pattern, "b1": pattern}))
    assert first == field(convert(model, {"a1": own, "a2": pattern, "b1": pattern}))


@pytest.mark.parametrize("name", SETTINGS)
def test_unknown_names_are_refused_with_the_nearest(name, model):
    convert, own, *_ = SETTINGS[name]
    argument = name.rsplit(" ", 1)[-1]
    with pytest.raises(InputError, match=rf"{argument}.*'a11\w*'.*Did you mean 'a1"):
        convert(model, {"a11": own})
    with pytest.raises(InputError, match=rf"{argument} names layers that have no .*'zz\*"):
        convert(model, {"zz*": own})


def test_keys_must_be_names(model):
    with pytest.raises(InputError, match=r"synapse: keys must be layer names\. Received: 3"):
        kconvert.convert(model, synapse={3: 0.1}, calibration=False)
    with pytest.raises(InputError, match=r"Received: <Conv2D .*Its name is 'a1'"):
        kconvert.convert(model, synapse={model.get_layer("a1"): 0.1}, calibration=False)


def test_every_setting_by_layer_is_in_the_table():
    options = read_options()
    by_layer = {
        name for name in options.__slots__ if type(getattr(options, name)).__name__ == "PerLayer"
    }
    assert by_layer == {name for name in SETTINGS if not name.startswith("Calibration")}
