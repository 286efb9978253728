"""How long a run takes on many machines: a formula, its constants, and simulated schedules.

    make bench BENCH=cost_model    # ARGS: [--quick]

A run is cut into shares of samples, as kconvert.jobs.shares does, which wait in a queue. A worker
takes the network once, and then one share after the other. The user's process hands them out, and
judges their outputs. docs/explanation/cost-model.md has the formula.

Measured here, in CPU time of this process: the constants of the event simulator
(:class:`Constants`), by non-negative least squares over networks of several widths and rates, then
checked on a network that the fit has not seen; what a worker needs to start; and what a share costs
the user's process, with Ray on this machine. Simulated: schedules of 1 to 1,000 workers, by
discrete events (:func:`schedule`), with start-up times, workers of different speed, a link that all
of them share, and one worker that is killed. No cluster is measured: bandwidth, speeds and
detection are assumptions (:class:`Cluster`). Writes benchmarks/results/cost_model.json.
"""

from __future__ import annotations

import argparse
import heapq
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kconvert.jobs.shares import MOST, share_size

RESNET_NEURONS, RESNET_CLASSES, RESNET_LAYERS = 8_479_744, 1000, 49
RESNET_BYTES = 246.7e6
"""Of its .kconvert file."""
RESNET_OPERATIONS = 3.86e9
"""In a step, if every neuron of ResNet50 at 224 px sends: the multiplications of its forward pass.
A bound: a graded spike of any value takes the time of one, so a step cannot take more."""


@dataclass(frozen=True, slots=True)
class Constants:
    """CPU seconds of the event simulator on one core.

    Args:
        update: For the update of one neuron in one step.
        operation: For one synaptic operation of a spike.
        sample: For a sample, whatever its size.
        share: For a call, whatever is in it.
        start: For a process that imports kconvert, loads a network and compiled code, and is ready.
        judge: For a share in the user's process, which hands it out and judges its outputs.
    """

    update: float
    operation: float
    sample: float
    share: float
    start: float
    judge: float


@dataclass(frozen=True, slots=True)
class Work:
    """A run.

    Args:
        samples: Number of samples.
        steps: Steps of each.
        neurons: Neurons of the network.
        operations: Synaptic operations of a sample in a step, from measured rates.
        network_bytes: What each worker takes once: the .kconvert file.
        sample_bytes: What a sample takes on the way to a worker.
        output_bytes: What the outputs of a sample at all steps take on the way back.
    """

    samples: int
    steps: int
    neurons: int
    operations: float
    network_bytes: float
    sample_bytes: float
    output_bytes: float

    def seconds(self, constants: Constants, samples: float) -> float:
        """CPU seconds of a share of so many samples."""
        step = constants.update * self.neurons + constants.operation * self.operations
        return constants.share + samples * (constants.sample + self.steps * step)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers of one core each, and what is assumed of them.

    Args:
        workers: Their number.
        bandwidth: Bytes a second of the one link through which all that is sent goes.
        latency: Seconds from a worker that is free to its next share.
        spread: Standard deviation of the logarithm of a share's time.
        stragglers: Share of the workers that are slow.
        slowness: How many times slower these are.
        killed: Workers that are killed: the first that are given a share, in the middle of it.
        detection: Seconds until a killed worker is noticed and another one begins to start.
    """

    workers: int
    bandwidth: float = 1.25e9
    latency: float = 0.005
    spread: float = 0.1
    stragglers: float = 0.05
    slowness: float = 2.0
    killed: int = 0
    detection: float = 10.0

    @property
    def speed(self) -> float:
        """Mean speed of a worker, of one that is not slow and has no spread."""
        mean = 1 - self.stragglers + self.stragglers / self.slowness
        return mean * math.exp(-(self.spread**2) / 2)


def closed(work: Work, constants: Constants, cluster: Cluster, share: int) -> float:
    """Seconds of a run by formula.

    The start of a worker; the network to all workers through one link; the shares, at the mean
    speed of the workers, of the link or of the user's process, whichever is slowest; and half of a
    straggler's share, which the others wait for on average. Graham (1969, "Bounds on
    multiprocessing timing anomalies") bounds this wait by one whole share.
    """
    shares = math.ceil(work.samples / share)
    one = work.seconds(constants, work.samples / shares)
    traffic = work.samples * (work.sample_bytes + work.output_bytes)
    sent = traffic / shares
    alone = one / cluster.speed + cluster.latency + sent / cluster.bandwidth
    busy = min(cluster.workers, shares)
    slow = one * (cluster.slowness if busy * cluster.stragglers >= 0.5 else 1.0)
    waits = slow / 2 if busy > 1 else 0.0
    # A killed worker: half of its share again, and the time without it, spread over all.
    lost = cluster.killed * (one / 2 + cluster.detection + constants.start) / busy
    usual = (
        constants.start
        + busy * work.network_bytes / cluster.bandwidth
        + max(shares * alone / busy, traffic / cluster.bandwidth, shares * constants.judge)
        + waits
        + lost
    )
    # A short run waits for the lost share alone, which another worker does from its beginning.
    late = constants.start + cluster.detection + 1.5 * one if cluster.killed else 0.0
    return max(usual, late)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What happened in a simulated run.

    Args:
        seconds: Until the last result was back.
        done: How often each share was finished.
        begun: How often each share was begun.
        sent: Bytes that went through the link.
    """

    seconds: float
    done: np.ndarray
    begun: np.ndarray
    sent: float


