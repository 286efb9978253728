"""One evaluation on 1 to 4 worker processes of Ray, on this machine.

    make bench BENCH=distribute    # ARGS: --quick

The reference CNN with its committed weights on held-out digits, with distribute="ray". All workers
are started and have run before anything is measured. The numbers of workers take turns, and the
fastest of the rounds counts: other work on the machine makes single rounds slow. With more workers
than cores, more cannot be gained; the column "cores" says how many there are. The local run has as
many threads as there are cores. Every result is compared with the local one, bit for bit.

The last column is what the formula of cost_model.py gives with the constants in its results, for as
many equal workers as there are cores at most. Writes benchmarks/results/distribute.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from quiet import start_tensorflow

start_tensorflow()

import numpy as np  # noqa: E402
import ray  # noqa: E402
from cost_model import Cluster, Constants, Work, closed, steps_bytes  # noqa: E402
from reference import load_digits, load_model  # noqa: E402
from report import RESULTS, machine, markdown_table, save  # noqa: E402

import kconvert  # noqa: E402
from kconvert.jobs import on_ray  # noqa: E402
from kconvert.jobs.shares import MOST  # noqa: E402

WORKERS = (1, 2, 3, 4)
STEPS, ROUNDS = 30, 5


def same(found: Any, expected: Any) -> bool:
    """Whether two evaluations are equal to the bit."""
    return (found.rates, found.n_spikes) == (expected.rates, expected.n_spikes) and all(
        np.array_equal(getattr(found, name), getattr(expected, name))
        for name in ("accuracy_per_step", "spikes_per_step", "classes")
    )


def constants() -> Constants:
    """Those that cost_model.py measured, of workers that have started."""
    rows = json.loads((RESULTS / "cost_model.json").read_text())["rows"]
    found = {row["constant"]: row["value"] for row in rows if row["part"] == "constants"}
    units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}

    def seconds(name: str) -> float:
        value, unit = found[name].split()
        return float(value) * units[unit]

    return Constants(
        update=seconds("update of a neuron"),
        operation=seconds("synaptic operation"),
        sample=seconds("sample"),
        share=seconds("share (a call)"),
        start=0.0,
        judge=seconds("a share in your own process"),
    )


def by_formula(work: Work, workers: int) -> float:
    """Seconds of a run on equal workers of this machine."""
    at_once = min(workers, os.cpu_count() or workers)
    cluster = Cluster(at_once, latency=0.0, spread=0.0, stragglers=0.0)
    return closed(work, constants(), cluster, MOST)


def main(quick: bool) -> None:
    print(machine())
    digits = load_digits()
    images, rounds = (64, 1) if quick else (1000, ROUNDS)
    x, y = digits.x_test[:images], digits.y_test[:images]
    spiking = kconvert.convert(load_model(), calibration=digits.x_train[:100])
    network = kconvert.SpikingNetwork(  # without Keras, whose answers are found in one process
        spiking.graph, spiking.signature, spiking.filters, name="reference", tasks=spiking.tasks
    )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    memory = 200 * 2**20
    ray.init(
        address="local",
        num_cpus=max(WORKERS),
        object_store_memory=memory,
        include_dashboard=False,
        _system_config={"worker_niceness": 0},  # as this process: they give way to others else
    )
    cores = on_ray.AHEAD

    def run(workers: int | None) -> tuple[float, Any]:
        # As many shares are handed out at a time as there are workers: the others wait.
        on_ray.AHEAD = (workers or 1) / max(WORKERS)
        start = time.perf_counter()
        found = network.evaluate(x, y, STEPS, distribute=workers and "ray")
        return time.perf_counter() - start, found

    seconds: dict[int | None, list[float]] = {None: [], **{n: [] for n in WORKERS}}
    _, expected = run(None)
    for _ in range(2):
        run(max(WORKERS))
    for _ in range(rounds):
        for workers, each in seconds.items():
            took, found = run(workers)
            each.append(took)
            if not same(found, expected):
                sys.exit(f"the result of {workers} workers is not that of a local run")
    on_ray.AHEAD = cores
    ray.shutdown()
    one = min(seconds[1])
    operations = sum(expected.n_operations.values()) / images / STEPS
    sizes = (network.n_neurons, operations, 0.0, x[0].nbytes, steps_bytes(STEPS, 10, 3))
    work = Work(images, STEPS, *sizes)
    rows = [
        {
            "workers": "none: local" if workers is None else workers,
            "cores": os.cpu_count(),
            "samples": images,
            "steps": STEPS,
            "seconds": round(min(each), 2),
            "times as fast as 1 worker": round(one / min(each), 2),
            "by formula": round(by_formula(work, 1) / by_formula(work, workers), 2)
            if workers
            else "-",
        }
        for workers, each in seconds.items()
    ]
    print(markdown_table(rows))
    if not quick:
        save("distribute", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    main(parser.parse_args().quick)
