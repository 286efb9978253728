"""What the outputs of a run are averaged over."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.errors import InputError
from kconvert.layers import RateLIF
from kconvert.ops import RAMP, Lowpass, Window
from kconvert.options import settling_time


def network():
    x = images = keras.Input((5, 4, 2))
    x = early = RateLIF(name="one")(L.Conv2D(3, 2)(x))
    x = RateLIF(name="two")(L.Conv2D(3, 2)(x))
    first = L.Dense(2, name="first")(L.Flatten()(early))
    return keras.Model(images, [first, L.Dense(3, name="last")(L.Flatten()(x))])


@pytest.mark.parametrize(
    ("setting", "weights"),
    [
        ("ramp", np.arange(1.0, 15)),
        (Window(0.004), [0] * 4 + [1] * 10),
        (Window(0.004, growing=True), [0] * 4 + [*range(1, 11)]),
        ("window", [0] * 2 + [1] * 12),  # two layers, no synapses
    ],
    ids=str,
)
def test_means(setting, weights, rng):
    x = rng.standard_normal((2, 5, 4, 2)) * 3
    common = {"synapse": None}
    model = network()
    seen, raw = (kconvert.convert(model, output_synapse=each, **common) for each in (setting, None))
    for simulator in ("nengo", "events", "nengo_dl"):
        values = raw.simulate(x, 15, simulator=simulator).outputs
        found = seen.simulate(x, 15, simulator=simulator).outputs
        for output, mean in zip(values, found, strict=True):
            scale = np.abs(output).max()
            assert scale > 0
            assert not mean[:, 0].any()  # a probe's synapse gives what it held before
            for step in range(1, 15):
                until = np.array(weights[:step], dtype=float)
                if not until.any():  # before the window begins: of all so far
                    until = np.ones(step) if setting != "ramp" else until
                    until = np.arange(1.0, step + 1) if getattr(setting, "growing", 0) else until
                expected = np.average(output[:, :step], axis=1, weights=until)
                # float32 where it is NengoDL or the event simulator
                np.testing.assert_allclose(mean[:, step], expected, rtol=0, atol=1e-5 * scale)


def test_a_filter_for_each_output(rng):
    x = rng.standard_normal((2, 5, 4, 2)) * 3
    chosen = {"first": 0.01, "last": "ramp"}
    model = network()
    spiking = kconvert.convert(model, output_synapse=chosen, calibration=False)
    assert spiking.read_outs == {"first": Lowpass(0.01), "last": RAMP}
    first, last = (probe.synapse for probe in spiking.outputs.values())
    assert (first, last.window) == (nengo.Lowpass(0.01), RAMP)
    alone = [
        kconvert.convert(model, output_synapse=each, calibration=False) for each in chosen.values()
    ]
    for simulator in ("nengo", "events", "nengo_dl"):
        found = spiking.simulate(x, 9, simulator=simulator).outputs
        for output, network_ in enumerate(alone):
            expected = network_.simulate(x, 9, simulator=simulator).outputs[output]
            np.testing.assert_allclose(found[output], expected, rtol=1e-5, atol=1e-6)
    rest = kconvert.convert(network(), output_synapse={"last": None}, calibration=False)
    assert list(rest.read_outs.values()) == [Lowpass(0.1), None]


def test_a_window_begins_when_the_input_has_gone_through():
    synapses = {"one": nengo.Alpha(0.003), "two": 0.002}
    spiking = kconvert.convert(
        network(), synapse=synapses, output_synapse="window", calibration=False
    )
    assert settling_time(spiking.graph, 0.001) == pytest.approx(0.002 + 2 * 0.003 + 0.002)
    assert spiking.read_outs["last"] == Window(settling_time(spiking.graph, 0.001))
    assert spiking.read_outs["last"].first(0.0005) == 20
    slow = {"one": nengo.LinearFilter([0.001, 1], [0.005, 1]), "two": nengo.synapses.Triangle(0.1)}
    graph = kconvert.convert(network(), synapse=slow, calibration=False).graph
    assert settling_time(graph, 0.001) == pytest.approx(
        0.002 + 0.004
    )  # the triangle's is not known
    discrete = kconvert.convert(
        network(), synapse=nengo.LinearFilter([1.0], [1.0, 0.2], analog=False), calibration=False
    )
    assert settling_time(discrete.graph, 0.001) == pytest.approx(0.002)  # nor is that of steps


@pytest.mark.parametrize("start", [-0.001, np.inf, np.nan, "a", None])
def test_a_window_begins_at_a_time(start):
    with pytest.raises(InputError, match="Window: start must be seconds >= 0"):
        Window(start)


def test_each_output_is_diagnosed(rng):
    x = rng.standard_normal((4, 5, 4, 2)) * 3
    found = [
        " ".join(
            kconvert.convert(network(), output_synapse=each, calibration=False)
            .diagnose(x, 20)
            .findings
        )
        for each in ({"first": "ramp", "last": 0.5}, {"first": Window(0.02), "last": "ramp"})
    ]
    assert "the read-out is not a mean over the steps of the run; output_synapse='ramp'" in found[0]
    assert "the read-out of 'first' has a window that begins after the last step" in found[1]
    assert "n_steps=40" in found[1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("mean", "'ramp', 'window', a kconvert.Window, .*Received: 'mean'"),
        ({"last": "mean"}, "'ramp', 'window', a kconvert.Window"),
        ({"middle": 0.1}, r"no output: \['middle'\]. Layers with output: \['first', 'last'\]"),
        (-1.0, "seconds >= 0"),
    ],
)
def test_what_is_no_read_out_is_refused(setting, message):
    with pytest.raises(InputError, match=message):
        kconvert.convert(network(), output_synapse=setting, calibration=False)


def test_random_start_voltages_are_those_of_the_seed():
    def starts(**settings):
        spiking = kconvert.convert(network(), **settings)
        ops = [node.op for node in spiking.graph.nodes.values()]
        return [op.initial_voltage for op in ops if hasattr(op, "initial_voltage")]

    a, b = (starts(initial_voltage="uniform", seed=seed) for seed in (1, 2))
    for one, again, other in zip(a, starts(initial_voltage="uniform", seed=1), b, strict=True):
        np.testing.assert_array_equal(one, again)
        assert (one != other).all() and one.min() >= 0 and one.max() < 1
    assert not np.isin(a[0], a[1]).any()  # layers are not alike
    assert starts(initial_voltage={"two": "uniform"})[0] == 0.0
