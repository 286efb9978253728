"""Runs on a Ray cluster of several nodes, started here once, equal local ones to the bit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

import keras
import nengo
import numpy as np
import pytest
from cases import randomized
from keras import layers as L
from test_checkpoint import EndedError, bits, distance_of_rows, end_after, small_network

import kconvert
from kconvert.files.store import to_bytes
from kconvert.jobs import on_ray, shares

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.xdist_group("ray"),
]
N, STEPS, SHARE = 26, 7, 4
MEMORY = 100 * 2**20


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each, in processes of this machine."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    # Ray gives up after some seconds of a machine that has other work, and its workers give way to
    # that work. Neither is a matter here.
    slow = {"agent_register_timeout_ms": 600_000, "health_check_timeout_ms": 60_000}
    slow["worker_niceness"] = 0
    made = Cluster(initialize_head=True, head_node_args={**node, "_system_config": slow})
    made.add_node(num_cpus=1, object_store_memory=MEMORY)
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(autouse=True)
def small_shares(monkeypatch) -> None:
    monkeypatch.setattr(shares, "MOST", SHARE)


@pytest.fixture(scope="module")
def spiking() -> kconvert.SpikingModel:
    return small_network()


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.standard_normal((N, 4)), rng.integers(0, 3, N)


RUNS = {
    "beside Keras": lambda s, x, y, **more: s.evaluate(x, y, STEPS, **more),
    "nengo": lambda s, x, y, **more: s.evaluate(x, y, 3, simulator="nengo", **more),
    "early exit, other metrics": lambda s, x, y, **more: s.evaluate(
        *(x, np.eye(3)[y], STEPS),
        metrics=["mse", distance_of_rows],
        early_exit=kconvert.EarlyExit(stable=2),
        dtype="float64",
        **more,
    ),
    "predict": lambda s, x, y, **more: s.predict(x, STEPS, **more),
}


@pytest.mark.parametrize("way", RUNS)
def test_equal_to_a_local_run(cluster, spiking, samples, way):
    expected = RUNS[way](spiking, *samples)
    assert bits(RUNS[way](spiking, *samples, distribute=cluster.address)) == bits(expected)


def test_begun_on_a_cluster_and_ended_here(cluster, spiking, samples, monkeypatch, tmp_path):
    x, y = samples
    expected = bits(spiking.evaluate(x, y, STEPS))
    end_after(monkeypatch, 5)
    with pytest.raises(EndedError):
        spiking.evaluate(x, y, STEPS, distribute="ray", checkpoint=tmp_path / "c")
    assert bits(spiking.evaluate(x, y, STEPS, checkpoint=tmp_path / "c")) == expected


def test_tune(cluster, spiking, samples, monkeypatch, tmp_path):
    x, y = samples
    model, candidates = spiking.keras_model, [{"scale_firing_rates": s} for s in (50, 200)]

    def run(**more):
        found = kconvert.tune(model, x, y, candidates=candidates, max_steps=STEPS, **more)
        return [bits(each.evaluation) for each in found.candidates]

    expected = run()
    end_after(monkeypatch, 9)
    with pytest.raises(EndedError):
        run(distribute="ray", checkpoint=tmp_path / "c")
    assert run(checkpoint=tmp_path / "c") == expected
    assert run(distribute="auto") == expected


CONVERSIONS = {
    "good at once": {},
    "spikes a step": {"depth": 12},
    "percentiles": {"spike_values": "ternary", "n_steps": 4},
    "corrections": {"min_voltage": 0.0, "n_steps": 6},
    "corrections by layer": {
        "min_voltage": 0.0,
        "correction": {"hidden_0": "bias", "hidden_1": "affine"},
        "n_steps": 4,
    },
    "curves and synapses of LIF": {
        "swap_activations": {"relu": nengo.LIF()},
        "correction": None,
        "n_steps": 6,
    },
}
"""What is tried in each of them is not the same."""


def converted(depth=2, n_steps=30, **settings) -> kconvert.SpikingModel:
    hidden = [L.Dense(9, activation="relu", name=f"hidden_{k}") for k in range(depth)]
    model = randomized(
        keras.Sequential([keras.Input((4,), name="x"), *hidden, L.Dense(3, name="out")], name="net")
    )
    x = np.random.default_rng(1).standard_normal((40, 4))
    return kconvert.convert(model, calibration=kconvert.Calibration(x, n_steps=n_steps), **settings)


@pytest.mark.parametrize("which", CONVERSIONS)
@pytest.mark.filterwarnings("ignore:calibration.*with LIF neurons:UserWarning")
def test_conversions(cluster, which):
    """Weights, choices, the texts of decisions, and what the network says of its settings."""
    expected = converted(**CONVERSIONS[which])
    found = converted(**CONVERSIONS[which], distribute="ray")
    assert [each.text for each in found.decisions] == [each.text for each in expected.decisions]
    assert to_bytes(found) == to_bytes(expected)


def killing(marks, *, always: bool):
    """What runs a share, and kills its worker first; sent to the workers as code."""
    run = on_ray.run_share

    def run_or_die(task, stored, arrays):
        first = next(iter(arrays.values()))[0, 0, 0]
        mark = marks / f"{first}"
        if always or not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return run(task, stored, arrays)

    return run_or_die


def test_killed_workers_cost_their_share_only(cluster, spiking, samples, monkeypatch, tmp_path):
    """Each worker is killed once at two of the shares, which alone are run again."""
    x, y = samples
    expected = bits(spiking.evaluate(x, y, STEPS))
    for k in set(range(0, N, SHARE)) - {0, 12}:
        (tmp_path / f"{x[k, 0]}").write_text("")
    monkeypatch.setattr(on_ray, "run_share", killing(tmp_path, always=False))
    results, result = [], on_ray.Cluster._result
    monkeypatch.setattr(
        on_ray.Cluster, "_result", lambda *each: results.append(result(*each)) or results[-1]
    )
    assert bits(spiking.evaluate(x, y, STEPS, distribute="ray")) == expected
    assert [each is None for each in results].count(True) == 2
    assert len(results) == -(-N // SHARE) + 2


def test_a_share_that_kills_every_worker(cluster, spiking, samples, monkeypatch, tmp_path):
    x, y = samples
    monkeypatch.setattr(on_ray, "RETRIES", 1)
    monkeypatch.setattr(on_ray, "run_share", killing(tmp_path, always=True))
    with pytest.raises(kconvert.ClusterError, match="worker was lost 2 times"):
        spiking.evaluate(x[:4], y[:4], STEPS, distribute="ray")


def no_memory(task, stored, arrays):
    raise MemoryError("8 GiB")


def test_a_worker_out_of_memory(cluster, spiking, samples, monkeypatch):
    run = lambda *arguments: no_memory(*arguments)  # noqa: E731 - sent as code
    ray.cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])
    monkeypatch.setattr(on_ray, "run_share", run)
    with pytest.raises(kconvert.ClusterError, match=r"samples 0 to 3 .* memory was not enough"):
        spiking.predict(samples[0][:4], STEPS, distribute="ray")


def test_other_versions(cluster, spiking, samples, monkeypatch):
    there = on_ray.versions()
    monkeypatch.setattr(on_ray, "versions", lambda: {**there, "numpy": "9.9"})
    with pytest.raises(kconvert.ClusterError, match=r"has numpy [\d.]+, and this process has 9.9"):
        spiking.predict(samples[0], STEPS, distribute="ray")


def test_another_cluster(cluster, spiking, samples):
    with pytest.raises(kconvert.ClusterError, match=r"connected to the Ray cluster .* already"):
        spiking.predict(samples[0], STEPS, distribute="127.0.0.1:1")


CLIENT = """
import sys
import kconvert, numpy as np
from kconvert.jobs import shares
address, network, samples, out, shares.MOST = *sys.argv[1:5], int(sys.argv[5])
x = np.load(samples)
spiking = kconvert.load(network)
np.save(out, spiking.predict(x, 7, distribute=address))
try:
    spiking.predict(x, 7, distribute="ray://127.0.0.1:1")
