"""What a neuron may send in one step: binary, ternary and graded spikes; ReLU with a ceiling."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from cases import randomized
from cases.counting import brute_force
from keras import layers as L

import kconvert
from kconvert.ops import Relu

X = np.random.default_rng(3).random((24, 7, 6, 2))


def small(activation: str = "relu") -> keras.Model:
    return randomized(
        keras.Sequential(
            [
                keras.Input((7, 6, 2)),
                L.Conv2D(5, (3, 2), activation=activation),
                L.Conv2D(4, (2, 3), strides=2, activation=activation),
                L.Flatten(),
                L.Dense(3),
            ]
        )
    )


def relus(spiking) -> list[Relu]:
    return [node.op for node in spiking.graph.neurons()]


@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("values", ["binary", "ternary", "graded"])
def test_spikes_are_the_same_in_every_simulator(values, activation):
    calibration = kconvert.Calibration(X, percentile=60)  # so that many neurons are cut off
    spiking = kconvert.convert(small(activation), calibration=calibration, spike_values=values)
    runs = {
        name: spiking.simulate(X[:3], 20, simulator=name, spikes=True, dtype=dtype)
        for name, dtype in (("events", "float64"), ("nengo", None), ("nengo_dl", None))
    }
    assert runs["events"].n_operations
    for layer, spikes in runs["events"].spikes.items():
        found = set(np.unique(spikes.astype(int)))
        assert len(found) > 1
        allowed = {"binary": {0, 1}, "ternary": {-1, 0, 1}}.get(values)
        assert allowed is None or found <= allowed
        assert np.array_equal(spikes, runs["nengo"].spikes[layer])
        # NengoDL computes in float32: a sum that ends at the threshold may fall on either side.
        different = np.mean(spikes != runs["nengo_dl"].spikes[layer])
        assert different < 0.002


def test_without_calibration():
    for values, most, signed in (("binary", 1, False), ("ternary", 1, True), ("auto", None, False)):
        spiking = kconvert.convert(
            small(), calibration=False, scale_firing_rates=3000, spike_values=values
        )
        assert {op.signed for op in relus(spiking)} == {signed}
        run = spiking.simulate(X[:2], 15, spikes=True)
        largest = max(int(np.abs(each.astype(int)).max()) for each in run.spikes.values())
        assert largest > 1 if most is None else largest == most
        other = spiking.simulate(X[:2], 15, spikes=True, simulator="nengo")
        for layer, spikes in other.spikes.items():
            assert np.mean(spikes != run.spikes[layer]) < 0.002  # float32 here, float64 there


@pytest.mark.parametrize("activation", ["relu6", "hard_sigmoid", "hard_tanh"])
def test_a_ceiling_takes_one_layer_of_neurons(activation):
    """Two layers of ReLU compute it; calibrated, one layer keeps to the ceiling."""
    model = small(activation)
    two = kconvert.convert(model, calibration=False)
    one = kconvert.convert(model, calibration=X)
    assert 2 * one.n_neurons == two.n_neurons
    assert all(op.max_rate < np.inf for op in relus(one))
    wanted = model.predict(X, verbose=0)
    for simulator in ("events", "nengo", "nengo_dl"):
        rates = kconvert.convert(model, calibration=X, spiking=False, synapse=None,
                                 output_synapse=None)  # fmt: skip
        # float32 on both sides
        np.testing.assert_allclose(
            rates.predict(X[:4], 1, simulator=simulator), wanted[:4], rtol=1e-4, atol=1e-4
        )
    assert one.verify(X).passed
    error = np.abs(one.predict(X, 200) - wanted).max() / np.ptp(wanted)
    assert error < 0.03  # of 200 steps


def test_spikes_end_at_the_ceiling():
    """A neuron whose input is far above the ceiling fires at the ceiling in every step."""
    model = keras.Sequential([keras.Input((3,)), L.ReLU(max_value=2.0, name="clip")])
    x = np.array([[0.5, 2.0, 50.0]])
    spiking = kconvert.convert(model, calibration=x, output_synapse=None)
    (op,) = relus(spiking)
    assert op.max_spikes == round(op.max_rate * 0.001)
    assert op.max_rate * op.amplitude == pytest.approx(2.0)
    run = spiking.simulate(np.repeat(x, 2, axis=0), 40, spikes=True)
    assert (run.spikes["clip"][0, :, 2] == op.max_spikes).all()
    np.testing.assert_allclose(run.outputs[0].mean(axis=0), [0.5, 2.0, 2.0], atol=0.1)


def test_left_alone_where_something_else_reads_a_part():
    """The sum is the ceiling's only where both layers serve nothing else."""
    x = keras.Input((4,))
    low = keras.ops.relu(x)
    high = keras.ops.relu(x - 3.0)
    model = keras.Model(x, [low - high, high])
    spiking = kconvert.convert(model, calibration=np.random.default_rng(0).random((8, 4)))
    assert all(op.max_rate == np.inf for op in relus(spiking))


