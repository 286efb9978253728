"""What a network computes, counted against brute force, and what is said of it."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import keras
import matplotlib
import numpy as np
import pytest
from cases.build import randomized
from keras import layers as L
from matplotlib import pyplot as plt
from reference import load_model

import kconvert
from kconvert.errors import InputError
from kconvert.ops import Conv, ConvTranspose, Dense, MaxPool
from kconvert.results.devices import DEVICES
from kconvert.results.measuring import PIECE

matplotlib.use("Agg")
Weighted = Dense | Conv | ConvTranspose


def stack(*layers, shape=(7, 6, 2)) -> keras.Model:
    keras.utils.set_random_seed(3)
    return randomized(keras.Sequential([keras.Input(shape), *layers]))


def relu(name="first"):
    return L.Conv2D(4, 3, padding="same", activation="relu", name=name)


def residual() -> keras.Model:
    x = keras.Input((7, 6, 2))
    first = relu()(x)
    second = L.Conv2D(4, 3, padding="same", activation="relu")(first)
    third = L.Add()([first, second])
    out = L.Dense(3)(L.Flatten()(L.Conv2D(3, 3, activation="relu")(third)))
    return randomized(keras.Model(x, out))


def skip_from_input() -> keras.Model:
    x = keras.Input((7, 6, 2))
    both = L.Concatenate()([x, L.Conv2D(3, 3, padding="same", activation="relu")(x)])
    return randomized(keras.Model(x, L.Dense(3)(L.Flatten()(L.Conv2D(2, 3)(both)))))


KINDS = {
    "dense": (lambda: stack(L.Dense(9, activation="relu"), L.Dense(3), shape=(5,)), {}),
    "conv": (lambda: stack(relu(), L.Conv2D(3, 3, strides=2), L.Flatten()), {}),
    "dilated": (lambda: stack(relu(), L.Conv2D(3, 2, dilation_rate=2), L.Flatten()), {}),
    "groups": (lambda: stack(relu(), L.Conv2D(6, 3, groups=2, activation="relu")), {}),
    "depthwise": (lambda: stack(relu(), L.DepthwiseConv2D(3, padding="same")), {}),
    "separable": (lambda: stack(relu(), L.SeparableConv2D(5, 3), L.Flatten(), L.Dense(2)), {}),
    "transposed": (lambda: stack(relu(), L.Conv2DTranspose(3, 3, strides=2), L.Flatten()), {}),
    "conv1d": (lambda: stack(L.Conv1D(4, 3, activation="relu"), L.Conv1D(2, 3), shape=(9, 2)), {}),
    "average": (lambda: stack(relu(), L.AveragePooling2D(2), L.Flatten(), L.Dense(3)), {}),
    "maximum": (lambda: stack(relu(), L.MaxPooling2D(2), L.Flatten(), L.Dense(3)), {}),
    "of sums": (
        lambda: stack(relu(), L.MaxPooling2D(2), L.Conv2D(3, 2), L.Flatten()),
        {"max_pooling": "sums"},
    ),
    "of values": (
        lambda: stack(relu(), L.MaxPooling2D(2), L.Conv2D(3, 2), L.Flatten()),
        {"max_pooling": "values"},
    ),
    "of filtered": (
        lambda: stack(relu(), L.MaxPooling2D(2), L.Conv2D(3, 2), L.Flatten()),
        {"max_pooling": "values", "synapse": 0.005},
    ),
    "residual": (residual, {}),
    "input again": (skip_from_input, {}),
}
STEPS = 12


def without_constants(op):
    names = {each.name for each in fields(op)}
    changes = {"bias": None} if "bias" in names else {}
    return replace(op, **changes | ({"shift": np.zeros_like(op.shift)} if "shift" in names else {}))


def ones(op):
    """The op with weights of one and no bias."""
    return without_constants(replace(op, weight=np.ones_like(op.weight)))


def targets(graph, name):
    """The connections from each input of a layer with weights, by trying each one."""
    shape = graph.nodes[graph.nodes[name].inputs[0]].shape
    size = int(np.prod(shape))
    out = ones(graph.nodes[name].op).evaluate(np.eye(size).reshape(size, *shape))
    return np.count_nonzero(out.reshape(size, -1), axis=1)


def ways(graph):
    """For each value and layer of neurons what one spike of each neuron alone becomes there.

    It is followed through what has no weights, up to weights, maxima and other neurons.
    """
    found = {}
    for name, node in graph.nodes.items():
        found[name] = {}
        if node.is_neuron:
            found[name][name] = np.eye(node.size).reshape(node.size, *node.shape)
        elif not isinstance(node.op, Weighted | MaxPool):
            for layer in {layer for source in node.inputs for layer in found[source]}:
                n = graph.nodes[layer].size
                zeros = [np.zeros((n, *graph.nodes[source].shape)) for source in node.inputs]
                parts = [
                    found[source].get(layer, zero)
                    for source, zero in zip(node.inputs, zeros, strict=True)
                ]
                found[name][layer] = without_constants(node.op).evaluate(*parts)
    return found


def changes_by_itself(graph):
    """For each value whether the input, a synapse or a constant changes it, beside spikes."""
    found = {}
    for name, node in graph.nodes.items():
        if node.is_neuron:
            found[name] = node.op.synapse is not None
        else:
            added = [getattr(node.op, field, None) for field in ("bias", "shift")]
            constant = any(each is not None and np.any(each) for each in added)
            found[name] = not node.inputs or constant or any(found[k] for k in node.inputs)
    return found


def largest(node, arrived, sums, changes):
    """What a maximum passes on in one step."""
    if changes:
        return np.ones((1, *node.shape))
    if node.op.over == "values":
        return node.op.evaluate(arrived)
    old = sums.get(node.name, np.zeros_like(arrived))
    sums[node.name] = old + arrived
    return node.op.evaluate(sums[node.name]) - node.op.evaluate(old)


def brute_force(graph, run):
    """Operations that spikes cause, for one sample: each step, value and connection in turn."""
    fan = {n: targets(graph, n) for n, node in graph.nodes.items() if isinstance(node.op, Weighted)}
    way, alone, total = ways(graph), changes_by_itself(graph), 0.0
    for sample in range(run.n):
        sums = {}
        for step in range(run.n_steps):
            spikes = {name: train[sample, step].ravel() for name, train in run.spikes.items()}
            values = {}  # what came through weights or a maximum in this step
            for name, node in graph.nodes.items():
                stops = node.is_neuron or isinstance(node.op, Weighted | MaxPool)
                if not node.inputs or not stops:
                    parts = [values[source] for source in node.inputs]
                    op = without_constants(node.op)
                    values[name] = op.evaluate(*parts) if parts else np.zeros((1, *node.shape))
                    continue
                [source] = node.inputs
                reach = fan.get(name, np.ones(graph.nodes[source].size))
                arrived = values[source].copy()
                for layer, each in way[source].items():
                    flat = each.reshape(len(each), -1)
                    total += abs(spikes[layer].astype(float)) @ ((flat != 0) @ reach)
                    arrived += ((spikes[layer] * graph.nodes[layer].op.unit) @ flat).reshape(
                        arrived.shape
                    )
                if name in fan:
                    total += (values[source].ravel() != 0) @ reach
                    values[name] = without_constants(node.op).evaluate(arrived)
                elif node.is_neuron:
                    values[name] = np.zeros((1, *node.shape))
                else:
                    values[name] = largest(node, arrived, sums, alone[source])
            for name in graph.outputs:
                for layer, each in way[name].items():
                    reached = np.count_nonzero(each.reshape(len(each), -1), axis=1)
                    total += abs(spikes[layer].astype(float)) @ reached
    return total / run.n


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changing", [False, True], ids=["held", "changing"])
def test_operations_are_those_of_brute_force(kind, changing, rng):
    build, settings = KINDS[kind]
    model = build()
    x = rng.random((3, *([STEPS] if changing else []), *model.input_shape[1:]))
    spiking = kconvert.convert(model, scale_firing_rates=150.0, **settings)
    found = spiking.energy(x, STEPS)
    run = spiking.simulate(x, STEPS, spikes=True)
    graph = spiking.graph
    assert found.synaptic_operations == pytest.approx(brute_force(graph, run), rel=1e-12)
    assert found.synaptic_operations > 0
    assert found.neuron_updates == graph.n_neurons * STEPS
    spikes = sum(each.spikes for each in found.layers)
    assert spikes == pytest.approx(sum(run.n_spikes.values()) / 3, rel=1e-12)
    macs = {n: targets(graph, n).sum() for n, each in graph.nodes.items()
            if isinstance(each.op, Weighted)}  # fmt: skip
    assert {each.layer: each.macs for each in found.layers if each.macs} == macs
    times = STEPS if changing else 1
    assert found.macs == sum(macs.values()) * times
    silent = sum(int((train == 0).sum()) for train in run.spikes.values())
    assert found.activation_sparsity == silent / (3 * STEPS * graph.n_neurons)


def test_layers_behind_weights_and_maxima_do_work():
    """The cases above have them: what spikes meet first is not all."""
    rng = np.random.default_rng(0)
    for kind in ("separable", "of sums", "of values", "of filtered"):
        build, settings = KINDS[kind]
        spiking = kconvert.convert(build(), scale_firing_rates=150.0, **settings)
        found = spiking.energy(rng.random((2, 7, 6, 2)), STEPS)
        assert any(each.macs and each.synaptic_operations for each in found.layers), kind


def test_the_reference_cnn_by_hand(digits):
    """Kernel, channels and places of each layer, multiplied."""
    spiking = kconvert.convert(load_model())
    found = spiking.energy(digits.x_test[:2], 5)
    assert {each.layer: each.macs for each in found.layers if each.macs} == {
        "conv0": 26 * 26 * 32 * 9,
        "conv1": 24 * 24 * 64 * 9 * 32,
        "conv2": 10 * 10 * 128 * 9 * 64,
        "dense": 5 * 5 * 128 * 10,
    }
    assert found.macs == 18_216_320
    assert found.input_macs == 194_688
    assert found.input_macs_in_every_step == 5 * 194_688
    assert found.neuron_updates == 5 * 71_296
    assert found.footprint == 4 * 124_682
    lines = (digits.x_test[:2] != 0).astype(float)
    conv = ones(spiking.graph.nodes["conv0"].op)
    bench = found.to_dict()["neurobench"]
    assert bench["SynapticOperations"] == {
        "Effective_MACs": 5 * conv.evaluate(lines).sum() / 2,
        "Effective_ACs": found.synaptic_operations,
        "Dense": 5 * found.macs,
    }
    assert bench["ConnectionSparsity"] == 0
    assert list(bench) == [
        "Footprint", "ConnectionSparsity", "ActivationSparsity", "SynapticOperations"
    ]  # fmt: skip


@pytest.fixture(scope="module")
def small():
    return stack(relu(), L.Conv2D(8, 3, activation="relu", name="second"), L.Flatten(), L.Dense(4))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(5).random((20, 7, 6, 2)).astype(np.float32)


def test_more_operations_than_in_keras_are_said_and_the_advice_helps(small, x):
    spiking = kconvert.convert(small, calibration=x)
    found = spiking.energy(x, 40)
    assert found.ratio > 1
    assert "more operations than the Keras model" in str(found)
    taken = {
        "n_steps=20": spiking.energy(x, 20),
        "early_exit=kconvert.EarlyExit(stable=6)": spiking.energy(
            x, 40, early_exit=kconvert.EarlyExit(stable=6)
        ),
        "convert(model, calibration=x, scale_firing_rates=0.5)": kconvert.convert(
            small, calibration=x, scale_firing_rates=0.5
        ).energy(x, 40),
        "activity_regularizer=kconvert.regularizers.FiringRate(...)": trained(x).energy(x, 40),
    }
    for advice, less in taken.items():
        assert any(advice in each for each in found.advice), advice
        assert less.ratio < found.ratio, advice
    assert len(found.advice) == len(taken)
    assert taken["n_steps=20"].ratio < 0.6 * found.ratio


def trained(x):
    """The small model, trained for low rates only."""
    low = kconvert.regularizers.FiringRate(target=0.0, l1=1e-3, l2=0.0, amplitude=1.0)
    model = stack(
        L.Conv2D(4, 3, padding="same", activation="relu", activity_regularizer=low),
        L.Conv2D(8, 3, activation="relu", activity_regularizer=low),
        L.Flatten(),
        L.Dense(4),
    )
    model.compile(keras.optimizers.Adam(0.01), loss=lambda y, out: 0.0 * out)
    before = kconvert.convert(model, calibration=x)
    model.fit(x, np.zeros((20, 4)), epochs=60, verbose=0)
    scales = {name: float(np.mean(node.op.gain)) for name, node in before.graph.nodes.items()
              if node.is_neuron}  # fmt: skip
    return kconvert.convert(model, scale_firing_rates=scales)


def test_few_operations_are_said_too(small, x):
    found = kconvert.convert(small, scale_firing_rates=20.0).energy(x, 5)
    assert found.ratio < 1
    assert "fewer operations" in str(found)
    assert not found.advice
    assert found.ratio_in_every_step > 1  # said too
    assert f"({found.ratio_in_every_step:.3g} if the layers that read the input" in found.verdict


def test_the_advice_goes_by_the_settings(small, x):
    spiking = kconvert.convert(small, scale_firing_rates=800.0)
    rule = kconvert.EarlyExit(stable=30)
    advice = " ".join(spiking.energy(x, 40, early_exit=rule).advice)
    assert "scale_firing_rates=400" in advice
    assert "calibration" not in advice
    assert "EarlyExit" not in advice
    each = kconvert.convert(small, scale_firing_rates={"first": 800.0, "second": 800.0})
    assert "half of each" in " ".join(each.energy(x, 40).advice)


def test_input_that_changes_is_counted_in_every_step(small, x):
    spiking = kconvert.convert(small, scale_firing_rates=100.0)
    movie = np.repeat(x[:4, None], 9, axis=1)
    held, moving = spiking.energy(x[:4], 9), spiking.energy(movie)
    assert moving.macs == 9 * held.macs
    assert moving.input_macs == moving.input_macs_in_every_step == held.input_macs_in_every_step
    assert moving.synaptic_operations == held.synaptic_operations
    assert moving.effective_macs == held.effective_macs
    assert not moving.held
    assert moving.joules("cpu") == pytest.approx(9 * held.joules("cpu"))


def test_batches_and_pieces_are_the_whole(small, x, monkeypatch, tmp_path):
    spiking = kconvert.convert(small, calibration=x)
    whole = spiking.energy(x, 10)
    batches = [(x[k : k + 6], None) for k in range(0, 20, 6)]
    spiking.save(tmp_path / "net")
    monkeypatch.setattr("kconvert.results.measuring.PIECE", PIECE // 4000)
    for found in (
        spiking.energy(x, 10),
        spiking.energy((batch for batch, _ in batches), 10),
        kconvert.load(tmp_path / "net.kconvert").energy(x, 10),
    ):
        assert found.to_dict() == whole.to_dict()


def test_spikes_too_many_to_be_looked_at(small, x, monkeypatch):
    spiking = kconvert.convert(small, calibration=x)
    whole = spiking.energy(x, 10)
    monkeypatch.setattr("kconvert.results.measuring.free_memory", lambda: 1000)
    found = spiking.energy(x, 10)
    assert found.activation_sparsity is None
    assert found.synaptic_operations == whole.synaptic_operations


def test_interrupted_runs_say_so(small, x, monkeypatch):
    spiking = kconvert.convert(small, calibration=x)
    monkeypatch.setattr("kconvert.results.measuring.PIECE", 1)
    run, calls = spiking.simulate, []

    def third_stops(*arguments, **settings):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(*arguments, **settings)

    monkeypatch.setattr(spiking, "simulate", third_stops)
    found = spiking.energy(x, 10, on_interrupt="return")
    assert found.n == 2
    assert not found.complete
    assert "interrupted" in repr(found)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        spiking.energy(x, 10)


def test_energy_of_devices(small, x):
    spiking = kconvert.convert(small, calibration=x)
    mine = kconvert.Device("mine", 2e-12, 5e-12, energy_per_mac=3e-12, source="a guess")
    found = spiking.energy(x, 10, devices=["loihi", mine, "gpu"])
    assert [each.name for each in found.devices] == ["loihi", "mine", "gpu"]
    operations, updates = found.synaptic_operations, found.neuron_updates
    wanted = 2e-12 * operations + 3e-12 * found.input_macs + 5e-12 * updates
    assert found.joules("mine") == pytest.approx(wanted)
    every = found.joules("mine", every_step=True) - found.joules("mine")
    assert every == pytest.approx(9 * 3e-12 * found.input_macs)
    neurons = spiking.n_neurons
    assert found.joules("gpu") == pytest.approx(0.3e-9 * (found.macs + neurons))
    loihi = 27.1e-12 * (operations + found.input_macs) + 81e-12 * updates
    assert found.joules("loihi") == pytest.approx(loihi)
    text = str(found)
    assert "leave out memory" in text
    assert "mine" in text
    assert "mine" in found._repr_html_()
    assert "leave out" not in str(spiking.energy(x, 10, devices=[]))
    assert all(each.source for each in DEVICES)


NUMBERS = "energy in joules"
MISTAKES = {
    "name": (lambda s, x: s.energy(x, devices=["lohi"]), "Did you mean 'loihi'"),
    "number": (lambda s, x: s.energy(x, devices=3), "devices must be a list"),
    "twice": (lambda s, x: s.energy(x, devices=["cpu", "cpu"]), "different names"),
    "joules": (lambda s, x: s.energy(x, 3).joules("cpus"), "Did you mean 'cpu'"),
    "pJ": (lambda s, x: kconvert.Device("mine", 0.9, float("nan")), NUMBERS),
    "large": (lambda s, x: kconvert.Device("mine", 27.1, 81), NUMBERS),
    "negative": (lambda s, x: kconvert.Device("mine", -1e-12, 0.0), NUMBERS),
    "mac": (lambda s, x: kconvert.Device("mine", 0, 0, energy_per_mac="1"), "energy_per_mac"),
    "no name": (lambda s, x: kconvert.Device(" ", 0, 0), "name must not be empty"),
    "flag": (lambda s, x: kconvert.Device("a", 0, 0, spiking=1), "spiking must be True"),
    "source": (lambda s, x: kconvert.Device("a", 0, 0, source=None), "source must be a string"),
    "simulator": (lambda s, x: s.energy(x, simulator="nengo"), "use simulator='events'"),
    "word": (lambda s, x: s.energy(x, simulator="event"), "Did you mean 'events'"),
    "steps": (lambda s, x: s.energy(x, 0), "n_steps must be"),
    "shape": (lambda s, x: s.energy(x[0]), "shape"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake, small, x):
    call, match = MISTAKES[mistake]
    spiking = kconvert.convert(small, calibration=x)
    with pytest.raises(InputError, match=match):
        call(spiking, x)


def test_a_rate_network_has_no_spikes_to_count(small, x):
    with pytest.raises(InputError, match="spiking=True"):
        kconvert.convert(small, spiking=False).energy(x)


def test_a_network_that_the_event_simulator_refuses():
    import nengo

    model = stack(L.Dense(4, activation="relu"), L.Dense(2), shape=(3,))
    spiking = kconvert.convert(
        model, swap_activations={"relu": nengo.AdaptiveLIF()}, scale_firing_rates=1.0
    )
    with pytest.raises(InputError, match="event simulator has no form of"):
        spiking.energy(np.ones((1, 3)))


def test_a_network_without_weights_or_neurons():
    model = keras.Sequential([keras.Input((3,)), L.Flatten()])
    found = kconvert.convert(model).energy(np.ones((2, 3)), 4)
    assert np.isnan(found.ratio)
    assert found.to_dict()["ratio"] is None
    assert "nothing to compare with" in str(found)
    found.plot().figure.canvas.draw()


PAGE = Path(kconvert.__file__).parent.parent / "docs" / "reference" / "energy.md"


def test_the_page_runs_and_has_every_device():
    text, names = PAGE.read_text("utf-8"), {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    plt.close("all")
    ratios = [names[name].ratio for name in ("found", "fewer", "early", "slower")]
    assert ratios[0] > 1
    assert max(ratios[1:]) < ratios[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+ \w+) \|", text, re.MULTILINE))
    runs = {each.name: "spiking network" if each.spiking else "Keras model" for each in DEVICES}
    assert runs.items() <= rows.items()
    assert all(f"| `{name}`" in text for name in ("macs", "operations", "ratio", "neuron_updates"))
