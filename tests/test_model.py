"""SpikingModel: runs, shapes, batches, structures, and the dynamics of the emitted network."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from cases import randomized
from keras import layers as L

import kconvert
from kconvert.layers import RateLIF


def classifier() -> keras.Model:
    return randomized(
        keras.Sequential(
            [
                keras.Input((7, 6, 2), name="image"),
                L.Conv2D(5, (3, 2), name="conv"),
                RateLIF(max_rate=200.0, name="lif"),
                L.AveragePooling2D(2, name="pool"),
                L.Flatten(),
                L.Dense(6, activation="relu", name="hidden"),
                L.Dense(4, name="classes"),
            ],
            name="classifier",
        )
    )


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    return kconvert.convert(classifier(), scale_firing_rates={"hidden": 100.0})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(5).normal(0.5, 1.0, (7, 7, 6, 2)).astype(np.float32)


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
def test_simulation(spiking, images, simulator):
    run = spiking.simulate(images, 12, simulator=simulator, spikes=True, batch_size=3)
    assert run.outputs.shape == (7, 12, 4)
    assert (run.n_steps, run.dt, run.simulator) == (12, 0.001, simulator)
    assert run.spikes["lif"].shape == (7, 12, 5, 5, 5)
    assert run.spikes["hidden"].shape == (7, 12, 6)
    for layer, train in run.spikes.items():
        assert train.sum() > 20
        assert run.n_spikes[layer] == train.sum()
        np.testing.assert_allclose(run.rates[layer], train.mean() / 0.001, rtol=1e-12)
    np.testing.assert_array_equal(
        spiking.predict(images, 12, simulator=simulator, batch_size=3), run.outputs[:, -1]
    )


def test_nengo_dl_and_nengo_agree_spike_by_spike(spiking, images):
    reference = spiking.simulate(images[:3], 40, simulator="nengo", spikes=True)
    run = spiking.simulate(images[:3], 40, simulator="nengo_dl", spikes=True)
    for layer in ("lif", "hidden"):
        # float32 may move a spike by a step where the voltage meets the threshold to seven digits
        differ = np.mean(reference.spikes[layer] != run.spikes[layer])
        assert differ < 1e-3, (layer, differ)
    assert reference.n_spikes["lif"] > 1000


def test_batches_do_not_matter(spiking, images):
    whole = spiking.predict(images, 8, batch_size=7)
    np.testing.assert_allclose(spiking.predict(images, 8, batch_size=2), whole, atol=1e-6)
    np.testing.assert_allclose(spiking.predict(images[4:5], 8), whole[4:5], atol=1e-6)


def test_runs_start_afresh(spiking, images):
    first = spiking.predict(images, 6)
    np.testing.assert_array_equal(spiking.predict(images, 6), first)


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
def test_input_that_changes_in_time(spiking, images, simulator):
    held = spiking.simulate(images[:2], 9, simulator=simulator).outputs
    repeated = np.repeat(images[:2, None], 9, axis=1)
    given = spiking.simulate(repeated, simulator=simulator)
    assert given.n_steps == 9
    np.testing.assert_allclose(given.outputs, held, atol=1e-6)
    repeated = np.repeat(images[:2, None], 25, axis=1)
    repeated[:, 5:] *= -1
    changed = spiking.simulate(repeated, simulator=simulator).outputs
    np.testing.assert_allclose(changed[:, :5], held[:, :5], atol=1e-6)
    steady = spiking.simulate(images[:2], 25, simulator=simulator).outputs
    assert np.abs(changed[:, -1] - steady[:, -1]).max() > 1e-3


def test_long_runs_are_cut_in_time_without_a_seam(spiking, images, monkeypatch):
    whole = spiking.simulate(images, 11, simulator="nengo_dl", batch_size=7, spikes=True)
    monkeypatch.setattr("kconvert.simulators.nengo_dl.CHUNK_BYTES", 4 * 7 * 300 * 4)
    spiking._runners.forget()
    cut = spiking.simulate(images, 11, simulator="nengo_dl", batch_size=7, spikes=True)
    assert spiking._runners.last[1]._chunk == 5
    np.testing.assert_array_equal(cut.outputs, whole.outputs)
    np.testing.assert_array_equal(cut.spikes["lif"], whole.spikes["lif"])
    spiking._runners.forget()


def test_integer_images_are_taken_as_keras_takes_them(spiking):
    x = np.random.default_rng(1).integers(0, 3, (2, 7, 6, 2))
    as_float = spiking.predict(x.astype(np.float32), 6)
    np.testing.assert_array_equal(spiking.predict(x.astype(np.uint8), 6), as_float)


@pytest.mark.parametrize("simulator", ["events", "nengo", "nengo_dl"])
def test_rate_network_equals_predict(images, simulator):
    model = classifier()
    rates = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    expected = model.predict(images, verbose=0)
    # float32 sums over some 60 inputs
    scale = np.abs(expected).max()
    found = rates.predict(images, 1, simulator=simulator)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)


def test_more_steps_come_closer_to_keras(images):
    model = classifier()
    spiking = kconvert.convert(model, scale_firing_rates={"hidden": 500.0}, output_synapse=None)
    expected = model.predict(images, verbose=0)
    outputs = spiking.simulate(images, 400, simulator="nengo_dl").outputs
    errors = [np.abs(outputs[:, 20 : 20 + n].mean(axis=1) - expected).max() for n in (2, 20, 380)]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.05 * np.abs(expected).max()


def test_evaluation(spiking, images):
    labels = spiking.keras_model.predict(images, verbose=0).argmax(axis=1)
    labels[0] = (labels[0] + 1) % 4
    result = spiking.evaluate(images, labels, 25)
    assert result.accuracy_per_step.shape == result.agreement_per_step.shape == (25,)
    assert result.reference_accuracy == pytest.approx(6 / 7)
    outputs = spiking.simulate(images, 25).outputs
    right = outputs.argmax(axis=-1) == labels[:, None]
    np.testing.assert_array_equal(result.accuracy_per_step, right.mean(axis=0))
    assert result.accuracy == result.accuracy_per_step[-1]
    assert result.n == 7
    assert result.spikes_per_sample == sum(result.n_spikes.values()) / 7
    text = str(result)
    assert "Keras: error 14.29 %" in text
    assert "rate (Hz)" in text
    assert "\nlif " in text
    one_hot = np.eye(4)[labels]
    again = spiking.evaluate(images, one_hot, 25)
    np.testing.assert_array_equal(again.accuracy_per_step, result.accuracy_per_step)


def test_evaluation_of_changing_input_has_no_reference(spiking, images):
    x = np.repeat(images[:, None], 5, axis=1)
    result = spiking.evaluate(x, np.zeros(7, int))
    assert result.reference_accuracy is None
    assert result.agreement_per_step is None
    assert "Keras" not in str(result)


def test_evaluation_needs_labels_that_fit(images):
    conv = keras.Sequential([keras.Input((7, 6, 2)), L.Conv2D(3, 2)])
    with pytest.raises(kconvert.InputError, match=r"'conv2d' must have the shape \(7, 6, 5, 3\)"):
        kconvert.convert(conv, calibration=False).evaluate(images, np.zeros(7), 1)


def test_several_inputs_and_outputs(rng):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    outputs = {
        "x": L.Dense(2, name="left")(L.Dense(5, activation="relu", name="neurons")(a)),
        "y": L.Dense(3, name="right")(b),
    }
    model = randomized(keras.Model({"a": a, "b": b}, outputs))
    spiking = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    assert list(spiking.inputs) == ["a", "b"]
    assert set(spiking.outputs) == set(spiking.raw_outputs) == {"x", "y"}
    x = {"a": rng.standard_normal((4, 3)), "b": rng.standard_normal((4, 2))}
    expected = model.predict(x, verbose=0)
    for given in (x, [x["a"], x["b"]]):
        found = spiking.predict(given, 1)
        assert set(found) == {"x", "y"}
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-5)
    result = spiking.evaluate(x, np.zeros(4), 1, output="y")
    assert result.output == "y"
    with pytest.raises(kconvert.InputError, match="output must name one of the model's outputs"):
        spiking.evaluate(x, np.zeros(4), 1)


def test_list_of_outputs(rng):
    x = keras.Input((3,))
    model = randomized(keras.Model(x, [L.Dense(2, name="p")(x), L.Dense(4, name="q")(x)]))
    found = kconvert.convert(model, output_synapse=None, calibration=False).predict(
        rng.random((5, 3)), 1
    )
    assert [part.shape for part in found] == [(5, 2), (5, 4)]


def tails():
    """Ends of models with an activation at the output, or on the way to it."""

    def segmentation(x):
        return L.Softmax()(L.Conv2D(3, 2)(x))

    def reshaped_after(x):
        return L.Reshape((2, 5))(L.Dense(10, activation="softmax")(L.Flatten()(x)))

    def reshaped_before(x):
        return L.Softmax(axis=1)(L.Reshape((2, 5))(L.Dense(10)(L.Flatten()(x))))

    def pooled(x):
        return L.GlobalAveragePooling2D()(L.Conv2D(3, 2, activation="sigmoid")(x))

    def permuted(x):
        return L.Permute((3, 1, 2))(L.MaxPooling2D(2)(L.Conv2D(3, 2, activation="softmax")(x)))

    def logits_and_more(x):
        logits = L.Dense(4)(L.Flatten()(x))
        probabilities = L.Softmax()(logits)
        return [logits, probabilities, L.Reshape((2, 2))(probabilities)]

    def log_softmax(x):
        return L.Activation("log_softmax")(L.Dense(4)(L.Flatten()(x)))

    return [
        segmentation, reshaped_after, reshaped_before, pooled, permuted, logits_and_more,
        log_softmax,
    ]  # fmt: skip


@pytest.mark.parametrize("end", tails(), ids=lambda end: end.__name__)
def test_predict_is_on_the_scale_of_keras(end, rng, tmp_path):
    inputs = keras.Input((5, 4, 2))
    model = randomized(keras.Model(inputs, end(L.Conv2D(3, 2, activation="relu")(inputs))))
    rates = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    x = rng.standard_normal((3, 5, 4, 2)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    expected = expected if isinstance(expected, list) else [expected]
    rates.save(tmp_path / "net")
    for network in (rates, kconvert.load(tmp_path / "net.kconvert")):
        found = network.predict(x, 1)
        for ours, keras_ in zip(found if len(expected) > 1 else [found], expected, strict=True):
            # float32 sums over some 40 values of size 1
            np.testing.assert_allclose(ours, keras_, rtol=0, atol=1e-5)
        logits, run = network.predict(x, 1, logits=True), network.simulate(x, 1).outputs
        for before, recorded in zip(*map(keras.tree.flatten, (logits, run)), strict=True):
            np.testing.assert_array_equal(before, recorded[:, -1])


def test_an_activation_that_is_read_stays_in_the_network(rng):
    """Behind it stands a reshape that another layer reads too."""
    inputs = keras.Input((4,))
    gate = L.Reshape((3, 1))(L.Dense(3, activation="sigmoid", name="gate")(inputs))
    model = randomized(keras.Model(inputs, [gate, L.Dense(2)(L.Flatten()(gate))]))
    rates = kconvert.convert(model, spiking=False, synapse=None, output_synapse=None)
    assert [node.layer for node in rates.graph.neurons()] == ["gate"]
    x = rng.standard_normal((3, 4)).astype(np.float32)
    for ours, expected in zip(rates.predict(x, 1), model.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


def test_objects_by_name(spiking):
    assert isinstance(spiking.net, nengo.Network)
    assert spiking.inputs["image"].size_out == 84
    assert spiking.outputs["classes"].synapse == nengo.Lowpass(0.1)
    assert spiking.raw_outputs["classes"].synapse is None
    assert isinstance(spiking.layers["lif"], nengo.Ensemble)
    assert spiking.layers["lif"].neuron_type.tau_rc == 0.02
    assert isinstance(spiking.layers["hidden"], nengo.Ensemble)
    assert isinstance(spiking.layers["conv"], nengo.Connection)
    assert isinstance(spiking.layers["pool"], nengo.Node)
    assert repr(spiking) == "<SpikingModel 'classifier': spiking, 131 neurons>"


def test_only_core_nengo_objects(spiking):
    for thing in spiking.net.all_objects:
        assert type(thing).__module__.split(".")[0] == "nengo", thing
    for ensemble in spiking.net.ensembles:
        assert type(ensemble.neuron_type) in (nengo.LIF, nengo.SpikingRectifiedLinear)


def test_filtered_probe_is_the_raw_one_filtered(spiking, images):
    node = spiking.inputs["image"]
    node.output = images[0].ravel().astype(float)
    try:
        with nengo.Simulator(spiking.net, progress_bar=False) as sim:
            sim.run_steps(30)
    finally:
        node.output = np.zeros(84)
    raw = sim.data[spiking.raw_outputs["classes"]]
    filtered = sim.data[spiking.outputs["classes"]]
    # Nengo delays a filtered probe by one step.
    np.testing.assert_allclose(filtered[1:], nengo.Lowpass(0.1).filt(raw, y0=0)[:-1], atol=1e-12)
    run = spiking.simulate(images[:1], 30, simulator="nengo").outputs[0]
    np.testing.assert_allclose(run, filtered, atol=1e-12)


def test_running_leaves_the_network_as_it_was(spiking, images):
    def objects():
        return [list(kind) for kind in (spiking.net.nodes, spiking.net.connections)] + [
            list(spiking.net.probes),
            spiking.inputs["image"].output.tolist(),
        ]

    before = objects()
    for simulator in ("nengo", "nengo_dl"):
        spiking._runners.forget()
        spiking.simulate(images[:2], 2, simulator=simulator, spikes=True)
    spiking._runners.forget()
    assert objects() == before


def test_dynamics_are_those_of_a_network_built_by_hand(rng):
    """Gain, bias, amplitude, start voltage and synapse end where Nengo wants them."""
    model = randomized(
        keras.Sequential(
            [
                keras.Input((6,)),
                L.Dense(9, name="first"),
                RateLIF(max_rate=180.0, intercept=-0.2, amplitude=0.02, name="lif"),
                L.Dense(4, name="last"),
            ]
        )
    )
    first, _, last = model.layers
    voltage = rng.random(9)
    spiking = kconvert.convert(
        model,
        synapse=nengo.Alpha(0.003),
        output_synapse=0.02,
        initial_voltage={"lif": voltage},
        calibration=False,
    )
    x = rng.standard_normal(6)
    weight, bias = (np.asarray(value, dtype=float) for value in first.get_weights())
    with nengo.Network() as net:
        node = nengo.Node(x)
        ensemble = nengo.Ensemble(
            9,
            1,
            max_rates=nengo.dists.Choice([180.0]),
            intercepts=nengo.dists.Choice([-0.2]),
            encoders=np.ones((9, 1)),
            neuron_type=nengo.LIF(amplitude=0.02, initial_state={"voltage": voltage}),
        )
        nengo.Connection(node, ensemble.neurons, transform=weight.T, synapse=None)
        constant = nengo.Node(bias)
        nengo.Connection(constant, ensemble.neurons, synapse=None)
        out = nengo.Node(size_in=4)
        weight, bias = (np.asarray(value, dtype=float) for value in last.get_weights())
        nengo.Connection(ensemble.neurons, out, transform=weight.T, synapse=nengo.Alpha(0.003))
        nengo.Connection(nengo.Node(bias), out, synapse=None)
        probe, neurons = nengo.Probe(out, synapse=0.02), nengo.Probe(ensemble.neurons)
    with nengo.Simulator(net, progress_bar=False) as sim:
        sim.run_steps(150)
    run = spiking.simulate(x[None], 150, simulator="nengo", spikes=True)
    assert run.spikes["lif"].sum() > 30
    np.testing.assert_array_equal(run.spikes["lif"][0], sim.data[neurons] * 0.001 / 0.02)
    np.testing.assert_allclose(run.outputs[0], sim.data[probe], atol=1e-10)


def test_scaling_relu_gives_more_spikes_of_the_same_value(images):
    model = classifier()
    rates = {}
    for scale in (100.0, 300.0):
        spiking = kconvert.convert(model, scale_firing_rates={"hidden": scale})
        rates[scale] = spiking.simulate(images, 60).rates["hidden"]
    assert rates[300.0] == pytest.approx(3 * rates[100.0], rel=0.1)


def test_dt(spiking, images):
    """The same time in half steps: as many spikes, to within one for each neuron and image."""
    coarse = spiking.simulate(images, 30, dt=0.001)
    fine = spiking.simulate(images, 60, dt=0.0005)
    assert fine.rates["lif"] == pytest.approx(coarse.rates["lif"], rel=0.1)


def test_decisions_and_summary(capsys):
    model = keras.Sequential(
        [
            keras.Input((5, 4, 1)),
            L.Conv2D(3, 2, use_bias=True, name="conv"),
            L.BatchNormalization(name="norm"),
            L.ReLU(name="relu"),
            L.Dropout(0.5, name="drop"),
            L.Flatten(),
            L.Dense(3, activation="softmax", name="end"),
        ]
    )
    spiking = kconvert.convert(model, calibration=False)
    kinds = {(decision.kind, decision.layer) for decision in spiking.decisions}
    assert {("removed", "drop"), ("logits", "end"), ("folded", "norm"), ("rates", "relu")} <= kinds
    spiking.summary()
    text = capsys.readouterr().out
    assert "36 spiking neurons" in text
    for decision in spiking.decisions:
        assert str(decision) in text


def test_verify_sees_a_wrong_weight():
    model = classifier()
    spiking = kconvert.convert(model, calibration=False)
    assert spiking.verify(simulator="nengo")
    kernel = model.get_layer("conv").kernel
    kernel.assign(kernel[::-1])
    result = spiking.verify(simulator="nengo")
    assert not result
    assert "DIFFERS" in str(result)
    assert result.max_difference > 0.01


def test_verify_takes_input(images):
    result = kconvert.convert(classifier(), calibration=False).verify(images, simulator="nengo")
    assert result.n == 7
    assert result.passed
    assert [layer.layer for layer in result.layers] == [
        "image", "lif", "pool", "flatten", "hidden", "classes",
    ]  # fmt: skip


@pytest.mark.parametrize(("show", "shown"), [(True, True), (False, False), (None, False)])
def test_progress_is_for_terminals(spiking, images, capfd, show, shown):
    spiking.predict(images, 3, progress=show)
    assert ("simulating" in capfd.readouterr().err) == shown


def test_own_layers_can_be_added():
    class Double(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    from kconvert.ops import Affine

    def double(layer, b, x):
        channels = b.shape(x)[-1]
        return b.add(Affine(np.full(channels, 2.0), np.zeros(channels)), x)

    model = randomized(keras.Sequential([keras.Input((4,)), L.Dense(3), Double(), RateLIF()]))
    with pytest.raises(kconvert.UnsupportedModelError, match="Double"):
        kconvert.convert(model, calibration=False)
    spiking = kconvert.convert(model, layers={Double: double}, calibration=False)
    assert spiking.verify(simulator="nengo").passed


def test_verify_fails_on_nan():
    from kconvert.verification import LayerDifference, Verification

    layers = (LayerDifference("a", 0.0, 1.0), LayerDifference("b", float("nan"), 1.0))
    assert not Verification(layers, "nengo", 1e-5, 1).passed
    assert np.isnan(Verification(layers, "nengo", 1e-5, 1).max_difference)


def test_verify_inside_a_users_network():
    spiking = kconvert.convert(classifier(), calibration=False)
    with nengo.Network() as mine:
        assert spiking.verify(simulator="nengo")
    assert mine.networks == []


def test_layers_whose_value_is_gone_have_an_object():
    stack = [L.Conv2D(3, 2, name="conv"), L.BatchNormalization(name="norm"), RateLIF(name="lif")]
    end = [L.Flatten(), L.Dense(3, activation="softmax", name="end")]
    spiking = kconvert.convert(
        keras.Sequential([keras.Input((5, 4, 1)), *stack, *end]), calibration=False
    )
    assert isinstance(spiking.layers["conv"], nengo.Connection)
    assert spiking.layers["conv"] is spiking.layers["norm"]
    assert isinstance(spiking.layers["end"], nengo.Node)


def test_loaded_models_convert(tmp_path, images):
    model = classifier()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        kconvert.convert(loaded, calibration=False).predict(images, 5),
        kconvert.convert(model, calibration=False).predict(images, 5),
    )
