"""Each scenario in a process of its own: what was imported first cannot be undone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import kconvert
from kconvert import bridge

USE = """
    import nengo, numpy as np
    import nengo_dl as again
    assert again is nengo_dl
    with nengo.Network(seed=0) as net:
        node = nengo.Node([0.0])
        ensemble = nengo.Ensemble(20, 1, neuron_type=nengo.LIF())
        nengo.Connection(node, ensemble)
        probe = nengo.Probe(ensemble, synapse=nengo.Alpha(0.01))
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, device="/cpu:0") as sim:
        out = sim.predict_on_batch({node: np.ones((2, 40, 1))})[probe]
        assert 0.5 < out[0, -1, 0] < 1.5, out[0, -1]
"""

STILL_KERAS_3 = """
    import keras, tensorflow as tf
    assert keras.__version__.startswith("3."), keras.__version__
    assert tf.keras.__version__.startswith("3."), tf.keras.__version__
    assert tf.keras.layers.Dense is keras.layers.Dense
    assert tf.losses.MeanSquaredError is keras.losses.MeanSquaredError
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert model(np.ones((1, 3))).shape == (1, 2)
"""

BRIDGE = "    from kconvert.bridge import nengo_dl\n"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    env |= {"TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


SCENARIOS = {
    "nothing imported first": (BRIDGE + USE + STILL_KERAS_3, {}),
    "keras imported first": (
        "    import keras\n    first = keras\n" + BRIDGE + USE + STILL_KERAS_3
        + "    assert keras is first\n",
        {},
    ),
    "tensorflow and its keras imported first": (
        "    import tensorflow as tf\n    before = tf.keras.layers.Dense\n"
        + BRIDGE + USE + STILL_KERAS_3
        + "    assert tf.keras.layers.Dense is before\n",
        {},
    ),
    "plain import after the bridge": (
        "    import kconvert.bridge\n    import nengo_dl\n" + USE + STILL_KERAS_3,
        {},
    ),
    "legacy keras asked for": (
        BRIDGE + USE
        + """
    import keras, tensorflow as tf, tf_keras
    assert keras.__version__.startswith("3.")
    assert tf.keras.layers.Dense is tf_keras.layers.Dense, "the user asked for it"
    assert os.environ["TF_USE_LEGACY_KERAS"] == "1"
""".replace("import keras,", "import os, keras,"),
        {"TF_USE_LEGACY_KERAS": "1"},
    ),
    "after a failed import": (
        """
    try:
        import nengo_dl
    except ImportError:
        pass
    else:
        raise AssertionError("NengoDL imports beside Keras 3 by itself")
"""
        + BRIDGE + USE + STILL_KERAS_3,
        {},
    ),
    "nothing else of the process changes": (
        """
    import logging, os, sys
    import keras, tensorflow as tf, tf_keras, nengo
    from tensorflow.python.autograph.impl.api import StackTraceMapper
    tf.keras.layers, tf.losses.Loss  # TensorFlow replaces these itself when they are first used
    def state():
        return (
            dict(os.environ),
            list(logging.getLogger("tensorflow").filters),
            StackTraceMapper.get_effective_source_map,
            sys.modules["keras"], sys.modules["tensorflow"], tf.keras, tf.losses,
            __builtins__.__import__,
            [finder for finder in sys.meta_path if "kconvert" not in repr(finder)],
        )
    before = state()
"""
        + BRIDGE
        + """
    assert state() == before
    assert len([f for f in sys.meta_path if "kconvert" in repr(f)]) == 1
    import nengo_dl.tests.dummies
