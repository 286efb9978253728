"""How a value gets from what spikes to where it is read: the instructions between two layers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....ir import Graph, Node, product
from ....ops import Conv, ConvTranspose, Dense, Input, NeuronOp, Replay
from .geometry import Geometry, geometry
from .instructions import (
    Add,
    EventList,
    Grouped,
    Mix,
    Point,
    Pointers,
    Scale,
    Scan,
    Scatter,
    Spread,
    State,
    Window,
)
from .program import BLOCK, LANES, Assembler, Section, padded, put
from .values import Value, constant_of, in_runs, rearranged, single_targets

Weighted = Dense | Conv | ConvTranspose
NOW, HELD = "now", "held"
"""Components without a synapse: what changes in every step, and what never does."""


@dataclass(frozen=True, slots=True, eq=False)
class Bases:
    """What every value of a graph is made of.

    Args:
        values: Node name to its value.
        sums: Name of a base that is a sum of others to that sum.
        components: Base to the components it has, as an ordered set.
        uses: Base to how often it is read.
    """

    values: dict[str, Value]
    sums: dict[str, Value]
    components: dict[str, dict[Any, None]]
    uses: dict[str, int]

    @classmethod
    def of(cls, graph: Graph, held: Collection[str]) -> Bases:
        """Walk a graph."""
        bases = cls({}, {}, {}, dict.fromkeys(graph.nodes, 0))
        for name, node in graph.nodes.items():
            inputs = [bases.values[source] for source in node.inputs]
            shapes = [graph.nodes[source].shape for source in node.inputs]
            value = rearranged(node.op, node, inputs, shapes) if inputs else None
            if value is not None:
                if len(value.terms) == 1 or len(graph.readers(name)) < 2:
                    bases.values[name] = value
                    continue
                # Read again, so made once where it stands.
                bases.sums[name], inputs = value, [value]
            constant = None if value is None else value.constant
            if isinstance(node.op, NeuronOp | Replay):
                neurons = node.op.neurons if isinstance(node.op, Replay) else node.op
                component = NOW if neurons.synapse is None else neurons.synapse
                bases.components[name] = {component: None}
            elif isinstance(node.op, Input):
                bases.components[name] = {(HELD if name in held else NOW): None}
            elif isinstance(node.op, Weighted) or value is not None:
                bases.components[name] = bases.components_of(inputs[0])
                if value is None:
                    constant = constant_of(node.op, node, inputs, shapes)
            else:
                bases.components[name] = {NOW: None}
            for source in inputs:
                bases._use(source)
            bases.values[name] = Value({name: None}, constant)
        for name in graph.outputs:
            bases._use(bases.values[name])
        return bases

    def components_of(self, value: Value) -> dict[Any, None]:
        """The components of a value, in order."""
        return {component: None for base in value.terms for component in self.components[base]}

    def _use(self, value: Value) -> None:
        for base in value.terms:
            self.uses[base] += 1


class Pushes:
    """Writes the instructions that bring values somewhere.

    Args:
        graph: The graph.
        bases: Of it.
        out: Places.
        section: Component to where its instructions go.

    Attributes:
        lists: Layer of neurons to its list of events.
        dense: Base and component to the buffer that holds it.
    """

    def __init__(
        self, graph: Graph, bases: Bases, out: Assembler, section: Callable[[Any], Section]
    ) -> None:
        self.graph, self.bases, self.out, self.section = graph, bases, out, section
        self.lists: dict[str, EventList] = {}
        self.dense: dict[tuple[str, Any], State] = {}
        self._scanned: dict[tuple[int, Any], EventList] = {}
        self._pointers: dict[tuple[EventList, int], Pointers] = {}

    def ready(self, value: Value, component: Any) -> State | None:
        """The buffer that already holds a value that no synapse is to filter, if there is one."""
        [*terms] = self._terms(value, component)
        if component == NOW and len(terms) == 1:
            [(base, through)] = terms
            if through is None:
                return self.dense.get((base, component))
        return None

    def into(self, value: Value, component: Any, target: State, decay: float) -> None:
        """``target = decay * target + value``, for one component of the value."""
        for base, through in self._terms(value, component):
            self._push(base, through, component, target, decay)
            decay = 1.0

    def _terms(self, value: Value, component: Any) -> list[tuple[str, Any]]:
        return [
            (base, through)
            for base, through in value.terms.items()
            if component in self.bases.components[base]
        ]

    def _push(self, base: str, through: Any, component: Any, target: State, decay: float) -> None:
        section, size = self.section(component), product(self.graph.nodes[base].shape)
        size_out = size if through is None else through.shape[0]
        if base in self.lists:
            if decay != 1:
                section.add(Scale(target=target, size=size_out, decay=decay))
            self._scatter(section, base, through, target)
        elif through is None and self.bases.uses[base] == 1 and (base, component) not in self.dense:
            self._make(base, component, target, decay)
        elif through is None:
            source = self._buffer(base, component)
            section.add(Add(source=source, target=target, size=size, decay=decay, factor=1.0))
        else:
            source = self._buffer(base, component)
            rows = through.tocsr()
            section.add(
                Mix(
                    source=source,
                    target=target,
                    size=size_out,
                    indptr=self.out.table(rows.indptr),
                    indices=self.out.table(rows.indices),
                    weights=self.out.weights(rows.data),
                    decay=decay,
                )
            )

    def _scatter(self, section: Section, base: str, through: Any, target: State) -> None:
        targets = None if through is None else single_targets(through)
        if through is None or targets is not None:
            factor = 1.0 if through is None else float(through.data[0])
            table = np.zeros(1, dtype=np.int32)
            length = product(self.graph.nodes[base].shape)
            if targets is not None:
                table, length = in_runs(targets, 1)
            section.add(
                Scatter(
                    events=self.lists[base],
                    target=target,
                    table=self.out.table(table),
                    run=length,
                    factor=factor,
                )
            )
            return
        section.add(
            Spread(
                events=self.lists[base],
                target=target,
                indptr=self.out.table(through.indptr),
                indices=self.out.table(through.indices),
                weights=self.out.weights(through.data),
            )
        )

    def _buffer(self, base: str, component: Any) -> State:
        """The buffer of a base that is dense, made on the first call."""
        key = base, component
        if key not in self.dense:
            buffer = self.out.buffer(product(self.graph.nodes[base].shape))
            self._make(base, component, buffer, 0.0)
            self.dense[key] = buffer
        return self.dense[key]

    def _make(self, base: str, component: Any, target: State, decay: float) -> None:
        if base in self.bases.sums:
            self.into(self.bases.sums[base], component, target, decay)
        else:
            self._weighted(self.graph.nodes[base], component, target, decay)

    def _events(self, name: str, component: Any) -> EventList:
        """The list of a value's entries that are not zero."""
        value = self.bases.values[name]
        terms = self._terms(value, component)
        identity = len(terms) == 1 and terms[0][1] is None
        if identity and terms[0][0] in self.lists:
            return self.lists[terms[0][0]]
        key = id(value.terms), component
        if key not in self._scanned:
            size = product(self.graph.nodes[name].shape)
            if identity:
                buffer, clear = self._buffer(terms[0][0], component), False
            else:
                buffer, clear = self.out.buffer(size), True
                self.into(value, component, buffer, 1.0)
            self._scanned[key] = events = self.out.events(size)
            self.section(component).add(
                Scan(source=buffer, size=size, fires=events, clear=clear, amplitude=1.0)
            )
        return self._scanned[key]

    def _weighted(self, node: Node, component: Any, target: State, decay: float) -> None:
        op: Any = node.op
        [source] = node.inputs
        shape = self.graph.nodes[source].shape
        events = self._events(source, component)
        cells, channels = product(shape[:-1]), shape[-1]
        section = self.section(component)
        key = events, channels
        if key not in self._pointers:
            self._pointers[key] = self.out.pointers(cells + 1)
            section.add(
                Point(
                    events=events,
                    pointers=self._pointers[key],
                    cells=cells,
                    channels=channels,
                )
            )
        where = geometry(op, shape)
        common: dict[str, Any] = {
            "events": events,
            "pointers": self._pointers[key],
            "target": target,
            "rows": self.out.table(where.rows),
            "n_rows": len(where.rows),
            "width": where.width,
            "width_out": where.width_out,
            "kernel_width": where.kernel_width,
            "channels": channels,
            "filters": node.shape[-1],
            "n_dense": self.out.room_for(cells * channels),
        }
        if getattr(op, "groups", 1) > 1:
            if decay != 1:
                section.add(Scale(target=target, size=product(node.shape), decay=decay))
            row_pointers, row_pairs, column_pointers, column_pairs = grouped_tables(where)
            section.add(
                Grouped(
                    **common,
                    weights=self.out.weights(op.weight, known_as=op.weight),
                    groups=op.groups,
                    height=where.n_rows_in,
                    columns=self.out.table(where.columns),
                    row_pointers=self.out.table(row_pointers),
                    row_pairs=self.out.table(row_pairs),
                    column_pointers=self.out.table(column_pointers),
                    column_pairs=self.out.table(column_pairs),
                )
            )
            return
        weight = op.weight.swapaxes(-1, -2) if isinstance(op, ConvTranspose) else op.weight
        matrix = weight.reshape(-1, weight.shape[-1])
        spans = where.spans()
        section.add(
            Window(
                **common,
                weights=self.out.weights(in_blocks(matrix, self.out.dtype), known_as=op.weight),
                n_weights=len(matrix),
                spans=self.out.table(spans),
                n_spans=spans.shape[1],
                decay=decay,
            )
        )


