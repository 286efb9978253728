"""NIR files, read again and run by an interpreter that knows NIR alone, spike for spike."""

from __future__ import annotations

import graphlib

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.errors import InputError, MissingPackageError, UnsupportedModelError

nir = pytest.importorskip("nir")
N_STEPS = 40


class Interpreter:
    """Runs a NIR graph as the primitives are defined, in steps of one unit of time.

    What comes along an edge that closes a loop comes in the next step.

    Args:
        graph: A ``nir.NIRGraph``.
        subtract: Let IF neurons subtract the threshold, as some readers do, and not reset.
    """

    def __init__(self, graph, *, subtract=False):
        self.graph, self.subtract = graph, subtract
        sorter, self.late = {name: set() for name in graph.nodes}, []
        for source, target in graph.edges:
            if reaches(graph.edges, target, source) and isinstance(graph.nodes[target], nir.I):
                self.late.append((source, target))
            else:
                sorter[target].add(source)
        self.order = list(graphlib.TopologicalSorter(sorter).static_order())
        self.voltages, self.values = {}, {}

    def step(self, inputs):
        """The output of every node after one step."""
        before, self.values = self.values, {}
        for name in self.order:
            node = self.graph.nodes[name]
            if isinstance(node, nir.Input):
                self.values[name] = inputs[name]
                continue
            arrives = [
                (before.get(a, 0.0) if (a, b) in self.late else self.values[a])
                for a, b in self.graph.edges
                if b == name
            ]
            self.values[name] = self.output(name, node, sum(arrives))
        return self.values

    def output(self, name, node, x):
        if type(node) in WITHOUT_STATE:
            return WITHOUT_STATE[type(node)](node, x)
        v = self.voltages.get(name, 0.0)
        if isinstance(node, nir.LIF):
            end = node.v_leak + node.r * x
            v = end + (v - end) * np.exp(-1.0 / node.tau)
        else:
            v = v + node.r * x
        if isinstance(node, nir.I):
            self.voltages[name] = v
            return v
        spikes = v > node.v_threshold
        reset = v - node.v_threshold if self.subtract else node.v_reset
        self.voltages[name] = np.where(spikes, reset, v)
        return spikes.astype(float)


def reaches(edges, first, last):
    """Whether there is a way along the edges."""
    seen, waiting = set(), [first]
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting += [b for a, b in edges if a == name]
    return last in seen


def convolved(node, x):
    axes = node.weight.ndim - 2
    stride, pad, dilation = (
        np.broadcast_to(getattr(node, each), axes) for each in ("stride", "padding", "dilation")
    )
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
    kernel = node.weight.shape[2:]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(2, 2 + axes)))
    seen = seen[(slice(None), slice(None), *(slice(None, None, s) for s in stride))]
    seen = seen[(..., *(slice(None, None, d) for d in dilation))]
    each = node.weight.shape[1]
    out = [
        np.tensordot(
            seen[:, g * each : (g + 1) * each], part, ((1, *range(-axes, 0)), range(1, 2 + axes))
        )
        for g, part in enumerate(np.split(node.weight, node.groups))
    ]
    return np.moveaxis(np.concatenate(out, axis=-1) + node.bias, -1, 1)


def pooled(node, x):
    seen = np.lib.stride_tricks.sliding_window_view(x, tuple(node.kernel_size), axis=(2, 3))
    high, wide = node.stride
    return seen[:, :, ::high, ::wide].mean(axis=(-2, -1))


WITHOUT_STATE = {
    nir.Output: lambda node, x: x,
    nir.Flatten: lambda node, x: x.reshape(len(x), -1),
    nir.Linear: lambda node, x: x @ node.weight.T,
    nir.Affine: lambda node, x: x @ node.weight.T + node.bias,
    nir.Scale: lambda node, x: x * node.scale,
    nir.Conv1d: convolved,
    nir.Conv2d: convolved,
    nir.AvgPool2d: pooled,
    nir.Threshold: lambda node, x: (x > node.threshold).astype(float),
}


