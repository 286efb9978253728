"""What every result can do: short repr, table, HTML, plain data, data frame and figure."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import Any

import keras
import matplotlib
import numpy as np
import pytest
from keras import layers as L
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import kconvert
from kconvert.errors import InputError, MissingPackageError
from kconvert.results.display import MOST_ROWS, Display, as_html, as_text, plain

matplotlib.use("Agg")
NAME = "a<b>&c$d$"
"""A name of a layer that HTML and Matplotlib would take for something else."""
X = np.random.default_rng(0).random((12, 8, 8, 1)).astype(np.float32)
Y = np.arange(12) % 3
LAYER = [
    *("layer", "rate_hz", "spikes_per_sample", "operations_per_sample", "min_spikes", "max_spikes")
]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    stack = [L.Conv2D(4, 3, activation="relu", name=NAME), L.MaxPooling2D(2), L.Flatten()]
    stack += [L.Dense(5, activation="relu", name="hidden"), L.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((8, 8, 1), name="image"), *stack], name="small")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def spiking(model) -> kconvert.SpikingModel:
    return kconvert.convert(model, calibration=X, signed=False, max_pooling="sums")


@pytest.fixture(scope="module")
def tuning(model) -> kconvert.Tuning:
    settings = [{"calibration": X, "signed": signed} for signed in (False, True)]
    y = keras.ops.convert_to_numpy(model(X)).argmax(axis=1)
    return kconvert.tune(model, X, y, max_steps=40, max_loss=0.1, candidates=settings)


@pytest.fixture(scope="module")
def results(model, spiking, tuning, tmp_path_factory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("files") / "small.kconvert"
    spiking.save(path)
    return {
        "SpikingModel": spiking,
        "SpikingNetwork": kconvert.load(path),
        "Graph": spiking.graph,
        "Simulation": spiking.simulate(X, 10, spikes=True),
        "Evaluation": spiking.evaluate(X, Y, 10),
        "Diagnosis": spiking.diagnose(X, 10),
        "Verification": spiking.verify(),
        "Check": kconvert.check(model),
        "Energy": spiking.energy(X, 10),
        "Tuning": tuning,
    }


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


@dataclass(frozen=True)
class Case:
    """What a result shows.

    Args:
        says: What its repr says.
        columns: First columns of its data frame.
        rows: From the result to the number of its rows.
        labels: Of the axes of its figure.
    """

    says: str
    columns: list[str]
    rows: Callable[[Any], int]
    labels: tuple[str, str]


NETWORK = Case(
    "spiking",
    ["layer", "op", "shape", "neurons", "parameters", "spikes_per_step", "details"],
    lambda found: len(found.graph.nodes),
    ("Size (values per sample)", "Layer"),
)
CASES = {
    "SpikingModel": NETWORK,
    "SpikingNetwork": NETWORK,
    "Graph": Case(
        "image -> dense",
        ["node", "op", "inputs", "shape", "neurons", "parameters", "output"],
        lambda found: len(found.nodes),
        ("Size (values per sample)", "Layer"),
    ),
    "Simulation": Case(
        "12 samples, 10 steps of 1 ms",
        LAYER,
        lambda found: len(found.rates),
        ("Time (ms)", "Output (Keras units)"),
    ),
    "Evaluation": Case(
        "accuracy",
        ["step", "accuracy", "keras_accuracy", "agreement"],
        lambda found: found.n_steps,
        ("Time (steps)", "Accuracy (%)"),
    ),
    "Diagnosis": Case(
        "read-out: error",
        ["layer", "n_neurons", "error", "curve", "inherited"],
        lambda found: len(found.layers),
        ("Share of the squared error (%)", "Cause"),
    ),
    "Verification": Case(
        "passed",
        ["layer", "scale", "max_difference", "relative", "passed"],
        lambda found: len(found.layers),
        ("Largest difference (share of the layer's scale)", "Layer"),
    ),
    "Check": Case(
        "'small' converts",
        ["layer", "layer_class", "status", "text", "fix"],
        lambda found: len(found.layers),
        ("Layers (count)", "Status"),
    ),
    "Energy": Case(
        "12 samples, 10 steps; ",
        ["layer", "op", "macs", "input_macs", "spikes", "synaptic_operations", "neuron_updates"],
        lambda found: len(found.layers),
        ("Operations per sample", ""),
    ),
    "Tuning": Case(
        "2 candidates",
        [
            *("name", "n_steps", "accuracy", "value", "spikes_per_sample", "spike_values"),
            *("min_spikes", "max_spikes", "best"),
        ],
        lambda found: len(found.candidates),
        ("Time (steps)", "Accuracy (%)"),
    ),
}


class Tags(HTMLParser):
    """Raises for HTML whose tags are not closed in order, and counts rows and cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @classmethod
    def of(cls, html: str) -> Tags:
        found = cls()
        found.feed(html)
        found.close()
        assert not found.open
        return found