except kconvert.ClusterError as error:
    assert f"connected to the Ray cluster {address} already" in str(error), error
else:
    raise AssertionError("the address of another cluster was accepted")
"""


def test_ray_client(cluster, spiking, samples, tmp_path):
    """From a process that is no part of the cluster, through a server of Ray Client."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = ["--host", "127.0.0.1", "--port", f"{port}", "--address", cluster.address]
    server = subprocess.Popen(
        [sys.executable, "-m", "ray.util.client.server", "--mode", "legacy", *words],
        stderr=subprocess.DEVNULL,
    )
    try:
        while server.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
        network, x, out = (tmp_path / name for name in ("n.kconvert", "x.npy", "out.npy"))
        spiking.save(network)
        np.save(x, samples[0])
        words = [f"ray://127.0.0.1:{port}", *map(str, (network, x, out, SHARE))]
        subprocess.run([sys.executable, "-c", CLIENT, *words], check=True)
    finally:
        server.kill()
        server.wait()
    assert bits(np.load(out)) == bits(spiking.predict(samples[0], STEPS))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster(address):
    with pytest.raises(kconvert.ClusterError, match=r"no cluster can be used there.*ray start"):
        on_ray._connect(ray, address)


@pytest.mark.parametrize("address", [3, "", "slurm", "host", "host:port", "ray://host"])
def test_no_address(spiking, samples, address):
    with pytest.raises(kconvert.InputError, match="distribute must be None"):
        spiking.predict(samples[0], STEPS, distribute=address)


