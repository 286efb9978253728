"""Files of networks: what goes in comes out, and what is wrong with a file is said at the door."""

from __future__ import annotations

import copy
import errno
import hashlib
import io
import json
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import nengo
import numpy as np
import pytest
from cases import CASES, Case, functional
from keras import layers as L

import kconvert
from kconvert import FileError, InputError
from kconvert.files import store
from kconvert.ops import LinearFilter

GOLDEN = Path(__file__).parent / "golden"
CONVERTED = [name for name, case in CASES.items() if isinstance(case, Case)]
X = np.random.default_rng(0).random((6, 4, 4, 2)).astype(np.float32)


def small() -> keras.Model:
    keras.utils.set_random_seed(3)
    stack = [L.Conv2D(3, 2, name="conv"), kconvert.layers.RateLIF(name="lif"), L.Flatten()]
    stack += [L.Dense(4, activation="relu", name="hidden"), L.Dense(2, name="end")]
    return keras.Sequential([keras.Input((4, 4, 2), name="image"), *stack], name="small")


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    return kconvert.convert(small(), calibration=X)


@pytest.fixture
def path(tmp_path, spiking) -> Path:
    spiking.save(tmp_path / "net.kconvert")
    return tmp_path / "net.kconvert"


# Round trips


@pytest.mark.parametrize("name", CONVERTED)
def test_every_case_comes_back_to_the_bit(name, tmp_path, rng):
    spiking = kconvert.convert(CASES[name].build(), calibration=False)
    spiking.save(tmp_path / "net.kconvert")
    loaded = kconvert.load(tmp_path / "net.kconvert")
    assert loaded.signature == spiking.signature
    assert loaded.filters == spiking.filters
    assert str(loaded.graph) == str(spiking.graph)
    feeds = {
        name: rng.standard_normal((2, *spiking.graph.nodes[name].shape))
        for name in spiking.graph.inputs
    }
    expected, found = spiking.graph.evaluate(feeds), loaded.graph.evaluate(feeds)
    for node, value in expected.items():
        np.testing.assert_array_equal(found[node], value)


def test_outputs_to_the_bit(spiking, path):
    loaded = kconvert.load(path)
    assert type(loaded) is kconvert.SpikingNetwork
    np.testing.assert_array_equal(loaded.predict(X, 10), spiking.predict(X, 10))
    assert loaded.evaluate(X, np.zeros(6), 5).reference_accuracy is None


def test_the_same_network_gives_the_same_bytes(spiking, path, tmp_path):
    kconvert.load(path).save(tmp_path / "again")
    assert (tmp_path / "again.kconvert").read_bytes() == path.read_bytes()


def test_golden_files():
    """Files of older schemas give the numbers that they gave when they were written.

    tests/golden/write.py wrote them, which says how. In float64 the simulator's sums differ from
    processor to processor in the last bits only, which moves no spike of this network; so outputs
    are compared to 1e-9 of scale, and not to the bit.
    """
    paths = sorted(GOLDEN.glob("*.kconvert"))
    assert [each.stem for each in paths] == [f"schema_{i + 1}" for i in range(store.SCHEMA)]
    for each in paths:
        network = kconvert.load(each)
        with np.load(each.with_suffix(".npz")) as known:
            x = {name: known[name] for name in network.signature.inputs}
            outputs = network.predict(x, 12, dtype="float64", logits=True)
            for name, found in outputs.items():
                scale = np.abs(known[name]).max()
                assert scale > 0
                np.testing.assert_allclose(found, known[name], rtol=0, atol=1e-9 * scale)


def test_what_made_it():
    spiking = kconvert.convert(
        small(),
        calibration=kconvert.Calibration(X, percentile=99.5),
        synapse={"lif": nengo.Alpha(0.003)},
        min_voltage=-np.inf,
        output_synapse=kconvert.Window(0.01),
        initial_voltage={"hidden": np.full(4, 0.25)},
        seed=3,
        spiking=True,
    )
    settings = spiking.about["settings"]
    assert settings == {
        "calibration": "Calibration(x=6 samples of shape (4, 4, 2), percentile=99.5)",
        "synapse": {"lif": "Alpha(tau=0.003)"},
        "output_synapse": "Window(start=0.01)",
        "initial_voltage": {"hidden": "an array of shape (4,)"},
        "min_voltage": "-inf",
        "seed": 3,
    }
    assert kconvert.convert(small()).about == {"settings": {}}
    samples = kconvert.convert(small(), calibration=X).about["settings"]
    assert samples == {"calibration": "6 samples of shape (4, 4, 2)"}


