"""Where a loss begins, of what it is made, and that the advice helps."""

from __future__ import annotations

import re

import keras
import matplotlib.pyplot as plt
import nengo
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert


def network(activation="relu", seed=3):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            L.Conv2D(8, 3, name="conv1"),
            L.Activation(activation, name="first")
            if isinstance(activation, str)
            else activation("first"),
            L.Conv2D(8, 3, name="conv2"),
            L.Activation(activation, name="second")
            if isinstance(activation, str)
            else activation("second"),
            L.Flatten(),
            L.Dense(4),
        ]
    )
    rng = np.random.default_rng(seed)
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights(
        [rng.normal(0, (2 / np.prod(s[:-1])) ** 0.5 if len(s) > 1 else 0.1, s) for s in shapes]
    )
    return model


def lif(name):
    return kconvert.layers.RateLIF(max_rate=100.0, name=name)


@pytest.fixture
def x(rng):
    return rng.standard_normal((24, 8, 8, 2)).astype(np.float32)


@pytest.mark.parametrize("activation", ["relu", lif])
@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
def test_figures_are_those_of_the_spikes(activation, simulator, x):
    """Against what simulate and Keras give, computed here in another way."""
    model, x = network(activation), x[:6]
    spiking = kconvert.convert(model, calibration=x)
    found = spiking.diagnose(x, 40, simulator=simulator)
    spikes = spiking.simulate(x, 40, simulator=simulator, spikes=True).spikes
    values = keras.Model(model.inputs, [model.get_layer(n).output for n in ("first", "second")])
    for layer, target in zip(found.layers, values.predict(x, verbose=0), strict=True):
        train = np.asarray(spikes[layer.layer], dtype=np.float64)
        node = spiking.graph.nodes[layer.layer]
        mean = train.mean(axis=1) * node.op.amplitude / 0.001 / node.scale
        error = np.sqrt(((mean - target) ** 2).sum() / (target**2).sum())
        # The network computes Keras' values in float32.
        assert layer.error == pytest.approx(error, rel=1e-4)
        assert layer.correlation == pytest.approx(np.corrcoef(mean.ravel(), target.ravel())[0, 1])
        assert layer.mean_rate == pytest.approx(train.mean() * 1000)
        silent = (target > 0).any(axis=0) & ~train.any(axis=(0, 1))
        assert layer.silent == pytest.approx(silent.mean())
        assert layer.error <= layer.inherited + layer.own + 1e-6
    assert found.layers[0].inherited == pytest.approx(0, abs=1e-6)
    # Both curves are as they were trained.
    assert max(layer.curve for layer in found.layers) < 1e-5
    assert (
        found.agreement
        == (
            spiking.predict(x, 40, simulator=simulator).argmax(1)
            == model.predict(x, verbose=0).argmax(1)
        ).mean()
    )


def test_too_few_spikes_are_found_and_the_advice_helps(x):
    how = kconvert.Calibration(x, rate=1000)
    scales = {"second": 0.02}
    poor = kconvert.convert(network(), calibration=how, scale_firing_rates=scales)
    before = poor.diagnose(x)
    assert before.findings[0] == "the loss begins in 'second'"
    assert before.findings[1].startswith("too few spikes")
    factor = float(re.search(r"'second': ([\d.e+]+)}", before.causes[0].change)[1])
    assert factor > 2
    scales = {"second": 0.02 * factor}
    better = kconvert.convert(network(), calibration=how, scale_firing_rates=scales)
    assert better.diagnose(x).output_error == pytest.approx(before.causes[0].without, rel=0.05)
    assert better.diagnose(x).layers[1].error < 0.5 * before.layers[1].error


