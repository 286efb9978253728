"""The event simulator: Nengo's spikes to the last one, and what only it does."""

from __future__ import annotations

import subprocess
import sys
import warnings

import keras
import nengo
import numpy as np
import pytest
from cases import CASES, Case, functional, randomized
from keras import layers as L
from reference import load_model

import kconvert
from kconvert.layers import RateLIF
from kconvert.ops import Conv, Lowpass, NeuronOp
from kconvert.simulators import RunSpec
from kconvert.simulators.events.compiler import plan
from kconvert.simulators.events.compiler.geometry import geometry
from kconvert.simulators.events.compiler.pushes import in_blocks
from kconvert.simulators.events.machine import neurons, pushes

CONVERTED = [name for name, case in CASES.items() if isinstance(case, Case)]
SYNAPSES = (0.002, None, nengo.Alpha(0.003))
OUTPUT_SYNAPSES = (0.01, None, nengo.Alpha(0.01), nengo.LinearFilter([0.2, 1], [0.01, 1]))
POOLING = ("before", "sums", "values")
STEPS = 15


def compared(spiking: kconvert.SpikingModel, x, n_steps: int | None) -> int:
    """Hold float64 events against Nengo, spike for spike; gives back the number of spikes."""
    core = spiking.simulate(x, n_steps, simulator="nengo", spikes=spiking.spiking)
    mine = spiking.simulate(x, n_steps, simulator="events", spikes=spiking.spiking, dtype="float64")
    for layer, train in core.spikes.items():
        np.testing.assert_array_equal(mine.spikes[layer], train, err_msg=layer)
    for ours, theirs in zip(
        keras.tree.flatten(mine.outputs), keras.tree.flatten(core.outputs), strict=True
    ):
        # Sums in another order: 1e-16 times the terms of a sum, over the steps of a filter.
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * max(1, np.abs(theirs).max()))
    for layer, total in core.n_spikes.items():
        np.testing.assert_allclose(mine.n_spikes[layer], total, rtol=1e-9)
    return sum(int(train.sum()) for train in core.spikes.values())


def noise(spiking: kconvert.SpikingModel, rng: np.random.Generator, n: int = 2):
    """Random input, and the number of steps it wants."""
    in_time = spiking.signature.in_time
    steps = (spiking.keras_model.inputs[0].shape[1] or STEPS,) if in_time else ()
    shapes = spiking.signature.inputs
    x = {name: rng.standard_normal((n, *steps, *shape)) for name, shape in shapes.items()}
    return x, None if in_time else STEPS


@pytest.mark.parametrize("name", CONVERTED)
def test_every_layer_spikes_as_in_nengo(name, rng):
    """Every line of the table, the settings in turn."""
    turn = CONVERTED.index(name)
    settings = {
        "synapse": SYNAPSES[turn % 3],
        "output_synapse": OUTPUT_SYNAPSES[turn % 4],
        "initial_voltage": ("spread", 0.25)[turn % 2],
    }
    model = CASES[name].build()
    in_time = kconvert.convert(model, calibration=False).signature.in_time
    pooling = POOLING[turn % 3] if not in_time else "before"
    spiking = kconvert.convert(model, scale_firing_rates=150.0, max_pooling=pooling, **settings)
    compared(spiking, *noise(spiking, rng))


def residual_network() -> keras.Model:
    """Residual, max pooling, depthwise and separable, batch-normalised."""

    def body(x):
        x = L.ReLU(name="first")(L.BatchNormalization()(L.Conv2D(6, 3, padding="same")(x)))
        y = L.DepthwiseConv2D(3, padding="same")(x)
        y = L.ReLU(name="inner")(L.BatchNormalization()(y))
        y = L.BatchNormalization()(L.SeparableConv2D(6, 3, padding="same")(y))
        x = RateLIF(max_rate=200.0, name="joined")(L.Add()([x, y]))
        x = L.MaxPooling2D(2, name="pool")(x)
        x = RateLIF(name="last")(L.Conv2D(9, 3, strides=2)(x))
        return L.Dense(5)(L.GlobalAveragePooling2D()(x))

    return functional((13, 11, 3), body).build()


@pytest.mark.parametrize("synapse", [0.002, None, {"first": nengo.Alpha(0.004), "inner": 0.01}])
def test_a_residual_network_spikes_as_in_nengo(synapse, rng):
    scales = {"first": 200.0, "inner": 200.0}
    spiking = kconvert.convert(residual_network(), synapse=synapse, scale_firing_rates=scales)
    x = rng.standard_normal((3, 13, 11, 3))
    assert compared(spiking, x, 60) > 10_000