def test_the_file_says_what_made_it(tmp_path):
    spiking = kconvert.convert(small(), scale_firing_rates=100, swap_activations={"relu": "relu"})
    found = spiking.evaluate(X, np.zeros(6), 7)
    spiking.save(tmp_path / "net.kconvert", class_names=["cat", "dog"])
    loaded = kconvert.load(tmp_path / "net.kconvert")
    assert loaded.class_names == ("cat", "dog")
    assert loaded.decisions == spiking.decisions
    assert loaded.about["settings"] == spiking.about["settings"]
    assert loaded.about["settings"]["scale_firing_rates"] == 100
    numbers = loaded.about["evaluation"]
    assert numbers["accuracy"] == found.accuracy
    assert numbers["spikes_per_sample"] == found.spikes_per_sample > 0
    assert numbers["reference_accuracy"] == found.reference_accuracy
    assert (numbers["n"], numbers["n_steps"], numbers["simulator"]) == (6, 7, "events")
    assert loaded.about["versions"]["kconvert"] == kconvert.__version__


# With the Keras model


def test_with_the_keras_model(path):
    model = small()
    spiking = kconvert.load(path, model=model)
    assert spiking.verify(n=2)
    assert "small" in repr(spiking)
    assert len(spiking.diagnose(X, 5).layers) == 2
    for found, wanted in zip(spiking.to_keras().get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_another_keras_model_is_refused(path):
    other = small()
    other.layers[0].bias.assign(np.ones(3))
    with pytest.raises(InputError, match="with other weights than 'small'"):
        kconvert.load(path, other)
    different = keras.Sequential([keras.Input((3,), name="image"), L.Dense(2, name="end")])
    with pytest.raises(InputError, match="made from another model"):
        kconvert.load(path, different)
    with pytest.raises(InputError, match=r"takes a keras.Model"):
        kconvert.load(path, "model.keras")


# What cannot be saved


def test_what_only_lives_in_a_process_is_refused(tmp_path):
    body = functional((5,), lambda x: L.Dense(3)(L.LayerNormalization(name="norm")(x)))
    kept = kconvert.convert(body.build(), allow=("tensornode",), calibration=False)
    foreign = kconvert.convert(small(), swap_activations={"relu": nengo.Tanh()}, calibration=False)
    triangle = kconvert.convert(
        small(), synapse={"lif": nengo.synapses.Triangle(0.01)}, calibration=False
    )
    read_out = kconvert.convert(
        small(), output_synapse=nengo.synapses.Triangle(0.01), calibration=False
    )
    for network, match in (
        (kept, "cannot be saved: 'norm': a TensorNode calls Keras"),
        (foreign, "'hidden': only Nengo knows Tanh neurons"),
        (triangle, "'lif': only Nengo knows the synapse"),
        (read_out, "output 'end': only Nengo knows the filter"),
    ):
        with pytest.raises(FileError, match=match):
            network.save(tmp_path / "net")
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_read_again_is_not_written(spiking, path):
    before = path.read_bytes()
    network = kconvert.load(path)
    end = network.graph.nodes["end"]
    bad = replace(end.op, weight=np.full_like(end.op.weight, np.nan))
    network.graph = network.graph.with_ops({"end": bad})
    with pytest.raises(FileError, match="holds NaN"):
        network.save(path)
    network = kconvert.load(path)
    network.filters = (LinearFilter((1.0, 2.0, 3.0), (1.0,)),)
    with pytest.raises(FileError, match=r"'small' cannot be saved: .*higher order"):
        network.save(path)
    network = kconvert.load(path)
    network.about["mine"] = object()
    with pytest.raises(InputError, match="about must hold what JSON can hold"):
        network.save(path)
    for names in ("ab", ["a"], [1, 2]):
        with pytest.raises(InputError, match="class_names must"):
            network.save(path, class_names=names)
    assert path.read_bytes() == before


# Written as a whole or not at all


def stop(*args, **kwargs):
    raise KeyboardInterrupt


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("module", "name", "does", "error", "match"),
    [
        (zipfile.ZipFile, "writestr", stop, KeyboardInterrupt, None),
        (os, "fsync", stop, KeyboardInterrupt, None),
        (zipfile.ZipFile, "writestr", full, FileError, "cannot be written: No space left"),
        (os, "fsync", full, FileError, "cannot be written: No space left"),
        (os, "replace", full, FileError, "cannot be written: No space left"),
    ],
)
def test_a_save_that_fails_leaves_the_old_file(
    spiking, path, monkeypatch, module, name, does, error, match
):
    before = path.read_bytes()
    network = kconvert.load(path)
    network.name = "another"
    with monkeypatch.context() as patch:
        patch.setattr(module, name, does)
        with pytest.raises(error, match=match):
            network.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    network.save(path)
    assert kconvert.load(path).name == "another"


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_killed_save_leaves_the_old_file(path):
    before = path.read_bytes()
    code = (
        "import os, sys, kconvert\n"
        "network = kconvert.load(sys.argv[1])\n"
        "network.name = 'another'\n"
        "os.replace = lambda *paths: os.kill(os.getpid(), 9)\n"
        "network.save(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 2  # it was killed with the new file complete


def test_where_nothing_can_be_written(spiking, tmp_path):
    with pytest.raises(FileError, match="cannot be written: No such file"):
        spiking.save(tmp_path / "missing" / "net.kconvert")
    (tmp_path / "folder.kconvert").mkdir()
    with pytest.raises(FileError, match=r"cannot be written: .*directory"):
        spiking.save(tmp_path / "folder.kconvert")
    with pytest.raises(FileError, match="cannot be written: File name too long"):
        spiking.save(tmp_path / ("x" * 300))
    for bad in ("", "a\0b", None, 3):
        with pytest.raises(InputError, match="path must be the name of a file"):
            spiking.save(bad)
        with pytest.raises(InputError, match="path must be the name of a file"):
            kconvert.load(bad)
    assert [each.name for each in tmp_path.iterdir()] == ["folder.kconvert"]


def test_a_folder_that_is_read_only(spiking, path, monkeypatch):
    before = path.read_bytes()

    def refuse(*args, **kwargs):  # file modes do not stop the superuser, under whom tests may run
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        with pytest.raises(FileError, match="cannot be written: Permission denied"):
            spiking.save(path)
    assert path.read_bytes() == before


def test_links_and_permissions_stay(spiking, path, tmp_path):
    link = tmp_path / "link.kconvert"
    link.symlink_to(path)
    path.write_bytes(b"old")
    path.chmod(0o640)
    spiking.save(link)
    assert link.is_symlink()
    assert kconvert.load(path).name == "small"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


# What is wrong with a file


def parts(path: Path) -> tuple[dict, bytes]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(store.JSON)), archive.read(store.WEIGHTS)