def sequential(shape, layers):
    return lambda: keras.Sequential([keras.Input(shape, name="image"), *layers()])


def residual():
    x = keras.Input((6, 6, 2), name="image")
    y = L.Conv2D(3, 3, padding="same", activation="relu", name="one")(x)
    z = L.Conv2D(3, 3, padding="same", name="two")(y)
    z = L.ReLU(name="three")(L.Add()([z, y]))
    z = L.GlobalAveragePooling2D()(z)
    return keras.Model(x, L.Dense(3, name="out")(z))


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3, 2), name="b")
    y = L.Add()([L.Dense(5)(a), L.Dense(5)(L.Flatten()(b))])
    return keras.Model([a, b], L.Dense(2, name="out")(L.ReLU(name="sum")(y)))


def lif(name):
    return kconvert.layers.RateLIF(max_rate=300.0, tau_ref=0.0, name=name)


RELU = {"spike_values": "binary"}
LIF = {"min_voltage": -np.inf, "initial_voltage": 0.0, "synapse": None, "scale_firing_rates": 1.0}
CASES = {
    "convolutions, pooling, dense": (
        sequential(
            (10, 10, 2),
            lambda: [
                L.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
                L.AveragePooling2D(2),
                L.Conv2D(5, 2, activation="relu"),
                L.Flatten(),
                L.Dense(7, activation="relu"),
                L.Dense(3, name="out"),
            ],
        ),
        RELU,
    ),
    "kernels and images that are not square": (
        sequential(
            (9, 7, 2),
            lambda: [
                L.Conv2D(3, (3, 5), padding="same", activation="relu"),
                L.Conv2D(4, (2, 3), strides=(1, 2), padding="same", activation="relu"),
                L.AveragePooling2D((2, 3), padding="same"),
                L.Flatten(),
                L.Dense(3, name="out"),
            ],
        ),
        RELU,
    ),
    "dilation, groups, batch normalisation, ReLU6": (
        sequential(
            (8, 8, 4),
            lambda: [
                L.Conv2D(4, 2, dilation_rate=2, padding="same", groups=2, activation="relu6"),
                L.DepthwiseConv2D(3, padding="same", use_bias=False),
                L.BatchNormalization(),
                L.ReLU(),
                L.SeparableConv2D(5, 3, activation="relu"),
                L.Flatten(),
                L.Dense(3, name="out"),
            ],
        ),
        RELU,
    ),
    "one axis": (
        sequential(
            (12, 3),
            lambda: [
                L.Conv1D(4, 3, padding="causal", activation="relu"),
                L.AveragePooling1D(2),
                L.Conv1D(4, 2, dilation_rate=2, activation="relu"),
                L.Flatten(),
                L.Dense(3, name="out"),
            ],
        ),
        RELU,
    ),
    "vectors": (
        sequential((6,), lambda: [L.Dense(9, activation="relu"), L.Dense(3, name="out")]),
        RELU,
    ),
    "an image as the output": (
        sequential((6, 6, 2), lambda: [L.Conv2D(3, 3, activation="relu"), L.Conv2D(2, 1)]),
        RELU,
    ),
    "the neurons of a flat image as the output": (
        sequential((4, 4, 2), lambda: [L.Conv2D(3, 2, activation="relu"), L.Flatten()]),
        RELU,
    ),
    "a residual": (residual, RELU),
    "two inputs": (two_inputs, RELU),
    "LIF": (
        sequential(
            (6, 6, 1),
            lambda: [L.Conv2D(3, 3), lif("one"), L.Flatten(), L.Dense(5), lif("two"), L.Dense(2)],
        ),
        LIF,
    ),
}


