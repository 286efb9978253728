"""``allow`` and ``swap_activations``."""

from __future__ import annotations

import keras
import nengo
import numpy as np
import pytest
from cases import functional, randomized
from keras import layers as L
from keras import ops

import kconvert
from kconvert.ops import Lif, OtherNeuron, Relu, Sigmoid


def squeeze_and_excite(x):
    y = L.Conv2D(4, 3, activation="silu", name="conv")(x)
    gate = L.GlobalAveragePooling2D(keepdims=True)(y)
    gate = L.Dense(4, activation="sigmoid", name="gate")(gate)
    y = L.Multiply(name="product")([y, gate])
    return L.Dense(3, name="end")(L.LayerNormalization(name="norm")(L.Flatten()(y)))


def test_tensor_nodes_compute_what_keras_does():
    model = functional((6, 5, 2), squeeze_and_excite).build()
    spiking = kconvert.convert(model, allow=("tensornode",), calibration=False)
    kept = [d.layer for d in spiking.decisions if d.kind == "tensornode"]
    assert kept == ["conv", "product", "norm"]
    with pytest.warns(UserWarning, match="'auto' is 'nengo_dl' here: .*'product'"):
        result = spiking.verify()
    assert result.passed, str(result)
    assert result.simulator == "nengo_dl"


def test_tensor_nodes_run_in_time(rng):
    model = functional((5,), lambda x: ops.square(L.Dense(4, activation="relu")(x))).build()
    spiking = kconvert.convert(model, allow="tensornode", spiking=False, synapse=None)
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    spiking = kconvert.convert(
        model, allow="tensornode", spiking=False, synapse=None, output_synapse=None
    )
    found = spiking.simulate(x, simulator="nengo_dl").outputs
    expected = np.stack([model(x[:, step]) for step in range(4)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_tensor_node_of_several_outputs():
    def body(x):
        mean, variance = ops.moments(L.Dense(6)(x), axes=[1], keepdims=True)
        return L.Dense(2)(L.Concatenate()([mean, variance]))

    spiking = kconvert.convert(
        functional((5,), body).build(), allow=("tensornode",), calibration=False
    )
    assert spiking.verify(simulator="nengo_dl")


def test_softmax_inside_as_a_tensor_node():
    body = functional((5,), lambda x: L.Dense(3)(L.Dense(4, activation="softmax")(x)))
    spiking = kconvert.convert(body.build(), allow=("tensornode",), calibration=False)
    assert [d.kind for d in spiking.decisions if d.kind == "tensornode"] == ["tensornode"]
    assert spiking.verify(simulator="nengo_dl")
    assert kconvert.check(body.build(), allow=("tensornode",))


def test_nengo_refuses_tensor_nodes():
    model = functional((6, 5, 2), squeeze_and_excite).build()
    spiking = kconvert.convert(model, allow=("tensornode",), calibration=False)
    with pytest.raises(kconvert.InputError, match=r"keeps the layers .*'product'"):
        spiking.predict(np.ones((1, 6, 5, 2)), simulator="nengo")


def test_the_refusal_names_the_flag():
    with pytest.raises(kconvert.UnsupportedModelError) as caught:
        kconvert.convert(functional((6, 5, 2), squeeze_and_excite).build(), calibration=False)
    assert [problem.flag for problem in caught.value.problems] == ["tensornode"] * 3
    assert "or pass allow=('tensornode',)" in str(caught.value)


def test_no_flag_helps_against_nan():
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    model.layers[0].bias.assign([0.0, np.nan])
    with pytest.raises(kconvert.UnsupportedModelError, match="NaN"):
        kconvert.convert(model, allow=("tensornode",), calibration=False)


def test_unknown_flags():
    with pytest.raises(kconvert.InputError, match=r"allow must be some of \['tensornode'\]"):
        kconvert.convert(
            keras.Sequential([keras.Input((3,)), L.Dense(2)]), allow=("nodes",), calibration=False
        )


@pytest.mark.parametrize("flags", [[["tensornode"]], [3], 3, {"tensornode": 1, None: 2}])
def test_malformed_flags(flags):
    with pytest.raises(kconvert.InputError, match="allow must be some of"):
        kconvert.convert(activated(), allow=flags)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("max_to_avg_pool", "max_pooling='average'"),
        ("allow_fallback", "tensornode"),
        ("inference_only", "train_biases=True"),
        ("freeze_batchnorm", "always frozen"),
        ("split_shared_weights", "called twice"),
    ],
)
def test_arguments_of_nengo_dl_are_answered(name, match):
    with pytest.raises(kconvert.InputError, match=f"no argument '{name}'.*{match}"):
        kconvert.check(activated(), **{name: True})
    with pytest.raises(kconvert.InputError, match=f"no argument '{name}'.*{match}"):
        kconvert.convert(activated(), **{name: True})


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ([L.Dense], "layers must be a dict"),
        ({"Dense": len}, "takes classes of Keras layers.*Received: 'Dense'"),
        ({int: len}, "takes classes of Keras layers.*Received: <class 'int'>"),
        ({L.Dense: 3}, r"layers\[Dense\] must be a function importer"),
        ({L.Dense: None}, r"layers\[Dense\] must be a function importer"),
        ({L.ReLU: L.Dense}, "a class above ReLU"),
    ],
)
def test_bad_layers(layers, match):
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.convert(activated(), layers=layers)
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.check(activated(), layers=layers)


