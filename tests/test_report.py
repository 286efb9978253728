"""What a report says, and that what it draws is what was simulated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert.report import page, recording
from kconvert.report.packing import unpacked

X = np.random.default_rng(5).random((12, 9, 8, 1)).astype(np.float32)
Y = np.arange(12) % 3


def cnn(**first) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((9, 8, 1)),
            L.Conv2D(6, (3, 2), activation="relu", name="conv"),
            L.Flatten(),
            L.Dense(7, name="dense"),
            kconvert.layers.RateLIF(name="lif"),
            L.Dense(3, activation="softmax", name="out"),
        ],
        **{"name": "small", **first},
    )


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    return kconvert.convert(cnn(), calibration=X)


@pytest.fixture
def no_figures(monkeypatch) -> None:
    """Matplotlib takes most of the time of a small page."""
    monkeypatch.setattr(page, "figures", lambda *given: [])


class Elements(HTMLParser):
    """Tags with their attributes, and the text within each kind of tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._open[-1:]):
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def player(path: Path) -> dict:
    """The data that a page's player draws."""
    text = path.read_text("utf-8")
    [found] = re.findall(r'<script type="application/json" id="player-data">(.*?)</script>', text)
    return json.loads(found)


def arrays(data: dict, example: int, layer: int) -> np.ndarray:
    """The cells of a layer, of shape (frames, maps, rows, columns)."""
    head, given = data["layers"][layer], data["examples"][example]["layers"][layer]
    flat = unpacked(given["spikes"], given["type"])
    maps = flat.reshape(head["maps"], head["rows"], head["columns"], len(data["ends"]))
    return np.moveaxis(maps, -1, 0)


def test_the_player_has_what_was_simulated(spiking, tmp_path):
    data = player(spiking.report(X, Y, tmp_path / "a", n_steps=17, n_examples=5))
    assert [layer["name"] for layer in data["layers"]] == ["conv", "lif"]
    assert data["ends"] == list(range(17))
    numbers = [example["number"] for example in data["examples"]]
    ran = spiking.simulate(X[numbers], 17, spikes=True)
    assert ran.n_spikes["conv"] > 0
    assert ran.n_spikes["lif"] > 0
    keras_outputs = spiking.keras_model.predict(X[numbers], verbose=0)
    for k, example in enumerate(data["examples"]):
        conv = ran.spikes["conv"][k]
        np.testing.assert_array_equal(arrays(data, k, 0), np.moveaxis(conv, -1, 1))
        lif = arrays(data, k, 1).reshape(17, -1)[:, : data["layers"][1]["used"]]
        np.testing.assert_array_equal(lif, ran.spikes["lif"][k])
        assert example["layers"][0]["counts"] == abs(conv).sum(axis=(1, 2, 3)).tolist()
        [output] = example["outputs"]
        values = unpacked(output["values"], np.float32).reshape(17, 3)
        wanted = spiking.graph.activated(0, ran.outputs[k])
        np.testing.assert_allclose(values, wanted, rtol=1e-6)  # stored in float32
        assert output["chosen"] == wanted.argmax(axis=1).tolist()
        reference = unpacked(output["reference"], np.float32)
        np.testing.assert_allclose(reference, keras_outputs[k], rtol=1e-4)  # both float32
        assert output["reference_class"] == keras_outputs[k].argmax()
        assert output["label_class"] == Y[numbers[k]]
        pixels = unpacked(example["inputs"][0], np.uint8).reshape(9, 8)
        low, high = data["inputs"][0]["low"], data["inputs"][0]["high"]
        shown = low + pixels * (high - low) / 255
        assert abs(shown - X[numbers[k], :, :, 0]).max() <= (high - low) / 255 / 2 + 1e-6


