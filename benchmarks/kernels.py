"""Where a dense product becomes faster than pushing events: the crossovers of the event simulator.

    make bench BENCH=kernels    # ARGS: [--quick]

For layers of several shapes, the time of the event kernel over that of the dense one, by the share
of the input's entries that are events: above 1 the dense product is faster. Medians of seven calls
on one core, float32. Writes benchmarks/results/kernels.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from report import machine, markdown_table, save

from kconvert.ops import Conv
from kconvert.simulators.events.compiler.geometry import geometry
from kconvert.simulators.events.compiler.pushes import grouped_tables, in_blocks
from kconvert.simulators.events.machine import pushes, signals

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
LAYERS = {
    "3 x 3, 14 x 14 x 64 to 128": (14, 3, 64, 128, 1),
    "3 x 3, 8 x 8 x 256 to 256": (8, 3, 256, 256, 1),
    "3 x 3, 16 x 16 x 32 to 64": (16, 3, 32, 64, 1),
    "1 x 1, 16 x 16 x 128 to 256": (16, 1, 128, 256, 1),
    "depthwise 3 x 3, 28 x 28 x 32": (28, 3, 32, 32, 32),
    "depthwise 3 x 3, 14 x 14 x 128": (14, 3, 128, 128, 128),
    "depthwise 3 x 3, 7 x 7 x 512": (7, 3, 512, 512, 512),
}


def aligned(values: np.ndarray) -> np.ndarray:
    """In float32, from the beginning of a line of the cache on."""
    raw = np.empty(4 * values.size + 64, dtype=np.uint8)
    first = -raw.ctypes.data % 64
    copy = raw[first : first + 4 * values.size].view(np.float32)
    copy[...] = values.ravel()
    return copy


def median_seconds(action: Callable[[], object]) -> float:
    action()
    taken = []
    for _ in range(7):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def ratio(layer: tuple[int, int, int, int, int], share: float) -> float:
    """Seconds of the event kernel over seconds of the dense one."""
    size, kernel, channels, filters, groups = layer
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((kernel, kernel, channels // groups, filters)) / 10
    pad = ((kernel // 2, kernel // 2),) * 2
    op = Conv(weight, None, (1, 1), (1, 1), pad, groups)
    where = geometry(op, (size, size, channels))
    entries = size * size * channels
    n = round(share * entries)
    index = np.zeros(entries + 64, dtype=np.uint32)
    index[:n] = np.sort(rng.choice(entries, n, replace=False))
    value = rng.random(entries + 64).astype(np.float32)
    target, dense = aligned(np.zeros(size * size * filters)), aligned(np.zeros(entries))
    pointers = np.zeros(size * size + 1, dtype=np.int64)
    signals.point(index, n, size * size, channels, pointers)
    events = index, value, pointers, n
    rows, in_a_row = (where.rows.ravel(), len(where.rows)), (size, size, kernel)
    if groups > 1:
        weights = aligned(weight)
        pairs = tuple(table.ravel() for table in grouped_tables(where))

        def push() -> None:
            of_cells = (where.n_rows_in, *in_a_row)
            pushes.grouped(events, target, weights, pairs, of_cells, channels, filters, groups)

        def multiply() -> None:
            pushes.fill(index, value, n, dense)
            of_kernel = (*rows, where.columns.ravel(), *in_a_row)
            pushes.depthwise(dense, target, weights, of_kernel, channels)
    else:
        matrix = weight.reshape(-1, filters)
        weights, spans, piece = (
            aligned(in_blocks(matrix, matrix.dtype)),
            where.spans(),
            aligned(np.zeros(64)),
        )

        def through(memory: np.ndarray) -> None:
            for block in range(0, filters, 64):
                pushes.through_block(
                    4,
                    events,
                    target,
                    weights,
                    len(matrix) * block,
                    (*rows, spans.ravel(), spans.shape[1], *in_a_row),
                    channels,
                    filters,
                    block,
                    np.float32(0),
                    piece,
                    memory,
                )

        def push() -> None:
            through(dense[:0])

        def multiply() -> None:
            pushes.fill(index, value, n, dense)
            through(dense)

    return median_seconds(push) / median_seconds(multiply)


def main(quick: bool) -> None:
    rows: list[dict[str, Any]] = []
    for name, layer in list(LAYERS.items())[:: 4 if quick else 1]:
        shares = SHARES[::5] if quick else SHARES
        found = {f"{round(100 * share)} %": round(ratio(layer, share), 2) for share in shares}
        rows.append({"layer": name, **found})
    print(machine())
    print(markdown_table(rows))
    if not quick:
        save("kernels", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    main(parser.parse_args().quick)
