"""What a neuron may send in one step: binary, ternary and graded spikes; ReLU with a ceiling."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from cases import randomized
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
