"""Graph -> :class:`Program`: what is pushed where in every step, and in what order.

A linear map commutes with a synapse. So spikes are pushed through weights unfiltered, and the
filter acts where they arrive: on the current of a layer of neurons, the input of a maximum, or an
output. A synapse with memory delays by one step, as in Nengo: what it holds is read before this
step's spikes reach it. Hence a step has two parts. In the first every layer reads its current and
spikes, in the order of the graph, and what has no synapse arrives at once; in the second the spikes
are pushed into the filters.

Values are split by the synapse behind their neurons, their *component*, since each has a filter of
its own. What comes from an input that does not change is a component too: it is pushed once, before
the first step, into the constant current of what it reaches.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ....ir import Graph, Node, Shape, product
from ....ops import MaxPool, NeuronOp, ReadOut, Replay, Window
from ...base import RunSpec
from .connections import count_connections
from .filters import Filter
from .geometry import geometry
from .groups import in_groups
from .instructions import NO_STATE, Add, Drive, Load, Maximum, Mean, Read, Scan, State, Write
from .neurons import emit_neurons, shared_drive
from .program import Assembler, Program, Section
from .pushes import HELD, NOW, Bases, Pushes
from .values import Value


def plan(spec: RunSpec, *, held: Collection[str]) -> Program:
    """Write the program of a network that :func:`~.refusal.refusal` does not refuse.

    Args:
        spec: What to run.
        held: Names of the inputs that do not change in time.
    """
    dtype = spec.dtype or "float32"
    return _Planner(spec.graph, spec.spiking, spec.dt, held, dtype).program(spec.read_outs)


class _Planner:
    """Walks the graph once, writing instructions as it goes."""

    def __init__(
        self, graph: Graph, spiking: bool, dt: float, held: Collection[str], dtype: str
    ) -> None:
        self.graph, self.spiking, self.dt = graph, spiking, dt
        self.inputs = {
            HELD: [name for name in graph.inputs if name in held],
            NOW: [name for name in graph.inputs if name not in held],
        }
        self.bases = Bases.of(graph, held)
        self.connections = count_connections(graph, self.bases)
        self.out = Assembler(dtype)
        self.prologue, self.now, self.later = Section(), Section(), Section()
        self.pushes = Pushes(graph, self.bases, self.out, self.section)
        self.neurons: list[Node] = []

    def section(self, component: Any) -> Section:
        """Where what belongs to a component is written."""
        return {HELD: self.prologue, NOW: self.now}.get(component, self.later)

    def program(self, read_outs: Sequence[ReadOut | None]) -> Program:
        for component, names in self.inputs.items():
            at = 0
            for name in names:
                op, size = self.graph.nodes[name].op, product(self.graph.nodes[name].shape)
                buffer = self.out.buffer(size)
                self.section(component).add(
                    Load(target=buffer, size=size, first=at, timed=component == NOW)
                )
                if isinstance(op, Replay):
                    self._replay(name, op.neurons, buffer, size)
                else:
                    self.pushes.dense[name, component] = buffer
                at += size
        for node in self.graph.nodes.values():
            if isinstance(node.op, NeuronOp):
                self._neurons(node, node.op)
            elif isinstance(node.op, MaxPool):
                self._maximum(node, node.op)
        at = 0
        for name, read_out in zip(self.graph.outputs, read_outs, strict=True):
            self._output(name, at, read_out)
            at += product(self.graph.nodes[name].shape)
        step, groups = in_groups(Section([*self.now.lines, *self.later.lines]))
        return self.out.finish(
            self.prologue,
            step,
            groups=groups,
            spiking=self.spiking,
            neurons=tuple(node.name for node in self.neurons),
            sizes=tuple(product(node.shape) for node in self.neurons),
            held=tuple(self.inputs[HELD]),
            timed=tuple(self.inputs[NOW]),
            output_sizes=tuple(
                product(self.graph.nodes[name].shape) for name in self.graph.outputs
            ),
        )

    def _spike_value(self, op: NeuronOp) -> float:
        """What a spike adds, with the part of the synapse that acts on the spike itself."""
        return op.amplitude / self.dt * Filter.of(op.synapse, self.dt).input_factor

    def _replay(self, name: str, op: NeuronOp, spikes: State, size: int) -> None:
        events = self.pushes.lists[name] = self.out.events(size)
        amplitude = self._spike_value(op)
        self.now.add(Scan(source=spikes, size=size, fires=events, clear=False, amplitude=amplitude))

    def _neurons(self, node: Node, op: NeuronOp) -> None:
        size = product(node.shape)
        source = self.bases.values[node.inputs[0]]
        drive = self._drive(source, node.shape, op.gain, op.current_at_rest)
        events = self.pushes.lists[node.name] = self.out.events(size)
        emit_neurons(
            op,
            self.now,
            self.out,
            drive=drive,
            size=size,
            events=events,
            number=len(self.neurons),
            connections=self.connections[node.name],
            amplitude=self._spike_value(op),
            dt=self.dt,
            spiking=self.spiking,
        )
        self.neurons.append(node)

    def _maximum(self, node: Node, op: MaxPool) -> None:
        shape = self.graph.nodes[node.inputs[0]].shape
        size, size_out = product(shape), product(node.shape)
        drive = self._drive(self.bases.values[node.inputs[0]], shape)
        result = self.pushes.dense[node.name, NOW] = self.out.buffer(size_out)
        where = geometry(op, shape)
        sums, largest = (
            (self.out.buffer(size), self.out.buffer(size_out))
            if op.over == "sums"
            else (NO_STATE, NO_STATE)
        )
        self.now.add(
            Maximum(
                drive=drive,
                size=size,
                sums=sums,
                largest=largest,
                target=result,
                size_out=size_out,
                values=self.out.buffer(size),
                rows=self.out.table(where.rows),
                n_rows=len(where.rows),
                columns=self.out.table(where.columns),
                width=where.width,
                width_out=where.width_out,
                kernel_width=where.kernel_width,
                channels=shape[-1],
            )
        )

    def _output(self, name: str, at: int, read_out: ReadOut | None) -> None:
        node = self.graph.nodes[name]
        size = product(node.shape)
        drive = self._drive(self.bases.values[node.name], node.shape)
        window = read_out if isinstance(read_out, Window) else None
        filtered = Filter.of(None if isinstance(read_out, Window) else read_out, self.dt)
        result = self.out.buffer(size)
        if read_out is not None:  # a probe sees what its synapse held before this step
            self.now.add(Write(source=result, size=size, first=at))
        if filtered.is_simple and window is None:
            decay, factor = filtered.decay, filtered.input_factor
            self.now.add(Read(drive=drive, size=size, target=result, decay=decay, factor=factor))
        else:
            unfiltered = self.out.buffer(size)
            self.now.add(Read(drive=drive, size=size, target=unfiltered, decay=0.0, factor=1.0))
            if window is not None:
                self.now.add(
                    Mean(
                        source=unfiltered,
                        target=result,
                        size=size,
                        memory=self.out.buffer(1),
                        left_out=window.first(self.dt),
                        growth=int(window.growing),
                    )
                )
            else:
                filtered.emit(self.now, self.out, unfiltered, result, size)
        if read_out is None:
            self.now.add(Write(source=result, size=size, first=at))

    def _drive(self, value: Value, shape: Shape, gain: float = 1.0, bias: float = 0.0) -> Drive:
        """Bring a value to where it is read, through the filters of its components."""
        size = product(shape)
        arrived: list[State] = []
        components = self.bases.components_of(value)
        for component in components:
            if component == HELD:
                continue
            there = self.pushes.ready(value, component)
            if there is None:
                there = self.out.buffer(size)
                filtered = Filter.of(None if component == NOW else component, self.dt)
                if filtered.is_simple:
                    self.pushes.into(value, component, there, filtered.decay)
                else:
                    unfiltered = self.out.buffer(size)
                    self.pushes.into(value, component, unfiltered, 0.0)
                    filtered.emit(self.later, self.out, unfiltered, there, size)
            arrived.append(there)
        if len(arrived) > 1:
            total = self.out.buffer(size)
            for number, part in enumerate(arrived):
                decay = float(number > 0)
                self.now.add(Add(source=part, target=total, size=size, decay=decay, factor=1.0))
            arrived = [total]
        changing = arrived[0] if arrived else NO_STATE
        constant = np.full(shape, bias)
        if value.constant is not None:
            constant = constant + gain * value.constant.reshape(shape)
        if HELD not in components:
            return shared_drive(self.out, changing, constant)
        at, pushed = self.out.buffer(size, constant), self.out.buffer(size)
        self.pushes.into(value, HELD, pushed, 0.0)
        self.prologue.add(Add(source=pushed, target=at, size=size, decay=1.0, factor=gain))
        return Drive(changing, at, of_sample=True, block=0)