def test_percentiles_are_tried_where_a_neuron_sends_one_spike():
    # So few steps leave an error that the first percentile is not good enough for.
    calibration = kconvert.Calibration(X, n_steps=4)
    spiking = kconvert.convert(small(), calibration=calibration, spike_values="ternary")
    texts = [str(each) for each in spiking.decisions if each.kind == "calibration"]
    assert any(
        "percentile 99.9: " in text and "percentile 99 of each feature map: " in text
        for text in texts
    )
    assert all(op.max_spikes == 1 for op in relus(spiking))
    given = kconvert.Calibration(X, percentile=95)
    spiking = kconvert.convert(small(), calibration=given, spike_values="ternary")
    assert not any("percentile" in str(each) for each in spiking.decisions)


@pytest.mark.parametrize(("neurons", "chosen"), [(3, "99.9"), (16, "99.99")])
def test_more_neurons_per_unit_cut_off_less(neurons, chosen):
    """The less they round, the more it matters what is cut off."""
    x = np.random.default_rng(4).random((200, 7, 6, 2))
    settings = {"spike_values": "binary", "neurons_per_unit": neurons}
    spiking = kconvert.convert(small(), calibration=x, **settings)
    texts = [str(each) for each in spiking.decisions if "by percentile" in str(each)]
    assert len(texts) == 1
    assert f" percentile {chosen}: the read-out's error from step 2 to 60" in texts[0]
    given = kconvert.Calibration(x, percentile=float(chosen), per_channel=False)
    for found, expected in zip(
        relus(spiking), relus(kconvert.convert(small(), calibration=given, **settings)), strict=True
    ):
        assert found.gain == expected.gain


def test_a_file_keeps_them(tmp_path):
    spiking = kconvert.convert(small("relu6"), calibration=X, spike_values="ternary")
    spiking.save(tmp_path / "net.kconvert")
    network = kconvert.load(tmp_path / "net.kconvert")
    assert [op.max_spikes for op in relus(network)] == [1, 1]
    assert np.array_equal(network.predict(X, 12), spiking.predict(X, 12))


def test_nengo_dl_trains_with_the_ceiling():
    """In training NengoDL computes rates: those of a clipped ReLU, not of a ReLU."""
    from kconvert.bridge import nengo_dl

    model = keras.Sequential([keras.Input((3,)), L.ReLU(max_value=2.0)])
    x = np.array([[-1.0, 1.5, 9.0]])
    spiking = kconvert.convert(model, calibration=x, output_synapse=None)
    (node,), (probe,) = spiking.inputs.values(), spiking.raw_outputs.values()
    with nengo_dl.Simulator(spiking.net, progress_bar=False, device="/cpu:0") as sim:
        sim.compile(loss={probe: "mse"}, optimizer="sgd")
        clipped = np.array([[[0.0, 1.5, 2.0]]])
        found = sim.fit({node: x[:, None]}, {probe: clipped}, epochs=1, verbose=0)
    assert found.history["loss"][0] == pytest.approx(0.0, abs=1e-9)