def test_a_floor_is_found_and_the_advice_helps(rng):
    """Long runs of Nengo's own neurons: a bias stays."""
    model = network()
    images = rng.standard_normal((12, 8, 8, 2))
    common = {"scale_firing_rates": 300.0, "synapse": None, "initial_voltage": 0.5}
    plain = kconvert.convert(model, **common).diagnose(images, 600)
    [found] = [text for text in plain.findings if "floor" in text]
    floor = {"min_voltage": {"first": -np.inf, "second": -np.inf}}
    assert str(floor["min_voltage"]).replace("inf", "np.inf") in found
    free = kconvert.convert(model, **common, **floor).diagnose(images, 600)
    assert plain.layers[1].bias > 0.02
    assert abs(free.layers[1].bias) < 0.2 * plain.layers[1].bias


def test_a_scaled_lif_curve_is_found(x):
    spiking = kconvert.convert(network(lif), scale_firing_rates=8.0, output_synapse="ramp")
    found = spiking.diagnose(x, 60)
    assert found.layers[0].curve > 0.3
    assert found.causes[0].name == "curve"
    assert "calibration=x" in found.findings[1]
    calibrated = kconvert.convert(network(lif), calibration=x)
    assert calibrated.diagnose(x, 60).output_error < 0.5 * found.output_error


def test_a_deep_network_with_synapses_needs_steps(x):
    layers = [L.Dense(10, activation="relu") for _ in range(12)]
    model = keras.Sequential([keras.Input((8, 8, 2)), L.Flatten(), *layers, L.Dense(3)])
    spiking = kconvert.convert(model, calibration=x, synapse=0.001)
    text = spiking.diagnose(x, 10).findings[0]
    assert text.startswith("the read-out has received no signal yet")
    steps = int(re.search(r"n_steps=(\d+)", text)[1])
    assert not any("sees nothing" in each for each in spiking.diagnose(x, steps).findings)
    # Without them spikes go through all layers in the same step.
    plain = kconvert.convert(model, calibration=x)
    assert not any("sees nothing" in each for each in plain.diagnose(x, 10).findings)


def test_a_slow_read_out_is_found_and_the_advice_helps(x):
    spiking = kconvert.convert(network(), calibration=x, output_synapse=0.1)
    before = spiking.diagnose(x, 60)
    first = before.causes[0]
    assert (first.name, first.change) == ("read-out", "output_synapse='ramp'")
    assert before.output_error > 0.5
    ramp = kconvert.convert(network(), calibration=x, output_synapse="ramp")
    assert ramp.diagnose(x, 60).output_error == pytest.approx(first.without, rel=1e-3)
    assert first.without < 0.15


def test_a_calibrated_lif_layer_is_not_told_to_be_calibrated(x):
    slow = kconvert.convert(network(lif), calibration=x).diagnose(x, 4).findings
    assert any("too few spikes" in text for text in slow)
    assert not any("calibration" in text for text in slow)


def test_a_swapped_activation_is_compared_with_keras(x):
    """The reference is what Keras computes, not what was put in its place."""
    model = network("gelu")
    spiking = kconvert.convert(
        model, swap_activations={"gelu": "relu"}, calibration=x, output_synapse="ramp"
    )
    found = spiking.diagnose(x, 100)
    first = keras.Model(model.inputs, model.get_layer("first").output).predict(x, verbose=0)
    error = np.sqrt(((np.maximum(first, 0) - first) ** 2).sum() / (first**2).sum())
    assert found.layers[0].error == pytest.approx(error, rel=0.6)
    assert found.layers[0].curve > 0.1
    wanted = model.predict(x, verbose=0)
    seen = spiking.predict(x, 100)
    assert found.agreement == (seen.argmax(1) == wanted.argmax(1)).mean()
    scale = np.linalg.norm(wanted - wanted.mean(axis=0))
    assert found.output_error == pytest.approx(np.linalg.norm(seen - wanted) / scale, rel=1e-4)