def test_bad_registrations():
    registry = kconvert.LAYERS.extended({})
    for call in (
        lambda: registry.register("Dense"),
        lambda: registry.register(),
        lambda: registry.register(kconvert.layers.RateLIF())(len),
        lambda: registry.register(type("Mine", (L.Layer,), {}))(3),
    ):
        with pytest.raises(kconvert.InputError):
            call()


def activated(name: str = "gelu") -> keras.Model:
    stack = [L.Dense(4, name="hidden"), L.Activation(name, name="act"), L.Dense(2, name="end")]
    return randomized(keras.Sequential([keras.Input((5,)), *stack]))


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("gelu", "gelu"),
        (keras.activations.gelu, "gelu"),
        ("swish", "silu"),
        (keras.activations.swish, "silu"),
        (nengo.RectifiedLinear(), "relu"),
        (nengo.SpikingRectifiedLinear, "relu"),
        (nengo.Sigmoid(), "sigmoid"),
    ],
)
def test_keys_of_swaps(key, model):
    spiking = kconvert.convert(
        activated(model), swap_activations={key: nengo.LIF(tau_rc=0.03)}, calibration=False
    )
    op = spiking.graph.nodes["act"].op
    assert isinstance(op, Lif)
    assert (op.gain, op.bias, op.tau_rc) == (1.0, 0.0, 0.03)
    [decision] = [d for d in spiking.decisions if d.kind == "swapped"]
    assert decision.layer == "act"


def test_layer_classes_as_keys():
    model = keras.Sequential(
        [keras.Input((5,)), L.ELU(name="a"), kconvert.layers.RateLIF(name="b"), L.LeakyReLU()]
    )
    relu = nengo.SpikingRectifiedLinear(amplitude=0.01)
    swaps = {L.ELU: relu, kconvert.layers.RateLIF: relu, L.LeakyReLU: "relu"}
    nodes = kconvert.convert(model, swap_activations=swaps, calibration=False).graph.nodes
    kinds = [type(node.op) for node in nodes.values()]
    assert kinds[1:] == [Relu, Relu, Relu]
    assert nodes["a"].op.amplitude == 0.01