@pytest.mark.parametrize("name", CASES)
def test_a_result_shows_itself(name, results):
    found, case = results[name], CASES[name]
    text = repr(found)
    assert case.says in text
    assert name in text
    assert text.count("\n") <= 2
    assert len(text) <= 240
    assert len(str(found).splitlines()) >= case.rows(found) or name == "Evaluation"
    tags = Tags.of(found._repr_html_())
    assert tags.seen.count("table") == 1
    if name != "Tuning":
        has_layers = "".join(tags.text)
        assert NAME in has_layers or "max_pooling" in has_layers
    colors = re.findall(r"color: ?(\w+)", found._repr_html_())
    assert set(colors) == {"inherit"}  # the page's theme decides


@pytest.mark.parametrize("name", CASES)
def test_a_result_is_plain_data(name, results):
    held = results[name].to_dict()
    again = json.loads(json.dumps(held, allow_nan=False))
    assert again == held
    assert len(json.dumps(held)) < 60_000


@pytest.mark.parametrize("name", CASES)
def test_a_result_is_a_data_frame(name, results):
    found, case = results[name], CASES[name]
    frame = found.to_frame()
    assert list(frame.columns)[: len(case.columns)] == case.columns
    assert len(frame) == case.rows(found)


@pytest.mark.parametrize("name", CASES)
def test_a_result_draws_itself(name, results):
    settings = dict(matplotlib.rcParams)
    ax = results[name].plot()
    assert isinstance(ax, Axes)
    assert (ax.get_xlabel(), ax.get_ylabel()) == CASES[name].labels
    ax.figure.canvas.draw()  # names of layers are no formulas
    own = plt.figure().add_subplot(1, 2, 2)
    figures = plt.get_fignums()
    assert results[name].plot(ax=own) is own
    assert plt.get_fignums() == figures
    assert dict(matplotlib.rcParams) == settings


def test_numbers_are_those_of_the_result(results):
    run, evaluation, diagnosis = (
        results[name] for name in ("Simulation", "Evaluation", "Diagnosis")
    )
    held = run.to_dict(arrays=True)
    np.testing.assert_array_equal(held["outputs"], run.outputs)
    np.testing.assert_array_equal(held["spikes"]["hidden"], run.spikes["hidden"])
    assert held["layers"][-1]["rate_hz"] == run.rates["hidden"]
    assert run.to_dict()["spikes"][NAME] == {"shape": [12, 10, 6, 6, 4], "dtype": "uint8"}
    assert evaluation.to_dict()["accuracy"] == evaluation.accuracy
    frame = evaluation.to_frame()
    np.testing.assert_array_equal(frame["accuracy"], evaluation.accuracy_per_step)
    assert frame["spikes_per_sample"].iloc[-1] == pytest.approx(evaluation.spikes_per_sample)
    assert set(frame["keras_accuracy"]) == {evaluation.reference_accuracy}
    assert diagnosis.to_dict()["layers"][0]["error"] == diagnosis.layers[0].error


def test_the_curve_that_is_drawn_is_the_accuracy(results):
    evaluation = results["Evaluation"]
    ax = evaluation.plot()
    drawn = next(line for line in ax.lines if line.get_label().startswith("spikes"))
    np.testing.assert_allclose(drawn.get_ydata(), 100 * evaluation.accuracy_per_step)
    keras_line = next(line for line in ax.lines if line.get_label().startswith("Keras"))
    assert keras_line.get_ydata()[0] == 100 * evaluation.reference_accuracy
    band = ax.collections[0].get_paths()[0].vertices
    low, high = evaluation.interval()
    at_the_end = band[band[:, 0] == evaluation.n_steps, 1]
    assert at_the_end.min() == pytest.approx(100 * low)
    assert at_the_end.max() == pytest.approx(100 * high)


def test_the_raster_has_every_spike(spiking, results):
    run = results["Simulation"]
    ax = kconvert.plot.raster(run, "hidden", 3)
    counts = run.spikes["hidden"][3]
    marks = sum(len(each.get_offsets()) for each in ax.collections)
    assert marks == np.count_nonzero(counts)
    times = np.unique(np.concatenate([each.get_offsets()[:, 0] for each in ax.collections]))
    np.testing.assert_allclose(times, 1 + np.flatnonzero(counts.any(axis=1)))


