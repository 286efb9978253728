"""The command line, mostly in this process; a few real processes where that is the point."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert
from kconvert import cli
from kconvert.cli import samples
from kconvert.options import DEFAULTS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "command_line.md"
CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model, data and images, and a converted network."""
    from PIL import Image

    path = tmp_path_factory.mktemp("cli")
    keras.utils.set_random_seed(1)
    stack = [L.Conv2D(4, (3, 2), activation="relu", name="conv1"), L.Flatten()]
    model = keras.Sequential(
        [keras.Input((7, 6, 1)), *stack, L.Dense(3, activation="softmax")], name="small"
    )
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.save(path / "model.keras")
    rng = np.random.default_rng(0)
    x = rng.random((24, 7, 6, 1), dtype=np.float32)
    y = model.predict(x, verbose=0).argmax(axis=1)
    np.savez(path / "data.npz", x=x, y=y)
    np.save(path / "x.npy", x)
    np.save(path / "y.npy", y)
    np.save(path / "wide.npy", x[:, :, :5])
    for index, name in enumerate(reversed(CLASSES)):
        (path / "photos" / name).mkdir(parents=True)
        shades = np.full((9, 8), 40 * index + 10, dtype=np.uint8)
        Image.fromarray(shades).save(path / "photos" / name / f"{name}1.png")
    (path / "empty").mkdir()
    (path / "broken.png").write_bytes(b"no image")
    (path / "broken.keras").write_bytes(b"no model")
    (path / "broken.kconvert").write_bytes(b"no network")
    (path / "names.txt").write_text("\n".join(CLASSES))
    model.add(L.Activation("gelu"))
    model.save(path / "gelu.keras")
    words = ["convert", "model.keras", "--calibration", "x.npy", "--class-names", "names.txt"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert cli._run(words, debug=True) == cli.OK
    return path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a command in the folder: its exit code, output and messages."""
    monkeypatch.chdir(folder)

    def command(*words: str) -> tuple[int, str, str]:
        code = cli._run(list(words), debug=False)
        found = capsys.readouterr()
        return code, found.out, found.err

    return command


def test_three_lines(run, folder):
    """Those that the page shows first, with the names of this folder."""
    lines = re.search(r"```console\n(.*?)```", PAGE.read_text(), re.S)[1].splitlines()
    assert len(lines) == 3
    for line in lines:
        words = line.removeprefix("$ kconvert ").split()
        code, out, err = run(*words, *(["--force"] if words[0] == "convert" else []))
        assert code == cli.OK, err
        assert out


def test_evaluate_and_predict_are_the_functions(run, folder):
    network = kconvert.load(folder / "model.kconvert")
    data = np.load(folder / "data.npz")
    code, out, _ = run("evaluate", "model.kconvert", "data.npz", "--steps", "12", "--json")
    assert code == cli.OK
    wanted = network.evaluate(data["x"], data["y"], 12)
    assert json.loads(out)["accuracy"] == pytest.approx(wanted.accuracy)
    assert json.loads(out)["n_steps"] == 12

    code, _, err = run("predict", "model.kconvert", "x.npy", "--steps", "12", "-o", "out.npy")
    assert code == cli.OK, err
    outputs = network.predict(data["x"], 12)
    assert np.array_equal(np.load(folder / "out.npy"), outputs)

    code, out, _ = run("predict", "model.kconvert", "x.npy", "--steps", "12", "--json")
    first = json.loads(out)[0]["output"][0]
    assert first == {
        "class": CLASSES[outputs[0].argmax()],
        "value": pytest.approx(float(outputs[0].max())),
    }


def test_labels_and_max_error(run):
    wrong = ("evaluate", "model.kconvert", "x.npy", "--labels", "y.npy")
    assert run(*wrong, "--max-error", "100")[0] == cli.OK
    code, _, err = run(*wrong, "--max-error", "-1")
    assert code == cli.FAILED
    assert "above -1 %" in err


def test_images_have_the_labels_of_their_folders(folder):
    found = samples.read_samples(str(folder / "photos"), {"x": (7, 6, 1)})
    assert found.class_names == CLASSES
    assert found.names == tuple(f"{name}/{name}1.png" for name in CLASSES)
    assert found.y.tolist() == [0, 1, 2]
    shades = np.array([90, 50, 10], dtype=np.float32) / 255  # written in the opposite order
    np.testing.assert_allclose(found.x, np.broadcast_to(shades[:, None, None, None], (3, 7, 6, 1)))


def test_digits_are_those_of_the_examples(digits):
    for part, x, y in (
        ("train", digits.x_train, digits.y_train),
        ("test", digits.x_test, digits.y_test),
    ):
        found = samples.read_samples(f"mnist5k:{part}", {"x": (28, 28, 1)})
        np.testing.assert_allclose(found.x, x, atol=1e-7)  # one product and one quotient
        assert np.array_equal(found.y, y)


def test_the_demo_network_has_the_weights_of_the_examples():
    from reference import load_model

    from kconvert.cli.demo import NETWORK

    network, model = kconvert.load(NETWORK), load_model()
    for layer in model.layers:
        for name, value in zip(("weight", "bias"), layer.get_weights(), strict=False):
            stored = getattr(network.graph.nodes[layer.name].op, name)
            assert np.array_equal(stored.reshape(value.shape), value), layer.name


def test_demo(run):
    code, out, _ = run("demo", "--n", "10")
    assert code == cli.OK
    assert "10 held-out digits (mnist5k:test)" in out
    assert "spikes per digit" in out


JSON = {
    "check": ("check", "model.keras"),
    "convert": ("convert", "model.keras", "--calibration", "x.npy", "-o", "again.kconvert"),
    "tune": ("tune", "model.keras", "data.npz", "--max-steps", "8", "--max-loss", "1"),
    "inspect": ("inspect", "model.kconvert"),
    "doctor": ("doctor",),
}


@pytest.mark.parametrize("words", JSON.values(), ids=JSON)
def test_json_is_all_of_the_output(run, folder, words):
    (folder / "again.kconvert").unlink(missing_ok=True)
    code, out, err = run(*words, "--json")
    assert code == cli.OK, err
    assert json.loads(out)


@pytest.mark.parametrize("ending", [".json", ".csv", ".npz"])
def test_export(run, folder, ending):
    path = folder / f"net{ending}"
    assert run("export", "model.kconvert", path.name, "--force")[0] == cli.OK
    graph = kconvert.load(folder / "model.kconvert").graph
    if ending == ".npz":
        assert np.array_equal(np.load(path)["conv1.weight"], graph.nodes["conv1"].op.weight)
    else:
        text = path.read_text()
        assert all(name in text for name in graph.nodes)


def test_settings_are_those_of_convert(run):
    code, out, _ = run("convert", "--help")
    assert code == cli.OK
    for name in set(DEFAULTS) - {"layers", "calibration"}:
        assert f"--{name.replace('_', '-')}" in out
    words = ("convert", "model.keras", "-o", "set.kconvert", "--force", "--calibration", "false")
    code, _, err = run(*words, "--scale-firing-rates", "con*=50", "--synapse", "none", "--json")
    assert code == cli.OK, err
    found = kconvert.load("set.kconvert").about["settings"]
    assert "50" in found["scale_firing_rates"]
    assert found["synapse"] == "None"


WRONG = {
    "no command": ([], cli.USAGE, ""),
    "unknown command": (["evalute"], cli.USAGE, "No such command"),
    "unknown option": (["check", "model.keras", "--nope"], cli.USAGE, "No such option"),
    "no file": (["check", "no.keras"], cli.BAD_INPUT, "no file 'no.keras'"),
    "broken model": (["check", "broken.keras"], cli.BAD_INPUT, "Keras cannot read 'broken.keras'"),
    "broken network": (["inspect", "broken.kconvert"], cli.BAD_INPUT, "broken.kconvert"),
    "not a model": (["check", "x.npy"], cli.BAD_INPUT, "must end in .keras or .h5"),
    "unsupported layer": (["check", "gelu.keras"], cli.FAILED, ""),
    "convert it": (["convert", "gelu.keras"], cli.FAILED, "gelu"),
    "exists": (["convert", "model.keras"], cli.BAD_INPUT, "Pass --force"),
    "no folder": (["convert", "model.keras", "-o", "no/x.kconvert"], cli.BAD_INPUT, "'no' does"),
    "wrong ending": (["convert", "model.keras", "-o", "x.txt"], cli.BAD_INPUT, "must end in"),
    "setting": (["check", "model.keras", "--synapse", "-1"], cli.BAD_INPUT, "synapse must be"),
    "two values": (
        ["check", "model.keras", "--synapse", "1", "--synapse", "2"],
        cli.BAD_INPUT,
        "given 2 times",
    ),
    "settings of a network": (
        ["evaluate", "model.kconvert", "data.npz", "--signed", "true"],
        cli.BAD_INPUT,
        "converted already",
    ),
    "no data": (
        ["predict", "model.kconvert", "nothing"],
        cli.BAD_INPUT,
        "neither a named data set",
    ),
    "no array": (["predict", "model.kconvert", "no.npy"], cli.BAD_INPUT, "no file 'no.npy'"),
    "wrong shape": (["predict", "model.kconvert", "wide.npy"], cli.BAD_INPUT, r"\(7, 6, 1\)"),
    "no labels": (["evaluate", "model.kconvert", "x.npy"], cli.BAD_INPUT, "Pass --labels"),
    "labels of others": (
        ["evaluate", "model.kconvert", "photos", "--labels", "y.npy"],
        cli.BAD_INPUT,
        "must hold 3 labels",
    ),
    "no image": (["predict", "model.kconvert", "empty"], cli.BAD_INPUT, "no image in"),
    "broken image": (["predict", "model.kconvert", "broken.png"], cli.BAD_INPUT, "as an image"),
    "no such part": (
        ["predict", "model.kconvert", "mnist5k:all"],
        cli.BAD_INPUT,
        "the parts train and test",
    ),
    "inspect a model": (["inspect", "model.keras"], cli.BAD_INPUT, "kconvert convert"),
}


@pytest.mark.parametrize(("words", "code", "text"), WRONG.values(), ids=WRONG)
def test_wrong_calls(run, folder, words, code, text):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found, _, err = run(*words)
    assert found == code
    assert re.search(text, err)
    assert "Traceback" not in err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_interrupt_bug_and_debug(monkeypatch, capsys):
    def fails(error):
        def command(words):
            raise error

        return command

    monkeypatch.setattr(cli, "_command", fails(KeyboardInterrupt()))
    assert cli._run([], debug=False) == cli.INTERRUPTED
    assert capsys.readouterr().err == "Interrupted.\n"
    monkeypatch.setattr(cli, "_command", fails(ZeroDivisionError("x")))
    assert cli._run([], debug=False) == cli.BUG
    assert "--debug" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        cli._run([], debug=True)


def test_a_warning_is_one_line(run):
    code, _, err = run("convert", "model.keras", "-o", "warned.kconvert", "--force")
    assert code == cli.OK
    lines = [line for line in err.splitlines() if "calibration" in line]
    assert len(lines) == 1
    assert lines[0].startswith("Warning: no samples were given")


def test_version_imports_nothing_heavy():
    code = (
        "import sys; from kconvert.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit as done: assert not done.code\n"
        "assert not {'numpy', 'keras', 'tensorflow', 'numba', 'nengo'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"kconvert {kconvert.__version__}\n"


def test_a_closed_pipe_is_quiet(folder):
    code = (
        "import os, sys; from kconvert.cli import main\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        f"main(['inspect', {str(folder / 'model.kconvert')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


def test_the_page_names_every_command_and_exit_code():
    text = PAGE.read_text()
    from kconvert.cli.app import CONVERTING, OTHERS

    for command in (*CONVERTING, *OTHERS):
        assert f"`{command.__name__.replace('_', '-')}`" in text
    for code in (cli.OK, cli.FAILED, cli.USAGE, cli.BAD_INPUT, cli.BUG, cli.INTERRUPTED):
        assert f"| {code} |" in text