def converted(build, settings, rng):
    """A network of random weights, and samples."""
    model = build()
    for layer in model.layers:
        layer.set_weights(
            [
                rng.random(w.shape) + 0.5
                if "variance" in v.name or "gamma" in v.name
                # Larger for LIF, whose threshold must be reached.
                else rng.normal(0.1, (2.0 / max(1, np.prod(w.shape[:-1]))) ** 0.5, w.shape)
                for w, v in zip(layer.get_weights(), layer.weights, strict=True)
            ]
        )
    x = {each.name: rng.random((6, *each.shape[1:])) for each in model.inputs}
    given = settings | ({} if "scale_firing_rates" in settings else {"calibration": x})
    return kconvert.convert(model, output_synapse=None, **given), x


def first(array):
    """Channels first, behind the axes of samples and steps, as in NIR."""
    return np.moveaxis(array, -1, 2) if array.ndim > 3 else array


def compared(spiking, x, graph, *, subtract=False):
    """The share of neurons and steps in which the file sends other spikes than the network."""
    run = spiking.simulate(x, N_STEPS, dtype="float64", spikes=True, simulator="events")
    machine = Interpreter(graph, subtract=subtract)
    images = {name: np.moveaxis(a, -1, 1) if a.ndim > 2 else a for name, a in x.items()}
    steps = [dict(machine.step(images)) for _ in range(N_STEPS)]
    different = []
    for layer, spikes in run.spikes.items():
        got = np.stack([step[layer.replace("/", ".")] for step in steps], axis=1)
        wanted = first(spikes) if got.ndim > 3 else spikes.reshape(got.shape)
        assert 0 < wanted.mean() < 1
        different.append((got != wanted).mean())
    (output,) = (name for name, node in graph.nodes.items() if isinstance(node, nir.Output))
    read = np.stack([step[output] for step in steps], axis=1)
    return max(different), np.abs(read - first(run.outputs)).max()


@pytest.mark.parametrize("case", CASES)
def test_the_file_sends_the_same_spikes(case, rng, tmp_path):
    spiking, x = converted(*CASES[case], rng)
    notes = spiking.export(tmp_path / "net.nir", dtype="float64")
    graph = nir.read(tmp_path / "net.nir")
    assert graph.metadata["notes"].splitlines() == list(notes)
    different, apart = compared(spiking, x, graph)
    assert different == 0
    assert apart < 1e-8
    # Readers leave out the resistance.
    assert all((node.r == 1).all() for node in graph.nodes.values() if hasattr(node, "r"))


def small(rng, *, layer=None, build=None, **settings):
    """A network with a layer in the middle, calibrated to spikes of 0 and 1."""
    layers = [L.Conv2D(3, 3, name="conv"), layer or L.ReLU(name="relu"), L.Flatten(), L.Dense(3)]
    build = build or sequential((6, 6, 2), lambda: layers)
    return converted(build, RELU | settings, rng)


def test_if_neurons_are_the_network_where_a_reader_subtracts(rng):
    spiking, x = small(rng, initial_voltage=0.0)
    graph = spiking.to_nir(reset="zero", dtype="float64")
    (neurons,) = (node for node in graph.nodes.values() if isinstance(node, nir.IF))
    assert (neurons.v_threshold == 1).all()
    assert (neurons.v_reset == 0).all()
    assert compared(spiking, x, graph, subtract=True)[0] == 0
    assert compared(spiking, x, graph)[0] > 0.01  # as NIR has it, they lose what is above threshold
    assert "computes another network" in graph.metadata["notes"]


def test_float32_is_the_network_but_for_rounding(rng):
    spiking, x = small(rng)
    graph = spiking.to_nir()
    arrays = [
        v for n in graph.nodes.values() for v in vars(n).values() if isinstance(v, np.ndarray)
    ]
    assert {a.dtype for a in arrays if a.dtype.kind == "f"} == {np.dtype("float32")}
    assert compared(spiking, x, graph)[0] < 0.01


def test_time_is_in_steps(rng):
    build, settings = CASES["LIF"]
    spiking, _ = converted(build, settings, rng)
    for dt in (0.001, 0.002):
        graph = spiking.to_nir(dt=dt)
        assert graph.metadata["dt"] == dt
        tau = {node.tau.flat[0] for node in graph.nodes.values() if isinstance(node, nir.LIF)}
        assert tau == {np.float32(0.02 / dt)}


