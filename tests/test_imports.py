"""What ``import kconvert`` costs, and what a network from a file needs."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L

import kconvert

PACKAGE = Path(kconvert.__file__).parent
HEAVY = ("tensorflow", "keras", "tf_keras", "nengo", "nengo_dl", "numba", "scipy", "numpy")
OPTIONAL = ("matplotlib", "pandas")


def run(code: str, *arguments: str) -> str:
    """What some code prints in a new process."""
    prefix = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", prefix + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def small() -> keras.Model:
    regularizer = kconvert.regularizers.FiringRate(50.0)
    lif = kconvert.layers.RateLIF(name="lif", activity_regularizer=regularizer)
    return keras.Sequential([keras.Input((5,)), L.Dense(4), lif, L.Dense(2)], name="small")


def test_importing_is_light():
    code = (
        "import kconvert, json; print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    )
    loaded = json.loads(run(code))
    assert "kconvert" in loaded
    assert [name for name in (*HEAVY, *OPTIONAL) if name in loaded] == []


def test_plots_import_matplotlib_when_they_are_drawn():
    code = (
        "import kconvert; kconvert.plot.accuracy; print('matplotlib' in sys.modules)\n"
        "try: kconvert.plot.sizes(None)\n"
        "except kconvert.InputError: print('pandas' in sys.modules)\n"
    )
    assert run(code).split() == ["False", "False"]


HIDE = """
from importlib.abc import MetaPathFinder
class Hidden(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras", "nengo", "nengo_dl"):
            raise ModuleNotFoundError(f"{name} is hidden", name=name)
sys.meta_path.insert(0, Hidden())
"""


def test_a_stored_network_runs_without_keras_and_nengo(tmp_path):
    x = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    spiking = kconvert.convert(small(), calibration=x)
    spiking.save(tmp_path / "net.kconvert")
    np.save(tmp_path / "x.npy", x)
    code = HIDE + (
        "import kconvert, numpy as np\n"
        "folder = sys.argv[1]\n"
        "network = kconvert.load(folder + '/net.kconvert')\n"
        "x = np.load(folder + '/x.npy')\n"
        "np.save(folder + '/found.npy', network.predict(x, 20))\n"
        "network.simulate(x, 3); network.evaluate(x, np.zeros(7), 3); network.summary()\n"
        "network.save(folder + '/again.kconvert')\n"
        "try: network.net\n"
        "except kconvert.MissingPackageError as error: print(error)\n"
    )
    printed = run(code, str(tmp_path))
    assert 'pip install "nengo' in printed
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), spiking.predict(x, 20))
    np.testing.assert_array_equal(
        kconvert.load(tmp_path / "again.kconvert").predict(x, 20), spiking.predict(x, 20)
    )


@pytest.mark.parametrize("order", ["keras, kconvert", "kconvert, keras"])
def test_keras_knows_our_layers_in_either_order(order, tmp_path):
    small().save(tmp_path / "small.keras")
    code = (
        f"import {order}\n"
        "model = keras.models.load_model(sys.argv[1])\n"
        "lif = model.get_layer('lif')\n"
        "print(type(lif).__name__, type(lif.activity_regularizer).__name__)\n"
    )
    assert run(code, str(tmp_path / "small.keras")).split()[-2:] == ["RateLIF", "FiringRate"]


def test_lists_of_public_names_agree():
    """Type checkers, ``__getattr__`` and ``__all__`` have the same names from the same places."""
    tree = ast.parse(inspect.getsource(kconvert))
    [block] = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    typed = {
        (node.module or "", alias.asname or alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {(home, name) for home, names in kconvert._HOMES.items() for name in names}
    assert typed == lazy | {("", name) for name in kconvert._MODULES}
    assert sorted(kconvert.__all__) == sorted(name for _, name in typed)
    assert set(kconvert.__all__) <= set(dir(kconvert))


@pytest.mark.parametrize("name", kconvert.__all__)
def test_public_names_resolve(name):
    assert getattr(kconvert, name) is not None


def test_unknown_names():
    with pytest.raises(AttributeError, match="has no attribute 'convertt'"):
        _ = kconvert.convertt
