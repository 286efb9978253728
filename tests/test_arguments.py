"""Every argument of every public call: wrong values are refused, by kconvert and nothing else."""

from __future__ import annotations

import inspect
import io
import logging

import keras
import nengo
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert import InputError, memory
from kconvert.callbacks import FiringRates
from kconvert.layers import RateLIF
from kconvert.regularizers import DeadUnits, FiringRate

X = np.random.default_rng(0).random((8, 6)).astype(np.float32)
Y = np.arange(8) % 3


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6,), name="x"), L.Dense(5), L.ReLU(name="relu"), L.Dense(3, name="end")]
    )


@pytest.fixture(scope="module")
def spiking(model) -> kconvert.SpikingModel:
    return kconvert.convert(model, calibration=False)


@pytest.fixture(scope="module")
def lif() -> kconvert.SpikingModel:
    return kconvert.convert(keras.Sequential([keras.Input((6,)), L.Dense(3), RateLIF()]))


WRONG = {
    "word": "a",
    "empty word": "",
    "another word": "ramp",
    "zero": 0,
    "negative": -1,
    "share": 1.5,
    "large": 1e300,
    "small": 1e-310,
    "larger than a float": 10**400,
    "not a number": float("nan"),
    "bool": True,
    "complex": 1j,
    "bytes": b"a",
    "array": np.array([1, 0]),
    "array of words": np.array(["a"]),
    "tensor": keras.ops.ones(3),
    "list": [5],
    "nested list": [[1]],
    "dict": {"relu": [1]},
    "dict of arrays": {"relu": np.ones(3)},
    "dict without layers": {"x": 1},
    "set": {1},
    "slice": slice(2),
    "class": L.Dense,
    "neuron class": nengo.LIF,
    "function": lambda: 0,
    "object": object(),
    "file": io.StringIO("1"),
    "none": None,
}
GENERATORS = {"generator": lambda: (each for each in [1]), "range": lambda: range(3)}