def test_negative_spikes_are_marked_apart(results):
    run = results["Simulation"]
    spikes = np.zeros((12, 10, 5), dtype=np.int8)
    spikes[0, 2, 1], spikes[0, 4, 3] = 3, -1
    ax = kconvert.plot.raster(replace(run, spikes={"hidden": spikes}), "hidden")
    assert [each.get_label() for each in ax.collections] == [
        "spikes, up to 3 in a step",
        "negative spikes",
    ]
    assert ax.get_legend() is not None


def test_feature_maps_are_counts(results):
    run = results["Simulation"]
    name = next(iter(run.spikes))
    ax = kconvert.plot.feature_maps(run, sample=2)
    sheet = np.asarray(ax.images[0].get_array().filled(0))
    assert sheet.sum() == run.spikes[name][2].sum()
    first = run.spikes[name][2].sum(axis=0)[..., 0]
    np.testing.assert_array_equal(sheet[: first.shape[0], : first.shape[1]], first)
    moved = replace(run, spikes={name: np.moveaxis(run.spikes[name], -1, 2)})
    again = kconvert.plot.feature_maps(moved, name, 2, channel_axis=0)
    np.testing.assert_array_equal(again.images[0].get_array().filled(0), sheet)


def test_outputs_beside_an_image(results):
    run = results["Simulation"]
    names = ["cat", "dog", "$cow$"]
    ax = kconvert.plot.outputs(
        run, 1, image=X[1], class_names=names, activation="softmax", n_named=2
    )
    assert [text.get_text() for text in ax.texts] != []
    best = int(run.outputs[1, -1].argmax())
    thick = max(ax.lines, key=lambda line: line.get_linewidth())
    values = np.exp(run.outputs[1])
    expected = values[:, best] / values.sum(axis=1)
    np.testing.assert_allclose(thick.get_ydata(), expected, rtol=1e-6)
    image = next(each for each in ax.figure.axes if each is not ax)
    assert image.images[0].get_array().shape == (8, 8)
    assert image.get_position().x1 <= ax.get_position().x0
    own = plt.figure().add_axes((0.1, 0.1, 0.8, 0.8))
    kconvert.plot.outputs(run, image=np.zeros((4, 4, 3)), ax=own)
    own.figure.canvas.draw()


def test_agreement_shows_the_pairs(results):
    diagnosis = results["Diagnosis"]
    ax = kconvert.plot.agreement(diagnosis, layers=["hidden"])
    keras_values, spikes = diagnosis.layers[-1].pairs.T
    scale = np.abs(keras_values).max()
    np.testing.assert_allclose(ax.lines[0].get_xdata(), keras_values / scale)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), spikes / scale)
    assert np.corrcoef(keras_values, spikes)[0, 1] == pytest.approx(
        diagnosis.layers[-1].correlation, abs=0.05
    )


BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no axes": (lambda r: r["Evaluation"].plot(ax=3), "ax must be"),
    "no sample": (lambda r: r["Simulation"].plot(sample=12), "from 0 to 11"),
    "negative sample": (lambda r: r["Simulation"].plot(sample=-1), "from 0 to 11"),
    "no layer": (lambda r: kconvert.plot.raster(r["Simulation"], "hiden"), "Did you mean 'hidden'"),
    "no maps": (lambda r: kconvert.plot.feature_maps(r["Simulation"], "hidden"), "raster draws"),
    "channel axis": (
        lambda r: kconvert.plot.feature_maps(r["Simulation"], channel_axis=1),
        "must be -1 or 0",
    ),
    "no spikes": (
        lambda r: kconvert.plot.raster(replace(r["Simulation"], spikes={})),
        "spikes=True",
    ),
    "no metric": (lambda r: r["Evaluation"].plot(metric="los"), "'loss'"),
    "confidence": (lambda r: r["Evaluation"].plot(confidence=1.0), "confidence"),
    "output": (lambda r: r["Simulation"].plot(output=1), "one output"),
    "activation": (lambda r: r["Simulation"].plot(activation="relu"), "activation must"),
    "image": (lambda r: r["Simulation"].plot(image=np.zeros(4)), "image must"),
    "names": (lambda r: r["Simulation"].plot(class_names=["a"]), "3 names"),
    "layers": (lambda r: kconvert.plot.agreement(r["Diagnosis"], layers="hidden"), "a list"),
    "causes": (lambda r: kconvert.plot.causes(r["Evaluation"]), "what diagnose gives"),
    "rates": (lambda r: kconvert.plot.rates(r["Check"]), "simulate or evaluate"),
    "energy": (lambda r: kconvert.plot.energy(r["Simulation"]), "what SpikingNetwork.energy gives"),
    "sizes": (lambda r: kconvert.plot.sizes(r["Check"]), "a network"),
    "accuracy": (lambda r: kconvert.plot.accuracy(r["Simulation"]), "what evaluate gives"),
    "outputs": (lambda r: kconvert.plot.outputs(r["Evaluation"]), "what simulate gives"),
    "candidates": (lambda r: kconvert.plot.candidates(r["Check"]), "kconvert.tune"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_refused(name, results):
    action, text = BAD[name]
    with pytest.raises(InputError, match=text):
        action(results)
    assert plt.get_fignums() == []  # no empty figure is left behind


@pytest.mark.parametrize("package", ["pandas", "matplotlib"])
def test_a_missing_package_is_named(package, results, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    for found in results.values():
        with pytest.raises(MissingPackageError, match=f'pip install "{package}'):
            found.to_frame() if package == "pandas" else found.plot()


def test_plain_values():
    held = {
        "nan": math.nan,
        "inf": -math.inf,
        "number": np.float32(0.5),
        "count": np.int64(3),
        "yes": np.bool_(True),
        "array": np.array([1.0, np.nan]),
        "large": np.zeros((2, 600)),
        1: (None, {"a"}),
        "type": int,
        "object": object,
    }
    assert plain(held) == {
        "nan": None,
        "inf": "-inf",
        "number": 0.5,
        "count": 3,
        "yes": True,
        "array": [1.0, None],
        "large": {"shape": [2, 600], "dtype": "float64"},
        "1": [None, ["a"]],
        "type": "int",
        "object": "object",
    }
    assert plain(held["large"], arrays=True) == np.zeros((2, 600)).tolist()
    calibration = kconvert.Calibration(np.zeros((5, 4)), rate=200.0)
    assert repr(calibration) == "Calibration(x: (5, 4), rate=200.0)"
    assert plain(calibration)["x"] == np.zeros((5, 4)).tolist()


def test_a_long_table_is_cut_in_a_notebook_only():
    display = Display(["first"], ("name",), [(f"<{k}>",) for k in range(MOST_ROWS + 5)])
    tags = Tags.of(as_html(display))
    assert tags.seen.count("tr") == MOST_ROWS + 1
    assert "and 5 more rows" in "".join(tags.text)
    assert f"<{MOST_ROWS + 4}>" in as_text(display)


def test_parts_of_results_are_short(spiking, tuning, results):
    parts = [
        *tuning.candidates,
        *results["Diagnosis"].layers,
        *spiking.receipts(),
        *results["Check"],
        *spiking.decisions,
        *spiking.graph.nodes.values(),
    ]
    assert all(len(repr(part)) < 300 and "\n" not in repr(part) for part in parts)
    for part in parts:
        if hasattr(part, "to_dict"):
            json.dumps(part.to_dict(), allow_nan=False)


def test_one_step_and_no_neurons():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="end")])
    spiking = kconvert.convert(model)
    x = np.eye(4)
    for found in (spiking.simulate(x, 1), spiking.evaluate(x, np.arange(4) % 3, 1), spiking):
        found.plot().figure.canvas.draw()
        found.to_frame()
        found._repr_html_()
        json.dumps(found.to_dict(), allow_nan=False)
    diagnosis = spiking.diagnose(x, 2)
    diagnosis.plot().figure.canvas.draw()
    kconvert.plot.agreement(diagnosis).figure.canvas.draw()
    assert next(iter(diagnosis.to_frame().columns)) == "layer"


def test_an_interrupted_run_has_nothing_to_draw(results):
    run = results["Simulation"]
    empty = replace(run, outputs=run.outputs[:0], steps=run.steps[:0], complete=False)
    assert "0 samples" in repr(empty)
    with pytest.raises(InputError, match="nothing to draw"):
        empty.plot()
    json.dumps(empty.to_dict(), allow_nan=False)