""",
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_works(scenario):
    code, environment = SCENARIOS[scenario]
    result = run(code, **environment)
    assert result.returncode == 0, result.stderr[-3000:]


def test_leaves_a_working_import_alone(monkeypatch):
    import types

    working = types.ModuleType("nengo_dl")
    working.Simulator = working.Converter = object
    monkeypatch.setitem(sys.modules, "nengo_dl", working)
    bridge._install()
    assert bridge.nengo_dl is working


def test_explains_a_half_broken_import(monkeypatch):
    import types

    monkeypatch.setitem(sys.modules, "nengo_dl", types.ModuleType("nengo_dl"))
    with pytest.raises(
        kconvert.BridgeError, match=r"its import failed halfway .* Restart Python and import"
    ):
        bridge._install()


INSTALLED = {"tensorflow": "2.21.0", "tf-keras": "2.21.0", "nengo-dl": "3.6.0", "nengo": "4.1.0"}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"tf-keras": "2.20.1"}, r'pip install "tf-keras==2.21.\*"'),
        ({"nengo-dl": "3.5.0"}, 'NengoDL 3.5.0 .* pip install .*"nengo-dl==3.6.0"'),
        ({"tf-keras": "2.19.0", "nengo-dl": "3.4.0"}, "tf-keras 2.19.0 .*NengoDL 3.4.0"),
    ],
)
def test_versions_that_do_not_fit(monkeypatch, changes, match):
    installed = {**INSTALLED, **changes}
    monkeypatch.setattr(
        bridge,
        "_version",
        lambda *names: next((installed[n] for n in names if installed.get(n)), None),
    )
    with pytest.raises(kconvert.BridgeError, match=f"(?s){match}"):
        bridge._require_matching_versions()


def test_versions_that_fit(monkeypatch):
    monkeypatch.setattr(bridge, "_version", lambda *names: INSTALLED[names[0]])
    bridge._require_matching_versions()


@pytest.mark.parametrize("version", ["3.2.1", "3.2.1.dev0", "4.1", "10.0.0rc1"])
def test_releases(version):
    assert bridge._release(version) >= (3, 2, 1)
    assert bridge._release("3.2.0") < (3, 2, 1)


def test_linear_filters_with_feedthrough(rng):
    """The mended builder, against Nengo itself."""
    import nengo
    import numpy as np

    from kconvert.bridge import nengo_dl

    data = rng.standard_normal((2, 12, 3))
    synapses = [
        nengo.LinearFilter([1.0, 2.0], [0.1, 1.0]),  # one state and feedthrough
        nengo.LinearFilter([0.5], [1.0], analog=False),  # no state
        nengo.Alpha(0.005),  # two states
        nengo.Lowpass(0.005),
    ]
    with nengo.Network() as net:
        node = nengo.Node(np.zeros(3))
        probes = [nengo.Probe(node, synapse=synapse) for synapse in synapses]
    with nengo_dl.Simulator(net, minibatch_size=2, progress_bar=False, device="/cpu:0") as sim:
        out = sim.predict_on_batch({node: data})
    for image in range(2):
        steps = iter(data[image])
        node.output = lambda t, steps=steps: next(steps) if t > 0 else np.zeros(3)
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(12)
            for probe in probes:
                # float32 against float64 over 12 steps
                np.testing.assert_allclose(out[probe][image], sim.data[probe], atol=1e-5)


@pytest.mark.filterwarnings("ignore:No GPU support")
def test_objects_of_keras_3_are_refused_with_what_to_use():
    import keras
    import nengo

    import kconvert
    from kconvert.bridge import nengo_dl

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(kconvert.InputError, match=r"Sequential is from Keras 3: use kconvert.conv"):
        nengo_dl.Converter(model)
    with nengo.Network() as net:
        nengo.Probe(nengo.Node([0.0]))
    with nengo_dl.Simulator(net, progress_bar=False) as sim:
        for given in (
            {"optimizer": keras.optimizers.SGD(0.1), "loss": "mse"},
            {"optimizer": "sgd", "loss": [keras.losses.MeanSquaredError()]},
        ):
            with pytest.raises(kconvert.InputError, match=r"from Keras 3: .* in tf_keras"):
                sim.compile(**given)