def grouped_tables(where: Geometry) -> tuple[np.ndarray, ...]:
    """From an input cell to the windows it is in, as the kernel for groups reads it.

    Returns:
        For each input row where its pairs of a kernel row and an output row begin, these pairs, and
        the same for the cells of a row; int32.
    """
    found = where.rows[where.rows[:, 2] >= 0]
    found = found[np.argsort(found[:, 2], kind="stable")]
    rows = np.searchsorted(found[:, 2], np.arange(where.n_rows_in + 1))
    cell, k = np.nonzero(where.columns >= 0)
    under = where.columns[cell, k]
    order = np.argsort(under, kind="stable")
    columns = np.searchsorted(under[order], np.arange(where.width + 1))
    pairs = np.stack([k, cell], axis=1)[order]
    return tuple(table.astype(np.int32) for table in (rows, found[:, :2], columns, pairs))


def in_blocks(matrix: np.ndarray, dtype: Any) -> np.ndarray:
    """The columns of a matrix in blocks that stand one behind the other.

    All but the last are :data:`BLOCK` wide, the last as wide as its lanes need.

    Args:
        matrix: The matrix.
        dtype: The precision of the result.
    """
    rows, columns = matrix.shape
    whole = columns // BLOCK * BLOCK
    last = padded(columns - whole, LANES) if columns > whole else 0
    found = np.zeros(rows * (whole + last), dtype=dtype)
    for first in range(0, columns, BLOCK):
        block = matrix[:, first : first + BLOCK]
        at = found[first * rows :][: rows * (BLOCK if first < whole else last)]
        put(block, at.reshape(rows, -1)[:, : block.shape[1]])
    return found