def schedule(
    work: Work, constants: Constants, cluster: Cluster, share: int, seed: int = 0
) -> Schedule:
    """Simulate a run by discrete events.

    Every worker starts, takes the network through the link, and asks for shares until there are
    none. The link sends one thing at a time, in the order in which it was asked for. A killed
    worker loses its share, which goes back to the front of the queue, and another worker starts.
    """
    return _Simulation(work, constants, cluster, share, seed).run()


class _Simulation:
    """A run, event by event; each method with a name of an event is what happens then."""

    def __init__(
        self, work: Work, constants: Constants, cluster: Cluster, share: int, seed: int
    ) -> None:
        self.work, self.constants, self.cluster = work, constants, cluster
        self.rng = np.random.default_rng(seed)
        shares = math.ceil(work.samples / share)
        self.sizes = np.diff(np.linspace(0, work.samples, shares + 1).astype(np.int64))
        self.queue = deque(range(shares))
        self.done, self.begun = np.zeros(shares, np.int64), np.zeros(shares, np.int64)
        self.events: list[tuple[float, int, Callable[..., None], tuple[int, ...]]] = []
        self.count, self.killed, self.link, self.sent, self.judged = 0, 0, 0.0, 0.0, 0.0
        self.slow: list[float] = []
        self.idle: list[int] = []
        for _ in range(min(cluster.workers, shares)):
            self.hire(0.0)

    def run(self) -> Schedule:
        now = 0.0
        while self.events and not self.done.all():
            now, _, happens, which = heapq.heappop(self.events)
            happens(now, *which)
        return Schedule(now, self.done, self.begun, self.sent)

    def at(self, when: float, happens: Callable[..., None], *which: int) -> None:
        self.count += 1  # of two events at a time the first one comes first
        heapq.heappush(self.events, (when, self.count, happens, which))

    def send(self, now: float, n_bytes: float) -> float:
        """When so many bytes are there."""
        self.link = max(self.link, now) + n_bytes / self.cluster.bandwidth
        self.sent += n_bytes
        return self.link

    def varied(self, seconds: float) -> float:
        return seconds * math.exp(self.cluster.spread * self.rng.standard_normal())

    def hire(self, now: float) -> None:
        is_slow = self.rng.random() < self.cluster.stragglers
        self.slow.append(self.cluster.slowness if is_slow else 1.0)
        self.at(now + self.varied(self.constants.start), self.started, len(self.slow) - 1)

    def started(self, now: float, worker: int) -> None:
        self.at(self.send(now, self.work.network_bytes), self.free, worker)

    def free(self, now: float, worker: int) -> None:
        if not self.queue:
            self.idle.append(worker)
            return
        share = self.queue.popleft()
        self.begun[share] += 1
        asked = now + self.cluster.latency
        given = self.send(asked, self.sizes[share] * self.work.sample_bytes)
        self.at(given, self.given, worker, share)

    def given(self, now: float, worker: int, share: int) -> None:
        takes = self.work.seconds(self.constants, float(self.sizes[share]))
        takes = self.varied(takes * self.slow[worker])
        if self.killed < self.cluster.killed:
            self.killed += 1
            self.at(now + takes / 2 + self.cluster.detection, self.lost, share)
        else:
            self.at(now + takes, self.computed, worker, share)

    def computed(self, now: float, worker: int, share: int) -> None:
        self.at(self.send(now, self.sizes[share] * self.work.output_bytes), self.back, share)
        self.at(now, self.free, worker)

    def lost(self, now: float, share: int) -> None:
        self.queue.appendleft(share)
        self.hire(now)
        if self.idle:
            self.at(now, self.free, self.idle.pop())

    def back(self, now: float, share: int) -> None:
        self.judged = max(self.judged, now) + self.constants.judge
        self.at(self.judged, self.ended, share)

    def ended(self, _: float, share: int) -> None:
        self.done[share] += 1