# Call: the function whose arguments are tried, how it is called, and arguments that are left out:
# what a user writes a program for, and what takes names of its own.
CALLS = {
    "convert": (
        kconvert.convert,
        lambda m, s, **k: kconvert.convert(m, **{"calibration": False, **k}),
        ("layers",),
    ),
    "check": (kconvert.convert, lambda m, s, **k: kconvert.check(m, **k), ("layers",)),
    "simulate": (
        kconvert.SpikingModel.simulate,
        lambda m, s, **k: s.simulate(**{"x": X, "n_steps": 2, **k}),
        (),
    ),
    "predict": (
        kconvert.SpikingModel.predict,
        lambda m, s, **k: s.predict(**{"x": X, "n_steps": 2, **k}),
        (),
    ),
    "evaluate": (
        kconvert.SpikingModel.evaluate,
        lambda m, s, **k: s.evaluate(**{"x": X, "y": Y, "n_steps": 2, **k}),
        (),
    ),
    "verify": (kconvert.SpikingModel.verify, lambda m, s, **k: bool(s.verify(**k)), ()),
    "diagnose": (
        kconvert.SpikingModel.diagnose,
        lambda m, s, **k: s.diagnose(**{"x": X, "n_steps": 2, **k}),
        (),
    ),
    "receipts": (kconvert.SpikingModel.receipts, lambda m, s, **k: s.receipts(**k), ()),
    "interval": (
        kconvert.Evaluation.interval,
        lambda m, s, **k: s.evaluate(X, Y, 2).interval(**k),
        (),
    ),
    "difference": (
        kconvert.Evaluation.difference,
        lambda m, s, **k: s.evaluate(X, Y, 2).difference(
            **{"metric": "accuracy", "n_resamples": 9, **k}
        ),
        (),
    ),
    "tune": (
        kconvert.tune,
        lambda m, s, **k: kconvert.tune(
            m,
            **{
                "x": X,
                "y": Y,
                "max_steps": 2,
                "candidates": [{"calibration": False}],
                "progress": False,
                **k,
            },
        ),
        ("settings",),
    ),
    "Calibration": (
        kconvert.Calibration,
        lambda m, s, **k: kconvert.convert(
            m, calibration=kconvert.Calibration(**{"x": X, "n_steps": 2, **k})
        ),
        (),
    ),
    "Window": (
        kconvert.Window,
        lambda m, s, **k: kconvert.convert(
            m, calibration=False, output_synapse=kconvert.Window(**k)
        ).predict(X, 2),
        (),
    ),
    "energy": (
        kconvert.SpikingNetwork.energy,
        lambda m, s, **k: str(s.energy(**{"x": X, "n_steps": 2, "progress": False, **k})),
        (),
    ),
    "Device": (
        kconvert.Device,
        lambda m, s, **k: str(
            s.energy(
                X,
                2,
                devices=kconvert.Device(
                    **{"name": "mine", "energy_per_synop": 0, "energy_per_neuron": 0, **k}
                ),
            )
        ),
        (),
    ),
    "EarlyExit": (
        kconvert.EarlyExit,
        lambda m, s, **k: s.predict(X, 2, early_exit=kconvert.EarlyExit(**{"stable": 2, **k})),
        (),
    ),
    "FiringRate": (FiringRate, lambda m, s, **k: FiringRate(**k), ()),
    "DeadUnits": (DeadUnits, lambda m, s, **k: DeadUnits(**k), ()),
    "FiringRates": (FiringRates, lambda m, s, **k: FiringRates(**{"x": X, **k}), ("settings",)),
    "RateLIF": (RateLIF, lambda m, s, **k: RateLIF(**k), ("kwargs", "seed")),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")  # what a value that is accepted leads to
def test_no_argument_ends_in_an_error_of_others(name, model, spiking, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a word may be the name of a file that is written
    of, call, left_out = CALLS[name]
    refused = 0
    for argument in inspect.signature(of).parameters:
        if argument in (*left_out, "self", "model", "unknown"):
            continue
        for kind in (*WRONG, *GENERATORS):
            value = WRONG[kind] if kind in WRONG else GENERATORS[kind]()
            try:
                call(model, spiking, **{argument: value})
            except kconvert.KconvertError as error:
                refused += 1
                assert str(error), (argument, kind)
            except Exception as error:
                raise AssertionError(f"{name}({argument}=<{kind}>)") from error
    assert refused > len(WRONG) / 2


@pytest.mark.parametrize(
    ("argument", "where"),
    [
        ("spiking", "convert"),
        ("train_biases", "convert"),
        ("signed", "convert"),
        ("spikes", "simulate"),
        ("progress", "simulate"),
        ("progress", "predict"),
        ("progress", "evaluate"),
        ("progress", "tune"),
        ("per_channel", "Calibration"),
        ("growing", "Window"),
        ("verbose", "FiringRates"),
    ],
)
@pytest.mark.parametrize("value", ["False", "no", "", 0, 1, 1.0, np.array([True]), [False], b"1"])
def test_flags_are_bools(argument, where, value, model, spiking):
    with pytest.raises(InputError, match=rf"{argument} must be True"):
        CALLS[where][1](model, spiking, **{argument: value})


@pytest.mark.parametrize(
    ("where", "settings", "nearest"),
    [
        ("convert", {"output_synapse": "rampe"}, "ramp"),
        ("convert", {"output_synapse": {"end": "Window"}}, "window"),
        ("convert", {"synapse": "Auto"}, "auto"),
        ("convert", {"min_voltage": "atuo"}, "auto"),
        ("convert", {"signed": "Auto"}, "auto"),
        ("convert", {"correction": "afine"}, "affine"),
        ("convert", {"max_pooling": "sum"}, "sums"),
        ("convert", {"initial_voltage": "spraed"}, "spread"),
        ("convert", {"initial_voltage": "Uniform"}, "uniform"),
        ("convert", {"allow": "TensorNode"}, "tensornode"),
        ("convert", {"allow": ["tensor_node"]}, "tensornode"),
        ("convert", {"swap_activations": {"relu": "sigmiod"}}, "sigmoid"),
        ("convert", {"scale_firing_rate": 2}, "scale_firing_rates"),
        ("check", {"Synapse": None}, "synapse"),
        ("convert", {"swap_activation": {}}, "swap_activations"),
        ("tune", {"output_synapses": 0.1}, "output_synapse"),
        ("convert", {"synapse": {"relo": 0.1}}, "relu"),
        ("simulate", {"spike": True}, "spikes"),
        ("predict", {"n_step": 3}, "n_steps"),
        ("evaluate", {"metric": ["mse"]}, "metrics"),
        ("verify", {"tolerence": 1e-3}, "tolerance"),
        ("diagnose", {"steps": 3}, "n_steps"),
        ("tune", {"max_step": 3}, "max_steps"),
        ("simulate", {"simulator": "event"}, "events"),
        ("verify", {"simulator": "nengo-dl"}, "nengo_dl"),
        ("evaluate", {"output": "ende"}, "end"),
        ("predict", {"dtype": "float46"}, "float64"),
        ("predict", {"on_interrupt": "retrun"}, "return"),
        ("predict", {"x": {"X": X}}, "x"),
        ("tune", {"goal": "spike"}, "spikes"),
        ("FiringRates", {"max_poolin": "sums"}, "max_pooling"),
    ],
)
def test_the_nearest_word_is_named(where, settings, nearest, model, spiking):
    with pytest.raises(InputError, match=rf"Did you mean '{nearest}'\?"):
        CALLS[where][1](model, spiking, **settings)


@pytest.mark.parametrize(
    ("where", "settings", "match"),
    [
        ("predict", {"dt": 1.0}, "dt must be a time in seconds >= 1e-09 and < 1. Received: dt=1.0"),
        ("predict", {"dt": 1e-310}, "dt must be a time in seconds >= 1e-09"),
        ("convert", {"scale_firing_rates": 1e39}, "must be a number > 0 that float32 holds"),
        ("convert", {"scale_firing_rates": 1e-50}, "must be a number > 0 that float32 holds"),
        ("Calibration", {"rate": 1e-300}, "rates of 'relu' times .* do not fit into float32"),
        ("tune", {"calibration": X}, "Put it into your own candidates"),
        ("tune", {"candidates": 3}, "candidates must be a list of dicts of arguments. Received: 3"),
        ("convert", {"swap_activations": {"relu": "rate_lif"}}, "no parameters of its own.*rate_l"),
        ("convert", {"swap_activations": {"relu": "prelu"}}, "no parameters of its own.*prelu"),
        ("interval", {"confidence": 1}, "confidence must be > 0 and < 1"),
        ("verify", {"n": 0}, "n must be an integer >= 1. Received: n=0"),
        ("verify", {"seed": -1}, "seed must be an integer from 0"),
        ("verify", {"tolerance": -1e-9}, "tolerance must be a number >= 0"),
        ("simulate", {"n_steps": 10**30}, "n_steps must be at most"),
    ],
)
def test_what_is_said(where, settings, match, model, spiking):
    with pytest.raises(InputError, match=match):
        CALLS[where][1](model, spiking, **settings)


def test_factors_that_overflow_together(model):
    wide = keras.models.clone_model(model)
    wide.layers[0].kernel.assign(np.full((6, 5), 1e30))
    huge = kconvert.convert(wide, scale_firing_rates=1e20)
    with pytest.raises(InputError, match=r"become too large for float32.*dtype='float64'"):
        huge.predict(X, 9)
    assert np.isfinite(huge.predict(X, 9, dtype="float64")).all()


def test_times_longer_than_any_run(lif, model):
    never = kconvert.EarlyExit(stable=10**30)
    assert np.array_equal(lif.predict(X, 4, early_exit=never), lif.predict(X, 4))
    late = kconvert.convert(model, output_synapse=kconvert.Window(1e300), scale_firing_rates=100)
    mean = kconvert.convert(model, output_synapse=kconvert.Window(0.9), scale_firing_rates=100)
    assert np.array_equal(late.predict(X, 5), mean.predict(X, 5))
    slow = nengo.LIF(tau_ref=1e300)
    once = kconvert.convert(model, calibration=False, swap_activations={"relu": slow}, synapse=None)
    assert once.simulate(X * 1000, 200).n_spikes["relu"] <= 8 * 5


@pytest.mark.parametrize(
    ("where", "settings", "argument"),
    [
        ("simulate", {"n_steps": 10**12}, "n_steps"),
        ("simulate", {"n_steps": 10**12, "spikes": True}, "n_steps"),
        ("evaluate", {"n_steps": 10**12}, "n_steps"),
        ("diagnose", {"n_steps": 10**12}, "n_steps"),
        ("verify", {"n": 10**12}, "n"),
        ("receipts", {"n": 10**12}, "n"),
        ("tune", {"max_steps": 10**12}, "max_steps"),
        ("Calibration", {"n_steps": 10**12}, "Calibration: n_steps"),
    ],
)
def test_what_finds_no_place_is_refused(where, settings, argument, model, spiking, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 2**30)
    match = rf"^{argument}=1,000,000,000,000 is too much: .* GiB, .*1 GiB.* {argument} <= [\d,]+ fi"
    with pytest.raises(InputError, match=match):
        CALLS[where][1](model, spiking, **settings)


def test_what_fits_is_run(spiking, monkeypatch):
    spiking.simulate(X, 1)  # what runs it is there, and counts no more
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000)
    with pytest.raises(InputError, match=r"n_steps <= ([\d,]+) fits") as refused:
        spiking.simulate(X, 1_000_000)
    most = int(str(refused.value).split("n_steps <= ")[1].split(" fits")[0].replace(",", ""))
    assert spiking.simulate(X, most).outputs.shape == (8, most, 3)
    with pytest.raises(InputError, match="is too much"):
        spiking.simulate(X, most + 1)
    monkeypatch.setattr(memory, "free_memory", lambda: 10)
    with pytest.raises(InputError, match="not even n_steps=1 fits"):
        spiking.simulate(X, 1)
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    assert spiking.simulate(X, 1).n_steps == 1


def test_outputs_without_values_have_no_penalty():
    for regularizer in (DeadUnits(), FiringRate()):
        for shape in ((0, 3), (2, 0), (0,)):
            assert float(regularizer(keras.ops.zeros(shape))) == 0
        with pytest.raises(InputError, match="has an axis of samples"):
            regularizer(keras.ops.zeros(()))


@pytest.mark.parametrize(
    ("neuron", "spikes"),
    [
        (nengo.RectifiedLinear(), True),
        (nengo.LIFRate(), True),
        (nengo.SpikingRectifiedLinear(), True),
        (nengo.Tanh(), False),
        (nengo.Sigmoid(), False),
    ],
)
def test_a_swap_says_whether_neurons_spike(neuron, spikes, model):
    spiking = kconvert.convert(model, calibration=False, swap_activations={"relu": neuron})
    [text] = [each.text for each in spiking.decisions if each.kind == "swapped"]
    assert ("which spike unless spiking=False" in text) == spikes
    assert ("which send rates" in text) == (not spikes)
    [node] = spiking.graph.neurons()
    assert node.op.spikes == spikes


@pytest.mark.parametrize("simulator", ["nengo", "nengo_dl"])
def test_simulators_leave_the_process_alone(simulator, model):
    spiking = kconvert.convert(model, calibration=False)
    np.random.seed(0)
    handlers, expected = list(logging.getLogger().handlers), np.random.RandomState(0).rand()
    spiking.predict(X[:2], 2, simulator=simulator)
    assert np.random.rand() == expected
    assert logging.getLogger().handlers == handlers
