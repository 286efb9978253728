"""What is said where a package is missing: two processes in which packages are hidden in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import kconvert
from kconvert import bridge, packages

ROOT = Path(kconvert.__file__).parents[1]

CODE = """
    import os, sys, warnings

    class Hide:
        names = ()

        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in self.names:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    hide = Hide()

    def tell(case, action, *names):
        hide.names = names
        import kconvert.bridge  # puts its own finder in front, once
        if hide in sys.meta_path:
            sys.meta_path.remove(hide)
        sys.meta_path.insert(0, hide)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                action()
            except ImportError as error:
                text = f"{type(error).__name__}: {error}"
            else:
                text = "no error"
        print(f"== {case}", *(f"warning: {each.message}" for each in caught), text, sep="\\n")

    def forget(*names):
        for module in [m for m in sys.modules if m.partition(".")[0] in names]:
            del sys.modules[module]

"""
FULL = """
    import kconvert

    def from_kconvert(name):
        return lambda: getattr(kconvert, name)

    tell("no keras", from_kconvert("convert"), "keras")
    tell("no cattrs", from_kconvert("load"), "cattrs")
    forget("kconvert")
    import kconvert
    os.environ["KERAS_BACKEND"] = "torch"
    tell("no backend", from_kconvert("convert"), "torch")
    forget("kconvert", "keras")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import kconvert
    tell("no nengo at conversion", from_kconvert("convert"), "nengo")

    hide.names = ()
    import keras, numpy as np
    from keras import layers as L

    x = np.random.default_rng(0).random((2, 4)).astype("float32")
    lif = kconvert.layers.RateLIF(smoothing=0.01)
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), lif, L.Dense(2)])
    spiking = kconvert.convert(model)
    rates = kconvert.convert(model, spiking=False)
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3), L.LayerNormalization(), L.Dense(2)])
    opaque = kconvert.convert(inner, allow=("tensornode",))

    NENGO_DL = ("nengo_dl",)
    tell("nengo_dl", lambda: spiking.predict(x, 2, simulator="nengo_dl"), *NENGO_DL)
    def bridge():
        from kconvert.bridge import nengo_dl
    tell("bridge", bridge, *NENGO_DL)
    tell("bridge without tf_keras", bridge, "tf_keras")
    tell("smoothing", lambda: rates.predict(x, 2, simulator="nengo"), *NENGO_DL)
    tell("net with smoothing", lambda: rates.net, *NENGO_DL)
    tell("tensornode net", lambda: opaque.net, *NENGO_DL)
    tell("auto", lambda: opaque.predict(x, 2), *NENGO_DL)
    tell("update_from", lambda: spiking.update_from(object()), *NENGO_DL)
    tell("bar", lambda: spiking.predict(x, 2, progress=True), "rich")
    tell("no bar", lambda: spiking.predict(x, 2), "rich")

    spiking.save(sys.argv[1])