def test_long_runs_and_large_layers_are_reduced_and_say_so(
    spiking, tmp_path, monkeypatch, no_figures
):
    monkeypatch.setattr(recording, "LAYER_CELLS", 40)
    path = spiking.report(X[:2], path=tmp_path / "a.html", n_steps=250)
    data = player(path)
    assert data["steps_per_frame"] == 3
    assert data["ends"][:2] == [2, 5]
    assert data["ends"][-1] == 249
    head = data["layers"][0]  # six maps of 7 x 7 in 40 cells
    assert (
        head["note"]
        == "4 of 6 maps, evenly spaced; each cell stands for 3 \N{MULTIPLICATION SIGN} 3 values"
    )
    trains = spiking.simulate(X[:1], 250, spikes=True).spikes["conv"][0].astype(int)
    sums = trains[3:6].sum(axis=0)[..., [0, 2, 3, 5]]
    blocks = np.add.reduceat(np.add.reduceat(sums, [0, 3, 6], axis=0), [0, 3, 6], axis=1)
    assert blocks.any()
    np.testing.assert_array_equal(arrays(data, 0, 0)[1], np.moveaxis(blocks, -1, 0))
    # Counts are of the whole layer, also of what is not drawn.
    assert data["examples"][0]["layers"][0]["counts"][1] == abs(trains[3:6].sum(axis=0)).sum()