REFUSED = {
    "a word": ({"spike_values": "binery"}, "Did you mean 'binary'"),
    "binary is not signed": ({"spike_values": "binary", "signed": True}, "contradict each other"),
    "ternary is": (
        {"spike_values": "ternary", "signed": {"conv2d": False}},
        "contradict each other",
    ),
    "a rate": (
        {"spike_values": "binary", "calibration": kconvert.Calibration(X, rate=4000)},
        "allows one spike a step, 1000 Hz",
    ),
    "neurons of Nengo's": (
        {
            "spike_values": "binary",
            "swap_activations": {"relu": nengo.PoissonSpiking(nengo.LIFRate())},
            "calibration": False,
        },
        "PoissonSpiking",
    ),
}


@pytest.mark.parametrize(("settings", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(settings, text):
    with pytest.raises(kconvert.InputError, match=text):
        kconvert.convert(small(), **({"calibration": X} | settings))


def test_a_sigmoid_above_one_spike_a_step_is_refused():
    model = small("sigmoid")
    kconvert.convert(model, calibration=X, spike_values="binary")
    with pytest.raises(kconvert.InputError, match=r"sigmoid neurons send up to 1\.5 spikes a step"):
        kconvert.convert(model, calibration=False, spike_values="binary", scale_firing_rates=3)


# What a run says of its spikes

RATE = kconvert.Calibration(X, rate=9000)
TANH = nengo.PoissonSpiking(nengo.Tanh(tau_ref=0.0001))
SENT = {
    "binary": ("binary", {"calibration": X, "spike_values": "binary"}),
    "ternary": ("ternary", {"calibration": X, "spike_values": "ternary"}),
    "unsigned": ("graded", {"calibration": RATE, "signed": False}),
    "signed": ("graded", {"calibration": RATE, "signed": True}),
    "LIF": (
        "binary",
        {"calibration": False, "swap_activations": {"relu": nengo.LIF()}, "scale_firing_rates": 9},
    ),
    "sigmoid": ("graded", {"calibration": False, "swap_activations": {"relu": "sigmoid"},
                           "scale_firing_rates": 8}),
    "none": ("graded", {"calibration": False, "scale_firing_rates": 1e-3}),
    "Nengo's, signed": ("graded", {"calibration": False, "swap_activations": {"relu": TANH}}),
}  # fmt: skip


def by_brute_force(run) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
    """Spikes, and the lowest and the highest number in a step, of each layer; from single ones."""
    numbers, ranges = {}, {}
    for layer, train in run.spikes.items():
        flat = [int(each) for each in train.ravel()]
        numbers[layer] = sum(abs(each) for each in flat)
        ranges[layer] = min(0, *flat), max(0, *flat)
    return numbers, ranges


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
@pytest.mark.parametrize("kind", SENT)
def test_runs_say_which_spikes_were_sent(kind, simulator):
    """And a step with several spikes of a neuron counts as several, whatever their sign."""
    values, settings = SENT[kind]
    spiking = kconvert.convert(small(), **settings)
    if kind.startswith("Nengo's") and simulator == "events":
        pytest.skip("the event simulator refuses neurons that only Nengo knows")
    x, steps = X[:3], 12
    run = spiking.simulate(x, steps, simulator=simulator, spikes=True)
    numbers, ranges = by_brute_force(run)
    assert run.spike_values == values
    assert run.spike_ranges == ranges
    low, high = run.spike_range
    assert (low, high) == (min(r[0] for r in ranges.values()), max(r[1] for r in ranges.values()))
    if kind in ("unsigned", "signed", "sigmoid"):
        assert high > 1
    if kind in ("signed", "Nengo's, signed"):
        assert low < 0
    assert run.n_spikes == numbers
    neurons = {node.name: node.size for node in spiking.graph.neurons()}
    seconds = 3 * steps * 0.001
    wanted = {layer: n / seconds / neurons[layer] for layer, n in numbers.items()}
    assert run.rates == pytest.approx(wanted, rel=1e-12)
    found = spiking.evaluate(x, [0, 1, 2], steps, simulator=simulator)
    if not kind.startswith("Nengo's"):  # these draw other numbers each time
        assert found.spikes_per_sample == pytest.approx(sum(numbers.values()) / 3, rel=1e-12)
        assert found.spikes_per_step.sum() == pytest.approx(found.spikes_per_sample, rel=1e-6)
        assert (found.spike_values, found.spike_ranges) == (values, ranges)
        energy = spiking.energy(x, steps, simulator=simulator)
        sent = sum(each.spikes for each in energy.layers)
        assert sent == pytest.approx(sum(numbers.values()) / 3, rel=1e-12)
        wanted = brute_force(spiking.graph, run)
        assert energy.synaptic_operations == pytest.approx(wanted, rel=1e-12)


def test_a_rate_network_sends_none():
    rates = kconvert.convert(small(), calibration=X, spiking=False)
    run = rates.simulate(X[:2], 3)
    assert (run.spike_values, run.spike_ranges, run.spike_range) == (None, {}, None)
    assert run.to_frame()["max_spikes"].isna().all()
    assert "spikes in a step" not in str(run)
    assert rates.to_dict()["spike_values"] is None
    assert rates.evaluate(X[:2], [0, 1], 3).to_dict()["spike_range"] is None


def test_batches_of_a_stream_and_early_exit():
    """What was run beyond a sample's last step does not count, and every batch does."""
    spiking = kconvert.convert(small(), calibration=RATE, signed=True)
    exit = kconvert.EarlyExit(stable=2)
    x = X[:8] * np.linspace(0.1, 3, 8)[:, None, None, None]
    whole = spiking.simulate(x, 30, spikes=True, early_exit=exit)
    assert len(set(whole.steps)) > 1
    assert max(whole.steps) < 30
    assert whole.spike_ranges == by_brute_force(whole)[1]
    batches = [x[:3], x[3:4], x[4:]]
    parts = [spiking.simulate(part, 30, early_exit=exit).spike_range for part in batches]
    assert len(set(parts)) > 1
    for run in (
        spiking.simulate(iter(batches), 30, early_exit=exit),
        spiking.evaluate(iter([(each, np.zeros(len(each))) for each in batches]), n_steps=30,
                         early_exit=exit),
    ):  # fmt: skip
        assert run.spike_ranges == whole.spike_ranges
        assert run.spike_range == (min(p[0] for p in parts), max(p[1] for p in parts))


def test_results_name_them():
    spiking = kconvert.convert(small(), calibration=RATE, signed=True)
    assert "which send graded spikes" in str(spiking)
    assert spiking.to_dict()["spike_values"] == "graded"
    run = spiking.simulate(X[:2], 10)
    low, high = run.spike_range
    said = f"spikes: graded; a neuron sent {low} to {high} in one step"
    found = spiking.evaluate(X[:2], [0, 1], 10)
    assert said in str(run)
    assert said in str(found)
    assert f"graded spikes ({low} to {high} in a step)" in repr(run)
    for each in (run, found):
        told = each.to_dict()
        assert (told["spike_values"], told["spike_range"]) == ("graded", [low, high])
        layers = {row["layer"]: (row["min_spikes"], row["max_spikes"]) for row in told["layers"]}
        assert layers == each.spike_ranges
    assert spiking.about["evaluation"]["spike_range"] == [low, high]
    frame = run.to_frame().set_index("layer")
    assert frame["max_spikes"].to_dict() == {k: each[1] for k, each in run.spike_ranges.items()}