def fit(rows: list[dict[str, float]]) -> np.ndarray:
    """Constants >= 0 by least squares of relative errors: update, operation, sample, share."""
    from scipy.optimize import nnls

    x = np.array([[row[key] for key in ("updates", "operations", "samples", "calls")]
                  for row in rows])  # fmt: skip
    y = np.array([row["seconds"] for row in rows])
    scale = x.max(axis=0)
    found, _ = nnls(x / scale / y[:, None], np.ones(len(y)))
    return np.asarray(found / scale)


def cpu_of(spiking: Any, x: np.ndarray, y: np.ndarray, steps: int) -> dict[str, float]:
    """CPU seconds of an evaluation, and what was in it."""
    spiking.evaluate(x[:1], y[:1], steps, simulator="events", progress=False)
    started = time.process_time()
    found = spiking.evaluate(x, y, steps, simulator="events", progress=False)
    seconds = time.process_time() - started
    return {
        "updates": float(spiking.n_neurons * steps * len(x)),
        "operations": float(sum(found.n_operations.values())),
        "samples": float(len(x)),
        "calls": 1.0,
        "seconds": seconds,
    }


def measured(quick: bool) -> tuple[list[dict[str, float]], dict[str, float], Path, Work]:
    """Runs to fit, one to check, the network of the check in a file, and its run."""
    from quiet import start_tensorflow

    start_tensorflow()
    from events import at_rate, plain
    from reference import load_digits, load_model

    import kconvert

    digits = load_digits()
    path = Path(tempfile.mkdtemp()) / "network.kconvert"
    x, y = digits.x_test, digits.y_test
    rows = []

    def alone(spiking: Any) -> Any:
        spiking.save(path)
        return kconvert.load(path)

    widths, rates = ((0.25,), (40.0,)) if quick else ((0.25, 0.5, 1.0), (10.0, 40.0, 160.0))
    for width in widths:
        model = plain([int(width * n) for n in (32, 64, 128)], pools=(1, 2))
        for rate in rates:
            network = alone(at_rate(model, x[:20], rate))
            for n in (1, 4) if quick else (1, 4, 16):
                rows.append(cpu_of(network, x[:n], y[:n], 5 if quick else 30))
    network = alone(kconvert.convert(load_model(), calibration=x[200:260]))
    n, steps = (2, 5) if quick else (20, 30)
    check = cpu_of(network, x[:n], y[:n], steps)
    per_step = check["operations"] / n / steps
    run = Work(
        samples=1_000_000,
        steps=30,
        neurons=network.n_neurons,
        operations=per_step,
        network_bytes=path.stat().st_size,
        sample_bytes=x[0].nbytes,
        output_bytes=steps_bytes(30, 10, 3),
    )
    return rows, check, path, run


def steps_bytes(steps: int, width: int, layers: int) -> int:
    """What a worker sends of a sample: outputs in float32 and spikes of layers, at all steps."""
    return steps * (4 * width + 8 * layers)


def judge_seconds(path: Path, quick: bool) -> float:
    """CPU seconds of this process for a share that a worker of Ray computes."""
    import ray
    from reference import load_digits

    import kconvert

    digits = load_digits()
    shares = 2 if quick else 16
    x = np.resize(digits.x_test, (shares * MOST, 28, 28, 1))
    y = np.resize(digits.y_test, shares * MOST)
    network = kconvert.load(path)
    ray.init(
        address="local",
        num_cpus=1,
        object_store_memory=200 * 2**20,
        include_dashboard=False,
        _system_config={"worker_niceness": 0},
    )
    took = []
    for n in (MOST, MOST, len(x)):  # the first one starts a worker
        began = time.process_time()
        network.evaluate(x[:n], y[:n], 30, distribute="ray", progress=False)
        took.append(time.process_time() - began)
    ray.shutdown()
    return (took[2] - took[1]) / (shares - 1)