def test_spikes_that_do_not_deflate_are_drawn_by_fewer_maps(
    spiking, tmp_path, monkeypatch, no_figures
):
    def size(name):
        found = player(spiking.report(X[:2], path=tmp_path / name, n_steps=20))
        parts = [layer["spikes"] for example in found["examples"] for layer in example["layers"]]
        head = found["layers"][0]
        return sum(map(len, parts)), head["maps"] * head["rows"] * head["columns"]

    whole, cells = size("whole")
    monkeypatch.setattr(recording, "BYTES", whole // 2)
    less, fewer = size("less")
    assert less <= whole // 2
    assert fewer < cells == 6 * 7 * 7


def test_words(spiking, tmp_path):
    path = spiking.report(X, Y, tmp_path / "a.html", n_steps=20)
    elements = Elements(path.read_text("utf-8"))
    result = spiking.evaluate(X, Y, 20)
    words = elements.words
    assert "301 neurons in 2 spiking layers, run for 20 steps of 1 ms" in words
    assert f"Error, spikes {100 * (1 - result.accuracy):.2f} %" in words
    assert f"Error, Keras {100 * (1 - result.reference_accuracy):.2f} %" in words
    for decision in spiking.decisions:
        assert re.sub(r"\s+", " ", decision.text) in words
    for finding in spiking.diagnose(X, 20).findings:
        assert re.sub(r"\s+", " ", finding) in words
    for layer, rate in result.rates.items():
        assert f"{layer} " in words
        assert f" {rate:.1f} " in words
    assert f"keras {keras.__version__}" in words
    assert spiking.keras_sha256 in words
    ids = [attributes["id"] for _, attributes in elements.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    targets = [link["href"].removeprefix("#") for link in elements.all("a")]
    assert set(targets) <= set(ids)


def test_the_printed_lines_make_the_network_and_the_page_again(tmp_path, monkeypatch, no_figures):
    model, x, y = cnn(), X, Y
    spiking = kconvert.convert(
        model,
        calibration=X,
        min_voltage=-np.inf,
        output_synapse="ramp",
        seed=3,
        spike_values="ternary",
        synapse=0.002,
    )
    path = spiking.report(x, y, tmp_path / "first.html", n_steps=15, n_examples=3)
    code = Elements(path.read_text("utf-8")).text
    [lines] = [text for text in code if "kconvert.convert(" in text]
    monkeypatch.chdir(tmp_path)
    exec(lines, {"kconvert": kconvert, "model": model, "calibration": X, "x": x, "y": y})
    assert player(tmp_path / "report.html") == player(path)


def test_texts_of_users_stay_texts(tmp_path):
    bad = "</script><img src=x onerror=alert(1)>&\"'"
    spiking = kconvert.convert(cnn(name="<b>bold</b>".replace("/", "")), calibration=X)
    path = spiking.report(
        X, Y, tmp_path / "a.html", class_names=[bad, "two", "three"], title=f"<i>{bad}", n_steps=5
    )
    text = path.read_text("utf-8")
    elements = Elements(text)
    assert not elements.all("img")
    assert not elements.all("i") or "<i></script>" not in text
    assert len(elements.all("script")) == 2
    assert f"<i>{bad}" in elements.words
    assert player(path)["examples"][0]["outputs"][0]["row_names"][0] == bad


def test_nothing_comes_from_elsewhere(spiking, tmp_path):
    text = spiking.report(X, Y, tmp_path / "a.html", n_steps=5).read_text("utf-8")
    elements = Elements(text)
    for _, attributes in elements.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), attributes
    assert not re.search(r"@import|url\((?!#)", text)
    policies = [meta["content"] for meta in elements.all("meta") if "http-equiv" in meta]
    assert policies[0].startswith("default-src 'none'")


def test_examples_are_the_first_ones_and_some_that_go_wrong(spiking, tmp_path, no_figures):
    result = spiking.evaluate(X, Y, 10)
    wrong = np.flatnonzero(result.classes != result.labels)
    data = player(spiking.report(X, Y, tmp_path / "a", n_steps=10, n_examples=4))
    numbers = [example["number"] for example in data["examples"]]
    assert wrong[0] in numbers
    assert len(set(numbers)) == 4
    assert [k for k in range(12) if k != wrong[0]][:3] == [k for k in numbers if k != wrong[0]]


DOOR = {
    "other suffix": ({"path": "net.kconvert"}, kconvert.InputError, "must end in .html"),
    "no name": ({"path": ""}, kconvert.InputError, "path must be the name of a file"),
    "no path": ({"path": 3}, kconvert.InputError, "path must be the name of a file"),
    "no folder": ({"path": "none/a.html"}, kconvert.FileError, "does not exist: make it first"),
    "folder": ({"path": "folder.html"}, kconvert.FileError, "is a folder"),
    "path as y": ({"y": "a.html"}, kconvert.InputError, "write path='a.html'"),
    "too many": ({"n_examples": 13}, kconvert.InputError, "number of samples in x, which is 12"),
    "far too many": ({"n_examples": 33}, kconvert.InputError, "at most 32"),
    "no example": ({"n_examples": 0}, kconvert.InputError, "integer >= 1"),
    "labels": ({"y": np.arange(12)}, kconvert.InputError, "class numbers from 0 to 2"),
    "few labels": ({"y": Y[:4]}, kconvert.InputError, "one label for each of the 12"),
    "names": ({"class_names": ["a"]}, kconvert.InputError, "one name for each unit"),
    "title": ({"title": 3}, kconvert.InputError, "title must be a string"),
    "steps": ({"n_steps": 0}, kconvert.InputError, "n_steps must be"),
    "input": ({"x": X[..., :4, :]}, kconvert.InputError, "must have the shape"),
    "simulator": ({"simulator": "event"}, kconvert.InputError, "Did you mean 'events'"),
    "dt": ({"dt": 0}, kconvert.InputError, "dt must be"),
}


@pytest.mark.parametrize("case", DOOR)
def test_door(case, spiking, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    changes, kind, text = DOOR[case]
    given = {"x": X, "y": Y, **changes}
    with pytest.raises(kind, match=re.escape(text)):
        spiking.report(given.pop("x"), given.pop("y"), **given)
    assert [each.name for each in tmp_path.iterdir()] == ["folder.html"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(spiking, tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("old")

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kconvert.files.replacing.os.fsync", full)
    with pytest.raises(kconvert.FileError, match="No space left"):
        spiking.report(X[:2], path=path, n_steps=3)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_without_labels_keras_is_what_counts(spiking, tmp_path, no_figures):
    spiking.evaluate(X, Y, 10)
    before = spiking.about["evaluation"]
    path = spiking.report(X, path=tmp_path / "a.html", n_steps=10)
    words = Elements(path.read_text("utf-8")).words
    same = spiking.evaluate(X, spiking.keras_model.predict(X, verbose=0).argmax(axis=1), 10)
    assert f"Same class as Keras {100 * same.agreement_per_step[-1]:.1f} %" in words
    assert "Error, spikes" not in words
    assert "No labels were given" in words
    spiking.about["evaluation"] = before
    spiking.report(X, path=path, n_steps=10)
    assert spiking.about["evaluation"] is before


def test_a_network_from_a_file(spiking, tmp_path, no_figures):
    spiking.save(tmp_path / "net.kconvert", class_names=["a", "b", "c"])
    network = kconvert.load(tmp_path / "net.kconvert")
    path = network.report(X, path=tmp_path / "a.html", n_steps=10)
    words = Elements(path.read_text("utf-8")).words
    assert "There are no labels and no Keras model to compare with" in words
    assert "Diagnosis" not in words
    data = player(path)
    assert "reference" not in data["examples"][0]["outputs"][0]
    assert data["examples"][0]["outputs"][0]["row_names"] == ["a", "b", "c"]


def test_streams(spiking, tmp_path, monkeypatch, no_figures):
    def batches() -> Iterator:
        for first in range(0, 12, 4):
            yield X[first : first + 4], Y[first : first + 4]

    data = player(spiking.report(batches(), path=tmp_path / "a.html", n_steps=10))
    assert data == player(spiking.report(X, Y, tmp_path / "b.html", n_steps=10))
    with pytest.raises(kconvert.InputError, match="y must be left out"):
        spiking.report(batches(), Y, tmp_path / "c.html")
    monkeypatch.setattr(page, "TUNED", 6)
    words = Elements(spiking.report(batches(), path=tmp_path / "a.html").read_text("utf-8")).words
    assert "The page shows the first 6 samples of the data" in words


def test_memory_is_bounded(spiking, tmp_path, monkeypatch, no_figures):
    """One example at a time records its spikes; where even that is too much, the page says so."""
    recorded = []
    simulate = kconvert.SpikingNetwork.simulate

    def watched(self, x, *given, **how):
        recorded.append((len(next(iter(x.values()))), how["spikes"]))
        return simulate(self, x, *given, **how)

    monkeypatch.setattr(kconvert.SpikingNetwork, "simulate", watched)
    monkeypatch.setattr(page, "_energy", lambda *given: (None, ""))  # has pieces of its own
    spiking.report(X, Y, tmp_path / "a.html", n_steps=5, n_examples=3)
    assert recorded == [(1, True)] * 3
    monkeypatch.setattr(recording, "free_memory", lambda: 100)
    data = player(spiking.report(X, Y, tmp_path / "a.html", n_steps=5, n_examples=3))
    assert recorded[3:] == [(1, False)] * 3
    assert data["layers"] == []
    assert (
        "301 neurons for 5 steps needs 14.7 KiB of memory, and 100 bytes were free"
        in data["why_no_spikes"]
    )


def test_what_needs_the_extra(tmp_path, spiking, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(kconvert.MissingPackageError, match=r"jinja2>=3\.1"):
        spiking.report(X, path=tmp_path / "a.html")


def test_energy_is_on_the_page(spiking, tmp_path, monkeypatch, no_figures):
    found = spiking.energy(X, 17)
    elements = Elements(spiking.report(X, Y, tmp_path / "a", n_steps=17).read_text("utf-8"))
    assert "#energy" in [each.get("href") for each in elements.all("a")]
    assert found.verdict in elements.words
    assert len(found.advice) >= 3
    for advice in found.advice:
        assert advice in elements.words
    for name, value in found.totals:
        assert f"{name[0].upper()}{name[1:]} {value}" in elements.words
    assert "loihi" in elements.words
    assert "leave out memory" in elements.words
    monkeypatch.setattr(
        "kconvert.results.measuring.measure_energy",
        lambda *given: (_ for _ in ()).throw(kconvert.InputError("n_steps=17 is too much")),
    )
    text = Elements(spiking.report(X, path=tmp_path / "b", n_steps=17).read_text("utf-8")).words
    assert "Not counted: n_steps=17 is too much." in text
    rates = kconvert.convert(cnn(), spiking=False).report(X, path=tmp_path / "c", n_steps=5)
    assert 'id="energy"' not in rates.read_text("utf-8")
