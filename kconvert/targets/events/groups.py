"""The instructions of a step in groups that depend on each other through events only.

A group, in most networks a layer with what is pushed into it, can then run several steps before the
next group begins, and its state and weights stay in the cache for all of them.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .program import Code, Section

NEURONS = (Code.LIF, Code.INTEGRATE, Code.REGULAR, Code.RATE)
STATE: dict[Code, tuple[int, ...]] = {
    Code.LOAD: (1,),
    Code.SCAN: (1,),
    Code.POINT: (),
    Code.WINDOW: (3,),
    Code.GROUPED: (3,),
    Code.SCATTER: (2,),
    Code.SPREAD: (2,),
    Code.ADD: (1, 2),
    Code.MIX: (1, 2),
    Code.FILTER: (1, 2, 5),
    Code.MAXIMUM: (1, 6, 7, 8, 17),
    **dict.fromkeys(NEURONS, (1, 10)),
    Code.RATE: (1, 11),
    Code.READ: (1, 6),
    Code.WRITE: (1,),
    Code.SCALE: (1,),
}
"""The arguments of each instruction that are places in ``state`` which the step changes."""
POINTERS = {Code.POINT: 4, Code.WINDOW: 2, Code.GROUPED: 2}
READS = dict.fromkeys((Code.POINT, Code.WINDOW, Code.GROUPED, Code.SCATTER, Code.SPREAD), 1)
WRITES = {Code.SCAN: 3, **dict.fromkeys(NEURONS, 6)}


def in_groups(section: Section) -> tuple[Section, np.ndarray]:
    """Order the instructions of a step by groups.

    Within a group they keep their order, and a group comes after those whose events it reads.

    Returns:
        The instructions, and where each group begins, with the end of the last.
    """
    lines = section.lines
    n = len(lines)
    owner: dict[tuple[str, int], int] = {}
    same: list[tuple[int, int]] = []
    writer: dict[int, int] = {}
    for line, (integers, _) in enumerate(lines):
        code = Code(integers[0])
        touched = [("state", integers[k]) for k in STATE[code] if integers[k] >= 0]
        if code in POINTERS:
            touched.append(("pointers", integers[POINTERS[code]]))
        for place in touched:
            same.append((line, owner.setdefault(place, line)))
        if code in WRITES:
            writer[integers[WRITES[code]]] = line
    linked = _components(n, same, directed=False)
    reads = [
        (linked[writer[integers[READS[Code(integers[0])]]]], linked[line])
        for line, (integers, _) in enumerate(lines)
        if Code(integers[0]) in READS
    ]
    # Groups that read each other's events are one.
    group = _components(n, reads, directed=True)[linked]
    before: dict[int, set[int]] = {int(g): set() for g in group}
    for first, then in reads:
        first, then = _of_label(group, linked, first), _of_label(group, linked, then)
        if first != then:
            before[then].add(first)
    order: dict[int, int] = {}
    while len(order) < len(before):
        ready = [g for g in before if g not in order and before[g] <= order.keys()]
        for g in sorted(ready):
            order[g] = len(order)
    rank = np.array([order[int(g)] for g in group])
    sorted_lines = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[sorted_lines], np.arange(len(order) + 1))
    return Section([lines[k] for k in sorted_lines]), bounds


def _components(n: int, edges: list[tuple[int, int]], *, directed: bool) -> np.ndarray:
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    matrix = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    connection = "strong" if directed else "weak"
    return connected_components(matrix, directed=directed, connection=connection)[1]


def _of_label(group: np.ndarray, linked: np.ndarray, label: int) -> int:
    """The group of a component's label."""
    return int(group[np.argmax(linked == label)])