def packed(content: dict | bytes, weights: bytes) -> bytes:
    """A file with these members, and with the checksum of the weights."""
    if isinstance(content, dict):
        content = {**content, "weights_sha256": hashlib.sha256(weights).hexdigest()}
        content = json.dumps(content).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(store.JSON, content)
        archive.writestr(store.WEIGHTS, weights)
    return out.getvalue()


def zipped(*members: tuple[str, bytes], how: int = zipfile.ZIP_STORED, mode: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, data, how)
    return out.getvalue()


WHOLE = ((store.JSON, b"{}"), (store.WEIGHTS, b""))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "not a kconvert network"),
        (b"PK\x03\x04", "not a kconvert network"),
        (b"\x89HDF\r\n\x1a\n" * 50, "not a kconvert network"),
        (zipped(), "and holds nothing"),
        (zipped(("config.json", b"{}"), ("model.weights.h5", b"")), "holds 'config.json'"),
        (zipped(WHOLE[0]), "must hold 'network.json'"),
        (zipped(*WHOLE, ("more", b"")), "must hold"),
        (zipped(("../" + store.JSON, b"{}"), WHOLE[1]), r"holds '\.\./network"),
        (zipped(("/" + store.JSON, b"{}"), WHOLE[1]), "holds '/network"),
        (zipped(*WHOLE, mode=stat.S_IFLNK | 0o777), "network.json is not a regular file"),
        (zipped(*WHOLE, mode=stat.S_IFDIR | 0o777), "network.json is not a regular file"),
        (zipped(*WHOLE, how=zipfile.ZIP_DEFLATED), "safetensors is compressed"),
        (zipped(*WHOLE, how=zipfile.ZIP_LZMA), "network.json is compressed"),
        (zipped(*WHOLE), "does not say that it is one"),
        (zipped((store.JSON, b"[1]"), WHOLE[1]), "does not say that it is one"),
        (zipped((store.JSON, b"{"), WHOLE[1]), "is not JSON"),
        (zipped((store.JSON, b"\xff\xfe\xfa"), WHOLE[1]), "is not JSON"),
        (zipped((store.JSON, b'{"a": NaN}'), WHOLE[1]), "NaN is no number"),
        (zipped((store.JSON, b'{"a": 1, "a": 2}'), WHOLE[1]), "a key stands twice"),
        (zipped((store.JSON, b"[" * 100_000), WHOLE[1]), "is not JSON"),
        (zipped((store.JSON, b'{"a": ' + b"9" * 5000 + b"}"), WHOLE[1]), "is not JSON"),
    ],
)
def test_foreign_and_damaged_files(tmp_path, data, match):
    path = tmp_path / "net.kconvert"
    path.write_bytes(data)
    with pytest.raises(FileError, match=match) as caught:
        kconvert.load(path)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(FileError, match=r"gone.kconvert': there is no such file"):
        kconvert.load(tmp_path / "gone.kconvert")
    with pytest.raises(FileError, match="not a regular file"):
        kconvert.load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileError, match="not a regular file"):
            kconvert.load(tmp_path / "pipe")