"""
BARE = """
    import numpy as np

    path, x = sys.argv[1], np.ones((2, 4))
    BARE = ("nengo", "nengo_dl", "keras", "tensorflow", "tf_keras", "rich")
    hide.names = BARE
    sys.meta_path.insert(0, hide)
    import kconvert

    network = kconvert.load(path)
    tell("bare predict", lambda: network.predict(x, 2), *BARE)
    tell("bare summary", network.summary, *BARE)
    tell("bare net", lambda: network.net, *BARE)
    tell("bare nengo", lambda: network.predict(x, 2, simulator="nengo"), *BARE)
    tell("bare nengo_dl", lambda: network.predict(x, 2, simulator="nengo_dl"), *BARE)
    forget("safetensors")
    tell("no safetensors", lambda: kconvert.load(path), "safetensors")
    forget("numba")
    sys.modules.pop("kconvert.simulators.events.runner", None)
    network._runners.forget()
    tell("no numba", lambda: network.predict(x, 2), "numba")
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Case to what was said."""
    path = str(tmp_path_factory.mktemp("net") / "net.kconvert")
    printed = ""
    for code in (FULL, BARE):
        result = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CODE) + textwrap.dedent(code), path],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr[-3000:]
        printed += result.stdout
    cases = [part.partition("\n") for part in printed.split("== ")[1:]]
    return {case: text.strip() for case, _, text in cases}


LINES = {
    "cattrs": 'pip install "cattrs>=24.1"',
    "Keras": 'pip install "keras>=3.12,<4"',
    "Nengo": 'pip install "nengo>=4.1,<5"',
    "NengoDL": packages.install_lines(["nengo-dl==3.6.0"])[-1],
    "Numba": 'pip install "numba>=0.62"',
    "PyTorch": "pip install torch",
    "rich": 'pip install "rich>=13"',
    "safetensors": 'pip install "safetensors>=0.5"',
    "tf-keras": 'pip install "tf-keras==2.21.*"',
}


@pytest.mark.parametrize(
    ("case", "what", "package"),
    [
        ("no keras", "kconvert.convert", "Keras"),
        ("no backend", "kconvert.convert", "PyTorch"),
        ("no cattrs", "kconvert.load", "cattrs"),
        ("nengo_dl", "simulator='nengo_dl'", "NengoDL"),
        ("bridge", "kconvert.bridge", "NengoDL"),
        ("bridge without tf_keras", "kconvert.bridge", "tf-keras"),
        ("smoothing", "SoftLIFRate, the rate of LIF neurons with smoothing in Nengo,", "NengoDL"),
        ("net with smoothing", "SoftLIFRate, the rate", "NengoDL"),
        ("tensornode net", "the TensorNode of 'layer_normalization'", "NengoDL"),
        ("auto", "simulator='nengo_dl'", "NengoDL"),
        ("update_from", "update_from", "NengoDL"),
        ("bar", "a progress bar", "rich"),
        ("bare summary", "a table", "rich"),
        ("bare net", "the Nengo network of a model", "Nengo"),
        ("bare nengo", "simulator='nengo'", "Nengo"),
        ("bare nengo_dl", "simulator='nengo_dl'", "Nengo"),
        ("no safetensors", "a file of a network", "safetensors"),
        ("no numba", "simulator='events'", "Numba"),
    ],
)
def test_says_what_is_missing_and_how_to_install_it(told, case, what, package):
    error = told[case].splitlines()
    first = next(i for i, line in enumerate(error) if line.startswith("MissingPackageError: "))
    assert error[first].startswith(f"MissingPackageError: {what}")
    assert f" needs {package}, which is not installed." in error[first]
    assert error[-1].strip() == LINES[package]


def test_tells_why_it_wants_nengo_dl(told):
    assert "'auto' is 'nengo_dl' here: 'layer_normalization'" in told["auto"]


def test_keras_has_other_backends(told):
    assert "It also runs on TensorFlow and JAX: install one" in told["no backend"]


@pytest.mark.parametrize("case", ["no nengo at conversion", "no bar", "bare predict"])
def test_what_works_without(told, case):
    assert told[case] == "no error"


def test_lines_for_each_python():
    wanted = ["nengo-dl==3.6.0", "tensorflow==2.21.*"]
    one = 'pip install "nengo-dl==3.6.0" "tensorflow==2.21.*"'
    assert packages.install_lines(wanted, (3, 11)) == (one,)
    for python in ((3, 12), (3, 13)):
        assert packages.install_lines(wanted, python) == (
            'pip install "setuptools<81" wheel',
            'pip install --no-build-isolation "nengo-dl==3.6.0" "tensorflow==2.21.*"',
        )
    assert packages.install_lines(["rich>=13"], (3, 13)) == ('pip install "rich>=13"',)


def test_requirements_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core = {package.requirement for package in packages.PACKAGES.values()}
    assert {*project["dependencies"]} == core | {"numpy>=2"}
    optional = {each for extra in project["optional-dependencies"].values() for each in extra}
    assert {package.requirement for package in packages.EXTRAS.values()} <= optional
    extra = {package.requirement for package in packages.NENGO_DL.values()}
    assert {*project["optional-dependencies"]["nengo-dl"]} == extra


def test_lines_are_those_of_the_page():
    page = (ROOT / "docs/tutorial/install.md").read_text()
    tools, install = packages.install_lines(["nengo-dl==3.6.0"], packages.NEW_PYTHON)
    assert f"`{tools} hatchling`" in page  # which builds kconvert itself
    assert install.removesuffix('"nengo-dl==3.6.0"') + '".[nengo-dl]"' in page


def lacking(monkeypatch, *names):
    monkeypatch.setattr(
        bridge, "_version", lambda *given: None if given[0] in names else INSTALLED[given[0]]
    )
    with pytest.raises(kconvert.MissingPackageError) as caught:
        bridge._require_matching_versions("this")
    return caught.value


INSTALLED = {"tensorflow": "2.20.1", "tf-keras": "2.20.0", "nengo-dl": "3.6.0"}


def test_names_all_that_nengo_dl_lacks(monkeypatch):
    error = lacking(monkeypatch, *INSTALLED)
    assert not isinstance(error, kconvert.BridgeError)
    assert "this needs NengoDL and TensorFlow and tf-keras, which are not installed" in str(error)
    assert str(error).endswith('"nengo-dl==3.6.0" "tensorflow==2.21.*" "tf-keras==2.21.*"')


def test_tf_keras_is_that_of_the_tensorflow_which_is_there(monkeypatch):
    error = lacking(monkeypatch, "tf-keras")
    assert "the Keras 2 that TensorFlow maintains" in str(error)
    assert str(error).endswith('pip install "tf-keras==2.20.*"')


def test_other_missing_modules_are_not_explained():
    with pytest.raises(ModuleNotFoundError, match="surely_not_there"), packages.needed("this"):
        import surely_not_there  # noqa: F401
