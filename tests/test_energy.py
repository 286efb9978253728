"""Energy: what is said of counts, devices, advice and errors. What is counted is another file."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import matplotlib
import nengo
import numpy as np
import pytest
from cases.counting import relu, stack
from keras import layers as L
from matplotlib import pyplot as plt
from reference import load_model

import kconvert
from kconvert.errors import InputError
from kconvert.results.devices import DEVICES
from kconvert.results.measuring import PIECE

matplotlib.use("Agg")


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
        "early_exit=kconvert.EarlyExit(stable=13)": spiking.energy(
            x, 40, early_exit=kconvert.EarlyExit(stable=13)
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


def test_the_early_exit_that_is_advised_keeps_the_answers(digits):
    """Without calibration: the first spikes of the read-out come from biases, and say nothing."""
    spiking = kconvert.convert(load_model())
    x, y = digits.x_test[:100], digits.y_test[:100]
    advice = " ".join(spiking.energy(x[:10], 30).advice)
    stable = int(re.search(r"EarlyExit\(stable=(\d+)\)", advice)[1])
    early = spiking.evaluate(x, y, 30, early_exit=kconvert.EarlyExit(stable=stable))
    assert early.accuracy >= spiking.evaluate(x, y, 30).accuracy - 0.01
    assert early.mean_steps < 27
    hasty = spiking.evaluate(x, y, 30, early_exit=kconvert.EarlyExit(stable=4))
    assert hasty.accuracy < 0.5


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
    assert found.needed_updates is None
    assert found.read_out_operations is None
    assert found.neurobench()["SynapticOperations"]["Effective_ACs"] is None
    assert found.synaptic_operations == whole.synaptic_operations
    assert "None" not in str(found)
    assert "needs" in str(whole)


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


def test_neurons_that_the_event_simulator_lacks():
    model = stack(L.Dense(4, activation="relu"), L.Dense(2), shape=(3,))
    spiking = kconvert.convert(
        model, swap_activations={"relu": nengo.AdaptiveLIF()}, scale_firing_rates=200.0
    )
    found = spiking.energy(np.ones((2, 3)), 200, simulator="nengo")
    neurons = found.layers[1]
    assert found.synaptic_operations == 2 * neurons.spikes > 0
    assert found.needed_updates == found.neuron_updates  # nobody knows which are needed


def test_neurons_without_spikes_and_layers_of_nengodl_are_refused():
    model = stack(L.Dense(4, activation="relu", name="rates"), L.Dense(2), shape=(3,))
    swapped = kconvert.convert(
        model, swap_activations={"relu": nengo.Tanh()}, scale_firing_rates=1.0
    )
    with pytest.raises(
        InputError, match=r"because of the layer 'rates': its neurons .* send rates"
    ):
        swapped.energy(np.ones((1, 3)))
    model = stack(relu(), L.LayerNormalization(name="norm"), L.Flatten(), L.Dense(2))
    kept = kconvert.convert(model, allow=("tensornode",), scale_firing_rates=100.0)
    with pytest.raises(InputError, match="because of the layer 'norm'"):
        kept.energy(np.ones((1, 7, 6, 2)))


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
    rows = dict(re.findall(r"^\| `(\w+)`(?:: [^|]+)? \| (\w+ \w+) \|", text, re.MULTILINE))
    runs = {each.name: "spiking network" if each.spiking else "Keras model" for each in DEVICES}
    assert runs.items() <= rows.items()
    counts = ("macs", "operations", "ratio", "neuron_updates", "needed_updates", "bias_additions")
    assert all(f"| `{name}`" in text and name in names["found"].to_dict() for name in counts)