@pytest.mark.parametrize("dt", [0.0005, 0.003])
def test_other_steps(dt, rng):
    """A refractory time of whole steps, of a part of one, of several and a part; none at all."""
    for tau_ref in (0.0, 0.001, 0.002, 0.00275, 0.01):
        lif = RateLIF(tau_ref=tau_ref, max_rate=90.0, name="lif")
        model = randomized(keras.Sequential([keras.Input((7,)), L.Dense(40), lif, L.Dense(3)]))
        spiking = kconvert.convert(model, scale_firing_rates=2.0)
        x = 3 * rng.standard_normal((4, 7))
        run = {
            name: spiking.simulate(x, 80, simulator=name, dt=dt, spikes=True, dtype="float64")
            for name in ("nengo", "events")
        }
        assert run["nengo"].spikes["lif"].sum() > 300
        np.testing.assert_array_equal(run["events"].spikes["lif"], run["nengo"].spikes["lif"])


def test_a_floor_below_zero(rng):
    """min_voltage, also where there is none."""
    for floor in (0.0, -1.0, -np.inf):
        model = randomized(
            keras.Sequential([keras.Input((7,)), L.Dense(40, activation="relu"), L.Dense(3)])
        )
        swap = {"relu": nengo.LIF(min_voltage=floor, amplitude=0.01)}
        spiking = kconvert.convert(model, swap_activations=swap, calibration=False)
        assert compared(spiking, 4 * rng.standard_normal((3, 7)), 60) > 50


def test_the_reference_cnn_spikes_as_in_nengo(digits):
    assert compared(kconvert.convert(load_model()), digits.x_test[:4], 100) > 500_000


def test_float32_is_near_nengo_dl(digits):
    """Where a voltage meets the threshold to seven digits, a spike falls a step apart."""
    spiking, x = kconvert.convert(load_model()), digits.x_test[:4]
    theirs = spiking.simulate(x, 30, simulator="nengo_dl", spikes=True)
    mine = spiking.simulate(x, 30, spikes=True)
    assert mine.simulator == "events"
    for layer, train in theirs.spikes.items():
        differ = np.count_nonzero(train != mine.spikes[layer])
        assert differ <= 1e-3 * train.sum(), layer
    assert np.abs(theirs.outputs - mine.outputs).max() <= 0.01 * np.abs(theirs.outputs).max()


def test_input_that_changes_in_time(rng):
    model = residual_network()
    spiking = kconvert.convert(model, scale_firing_rates=100.0)
    held = rng.standard_normal((3, 13, 11, 3))
    repeated = np.repeat(held[:, None], 12, axis=1)
    expected = spiking.simulate(held, 12, dtype="float64").outputs
    found = spiking.simulate(repeated, dtype="float64").outputs
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    compared(spiking, rng.standard_normal((2, 20, 13, 11, 3)), None)


def test_several_inputs_some_of_them_held(rng):
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    x = L.Dense(8, activation="relu", name="one")(L.Add()([L.Dense(5)(a), b]))
    model = randomized(keras.Model([a, b], [L.Dense(3)(x), L.Dense(2)(L.Concatenate()([x, a]))]))
    spiking = kconvert.convert(model, scale_firing_rates=100.0)
    compared(spiking, {"a": rng.standard_normal((2, 20, 5)), "b": rng.standard_normal((2, 5))}, 20)