@pytest.mark.filterwarnings("ignore:calibration")  # the read-out of a random network is far off
def test_neurons_behind_learned_ones_are_compared_with_keras(x):
    """Those of a circuit for maxima have no tensor of Keras'."""
    layers = [
        L.Conv2D(4, 3, activation="relu", name="one"),
        L.MaxPool2D(2, name="pool"),
        L.Flatten(),
        L.Dense(5, activation="relu", name="two"),
        L.Dense(3),
    ]
    model = randomized(keras.Sequential([keras.Input((8, 8, 2)), *layers]))
    swap = {"swap_activations": {"relu": nengo.LIF()}, "max_pooling": "circuit"}
    how = kconvert.Calibration(x, rate=100)
    found = kconvert.convert(model, calibration=how, **swap).diagnose(x, 60)
    assert len(found.layers) > 2
    assert max(layer.curve for layer in found.layers) < 0.1
    fast = kconvert.convert(model, calibration=how, scale_firing_rates={"one": 8.0}, **swap)
    [text] = [text for text in fast.diagnose(x, 200).findings if "rate curve" in text]
    assert "swap_activations=None" in text
    plain = kconvert.convert(model, output_synapse="ramp", scale_firing_rates=1.0, **swap)
    assert any("calibration=x" in text for text in plain.diagnose(x, 60).findings)


@pytest.mark.parametrize("allow", [(), ("tensornode",)])
def test_a_softmax_left_out_or_kept_is_no_error(allow, rng):
    layers = [L.Dense(12, activation="relu"), L.Dense(5), L.Softmax()]
    model = keras.Sequential([keras.Input((6,)), *layers])
    x = rng.standard_normal((10, 6))
    spiking = kconvert.convert(model, allow=allow, calibration=x)
    found = spiking.diagnose(x, 200)
    assert found.output_error < 0.05
    assert found.agreement == 1.0


def test_a_model_without_neurons_has_no_layer_to_blame(rng):
    model = keras.Sequential([keras.Input((6,)), L.Dense(3)])
    found = kconvert.convert(model).diagnose(rng.standard_normal((4, 6)), 20)
    assert found.layers == ()
    assert all("read-out" in text for text in found.findings)


def test_no_loss_is_said_to_be_none(x):
    spiking = kconvert.convert(network(), calibration=x)
    found = spiking.diagnose(x, 200)
    assert found.findings == ("almost no loss",)
    assert found.output_correlation > 0.99
    text = str(found)
    assert "first" in text
    assert "second" in text


def test_what_cannot_be_diagnosed_is_refused(x):
    with pytest.raises(kconvert.InputError, match="no spikes"):
        kconvert.convert(network(), spiking=False).diagnose(x)
    with pytest.raises(kconvert.InputError, match="held"):
        kconvert.convert(network(), calibration=False).diagnose(np.zeros((2, 5, 8, 8, 2)))
    swapped = kconvert.convert(network("tanh"), swap_activations={"tanh": nengo.Tanh()})
    with pytest.raises(kconvert.InputError, match="'first' has Tanh neurons"):
        swapped.diagnose(x)
    with pytest.raises(kconvert.InputError, match="simulator"):
        kconvert.convert(network(), calibration=False).diagnose(x, simulator="spikes")


def test_a_regression_gets_words_about_its_own_error(rng):
    model = keras.Sequential([keras.Input((6,)), L.Dense(12, activation="relu"), L.Dense(2)])
    model.compile("adam", "mse")
    x = rng.standard_normal((10, 6)).astype(np.float32)
    found = kconvert.convert(model, calibration=x, scale_firing_rates=0.02).diagnose(x)
    assert found.agreement is None
    assert "class" not in str(found)
    assert "read-out: error" in str(found)
    assert found.causes[0].name == "too few spikes"