def test_swap_to_another_activation_is_that_activation():
    spiking = kconvert.convert(
        activated("gelu"), swap_activations={"gelu": "relu"}, calibration=False
    )
    same = activated("relu")
    x = np.random.default_rng(0).standard_normal((3, 5))
    found = spiking.graph.evaluate({spiking.graph.inputs[0]: x})["end"]
    np.testing.assert_allclose(found, same(x.astype(np.float32)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIF(amplitude=0.02),
        nengo.LIFRate(amplitude=0.02),
        nengo.SpikingRectifiedLinear(amplitude=0.01),
        nengo.RegularSpiking(nengo.Sigmoid(tau_ref=0.01), amplitude=0.5),
        nengo.RegularSpiking(nengo.LIFRate(), amplitude=0.01),
        nengo.Tanh(tau_ref=1.0),
    ],
)
@pytest.mark.parametrize("simulator", ["nengo", "nengo_dl"])
def test_swapped_neurons_have_their_own_rates(neuron_type, simulator, rng):
    """The rate network equals the rates that Nengo gives for the neuron type."""
    model = activated("gelu")
    spiking = kconvert.convert(
        model,
        swap_activations={"gelu": neuron_type},
        spiking=False,
        synapse=None,
        output_synapse=None,
    )
    x = rng.standard_normal((4, 5)).astype(np.float32) * 3
    current = np.asarray(model.get_layer("hidden")(x), np.float64)
    amplitude = getattr(neuron_type, "amplitude", 1.0)
    with np.errstate(invalid="ignore"):  # Nengo takes a logarithm before it masks it
        rates = np.squeeze(neuron_type.rates(current, np.ones(4), np.zeros(4)))
    wrapped = isinstance(neuron_type, nengo.RegularSpiking)
    hidden = rates * amplitude if wrapped else rates
    assert np.ptp(hidden) > 0
    expected = model.get_layer("end")(hidden.astype(np.float32))
    found = spiking.predict(x, 1, simulator=simulator)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    again = spiking.graph.evaluate({spiking.graph.inputs[0]: x})["end"]
    np.testing.assert_allclose(again, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_swapped_neurons_spike(rng):
    spiking = kconvert.convert(
        activated(),
        swap_activations={"gelu": nengo.PoissonSpiking(nengo.LIFRate())},
        calibration=False,
    )
    assert isinstance(spiking.graph.nodes["act"].op, OtherNeuron)
    run = spiking.simulate(5 * rng.standard_normal((2, 5)), 50, simulator="nengo", spikes=True)
    assert run.n_spikes["act"] == run.spikes["act"].sum() > 0


def test_spiking_sigmoid_has_its_rate(rng):
    """Spikes at even intervals: after T steps within one spike of the exact count."""
    model = activated("sigmoid")
    spiking = kconvert.convert(model, synapse=None, calibration=False)
    op = spiking.graph.nodes["act"].op
    assert isinstance(op, Sigmoid)
    x = rng.standard_normal((3, 5))
    steps = 200
    counts = spiking.simulate(x, steps, simulator="nengo", spikes=True).spikes["act"].sum(axis=1)
    hidden = np.asarray(keras.activations.sigmoid(model.get_layer("hidden")(x.astype("f"))))
    assert np.abs(counts - hidden * op.max_rate * steps * 0.001).max() <= 1.0


@pytest.mark.parametrize(
    ("swaps", "match"),
    [
        ({"gelo": nengo.LIF()}, r"names 'gelo', which is not an activation.*Did you mean 'gelu'\?"),
        ({"ge lo": nengo.LIF()}, "Received: 'ge lo'"),
        ({(lambda x: x): nengo.LIF()}, "made by def"),
        ({"gelu": "rate_lif"}, "no parameters of its own"),
        ({"gelu": "prelu"}, "no parameters of its own"),
        ({"gelu": "LIF"}, "maps to a Nengo neuron type.*Received: 'LIF'"),
        ({"gelu": nengo.LIF}, "Received: <class"),
        ({"gelu": nengo.Direct()}, "Received: Direct"),
        ({3: nengo.LIF()}, "Received: 3"),
        ([("gelu", nengo.LIF())], "must be a dict"),
    ],
)
def test_bad_swaps(swaps, match):
    with pytest.raises(kconvert.InputError, match=match):
        kconvert.convert(activated(), swap_activations=swaps, calibration=False)


@pytest.mark.parametrize("key", ["gelu", L.ELU, nengo.Sigmoid(), "my_own"])
def test_swaps_that_match_nothing(key):
    with pytest.raises(kconvert.InputError, match=r"not an activation of the model.*: \['relu'\]"):
        kconvert.convert(activated("relu"), swap_activations={key: nengo.LIF()})
    with pytest.raises(kconvert.InputError, match="not an activation of the model"):
        kconvert.check(activated("relu"), swap_activations={key: nengo.LIF()})


def test_swaps_of_what_a_refused_layer_may_have():
    model = activated("relu")
    model.get_layer("hidden").bias.assign(np.full(4, np.nan))
    with pytest.raises(kconvert.UnsupportedModelError, match="NaN"):
        kconvert.convert(model, swap_activations={"gelu": "relu"})


def test_the_summary_tells_what_the_neurons_are(capsys):
    def body(x):
        y = L.MaxPooling1D(2)(L.Conv1D(4, 2, activation="sigmoid")(x))
        return L.Dense(3)(L.Activation("gelu")(L.Flatten()(y))) * L.Dense(3)(L.Flatten()(x))

    swaps = {"gelu": nengo.PoissonSpiking(nengo.LIFRate())}
    model = functional((6, 2), body).build()
    kconvert.convert(
        model, swap_activations=swaps, allow=("tensornode",), calibration=False
    ).summary()
    text = capsys.readouterr().out
    for part in ("up to 500 Hz", "PoissonSpiking", "running sums", "without neurons"):
        assert part in text


class Cube:
    """An op of somebody's own, which no target knows."""

    def out_shape(self, x):
        return x

    def evaluate(self, x):
        return x**3


def test_an_op_of_ones_own_needs_a_rule_in_the_target():
    cube = type("CubeLayer", (L.Layer,), {"call": lambda self, x: x**3})
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), cube(name="cube")])
    spiking = kconvert.convert(model, layers={cube: lambda layer, b, x: b.add(Cube(), x)})
    with pytest.raises(kconvert.UnsupportedModelError, match=r"'cube' \(Cube\).* no rule for it"):
        _ = spiking.net
    with pytest.raises(kconvert.InputError, match="'cube': the event simulator has no form of"):
        spiking.predict(np.ones((1, 4)), 2, simulator="events")
