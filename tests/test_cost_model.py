"""The cost model of runs on many machines: its simulation keeps its own rules, and its formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cost_model import Cluster, Constants, Work, closed, fit, schedule

CONSTANTS = Constants(update=1e-8, operation=1e-10, sample=1e-4, share=0.01, start=3.0, judge=1e-5)
WORK = Work(
    samples=20_000,
    steps=30,
    neurons=70_000,
    operations=1e6,
    network_bytes=1e6,
    sample_bytes=3136,
    output_bytes=80,
)
EVEN = {"spread": 0.0, "stragglers": 0.0}
"""Workers that are all alike."""


def test_one_worker_takes_what_the_formula_says():
    cluster = Cluster(1, **EVEN)
    found = schedule(WORK, CONSTANTS, cluster, 100)
    assert found.seconds == pytest.approx(closed(WORK, CONSTANTS, cluster, 100), rel=1e-3)
    assert found.sent == 1e6 + 20_000 * (3136 + 80)


@pytest.mark.parametrize("workers", [4, 100, 1000])
@pytest.mark.parametrize("killed", [0, 1, 3])
def test_every_share_is_done_once_whoever_is_killed(workers, killed):
    cluster = Cluster(workers, killed=killed, stragglers=0.2)
    found = schedule(WORK, CONSTANTS, cluster, 50, seed=workers)
    assert (found.done == 1).all()
    assert found.begun.sum() == len(found.begun) + killed  # each lost share is begun again


@pytest.mark.parametrize("workers", [4, 100])
def test_list_scheduling_keeps_grahams_bound(workers):
    """At most the even split and one share more, beside the start and what is sent."""
    cluster = Cluster(workers, bandwidth=1e15, latency=0.0, **EVEN)
    found = schedule(WORK, CONSTANTS, cluster, 30)
    shares = len(found.done)
    one = WORK.seconds(CONSTANTS, 30)
    even = CONSTANTS.start + shares * WORK.seconds(CONSTANTS, 20_000 / shares) / workers
    assert even * (1 - 1e-9) <= found.seconds <= even + one


@pytest.mark.parametrize("workers", [4, 100, 1000])
@pytest.mark.parametrize("killed", [0, 1])
def test_formula_and_simulation_agree(workers, killed):
    work = replace(WORK, samples=500 * workers)
    cluster = Cluster(workers, killed=killed)
    took = [schedule(work, CONSTANTS, cluster, 50, seed).seconds for seed in range(3)]
    assert closed(work, CONSTANTS, cluster, 50) == pytest.approx(np.median(took), rel=0.15)


def test_a_slow_link_bounds_the_run():
    work = replace(WORK, sample_bytes=1e6)
    cluster = Cluster(1000, bandwidth=1e8)
    found = schedule(work, CONSTANTS, cluster, 20)
    assert found.seconds >= found.sent / 1e8
    assert closed(work, CONSTANTS, cluster, 20) == pytest.approx(found.seconds, rel=0.1)


def test_the_users_process_bounds_the_run():
    constants = replace(CONSTANTS, judge=0.1)
    found = schedule(WORK, constants, Cluster(1000), 20)
    assert found.seconds >= 0.1 * len(found.done)
    assert closed(WORK, constants, Cluster(1000), 20) == pytest.approx(found.seconds, rel=0.1)


def test_fit_finds_the_constants_of_exact_rows(rng):
    true = np.array([1e-8, 1e-10, 1e-4, 0.01])
    names = ("updates", "operations", "samples", "calls")
    rows = []
    for _ in range(12):
        counts = np.array([*(10.0 ** rng.uniform((6, 7, 1), (9, 10, 3))), 1.0])
        rows.append(dict(zip(names, counts, strict=True)) | {"seconds": float(counts @ true)})
    np.testing.assert_allclose(fit(rows), true, rtol=1e-3)
