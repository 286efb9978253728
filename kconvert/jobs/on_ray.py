"""Shares of a run on the processes of a Ray cluster."""

from __future__ import annotations

import os
import platform
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from ..data.arrays import Feeds
from ..errors import ClusterError, InputError, KconvertError
from ..packages import needed
from ..simulators import SIMULATORS, Chunk, EarlyExit, Job, RunSpec, choose
from .shares import Grouping, shares_of

if TYPE_CHECKING:
    from ..fidelity import Outputs

LOCAL, AUTO, CLIENT = "ray", "auto", "ray://"
RETRIES = 3
"""How often a share is run again after its worker was lost."""
AHEAD = 2
"""Shares that are handed out at a time, for each core of the cluster."""
SECONDS = 5
"""How long an address may take to answer."""
KEPT = ". With checkpoint=... all shares that are done stay"


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker must know of a share beside its samples.

    Args:
        network: Checksum of the network.
        simulator: Name of the simulator.
        dt: Length of a step in seconds.
        dtype: Precision, or None for the simulator's own.
        batch_size: Samples that run at a time.
        early_exit: When a sample may end early, or None.
        n_steps: Number of steps.
        last_only: Whether only the outputs of the last step are wanted.
    """

    network: str
    simulator: str
    dt: float
    dtype: str | None
    batch_size: int
    early_exit: EarlyExit | None
    n_steps: int
    last_only: bool


class Cluster:
    """A Ray cluster that this process is connected to.

    Args:
        ray: The module.
        address: As the user gave it.
    """

    def __init__(self, ray: Any, address: str) -> None:
        self._ray, self._address = ray, address
        self._stored: tuple[str, Any] | None = None
        self._cores = int(ray.cluster_resources().get("CPU", 0))
        if not self._cores:
            raise ClusterError(f"distribute={address!r}: the cluster has no CPU core for tasks")
        self._require_same_versions()
        # Lost workers are counted here, not by Ray: it would run a share that is too large for
        # the memory again and again.
        self._run = ray.remote(num_cpus=1, max_retries=0)(run_share)

    def chunks(
        self, ready: Any, feeds: Feeds, settings: Any, shares: Sequence[slice], last_only: bool
    ) -> Iterator[Chunk]:
        """Run shares, and give them back as they are done, in any order.

        Args:
            ready: What runs, a :class:`kconvert.running.ready.Ready`.
            feeds: The input.
            settings: The settings, a :class:`kconvert.running.settings.Settings`.
            shares: The samples of each share.
            last_only: Whether only the outputs of the last step are wanted.
        """
        if not shares:
            return
        key, stored = self._put(ready.network)
        task = Task(
            key,
            ready.simulator.name,
            float(settings.dt),
            settings.dtype,
            ready.batch_size,
            settings.early_exit,
            feeds.n_steps,
            last_only,
        )
        window = _Window(self, KEPT)
        try:
            window.add(
                _Piece(task, stored, dict(feeds.some(share).arrays), share) for share in shares
            )
            while (piece := window.next()) is not None:
                if (chunk := window.chunk(piece)) is not None:
                    yield replace(chunk, images=piece.samples)
        finally:
            window.cancel()

    def _put(self, network: Any) -> tuple[str, Any]:
        """The network in the object store, once: its checksum, and where it is."""
        from ..files.store import digest, to_bytes

        key = digest(network)
        if self._stored is None or self._stored[0] != key:
            data = np.frombuffer(to_bytes(network), dtype=np.uint8)  # which workers need not copy
            self._stored = key, self._ray.put(data)
        return self._stored

    def _result(self, done: Any, share: slice, times: int, kept: str) -> Chunk | None:
        """The result of a share; None if its worker was lost and it is to be run again.

        Args:
            done: The task.
            share: Its samples.
            times: How often they were run before.
            kept: What to say of the other shares.

        Raises:
            ClusterError: Workers were lost too often, or have too little memory.
        """
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(done)
        except exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, KconvertError):
                raise cause from None
            if not isinstance(cause, MemoryError):
                raise
            why, source = f"a worker's memory was not enough ({cause})", error
        except exceptions.OutOfMemoryError as error:
            if times < RETRIES:
                return None
            why, source = f"Ray ended its worker {times + 1} times, for lack of memory", error
        except exceptions.RayError as error:  # a worker or a node that is gone
            if times < RETRIES:
                return None
            why, source = f"its worker was lost {times + 1} times: {error!s:.300}", error
        raise ClusterError(
            f"distribute={self._address!r}: samples {share.start} to {share.stop - 1} could not be "
            f"run: {why}. Give a worker more memory, or start fewer workers on a node (ray start "
            f"--num-cpus=N){kept}"
        ) from source

    def _require_same_versions(self) -> None:
        """Refuse nodes whose versions might give other results.

        Raises:
            ClusterError: With the node, and what differs.
        """
        ray, own = self._ray, versions()
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        ask = ray.remote(num_cpus=0, max_retries=RETRIES)(_probe())
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        asked = [
            ask.options(scheduling_strategy=affinity(node["NodeID"], soft=False)).remote()
            for node in nodes
        ]
        for node, answer in zip(nodes, asked, strict=True):
            try:
                found = ray.get(answer)
            except ray.exceptions.RayError as error:
                raise ClusterError(
                    f"distribute={self._address!r}: the node {node['NodeManagerAddress']} does "
                    f"not answer: {error!s:.300}"
                ) from error
            for name, version in own.items():
                if found.get(name) != version:
                    there = found.get(name) or f"none that can be imported ({found['error']})"
                    raise ClusterError(
                        f"distribute={self._address!r}: the node {node['NodeManagerAddress']} has "
                        f"{name} {there}, and this process has {version}: install the same on all "
                        "nodes, as results would not be the same"
                    )


@dataclass(slots=True, eq=False)
class _Piece:
    """Some samples of a run, or of a candidate.

    Args:
        task: What is run.
        stored: Where the network is in the object store.
        arrays: The input.
        samples: Which of the samples these are.
        done: The task of Ray, when it has ended.
        times: How often it was run and its worker was lost.
    """

    task: Task
    stored: Any
    arrays: Mapping[str, np.ndarray]
    samples: slice
    done: Any = None
    times: int = 0


class _Window:
    """Hands out pieces, a few more at a time than there are cores.

    Args:
        cluster: Where they run.
        kept: What an error says of the other pieces.
    """

    def __init__(self, cluster: Cluster, kept: str) -> None:
        self._cluster, self._kept = cluster, kept
        self._waiting: deque[_Piece] = deque()
        self._running: dict[Any, _Piece] = {}

    def add(self, pieces: Iterable[_Piece]) -> None:
        """Hand out pieces when it is their turn."""
        self._waiting.extend(pieces)
        self._fill()

    def remove(self, pieces: Iterable[_Piece]) -> None:
        """Forget pieces. One that a worker is running ends there: it is short."""
        for piece in pieces:
            if piece in self._waiting:
                self._waiting.remove(piece)
        self._fill()

    def next(self) -> _Piece | None:
        """Wait for any piece that was handed out; None if there is none."""
        self._fill()
        if not self._running:
            return None
        [done], _ = self._cluster._ray.wait(list(self._running), num_returns=1)
        piece = self._running.pop(done)
        piece.done = done
        self._fill()
        return piece

    def chunk(self, piece: _Piece) -> Chunk | None:
        """What came of a piece; None if its worker was lost. It is then the next to be run."""
        found = self._cluster._result(piece.done, piece.samples, piece.times, self._kept)
        if found is None:
            piece.done, piece.times = None, piece.times + 1
            self._waiting.appendleft(piece)
        return found

    def result(self, piece: _Piece) -> Chunk:
        """Wait for a piece that was handed out."""
        while True:
            while piece.done is None:
                self.next()
            if (chunk := self.chunk(piece)) is not None:
                return chunk

    def cancel(self) -> None:
        """End what runs."""
        for each in self._running:
            with suppress(Exception):
                self._cluster._ray.cancel(each, force=True)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < AHEAD * self._cluster._cores:
            piece = self._waiting.popleft()
            task = self._cluster._run.remote(piece.task, [piece.stored], piece.arrays)
            self._running[task] = piece


class Trials:
    """Runs samples of a conversion's candidates side by side, as
    :class:`kconvert.fidelity.Runs` says.

    Pieces are handed out in the order in which they were begun, whoever waits. What ran for a
    candidate that was given up is not looked at, be it outputs or an error.

    Args:
        cluster: Where.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stored: WeakKeyDictionary[Any, tuple[str, Any, float]] = WeakKeyDictionary()
        self._window = _Window(cluster, kept="")

    def __call__(self, make: Callable[[], RunSpec], jobs: Sequence[Job], size: int) -> Outputs:
        try:
            key, stored, dt = self._put(make)
        except KconvertError as error:
            return _refused(error)
        most = AHEAD * self._cluster._cores

        def pieces(job: Job) -> list[_Piece]:
            # The outputs of a sample are the same whatever runs beside it.
            n = min(size, -(-job.n // most))
            task = Task(key, "events", dt, None, n, None, job.n_steps, job.last_only)
            return [
                _Piece(task, stored, {name: each[share] for name, each in job.feeds.items()}, share)
                for share in shares_of(job.n, n)
            ]

        return _Pieces(self._window, map(pieces, jobs))

    def _put(self, make: Callable[[], RunSpec]) -> tuple[str, Any, float]:
        """A candidate in the object store: its checksum, where it is, and the length of a step."""
        if make not in self._stored:
            spec = make()
            choose("events", spec)  # refuses what it cannot run
            self._stored[make] = *self._cluster._put(_network(spec)), spec.dt
        return self._stored[make]


class _Pieces(Iterator[tuple[np.ndarray, ...]]):
    """The outputs of a candidate, piece by piece in order.

    Args:
        window: What runs them.
        jobs: The pieces of each job.
    """

    def __init__(self, window: _Window, jobs: Iterator[list[_Piece]]) -> None:
        self._window, self._jobs = window, jobs
        self._pieces: deque[_Piece] = deque()
        self._begin()

    def _begin(self) -> None:
        """Begin the next job, if there is one."""
        self._pieces.extend(next(self._jobs, []))
        self._window.add(self._pieces)

    def __next__(self) -> tuple[np.ndarray, ...]:
        if not self._pieces:
            self._begin()
        if not self._pieces:
            raise StopIteration
        outputs = self._window.result(self._pieces[0]).outputs
        self._pieces.popleft()
        return outputs

    def close(self) -> None:
        """No more is wanted."""
        self._window.remove(self._pieces)
        self._pieces.clear()
        self._jobs = iter(())


def _refused(error: KconvertError) -> Generator[tuple[np.ndarray, ...], None, None]:
    """The outputs of a candidate that cannot be run, which may never be asked for."""
    raise error
    yield ()


def _network(spec: RunSpec) -> Any:
    """A candidate as a network that ``.kconvert`` files can hold."""
    from ..network import SpikingNetwork
    from ..signature import Signature

    graph = spec.graph.subgraph(spec.graph.outputs)  # without what is said of it
    inputs = {name: graph.nodes[name].shape for name in graph.inputs}
    structure = list(range(len(graph.outputs)))
    signature = Signature(inputs, graph.outputs, structure)
    return SpikingNetwork(graph, signature, spec.read_outs, name="candidate", seed=spec.seed)


def versions() -> dict[str, str]:
    """The versions that must be the same on all nodes."""
    return dict(_probe()())


def _probe() -> Any:
    """A function that each node runs, which finds its versions. Ray sends an inner function as
    code, so it also runs where kconvert is missing or has another version.
    """

    def probe() -> dict[str, str]:
        import importlib
        import platform

        found = {"python": ".".join(platform.python_version_tuple()[:2]), "error": ""}
        for name in ("kconvert", "numpy", "numba"):
            try:
                found[name] = importlib.import_module(name).__version__
            except ImportError as error:
                found["error"] = str(error)
        return found

    return probe


def cluster_at(address: Any) -> Cluster:
    """Connect to a cluster; the connection stays until the process ends, or ``ray.shutdown()``.

    Args:
        address: "ray" for the cluster of this process, which is started if there is none; "auto",
            "host:port" or "ray://host:port".

    Raises:
        InputError: This is no address.
        MissingPackageError: Ray is not installed.
        ClusterError: There is no cluster, or it is of other versions.
    """
    if not isinstance(address, str) or not (
        address in (LOCAL, AUTO) or _host_and_port(address) is not None
    ):
        raise InputError(
            'distribute must be None, "ray", "auto", "host:port" or "ray://host:port". Received: '
            f"{address!r}"
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with needed("distribute"):
        import ray
        import ray.util.client
        import ray.util.scheduling_strategies

    if ray.is_initialized():
        _require_this(ray, address)
    else:
        _connect(ray, address)
    return Cluster(ray, address)


def _require_this(ray: Any, address: str) -> None:
    """Refuse the address of another cluster than the one that this process is connected to."""
    here = ray.get_runtime_context().gcs_address
    by_client = ray.util.client.ray.is_connected()
    if by_client:
        # Ray says it nowhere else.
        here = CLIENT + ray.util.client.ray.get_context().client_worker._conn_str
    same = address in (LOCAL, here) or (address == AUTO and not by_client)
    if not same:
        raise ClusterError(
            f"distribute={address!r}: this process is connected to the Ray cluster {here} already. "
            'Call ray.shutdown() first, or give distribute="ray" to use this one'
        )


def _host_and_port(address: str) -> tuple[str, int] | None:
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    return (host, int(port)) if host and port.isdecimal() and int(port) < 2**16 else None


def _connect(ray: Any, address: str) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    place = _host_and_port(address) if address not in (LOCAL, AUTO) else None
    try:
        if place is not None:
            socket.create_connection(place, timeout=SECONDS).close()  # Ray would try for minutes
        if address == LOCAL:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
        raise ClusterError(
            f"distribute={address!r}: no cluster can be used there: {_reason(error)}. Start one "
            f"with ray start --head, of the same Ray ({ray.__version__}) and Python "
            f'({platform.python_version()}), or give distribute="ray" for this machine alone'
        ) from error


def _reason(error: Exception) -> str:
    """What an error says; of a traceback, which Ray Client sends as a text, its last line."""
    text = str(error).strip()
    return f"{text.splitlines()[-1] if 'Traceback (most' in text else text:.300}"


# In the workers


_KEPT: dict[str, Any] = {}
"""The network that this process has loaded, and its runner."""


def run_share(task: Task, stored: Sequence[Any], arrays: Mapping[str, np.ndarray]) -> Chunk:
    """Run a share, in a worker.

    Args:
        task: What is to be run.
        stored: Where the network is in the object store.
        arrays: The input, as in :class:`Feeds`.
    """
    runner = _runner(task, stored)
    n = len(next(iter(arrays.values())))
    grouping = Grouping([slice(0, n)], task.n_steps, last_only=task.last_only)
    job = Job(arrays, task.n_steps, task.last_only, task.early_exit)
    [chunk] = grouping.shares(runner.run(job))
    return chunk


def _runner(task: Task, stored: Sequence[Any]) -> Any:
    """The runner of a network, made once in a process."""
    key = task.network, task.simulator, task.dt, task.dtype, task.batch_size
    if _KEPT.get("key") == key:
        return _KEPT["runner"]
    import numba
    import ray

    from ..files.store import from_bytes

    numba.config.NUMBA_NUM_THREADS = 1  # a task has one core
    _KEPT.clear()
    network = from_bytes(ray.get(stored[0]).tobytes())
    spec = RunSpec(
        network.graph,
        network.filters,
        spiking=network.spiking,
        dt=task.dt,
        dtype=task.dtype,
        seed=network.seed,
    )
    runner = SIMULATORS[task.simulator].make(spec, task.batch_size)
    _KEPT.update(key=key, runner=runner)
    return runner