def test_zip_bombs(tmp_path, path):
    content, weights = parts(path)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(store.JSON, b" " * 2**20, zipfile.ZIP_DEFLATED)
        archive.writestr(store.WEIGHTS, weights)
    path.write_bytes(out.getvalue())
    with pytest.raises(FileError, match="more than 200 times its compressed size"):
        kconvert.load(path)
    nested = {**content, "about": json.loads("[" * 100 + "]" * 100)}
    path.write_bytes(packed(nested, weights))
    with pytest.raises(FileError, match="nested more than 64 deep"):
        kconvert.load(path)


def test_sizes_are_not_believed(path, monkeypatch):
    data = path.read_bytes()
    monkeypatch.setattr(store, "MOST_JSON", 100)
    with pytest.raises(FileError, match=r"network.json is larger than 100 bytes"):
        kconvert.load(path)
    with pytest.raises(FileError, match="is too large"):
        kconvert.convert(small(), calibration=False).save(path)
    assert path.read_bytes() == data


def test_encrypted_members(path):
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"network.json is encrypted"):
        kconvert.load(path)


def test_newer_files_say_who_wrote_them(path):
    content, weights = parts(path)
    content["schema"] = 99
    content["about"]["versions"]["kconvert"] = "7.1"
    path.write_bytes(packed(content, weights))
    with pytest.raises(FileError, match=r"schema version 99, written by kconvert 7\.1; this .* 1:"):
        kconvert.load(path)
    for about in (None, [], {"versions": 3}):
        path.write_bytes(packed({**content, "about": about}, weights))
        with pytest.raises(FileError, match="schema version 99, written by kconvert of a newer"):
            kconvert.load(path)
    for schema in (None, 0, True, "1", 1.0):
        path.write_bytes(packed({**content, "schema": schema}, weights))
        with pytest.raises(FileError, match="is damaged: it has the schema version"):
            kconvert.load(path)


def test_weights_have_a_checksum(path):
    content, weights = parts(path)
    changed = bytearray(weights)
    changed[-1] ^= 1
    content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    path.write_bytes(packed(json.dumps(content).encode(), bytes(changed)))
    with pytest.raises(FileError, match="do not have their checksum"):
        kconvert.load(path)


def header(weights: bytes, change) -> bytes:
    """Weights with another header, which says what ``change`` makes of it."""
    [size] = struct.unpack("<Q", weights[:8])
    found = json.loads(weights[8 : 8 + size])
    change(found)
    text = json.dumps(found).encode()
    return struct.pack("<Q", len(text)) + text + weights[8 + size :]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda weights: b"", "the weights are damaged"),
        (lambda weights: struct.pack("<Q", 2**63) + weights[8:], "the weights are damaged"),
        (lambda weights: weights[:-4], "the weights are damaged"),
        (lambda w: header(w, lambda h: h["0"].update(shape=[2**62])), "the weights are damaged"),
        (lambda w: header(w, lambda h: h["0"].update(data_offsets=[0, 2**60])), "are damaged"),
        (lambda w: header(w, lambda h: h["0"].update(dtype="I32")), "has the type int64"),
        (lambda w: header(w, lambda h: h["0"].update(dtype="F8_E4M3")), "are damaged"),
        (lambda w: w[:-4] + struct.pack("<f", np.nan), "holds NaN"),
        (lambda w: w[:-4] + struct.pack("<f", np.inf), "holds NaN"),
    ],
)
def test_weights_that_lie(path, change, match):
    content, weights = parts(path)
    path.write_bytes(packed(content, change(weights)))
    with pytest.raises(FileError, match=match) as caught:
        kconvert.load(path)
    assert str(path) in str(caught.value)