@pytest.fixture(scope="module")
def table(cluster, samples, tmp_path_factory):
    """Parquet files with the samples."""
    import pyarrow as pa
    from pyarrow import parquet

    x, y = samples
    folder = tmp_path_factory.mktemp("parquet")
    for k in range(0, N, 13):
        rows = pa.FixedSizeListArray.from_arrays(pa.array(x[k : k + 13].ravel()), 4)
        parquet.write_table(
            pa.table({"x": rows, "label": pa.array(y[k : k + 13])}), folder / f"{k:03d}.parquet"
        )
    return folder


def test_parquet(cluster, spiking, samples, table):
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    x, y = samples
    data = ray.data.read_parquet(str(table))
    assert bits(spiking.evaluate(data, n_steps=STEPS, distribute="ray")) == bits(
        spiking.evaluate(x, y, STEPS)
    )
    assert data.context.execution_options.preserve_order is False


def test_columns():
    from kconvert.data.ray_data import _given

    batch = {"x": np.zeros((2, 4)), "label": np.arange(2), "sample_weight": np.ones(2)}
    x, y, weights = _given(batch, {"input": (4,)})
    assert x == {"input": batch["x"]}
    assert (y, weights) == (batch["label"], batch["sample_weight"])
    with pytest.raises(kconvert.InputError, match=r"must have the column 'input.*' or 'x'.*\['a'"):
        _given({"a": batch["x"], "b": batch["label"]}, {"input": (4,)})


def images_in(folder) -> tuple[kconvert.SpikingModel, np.ndarray]:
    """A network of images, and some in files."""
    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    model = keras.Sequential([keras.Input((3, 2, 3)), L.Flatten(), L.Dense(2)])
    return kconvert.convert(randomized(model)), images


def test_images(cluster, tmp_path):
    import ray.data

    spiking, images = images_in(tmp_path)
    data = ray.data.read_images(str(tmp_path), mode="RGB")
    assert bits(spiking.predict(data, 3, distribute="ray")) == bits(spiking.predict(images, 3))


def test_a_file_that_is_missing(cluster, tmp_path):
    """It is listed, and not there where it is read."""
    import ray.data

    spiking, _ = images_in(tmp_path)
    data = ray.data.read_images(str(tmp_path), mode="RGB")
    (tmp_path / "3.png").unlink()
    with pytest.raises(kconvert.InputError, match=r"3.png.*Every node must see the files"):
        spiking.predict(data, 3)


def test_no_ray(spiking, samples, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(kconvert.MissingPackageError, match=r'pip install "ray\[client,data\]'):
        spiking.predict(samples[0], STEPS, distribute="ray")


def test_a_node_that_is_lost(cluster, spiking, samples, monkeypatch):
    x, _ = samples
    # Last: Ray Data may have parts of its own on the node.
    expected = bits(spiking.predict(x, STEPS))
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    result, seen = on_ray.Cluster._result, []

    def losing(*each):
        seen.append(result(*each))
        if len(seen) == 2:
            cluster.remove_node(node, allow_graceful=False)
        return seen[-1]

    monkeypatch.setattr(on_ray.Cluster, "_result", losing)
    assert bits(spiking.predict(x, STEPS, distribute="ray")) == expected
