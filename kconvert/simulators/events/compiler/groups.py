"""The instructions of a step in groups that depend on each other through events only.

A group, in most networks a layer with what is pushed into it, can then run several steps before the
next group begins, and its state and weights stay in the cache for all of them.
"""

from __future__ import annotations

from graphlib import TopologicalSorter

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .instructions import Fires, Reads, changed
from .program import Section


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
    for number, line in enumerate(lines):
        same += [(number, owner.setdefault(place, number)) for place in changed(line)]
        if isinstance(line, Fires):
            writer[line.fires] = number
    linked = _components(n, same, directed=False)
    reads = [
        (linked[writer[line.events]], linked[number])
        for number, line in enumerate(lines)
        if isinstance(line, Reads)
    ]
    # Groups that read each other's events are one.
    group = _components(n, reads, directed=True)[linked]
    before: dict[int, set[int]] = {int(g): set() for g in group}
    for first, then in reads:
        first, then = _of_label(group, linked, first), _of_label(group, linked, then)
        if first != then:
            before[then].add(first)
    sorter = TopologicalSorter(before)
    sorter.prepare()
    order: dict[int, int] = {}
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order |= {g: len(order) + k for k, g in enumerate(ready)}
        sorter.done(*ready)
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