@pytest.mark.parametrize("filters", [1, 16, 17, 48, 49, 56, 63, 64, 65, 113, 120, 128])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_any_number_of_filters(filters, share, rng):
    """Whole blocks of columns and parts of them, as events and as a dense product; nothing beside
    the target is touched."""
    channels, cells = 3, 6 * 7
    op = Conv(
        rng.standard_normal((2, 3, channels, filters)), None, (1, 1), (1, 1), ((1, 0), (1, 1))
    )
    n = round(share * cells * channels)
    index = np.sort(rng.choice(cells * channels, n, replace=False)).astype(np.uint32)
    value = rng.standard_normal(n)
    x = np.zeros((1, 6, 7, channels))
    x.ravel()[index] = value
    where = geometry(op, (6, 7, channels))
    size = op.evaluate(x).size
    around = np.full(size + 256, 7.0)
    target = around[128 : 128 + size]
    target[:] = rng.standard_normal(size)
    expected = 0.5 * target + op.evaluate(x).ravel()
    matrix = op.weight.reshape(-1, filters)
    pointers = np.searchsorted(index, np.arange(cells + 1) * channels)
    rows, spans = where.rows.ravel(), where.spans()
    pushes.window(
        (index, value, pointers, n),
        target,
        in_blocks(matrix, np.float64),
        len(matrix),
        (
            rows,
            len(where.rows),
            spans.ravel(),
            spans.shape[1],
            where.width,
            where.width_out,
            where.kernel_width,
        ),
        channels,
        filters,
        0.5,
        np.zeros(64),
        np.zeros(x.size),
    )
    np.testing.assert_allclose(target, expected, rtol=0, atol=1e-12)
    assert (around[:128] == 7).all()
    assert (around[128 + size :] == 7).all()


def test_cropped_from_the_left(rng):
    """The first entry of a layer goes nowhere, the others to the places from 0 on."""

    def body(x):
        y = L.ReLU(name="one")(L.Dense(9)(x))
        return L.Dense(3)(L.ReLU(name="two")(y[:, 1:]))

    spiking = kconvert.convert(functional((5,), body).build(), scale_firing_rates=100.0)
    assert compared(spiking, 5 * rng.standard_normal((3, 5)), 30) > 50


@pytest.mark.parametrize("activation", [L.ReLU, RateLIF, lambda: L.Activation("sigmoid")])
@pytest.mark.parametrize("spiking", [True, False])
@pytest.mark.parametrize("output_synapse", [0.01, None])
def test_biases_that_are_stored_once(activation, spiking, output_synapse, rng):
    """A bias of a feature map repeats from place to place: for neurons, a maximum, an output."""

    def body(x):
        x = activation()(L.Conv2D(8, 3, padding="same")(x))
        between = L.Conv2D(8, 3, padding="same", name="between")(x)
        x = activation()(L.MaxPooling2D(2)(between))
        return between, L.Dense(3)(L.Flatten()(x))

    model = functional((16, 24, 2), body).build()
    settings = {"max_pooling": "values", "synapse": 0.003, "output_synapse": output_synapse}
    network = kconvert.convert(model, spiking=spiking, scale_firing_rates=50.0, **settings)
    lines = plan(RunSpec(network.graph, (None, None)), held=network.graph.inputs).step
    blocks = {(type(line).__name__, line.drive.block) for line in lines if hasattr(line, "drive")}
    assert {("Maximum", 1536), ("Read", 1536)} <= blocks
    spikes = compared(network, 5 * rng.standard_normal((2, 16, 24, 2)), 20)
    assert spikes > 100 or not spiking


def test_more_spikes_in_a_step_than_can_be_recorded(rng):
    """They are refused only where they are recorded."""
    model = randomized(
        keras.Sequential([keras.Input((6,)), L.Dense(20, activation="relu", name="many")])
    )
    x = rng.standard_normal((2, 6))
    many = kconvert.convert(model, scale_firing_rates=1e13)
    assert many.simulate(x, 5).spike_ranges["many"][1] > 2**31
    refused = "'many': a neuron sends .* no more than 2,147,483,647 .* Lower .* scale_firing_rates"
    with pytest.raises(kconvert.InputError, match=refused):
        many.simulate(x, 5, spikes=True)
    run = kconvert.convert(model, scale_firing_rates=1e11).simulate(x, 5, spikes=True)
    assert run.spikes["many"].max() == run.spike_ranges["many"][1] > 1e6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.005, 0.1, 3.0, 1000.0])