def test_a_file_without_tasks_is_read(path):
    """Files that were written before have none: the layers tell."""
    content, weights = parts(path)
    known = kconvert.load(path).tasks
    del content["tasks"]
    path.write_bytes(packed(content, weights))
    assert kconvert.load(path).tasks == known


REMOVED = object()


@pytest.mark.parametrize(
    ("where", "value", "match"),
    [
        ("name", REMOVED, r"the network lacks \['name'\]"),
        ("name", 3, "str is wanted. Received: 3 @ name"),
        ("more", 1, r"unknown keys \['more'\]"),
        ("seed", -1, "seed is -1"),
        ("n_steps", 0, "n_steps is 0"),
        ("n_steps", 1.5, "int is wanted. Received: 1.5 @ n_steps"),
        ("n_steps", 2**31, "n_steps is 2147483648"),
        ("seed", True, "int is wanted. Received: True @ seed"),
        ("spiking", 1, "bool is wanted. Received: 1 @ spiking"),
        ("about", [], "@ about"),
        ("tasks", [], "0 tasks for 1 outputs"),
        ("tasks.0.metrics", ["speed"], r"unknown metrics \['speed'\]"),
        ("tasks.0.threshold", 1e300, "threshold is 1e"),
        ("tasks.0.threshold", "high", "a number is wanted"),
        ("tasks.0.classes", 3, "bool is wanted"),
        ("tasks.0.more", 3, r"unknown keys \['more'\]"),
        ("class_names", "ab", "a list is wanted. Received: 'ab' @ class_names"),
        ("recipe.allow", "ab", "@ recipe.allow"),
        ("read_outs", [], "0 read-outs for 1 outputs"),
        ("read_outs.0.start", 1e300, "is longer than"),
        ("read_outs.0.start", -1, "seconds >= 0"),
        ("read_outs.0.type", "os.system", r"type must be one of .*'os.system' @ read_outs\[0\]"),
        ("signature.inputs", [], "the signature says"),
        ("signature.outputs", [], "0 names for 1 outputs"),
        ("signature.structure", [0], "is not a structure of outputs"),
        ("signature.structure", 1, "does not have each output once"),
        ("signature.structure", {"dict": [1]}, "is not a structure of outputs"),
        ("signature.n_times", 0, "n_times is 0"),
        ("graph.nodes", {}, "a list is wanted. Received: {} @ graph.nodes"),
        ("graph.outputs", [], "the graph has no output"),
        ("graph.outputs", ["gone"], r"outputs \['gone'\] are not nodes"),
        ("graph.calibrated_dt", -1.0, "calibrated_dt is -1.0"),
        ("graph.nodes.1.op", REMOVED, r"'op' is missing @ graph.nodes\[1\]"),
        ("graph.nodes.1.op.more", 1, r"unknown keys \['more'\] @ graph.nodes\[1\].op"),
        ("graph.nodes.1.op.strides", [0, 1], "'conv': strides has a value that is not from 1"),
        ("graph.nodes.1.op.strides", [1], "'conv': strides is not for 2 axes"),
        ("graph.nodes.1.op.dilation", [1, 10**30], "'conv': dilation has a value"),
        ("graph.nodes.1.op.pads", [[0, 0], [-1, 0]], "'conv': pads has a value that is not from 0"),
        ("graph.nodes.1.op.pads", [[0, 0], [0]], "2 entries are wanted"),
        ("graph.nodes.1.op.pads", [[0, 0], [0, 2**40]], "'conv': pads has a value"),
        ("graph.nodes.1.op.groups", 2, "'conv': 3 filters are not 2 groups"),
        ("graph.nodes.1.op.groups", 0, "'conv': 3 filters are not 0 groups"),
        ("graph.nodes.1.op.weight", {"array": "99"}, "there is no array '99'"),
        ("graph.nodes.1.op.weight", {"array": "1"}, "'conv': weight is of"),
        ("graph.nodes.1.op.bias", {"array": "0"}, "'conv': bias is of"),
        ("graph.nodes.1.op.bias", [0.0, 0.0, 0.0], "does not stand for an array"),
        ("graph.nodes.1.shape", [4, 4, 3], r"'conv' claims the shape \(4, 4, 3\)"),
        ("graph.nodes.1.inputs", ["end"], "which no earlier node computes"),
        ("graph.nodes.1.inputs", "image", "a list is wanted. Received: 'image'"),
        ("graph.nodes.1.inputs", [], "Conv cannot have 0 inputs"),
        ("graph.nodes.1.name", "image", "two nodes have the same name"),
        ("graph.nodes.2.op.type", "Softmax", r"@ graph.nodes\[2\].op"),
        ("graph.nodes.2.op", {"type": "Softmax", "axis": 0, "log": False}, "no spiking form"),
        ("graph.nodes.2.op", {"type": "Opaque"}, "type must be one of"),
        ("graph.nodes.2.op.tau_rc", 0.0, "'lif': tau_rc is 0.0"),
        ("graph.nodes.2.op.tau_rc", "0.1", "a number is wanted. Received: '0.1'"),
        ("graph.nodes.2.op.amplitude", 0.0, "'lif': amplitude is 0"),
        ("graph.nodes.2.op.gain", "inf", "'lif': gain is inf"),
        ("graph.nodes.2.op.gain", 10**400, "graph.nodes"),
        ("graph.nodes.2.op.min_voltage", 0.5, "'lif': min_voltage is 0.5"),
        ("graph.nodes.2.op.initial_voltage", 1.0, "initial_voltage is not below 1"),
        ("graph.nodes.2.op.initial_voltage", {"array": "0"}, "'lif': initial_voltage is of"),
        ("graph.nodes.2.op.synapse", {"type": "Lowpass", "tau": -1.0}, "seconds >= 0"),
        ("graph.nodes.0.op.shape", [2**40, 4, 2], "claims|too large"),
        ("graph.nodes.0.shape", [0, 4, 2], "'image': the shape .* has a size below 1"),
    ],
)
def test_graphs_that_cannot_be_run(path, where, value, match):
    content, weights = parts(path)
    *way, last = [int(key) if key.isdigit() else key for key in where.split(".")]
    part = content
    for key in way:
        part = part[key]
    if value is REMOVED:
        del part[last]
    else:
        part[last] = value
    path.write_bytes(packed(content, weights))
    with pytest.raises(FileError, match=match) as caught:
        kconvert.load(path)
    assert str(path) in str(caught.value)


