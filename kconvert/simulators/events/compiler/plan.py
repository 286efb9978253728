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

from collections.abc import Collection
from typing import Any

import nengo
import numpy as np

from ....errors import Problem
from ....ir import Graph, Node, Shape, product
from ....ops import (
    Conv,
    ConvTranspose,
    Dense,
    Input,
    Lif,
    MaxPool,
    NeuronOp,
    Relu,
    Reshape,
    Sigmoid,
)
from ....targets.nengo.window import Window, per_output
from .connections import count_connections
from .filters import MAX_ORDER, Filter
from .geometry import geometry
from .groups import in_groups
from .instructions import NO_STATE, Add, Drive, Load, Maximum, Mean, Read, State, Write
from .neurons import emit_neurons, shared_drive
from .program import Assembler, Program, Section
from .pushes import HELD, NOW, Bases, Pushes
from .values import MAPS, Value

SPIKING = Input | Dense | Conv | ConvTranspose | Reshape | MaxPool | Lif | Relu | Sigmoid
"""The ops that have a form of their own here, beside those of :data:`MAPS`."""


def problems(graph: Graph, output_synapse: Any = None) -> list[Problem]:
    """Why the event simulator cannot run a graph."""
    found = []

    def add(name: str, kind: str, reason: str) -> None:
        found.append(Problem(name, kind, reason, "use simulator='nengo_dl' or 'nengo'"))

    for node in graph.nodes.values():
        name, kind = node.call or node.name, type(node.op).__name__
        if not isinstance(node.op, SPIKING) and type(node.op) not in MAPS:
            neuron_type = getattr(node.op, "neuron_type", None)
            what = f"neurons of the type {neuron_type}" if neuron_type else f"a {kind}"
            add(name, kind, f"the event simulator has no form of {what}")
        if isinstance(node.op, NeuronOp) and (reason := _refused(node.op.synapse)):
            add(name, kind, reason)
    for synapse in dict.fromkeys(per_output(output_synapse, 1)):
        if not isinstance(synapse, Window) and (reason := _refused(synapse)):
            add("output_synapse", type(synapse).__name__, reason)
    return found


def _refused(synapse: Any) -> str:
    if synapse is not None and not isinstance(synapse, nengo.LinearFilter):
        return f"the event simulator has no form of the synapse {synapse}"
    if synapse is not None and len(synapse.den) - 1 > MAX_ORDER:
        return f"the event simulator has filters up to the order {MAX_ORDER}, not {synapse}"
    return ""


def plan(
    graph: Graph, *, spiking: bool, output_synapse: Any, dt: float, held: Collection[str]
) -> Program:
    """Write the program of a graph that has no :func:`problems`.

    Args:
        graph: What to run.
        spiking: Spikes, or rates.
        output_synapse: Filter of the read-out: a ``nengo.LinearFilter``, a :class:`Window` or
            None; or a tuple with one of these for each output.
        dt: Length of a step in seconds.
        held: Names of the inputs that do not change in time.
    """
    return _Planner(graph, spiking, dt, held).program(output_synapse)


class _Planner:
    """Walks the graph once, writing instructions as it goes."""

    def __init__(self, graph: Graph, spiking: bool, dt: float, held: Collection[str]) -> None:
        self.graph, self.spiking, self.dt = graph, spiking, dt
        self.inputs = {
            HELD: [name for name in graph.inputs if name in held],
            NOW: [name for name in graph.inputs if name not in held],
        }
        self.bases = Bases.of(graph, held)
        self.connections = count_connections(graph, self.bases)
        self.out = Assembler()
        self.prologue, self.now, self.later = Section(), Section(), Section()
        self.pushes = Pushes(graph, self.bases, self.out, self.section)
        self.neurons: list[Node] = []

    def section(self, component: Any) -> Section:
        """Where what belongs to a component is written."""
        return {HELD: self.prologue, NOW: self.now}.get(component, self.later)

    def program(self, output_synapse: Any) -> Program:
        for component, names in self.inputs.items():
            at = 0
            for name in names:
                size = product(self.graph.nodes[name].shape)
                buffer = self.pushes.dense[name, component] = self.out.buffer(size)
                self.section(component).add(
                    Load(target=buffer, size=size, first=at, timed=component == NOW)
                )
                at += size
        for node in self.graph.nodes.values():
            if isinstance(node.op, NeuronOp):
                self._neurons(node, node.op)
            elif isinstance(node.op, MaxPool):
                self._maximum(node, node.op)
        at = 0
        synapses = per_output(output_synapse, len(self.graph.outputs))
        for name, synapse in zip(self.graph.outputs, synapses, strict=True):
            self._output(name, at, synapse)
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

    def _neurons(self, node: Node, op: NeuronOp) -> None:
        size = product(node.shape)
        bias = op.bias if isinstance(op, Lif) else 0.0
        drive = self._drive(self.bases.values[node.inputs[0]], node.shape, op.gain, bias)
        events = self.pushes.lists[node.name] = self.out.events(size)
        filtered = Filter.of(op.synapse, self.dt)
        emit_neurons(
            op,
            self.now,
            self.out,
            drive=drive,
            size=size,
            events=events,
            number=len(self.neurons),
            connections=self.connections[node.name],
            input_factor=filtered.input_factor,
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

    def _output(self, name: str, at: int, output_synapse: Any) -> None:
        node = self.graph.nodes[name]
        size = product(node.shape)
        drive = self._drive(self.bases.values[node.name], node.shape)
        window = output_synapse if isinstance(output_synapse, Window) else None
        filtered = Filter.of(None if window else output_synapse, self.dt)
        result = self.out.buffer(size)
        if output_synapse is not None:  # a probe sees what its synapse held before this step
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
        if output_synapse is None:
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