def test_soft_rates_to_rounding(dtype, smoothing):
    """Far below the threshold, near it and far above it, against longer numbers."""
    tau_rc, tau_ref, smoothing, unit = (dtype(each) for each in (0.02, 0.002, smoothing, 1))
    current = np.concatenate([1 + smoothing * np.linspace(-60, 60, 999), np.linspace(-3, 5, 99)])
    current = current.astype(dtype)
    n = current.size
    rates, value = np.zeros(-(-n // 64) * 64, dtype), np.zeros(n, dtype)
    events = np.zeros(n + 64, np.uint32), value, np.zeros(1, np.int32), 1
    drive = np.zeros(0, dtype), unit, current, 0
    fired = neurons.rate(drive, rates[:n], 1, unit, unit, tau_rc, tau_ref, smoothing, events)
    u = (current.astype(np.longdouble) - 1) / smoothing
    softplus = np.maximum(u, 0) + np.log1p(np.exp(-abs(u)))
    expected = 1 / (tau_ref + tau_rc * np.log1p(1 / (smoothing * softplus)))
    assert fired[0] == n
    np.testing.assert_allclose(value, expected, rtol=5 * np.finfo(dtype).eps)


def test_an_overflow_stays_where_it_is(rng):
    """It is said, with the sample, and does not stay for later runs."""
    model = randomized(
        keras.Sequential([keras.Input((6,)), L.Dense(20, activation="relu"), L.Dense(3)])
    )
    spiking = kconvert.convert(model, scale_firing_rates=100.0)
    x = rng.standard_normal((40, 6))
    expected = spiking.predict(x, 20)
    bad = x.copy()
    bad[7] = 3e38
    with pytest.raises(kconvert.InputError, match="too large for float32, first in sample 7"):
        spiking.predict(bad, 20)
    np.testing.assert_array_equal(spiking.predict(x, 20), expected)


def test_a_long_refractory_time(rng):
    """Of more steps than a byte counts."""
    lif = RateLIF(tau_ref=0.03, max_rate=30.0, name="lif")
    model = randomized(keras.Sequential([keras.Input((7,)), L.Dense(12), lif, L.Dense(3)]))
    spiking = kconvert.convert(model, scale_firing_rates=50.0)
    x = rng.standard_normal((2, 7))
    run = {
        name: spiking.simulate(x, 1200, simulator=name, dt=1e-4, spikes=True, dtype="float64")
        for name in ("nengo", "events")
    }
    assert run["nengo"].spikes["lif"].sum() > 20
    np.testing.assert_array_equal(run["events"].spikes["lif"], run["nengo"].spikes["lif"])


@pytest.mark.parametrize("synapse", [None, 0.003])
def test_rates_in_time(synapse, rng):
    spiking = kconvert.convert(residual_network(), spiking=False, synapse=synapse)
    compared(spiking, rng.standard_normal((2, 13, 11, 3)), 12)
    run = spiking.simulate(rng.standard_normal((2, 13, 11, 3)), 3, simulator="events")
    assert run.n_operations == {}  # rates are no spikes


def test_early_exit_of_one_unit(rng):
    """Its class is whether it is above zero."""
    model = randomized(
        keras.Sequential([keras.Input((6,)), L.Dense(20, activation="relu"), L.Dense(1)])
    )
    spiking = kconvert.convert(model, scale_firing_rates=100.0)
    x = rng.standard_normal((50, 6))
    positive = spiking.simulate(x, 40).outputs[..., 0] > 0
    run = spiking.simulate(x, 40, early_exit=kconvert.EarlyExit(stable=np.int64(4)))
    assert len(set(run.steps)) > 1
    for sample, steps in enumerate(run.steps):
        assert steps == 40 or len(set(positive[sample, steps - 4 : steps])) == 1
    sure = spiking.simulate(x, 40, early_exit=kconvert.EarlyExit(stable=4, confidence=0.99))
    assert sure.steps.mean() > run.steps.mean()


def test_synaptic_operations_are_counted(rng):
    """Against the oracle: what changes with one neuron, as far as the first weights."""
    spiking = kconvert.convert(residual_network(), scale_firing_rates=100.0, max_pooling="sums")
    run = spiking.simulate(rng.standard_normal((2, 13, 11, 3)), 20, spikes=True)
    graph = spiking.graph
    layers = [name for name, node in graph.nodes.items() if isinstance(node.op, NeuronOp)]
    assert list(run.n_operations) == layers
    for layer in layers:
        size = run.spikes[layer][0, 0].size
        reached = np.zeros(size)
        # Positive weights, so that nothing cancels; values other than the layer's are zero.
        values = {layer: np.eye(size).reshape(size, *graph.nodes[layer].shape)}
        for name, node in graph.nodes.items():
            if name in values:
                continue
            if not any(source in values for source in node.inputs):
                continue
            inputs = [
                values.get(source, np.zeros((size, *graph.nodes[source].shape)))
                for source in node.inputs
            ]
            if isinstance(node.op, NeuronOp) or type(node.op).__name__ == "MaxPool":
                reached += np.count_nonzero(inputs[0].reshape(size, -1), axis=1)
                continue
            value = positive(node.op).evaluate(*inputs)
            if hasattr(node.op, "weight"):
                reached += np.count_nonzero(value.reshape(size, -1), axis=1)
            else:
                values[name] = value
        for name in set(graph.outputs) & set(values):
            reached += np.count_nonzero(values[name].reshape(size, -1), axis=1)
        spikes = run.spikes[layer].reshape(-1, size).sum(axis=0)
        assert run.n_operations[layer] == int(spikes @ reached), layer


def positive(op):
    """The same linear op with weights of one and no bias."""
    from dataclasses import fields, replace

    changes = {"weight": np.ones_like(op.weight)} if hasattr(op, "weight") else {}
    changes |= {"bias": None} if "bias" in {f.name for f in fields(op)} else {}
    return replace(op, **changes)


def test_early_exit(digits):
    spiking = kconvert.convert(load_model(), calibration=digits.x_train[:20])
    x, y = digits.x_test[:40], digits.y_test[:40]
    whole = spiking.simulate(x, 30, spikes=True)
    rule = kconvert.EarlyExit(stable=4)
    run = spiking.simulate(x, 30, early_exit=rule, spikes=True)
    found = whole.outputs.argmax(axis=-1)
    for sample, steps in enumerate(run.steps):
        same = found[sample] == found[sample, steps - 1]
        assert steps == 30 or same[steps - 4 : steps].all()
        streak = [len(set(found[sample, k : k + 4])) == 1 for k in range(steps - 4)]
        assert not any(streak)  # and not earlier
        np.testing.assert_array_equal(run.outputs[sample, :steps], whole.outputs[sample, :steps])
        assert (run.outputs[sample, steps:] == run.outputs[sample, steps - 1]).all()
        for layer, train in run.spikes.items():
            np.testing.assert_array_equal(
                train[sample, :steps], whole.spikes[layer][sample, :steps]
            )
            assert not train[sample, steps:].any()
    assert run.n_spikes == {layer: train.sum() for layer, train in run.spikes.items()}
    seconds = run.steps.sum() * 0.001
    for layer, train in run.spikes.items():
        np.testing.assert_allclose(run.rates[layer], train.sum() / seconds / train[0, 0].size)
    assert 4 <= run.steps.min() < run.steps.max()
    np.testing.assert_array_equal(spiking.predict(x, 30, early_exit=rule), run.outputs[:, -1])
    result = spiking.evaluate(x, y, 30, early_exit=rule)
    assert result.mean_steps == run.steps.mean() < 15
    assert result.accuracy == (run.outputs[:, -1].argmax(axis=-1) == y).mean()
    sure = spiking.evaluate(x, y, 30, early_exit=kconvert.EarlyExit(stable=4, confidence=0.999))
    assert sure.mean_steps > result.mean_steps


def test_early_exit_waits_for_the_first_spike(digits):
    """Before it the read-out has the class of the biases, as stable as can be."""
    spiking, x = kconvert.convert(load_model(), initial_voltage=0.0), digits.x_test[:10]
    run = spiking.simulate(x, 40, early_exit=kconvert.EarlyExit(stable=2), spikes=True)
    first = run.spikes["lif2"].reshape(10, 40, -1).any(axis=-1).argmax(axis=1)
    assert first.min() >= 4
    assert (run.steps > first + 2).all()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"stable": 1}, "stable must be an integer >= 2"),
        ({"stable": 2.5}, "stable must be an integer >= 2"),
        ({"stable": 3, "confidence": 1.5}, "confidence must be from 0 to 1"),
    ],
)
def test_bad_early_exit(arguments, match):
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.EarlyExit(**arguments)