def start_seconds(path: Path) -> float:
    """CPU seconds of a process that loads a network and runs one step."""
    code = (
        "import sys, numpy, kconvert; network = kconvert.load(sys.argv[1]); "
        "shapes = network.signature.inputs.values(); "
        "network.predict([numpy.zeros((1, *each)) for each in shapes], 1, simulator='events')"
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def schedules(
    runs: dict[str, Work], constants: Constants, workers: tuple[int, ...], seeds: int
) -> Iterator[dict[str, Any]]:
    """Rows: simulated schedules beside the formula."""
    for name, work in runs.items():
        for n in workers:
            for killed in (0, 1) if n > 1 else (0,):
                cluster = Cluster(n, killed=killed)
                width = RESNET_CLASSES if work.neurons == RESNET_NEURONS else 10
                share = share_size(work.neurons, work.steps, width)
                found = [schedule(work, constants, cluster, share, seed) for seed in range(seeds)]
                took = np.array([each.seconds for each in found])
                by_formula = closed(work, constants, cluster, share)
                one = work.seconds(constants, work.samples)
                yield {
                    "part": "schedules",
                    "run": name,
                    "workers": n,
                    "killed": killed,
                    "samples of a share": share,
                    "simulated s, median": round(float(np.median(took)), 1),
                    "least to most": f"{took.min():.1f} to {took.max():.1f}",
                    "formula s": round(by_formula, 1),
                    "formula / simulated": round(by_formula / float(np.median(took)), 2),
                    "efficiency": round(one / n / float(np.median(took)), 2),
                    "GB sent": round(float(np.median([each.sent for each in found])) / 1e9, 1),
                }


def main(quick: bool) -> None:
    from report import machine, markdown_table, save

    print(machine())
    rows, check, path, digits = measured(quick)
    update, operation, sample, share = fit(rows)
    judge = judge_seconds(path, quick)
    constants = Constants(update, operation, sample, share, start_seconds(path), judge)
    table: list[dict[str, Any]] = [
        {"part": "constants", "constant": text, "value": f"{value:.3g} {unit}"}
        for text, value, unit in (
            ("update of a neuron", 1e9 * update, "ns"),
            ("synaptic operation", 1e9 * operation, "ns"),
            ("sample", 1e6 * sample, "us"),
            ("share (a call)", 1e3 * share, "ms"),
            ("start of a worker", constants.start, "s"),
            ("a share in your own process", 1e3 * judge, "ms"),
        )
    ]

    def by_formula(row: dict[str, float]) -> float:
        known = np.array([row[key] for key in ("updates", "operations", "samples", "calls")])
        return float(known @ [update, operation, sample, share])

    errors = [abs(by_formula(row) / row["seconds"] - 1) for row in rows]
    table += [
        {
            "part": "check",
            "runs": f"{len(rows)} that were fitted: median error, largest error",
            "CPU s": "-",
            "formula s": "-",
            "error %": f"{100 * float(np.median(errors)):.0f}, {100 * max(errors):.0f}",
        },
        {
            "part": "check",
            "runs": "the reference CNN, calibrated, which was not fitted",
            "CPU s": round(check["seconds"], 3),
            "formula s": round(by_formula(check), 3),
            "error %": f"{100 * abs(by_formula(check) / check['seconds'] - 1):.0f}",
        },
    ]
    runs = {f"{digits.samples:,} digits, reference CNN, 30 steps": digits}
    runs |= {
        "50,000 photographs, ResNet50 at 224 px, 64 steps": replace(
            digits,
            samples=50_000,
            steps=64,
            neurons=RESNET_NEURONS,
            operations=RESNET_OPERATIONS,
            network_bytes=RESNET_BYTES,
            sample_bytes=224 * 224 * 3,
            output_bytes=steps_bytes(64, RESNET_CLASSES, RESNET_LAYERS),
        )
    }
    workers = (1, 4) if quick else (1, 4, 100, 1000)
    table += schedules(runs, constants, workers, 2 if quick else 5)
    for part in ("constants", "check", "schedules"):
        print(markdown_table([
            {key: value for key, value in row.items() if key != "part"}
            for row in table if row["part"] == part
        ]))  # fmt: skip
    if not quick:
        save("cost_model", table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    main(parser.parse_args().quick)