def test_the_summary_tells_spikes_steps_and_the_first_run(spiking, model, tuning):
    text = str(spiking)
    assert "0, 1, 2, ... (unsigned)" in text
    assert "30 by default, not tuned" in text
    assert "kconvert.warm_up()" in text
    found = tuning.convert()
    assert f"steps: {tuning.best.n_steps} by default" in str(found)
    plain_rates = kconvert.convert(model, calibration=False)
    assert "rates are not calibrated" in str(plain_rates)
    assert "sends its rate" in str(kconvert.convert(model, spiking=False))
    signed = kconvert.convert(model, calibration=X, signed=True)
    assert "..., -1, 0, 1, ... (signed)" in str(signed)
    opaque = kconvert.convert(
        keras.Sequential([keras.Input((4,)), L.Dense(3), L.LayerNormalization(), L.Dense(2)]),
        allow=("tensornode",),
    )
    assert "first run: the simulator is 'nengo_dl'" in str(opaque)
    slow = kconvert.convert(model, calibration=kconvert.Calibration(X, dt=0.002))
    assert "run it with dt=0.002" in str(slow)
    lif = keras.Sequential([keras.Input((4,)), L.Dense(3), kconvert.layers.RateLIF()])
    assert "0 or 1 (binary)" in str(kconvert.convert(lif))


def test_tuned_steps_are_the_default(tuning, tmp_path):
    found, steps = tuning.convert(), tuning.best.n_steps
    assert tuning.met
    assert steps not in (1, 30)
    assert {each.spike_values for each in tuning.candidates} == {"graded"}
    low = [each.spike_range[0] for each in tuning.candidates]
    assert low[0] == 0
    assert low[1] < 0
    assert found.default_steps == steps
    assert found.simulate(X).n_steps == found.evaluate(X, Y).n_steps == steps
    assert found.diagnose(X).n_steps == steps
    np.testing.assert_array_equal(found.predict(X), found.predict(X, steps))
    y = keras.ops.convert_to_numpy(tuning.model(X)).argmax(axis=1)
    assert found.evaluate(X, y).accuracy == tuning.best.accuracy
    found.save(tmp_path / "tuned.kconvert")
    loaded = kconvert.load(tmp_path / "tuned.kconvert")
    with_model = kconvert.load(tmp_path / "tuned.kconvert", tuning.model)
    assert loaded.n_steps == with_model.n_steps == steps
    np.testing.assert_array_equal(loaded.predict(X), found.predict(X))


def test_default_steps_must_be_a_count(spiking, tmp_path):
    found = kconvert.load(save(spiking, tmp_path))
    assert found.n_steps is None
    assert found.default_steps == 30
    for bad in (0, -1, 2.5, "ten"):
        found.n_steps = bad
        with pytest.raises(InputError, match="n_steps"):
            found.predict(X)
    found.n_steps = 7
    assert found.simulate(X).n_steps == 7
    assert found.simulate(X, 9).n_steps == 9


def save(spiking, folder):
    spiking.save(folder / "net.kconvert")
    return folder / "net.kconvert"


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_several_outputs(kind):
    inputs = keras.Input((4,))
    hidden = L.Dense(6, activation="relu", name="hidden")(inputs)
    ends = {"coarse": L.Dense(2, name="coarse")(hidden), "fine": L.Dense(4, name="fine")(hidden)}
    model = keras.Model(inputs, ends if kind == "dict" else list(ends.values()))
    x = np.random.default_rng(0).random((5, 4))
    run = kconvert.convert(model, calibration=x).simulate(x, 6)
    key = "fine" if kind == "dict" else 1
    assert "(5, 6, 4)" in repr(run)
    np.testing.assert_array_equal(run.to_dict()["outputs"][key], run.outputs[key])
    ax = run.plot(output=key, n_named=1)
    assert ax.get_figure() is not None
    thick = max(ax.lines, key=lambda line: line.get_linewidth())
    np.testing.assert_array_equal(
        thick.get_ydata(), run.outputs[key][0, :, run.outputs[key][0, -1].argmax()]
    )
    with pytest.raises(InputError, match="output must be one of"):
        run.plot(output="finest")


def test_an_output_without_classes():
    model = keras.Sequential([keras.Input((4,)), L.Dense(5, activation="relu"), L.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    x = np.random.default_rng(0).random((9, 4))
    found = kconvert.convert(model, calibration=x).evaluate(x, x.sum(axis=1), 8)
    assert "loss: " in repr(found)
    assert list(found.to_frame().columns)[:3] == ["step", "mae", "keras_mae"]
    ax = found.plot(metric="loss")
    assert ax.get_ylabel() == "Loss (unit of the metric)"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), found.metrics["loss"])
    assert found.plot().get_ylabel() == "Mae (unit of the metric)"
    json.dumps(found.to_dict(), allow_nan=False)
    tuned = kconvert.tune(model, x, x.sum(axis=1), max_steps=8, max_loss=0.9)
    assert tuned.plot().get_ylabel() == "Loss (unit of the metric)"
    json.dumps(tuned.to_dict(), allow_nan=False)