def small() -> keras.Model:
    return randomized(
        keras.Sequential([keras.Input((6,)), L.Dense(5), RateLIF(name="lif"), L.Dense(3)])
    )


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"dtype": "float16"}, "dtype must be None or one of"),
        ({"dtype": "float64", "simulator": "nengo_dl"}, "computes in float32"),
        ({"dtype": "float32", "simulator": "nengo"}, "computes in float64"),
        ({"on_interrupt": "stop"}, "on_interrupt must be 'raise' or 'return'"),
        ({"early_exit": 5}, "early_exit must be a kconvert.EarlyExit"),
        (
            {"early_exit": kconvert.EarlyExit(stable=3), "simulator": "nengo"},
            "early_exit needs simulator='events'",
        ),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.convert(small(), calibration=False).predict(np.ones((2, 6)), 5, **arguments)


def test_early_exit_needs_one_vector_of_classes():
    model = functional((6, 5, 2), lambda x: L.ReLU()(L.Conv2D(3, 2)(x))).build()
    spiking = kconvert.convert(model, scale_firing_rates=100.0)
    with pytest.raises(kconvert.InputError, match="one output that is a vector of classes"):
        spiking.predict(np.ones((1, 6, 5, 2)), 5, early_exit=kconvert.EarlyExit(stable=3))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"synapse": nengo.synapses.Triangle(0.004)}, "no form of the synapse Triangle"),
        ({"output_synapse": nengo.synapses.Triangle(0.004)}, "no form of the synapse Triangle"),
        (
            {"swap_activations": {RateLIF: nengo.RegularSpiking(nengo.LIFRate())}},
            "no form of RegularSpiking",
        ),
    ],
)
def test_what_it_cannot_run(settings, reason):
    """It says why, and "auto" says why it takes NengoDL: once."""
    spiking = kconvert.convert(small(), **settings)
    x = np.ones((2, 6))
    with pytest.raises(kconvert.InputError, match=rf"simulator='events' cannot run.*{reason}"):
        spiking.predict(x, 3, simulator="events")
    with pytest.warns(UserWarning, match=rf"'auto' is 'nengo_dl' here: .*{reason}"):
        assert spiking.simulate(x, 3).simulator == "nengo_dl"
    assert spiking.simulate(x, 3).simulator == "nengo_dl"