def late_lif(tau_ref):
    return kconvert.layers.RateLIF(max_rate=100.0, tau_ref=tau_ref, name="lif")


def joined():
    x = keras.Input((4,), name="image")
    y = L.Concatenate(name="joined")([L.Dense(3)(x), L.ReLU(name="relu")(L.Dense(3)(x))])
    return keras.Model(x, L.Dense(2)(y))


UNCALIBRATED = {"scale_firing_rates": 100.0, "spike_values": "graded"}
REFUSED = {
    "several spikes in a step": ({"spike_values": "graded"}, "spike_values='binary'"),
    "a floor": (
        {"min_voltage": None},
        r"'relu' .*a floor \(min_voltage=None\).*min_voltage=-np.inf",
    ),
    "a synapse": ({"synapse": 0.002}, r"'relu' .*a synapse \(low-pass 2 ms\).*synapse=None"),
    "a maximum": ({"layer": L.MaxPooling2D(2, name="pool")}, "'pool' .*NIR has no maximum"),
    "a sigmoid": (
        UNCALIBRATED | {"layer": L.Activation("sigmoid", name="curve")},
        "'curve' .*no Sigmoid neurons",
    ),
    "a refractory time": (
        UNCALIBRATED | {"layer": late_lif(0.002), "scale_firing_rates": 1.0},
        "'lif' .*refractory time of 0.002 s",
    ),
    "a floor of LIF": (
        UNCALIBRATED | {"layer": late_lif(0.0), "scale_firing_rates": 1.0, "synapse": None},
        r"'lif' .*a floor \(min_voltage=0\)",
    ),
    "values side by side": ({"build": joined}, "'joined' .*cannot join values.*Add"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_nir_cannot_express_is_refused(case, rng, tmp_path):
    settings, text = REFUSED[case]
    spiking, _ = small(rng, **settings)
    path = tmp_path / "net.nir"
    path.write_text("old")
    with pytest.raises(UnsupportedModelError, match=text):
        spiking.export(path)
    assert path.read_text() == "old"


def test_all_problems_are_listed(rng):
    build = sequential(
        (6, 6, 2),
        [
            L.Conv2D(3, 3, activation="relu", name="one"),
            L.Conv2D(3, 3, activation="relu", name="two"),
        ].copy,
    )
    spiking, _ = converted(build, {"spike_values": "graded"}, rng)
    with pytest.raises(UnsupportedModelError) as refused:
        spiking.to_nir()
    assert [each.layer for each in refused.value.problems] == ["one", "two"]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda s, p: s.to_nir(reset="Zero"), "to_nir: reset must be one of .*Did you mean 'zero'"),
        (lambda s, p: s.to_nir(dtype="int8"), "to_nir: dtype must be one of 'float32', 'float64'"),
        (lambda s, p: s.to_nir(dt=0.0), "to_nir: dt must be a time in seconds"),
        (lambda s, p: s.to_nir(reset="zero"), "start voltage is not 0.*initial_voltage=0.0"),
        (lambda s, p: s.export(p / "net.onnx"), r"path must end in .nir, .json, .csv, .npz"),
        (lambda s, p: s.export(p / "net.csv", reset="zero"), "reset: only files that end in .nir"),
        (lambda s, p: s.export(p / "none" / "net.nir"), "cannot be written"),
    ],
)
def test_arguments(action, text, rng, tmp_path):
    spiking, _ = small(rng)
    with pytest.raises(kconvert.KconvertError, match=text):
        action(spiking, tmp_path)


def test_rates_are_refused(rng):
    spiking, _ = small(rng, spike_values="graded", spiking=False)
    with pytest.raises(InputError, match="a rate network has no spikes"):
        spiking.to_nir()


def test_without_the_package(rng, monkeypatch):
    spiking, _ = small(rng)
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(MissingPackageError, match="a NIR file needs nir, which is not"):
        spiking.to_nir()