def steps(part, way=()):
    """The way to every value of some JSON."""
    if way:
        yield way
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if isinstance(value, dict | list):
            yield from steps(value, (*way, key))
        else:
            yield (*way, key)


VALUES = (None, True, 0, -1, 3, 2**63, 10**400, 0.5, 1e308, "", "x", [], {}, [[1]], {"array": "0"})


def mutated(data: bytes, content: dict, weights: bytes, random_: random.Random) -> bytes:
    """A golden file with something wrong: bytes changed, cut off, or a value of the JSON."""
    kind = random_.randrange(4)
    if kind == 0:
        changed = bytearray(data)
        for _ in range(random_.choice((1, 4, 32))):
            changed[random_.randrange(len(data))] = random_.randrange(256)
        return bytes(changed)
    if kind == 1:
        cut = random_.randrange(len(data))
        return random_.choice((data[:cut], data[cut:], data[:cut] + data[cut + 3 :]))
    content = copy.deepcopy(content)
    *way, last = random_.choice(list(steps(content)))
    part = content
    for key in way:
        part = part[key]
    if random_.random() < 0.3:
        del part[last]
    else:
        part[last] = random_.choice(VALUES)
    return packed(content, weights)


def test_random_damage_is_refused_or_harmless(tmp_path):
    """A part of a longer search: no other error than ``FileError``, and what loads can be run."""
    source = GOLDEN / "schema_1.kconvert"
    data, (content, weights) = source.read_bytes(), parts(source)
    random_ = random.Random(0)
    refused = 0
    path = tmp_path / "net.kconvert"
    for _ in range(200):
        path.write_bytes(mutated(data, content, weights, random_))
        try:
            network = kconvert.load(path)
        except FileError as error:
            assert str(error).startswith(repr(str(path)))
            refused += 1
        else:
            ones = {name: np.ones((1, *shape)) for name, shape in network.signature.inputs.items()}
            with np.errstate(all="ignore"):
                network.graph.evaluate(ones)
    assert refused > 130