def test_trained_weights_are_used(rng):
    """After update_from the graph has weights that the emitted graph has not."""
    from kconvert.bridge import nengo_dl

    spiking = kconvert.convert(small(), synapse=None, calibration=False)
    x = rng.standard_normal((4, 6)).astype(np.float32)
    before = spiking.predict(x, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sim = nengo_dl.Simulator(spiking.net, minibatch_size=4, progress_bar=False)
    [node], [probe] = spiking.inputs.values(), spiking.raw_outputs.values()
    with sim:
        sim.compile("sgd", loss={probe: "mse"})
        sim.fit({node: x[:, None]}, {probe: np.ones((4, 1, 3))}, epochs=3, verbose=0)
        spiking.update_from(sim)
    after = spiking.predict(x, 20)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(
        after, spiking.predict(x, 20, simulator="nengo_dl"), rtol=0, atol=1e-4
    )


def test_pieces_of_work_do_not_show(rng):
    """Threads, batches and steps that are cut make no difference."""
    spiking = kconvert.convert(residual_network(), scale_firing_rates=100.0)
    x = rng.standard_normal((23, 13, 11, 3))
    whole = spiking.simulate(x, 37, batch_size=23)
    for size in (1, 4):
        part = spiking.simulate(x, 37, batch_size=size)
        np.testing.assert_array_equal(part.outputs, whole.outputs)
        assert part.n_spikes == whole.n_spikes
    alone = np.concatenate([spiking.simulate(x[k : k + 1], 37).outputs for k in range(23)])
    np.testing.assert_array_equal(alone, whole.outputs)


def test_the_next_process_does_not_compile():
    """What this process has compiled is on the disk."""
    kconvert.convert(small(), calibration=False).predict(np.ones((1, 6)), 2)
    code = (
        "import keras, kconvert, numpy as np\n"
        "model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5), "
        "kconvert.layers.RateLIF(), keras.layers.Dense(3)])\n"
        "kconvert.convert(model).predict(np.ones((1, 6)), 2)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "compiling" not in done.stderr


def test_the_program_of_the_reference_cnn():
    """A layer's group reads its current, spikes, and takes in what arrives; weights stand once."""
    graph = kconvert.convert(load_model()).graph
    program = plan(RunSpec(graph, (Lowpass(0.1),)), held=graph.inputs)
    codes = [type(line).__name__ for line in program.step]
    groups = [codes[a:b] for a, b in zip(program.groups, program.groups[1:], strict=False)]
    assert groups == [
        ["Lif"],
        ["Lif", "Point", "Window"],
        ["Scatter", "Scan"],
        ["Lif", "Point", "Window"],
        ["Scatter", "Scan"],
        ["Write", "Read", "Point", "Window"],
    ]
    parameters = load_model().count_params()
    assert program.weights.size < 1.5 * parameters + 64 * 64