def test_outputs_of_different_size_count_alike(rng):
    """Dict inputs, and two outputs of which one is a thousand times as large."""
    a, b = keras.Input((6,), name="a"), keras.Input((4,), name="b")
    y = L.Dense(16, activation="relu", name="shared")(L.Concatenate()([a, b]))
    z = L.Dense(16, activation="relu", name="own")(y)
    outputs = {
        "small": L.Dense(2, name="small")(z),
        "large": L.Rescaling(1000.0, name="large")(L.Dense(3)(y)),
    }
    model = keras.Model({"a": a, "b": b}, outputs)
    x = {"a": rng.standard_normal((12, 6)), "b": rng.standard_normal((12, 4))}
    # The layer in front of the small output alone is too slow.
    poor = kconvert.convert(model, calibration=x, scale_firing_rates={"own": 0.02})
    found = poor.diagnose(x, 50)
    assert found.output_error > 0.3
    assert found.causes[0].name == "too few spikes"
    assert found.causes[0].layers == ("own",)
    assert sum(each.share for each in found.causes) == pytest.approx(1)


def test_a_segmentation_model_is_diagnosed(rng):
    layers = [
        L.Conv2D(6, 3, padding="same", activation="relu", name="one"),
        L.Conv2D(3, 3, padding="same"),
        L.Softmax(),
    ]
    model = keras.Sequential([keras.Input((6, 6, 1)), *layers])
    x = rng.standard_normal((8, 6, 6, 1)).astype(np.float32)
    found = kconvert.convert(model, calibration=x, synapse=0.05).diagnose(x, 30)
    assert found.agreement is None
    assert found.causes[0].name == "synapse"
    assert found.causes[0].change.startswith("synapse={'one': ")
    assert found.causes[0].without < 0.5 * found.output_error


def test_the_table_has_the_numbers_and_the_sentences_have_none(x):
    found = kconvert.convert(network(lif), scale_firing_rates=8.0).diagnose(x, 20)
    text = str(found)
    for cause in found.causes:
        sentence = cause.text.removesuffix(f"; {cause.change}") if cause.change else cause.text
        assert not re.search(r"\d", sentence)
        if cause.share >= 0.01:
            assert f"{100 * cause.share:.0f} %" in text


def test_causes_that_hide_each_other_have_parts_and_not_shares(x):
    """Far too few spikes, each worth much, and a slow read-out, which smooths this noise."""
    spiking = kconvert.convert(network(), calibration=False, output_synapse=0.1)
    found = spiking.diagnose(x, 32)
    low = min(found.causes, key=lambda cause: cause.part)
    assert found.hides
    assert low.part < 0
    assert sum(each.part for each in found.causes) == pytest.approx(found.output_error**2)
    text = str(found)
    assert f"{low.name} (below 0) cancels error" in text
    assert f"{found.causes[0].part:+.3g}" in text
    assert f"{100 * found.causes[0].share:.0f} %" not in text
    ax = found.plot()
    assert ax.get_xlabel() == "Part of the squared error; below 0 it cancels others"
    assert [bar.get_width() for bar in ax.patches] == [
        each.part for each in found.causes if abs(each.share) >= 0.005
    ]
    plt.close(ax.figure)


@pytest.mark.filterwarnings("ignore:calibration.*with LIF neurons")
@pytest.mark.parametrize(
    ("activation", "swap", "change", "taken"),
    [
        (lif, {}, "scale_firing_rates={'first': 1.0}", {"scale_firing_rates": {"first": 1.0}}),
        (
            "relu",
            {"swap_activations": {"relu": nengo.LIF()}},
            "swap_activations=None",
            {"swap_activations": None, "scale_firing_rates": None},
        ),
    ],
)
def test_changes_of_a_curve_help(activation, swap, change, taken, x):
    """Those that diagnose cannot run: only convert can make them."""
    said = {"calibration": x, "scale_firing_rates": {"first": 8.0}, **swap}
    before = kconvert.convert(network(activation), **said).diagnose(x, 60)
    first = before.causes[0]
    assert (first.name, first.change) == ("curve", change)
    assert np.isnan(first.without)
    after = kconvert.convert(network(activation), **said | taken).diagnose(x, 60)
    assert after.output_error < 0.5 * before.output_error
