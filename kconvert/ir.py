"""The graph between Keras and every target: frozen nodes, validated on construction, NumPy only.

A graph holds values only. It can be pickled, copied and stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from .errors import GraphError

Shape = tuple[int, ...]
"""The shape of one sample: the batch axis is never part of a shape."""


class Op(Protocol):
    """What a node computes. Every op takes a fixed number of inputs of its own choosing."""

    @property
    def out_shape(self) -> Callable[..., Shape]: ...

    @property
    def evaluate(self) -> Callable[..., np.ndarray]:
        """Its meaning in NumPy, batch axis first: the oracle for passes and targets."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """Where one array of an op comes from in the Keras model, so that it can be written back.

    The op's array is ``scale`` times the Keras variable plus something that stays fixed.

    Args:
        layer: Path of the Keras layer, outermost model first.
        attribute: Name of its variable, such as ``"kernel"``.
        scale: Factor; broadcasts to the op's array.
    """

    layer: tuple[str, ...]
    attribute: str
    scale: float | np.ndarray = 1.0

    def scaled(self, by: np.ndarray) -> Parameter:
        return replace(self, scale=np.asarray(self.scale) * by)


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What was done to a value on purpose, so that spikes have the mean that was trained.

    Args:
        scale: Factors > 0, of the shape (feature maps,).
        shift: What is added then, of the same shape.
    """

    scale: np.ndarray
    shift: np.ndarray

    @property
    def inverse(self) -> Correction:
        """What takes it back."""
        return Correction(1.0 / self.scale, -self.shift / self.scale)

    def after(self, first: Correction | None) -> Correction:
        """This one on top of another."""
        if first is None:
            return self
        return Correction(first.scale * self.scale, first.shift * self.scale + self.shift)


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One call of one op. Its single output value carries the node's name.

    Args:
        name: Unique. The Keras layer's name, ``conv.1`` on its second call, ``conv/activation``
            where one layer needs several nodes.
        op: What is computed.
        inputs: Names of earlier nodes.
        shape: Shape of the value, without the batch axis.
        origin: The calls of Keras layers it came from, so that errors speak the user's names.
        call: The call of a layer that it is a part of, under the name in which settings by layer
            name it: ``block/relu`` also for ``block/relu/sum``.
        parameters: For the op's trainable arrays, by field name: where they live in Keras.
        scale: The value is so many times the Keras layer's; broadcasts to the shape.
        correction: What the value, so scaled, differs from the Keras layer's by; or None.
    """

    name: str
    op: Any  # an Op, with fields of its own
    inputs: tuple[str, ...]
    shape: Shape
    origin: tuple[str, ...] = ()
    call: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    scale: float | np.ndarray = 1.0
    correction: Correction | None = None

    def __repr__(self) -> str:
        inputs = ", ".join(self.inputs)
        return f"<Node {self.name!r}: {type(self.op).__name__}({inputs}) {self.shape}>"

    @property
    def is_neuron(self) -> bool:
        """Whether it is a layer of neurons."""
        return bool(getattr(self.op, "is_neuron", False))

    @property
    def layer(self) -> str:
        """The name that users know it by."""
        return self.call or self.name

    @property
    def size(self) -> int:
        """Number of values of one sample."""
        return product(self.shape)


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that conversion did which the user should know of. It is for people: no code
    depends on its text.

    Args:
        kind: Short fixed name, such as ``"logits"`` or ``"folded"``.
        layer: The Keras layer concerned.
        text: What was done, and what to set to have it otherwise.
        node: The graph's node that now carries the layer's value, where there is one.
    """

    kind: str
    layer: str
    text: str
    node: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.layer}: {self.text}"


@dataclass(frozen=True, slots=True, eq=False)
class OutputActivation:
    """An activation at an output of the Keras model that the graph does not compute.

    Args:
        layer: Name that its node had.
        op: What it computes.
        node: The node that is the output in its place: the logits.
        then: What stood behind it, in order up to the output: reshapes, permutations, pooling.
        output: Number of the output; None stands for each output that is ``node``.
    """

    layer: str
    op: Op
    node: str
    then: tuple[Op, ...] = ()
    output: int | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """An activation in whose place the user wanted other neurons, or another activation.

    Args:
        layer: The Keras layer.
        activation: Keras' name of its activation.
    """

    layer: str
    activation: str


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Nodes in execution order, and the names of those whose values are the model's outputs.

    Args:
        nodes: Name to node; every node comes after its inputs.
        outputs: Names of nodes, one for each output of the model.
        decisions: What reading and the passes so far decided, in order.
        activations: Activations at outputs that were removed.
        replacements: Activations that were replaced.
        calibrated_dt: Length in seconds of the steps that the neurons were calibrated for; None if
            they were not calibrated.

    Raises:
        GraphError: An input is unknown or comes later, or an op does not confirm a shape.
    """

    nodes: Mapping[str, Node]
    outputs: tuple[str, ...]
    decisions: tuple[Decision, ...] = ()
    activations: tuple[OutputActivation, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    calibrated_dt: float | None = None
    _readers: Mapping[str, tuple[Node, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        seen: dict[str, Node] = {}
        for name, node in self.nodes.items():
            if name != node.name:
                raise GraphError(f"node {node.name!r} is filed under the name {name!r}")
            unknown = [source for source in node.inputs if source not in seen]
            if unknown:
                raise GraphError(f"node {name!r} reads {unknown}, which no earlier node computes")
            shape = node.op.out_shape(*(seen[source].shape for source in node.inputs))
            if tuple(shape) != node.shape:
                raise GraphError(
                    f"node {name!r} claims the shape {node.shape}, its op "
                    f"{type(node.op).__name__} computes {tuple(shape)}"
                )
            seen[name] = node
        missing = [name for name in self.outputs if name not in seen]
        if missing:
            raise GraphError(f"the outputs {missing} are not nodes of the graph")
        readers: dict[str, list[Node]] = {name: [] for name in seen}
        for node in seen.values():
            for source in dict.fromkeys(node.inputs):
                readers[source].append(node)
        object.__setattr__(self, "nodes", MappingProxyType(seen))
        object.__setattr__(self, "_readers", {name: tuple(all_) for name, all_ in readers.items()})

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the nodes that take data from outside, in the model's order."""
        return tuple(name for name, node in self.nodes.items() if not node.inputs)

    def __getstate__(self) -> dict[str, Any]:
        state = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return {**state, "nodes": dict(self.nodes)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def neurons(self) -> tuple[Node, ...]:
        """The layers of neurons, in order."""
        return tuple(node for node in self.nodes.values() if node.is_neuron)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return sum(node.size for node in self.neurons())

    def longest(self, cost: Callable[[Node], float]) -> dict[str, float]:
        """For each node the largest sum of costs on a way from an input up to it, itself included.

        Args:
            cost: From a node to its cost.
        """
        found: dict[str, float] = {}
        for name, node in self.nodes.items():
            found[name] = cost(node) + max((found[source] for source in node.inputs), default=0)
        return found

    @property
    def depth(self) -> int:
        """The most layers of neurons that stand one behind the other on the way to an output."""
        found = self.longest(lambda node: node.is_neuron)
        return int(max((found[name] for name in self.outputs), default=0))

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the value ``name``."""
        return self._readers[name]

    def is_private(self, name: str) -> bool:
        """Whether a single node reads the value, once, and it is no output of the model."""
        readers = self.readers(name)
        once = len(readers) == 1 and readers[0].inputs.count(name) == 1
        return once and name not in self.outputs

    def evaluate(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute every value in float64 NumPy.

        Args:
            feeds: Input name to an array of shape (n, *shape).

        Returns:
            Node name to its value, of shape (n, *shape).
        """
        values: dict[str, np.ndarray] = {}
        for name, node in self.nodes.items():
            if node.inputs:
                values[name] = node.op.evaluate(*(values[source] for source in node.inputs))
            else:
                values[name] = np.asarray(feeds[name], dtype=np.float64)
        return values

    def tail(self, output: int) -> tuple[Op, ...]:
        """What makes Keras' output of the read-out of one output, in order: what was removed."""
        name = self.outputs[output]
        for each in self.activations:
            if each.node == name and each.output in (None, output):
                return (each.op, *each.then)
        return ()

    def output_shape(self, output: int) -> Shape:
        """The shape of one sample of an output, as Keras puts it out."""
        shape = self.nodes[self.outputs[output]].shape
        for op in self.tail(output):
            shape = tuple(op.out_shape(shape))
        return shape

    def activated(self, output: int, read_out: np.ndarray) -> np.ndarray:
        """The values that Keras puts out, of the read-out of one output.

        Args:
            output: Number of the output.
            read_out: Shape (..., size).

        Returns:
            Shape (..., *output_shape), where ``output_shape`` is that of Keras.
        """
        values = read_out.reshape(-1, *self.nodes[self.outputs[output]].shape)
        for op in self.tail(output):
            values = op.evaluate(values)
        return values.reshape(*read_out.shape[:-1], *values.shape[1:])

    def subgraph(self, names: Collection[str], given: Mapping[str, Op] | None = None) -> Graph:
        """What some nodes need, with their values as the outputs.

        Args:
            names: The nodes.
            given: Name of a node to an input that takes its place, so that nothing before it is
                needed.
        """
        inputs, needed = given or {}, set(names)
        for name in reversed(list(self.nodes)):
            if name in needed and name not in inputs:
                needed.update(self.nodes[name].inputs)
        kept = {
            name: replace(node, op=inputs[name], inputs=()) if name in inputs else node
            for name, node in self.nodes.items()
            if name in needed
        }
        return Graph(kept, tuple(names))

    def with_ops(self, ops: Mapping[str, Op]) -> Graph:
        """With other ops in some nodes, of the same shapes."""
        return self.rewrite(
            swap={name: replace(self.nodes[name], op=op) for name, op in ops.items()}
        )

    def rewrite(
        self,
        *,
        swap: Mapping[str, Node | Sequence[Node]] | None = None,
        bypass: Mapping[str, str] | None = None,
        decisions: Sequence[Decision] = (),
        activations: Sequence[OutputActivation] = (),
    ) -> Graph:
        """A new graph with some nodes replaced and some removed.

        Args:
            swap: Name to the node that takes its place, or to several nodes in order, of which the
                last has the same name.
            bypass: Name of a removed node to the name of the value its readers get instead.
            decisions: To be added to the graph's.
            activations: To be added to the graph's.
        """
        swap, bypass = swap or {}, bypass or {}

        def target(name: str) -> str:
            while name in bypass:
                name = bypass[name]
            return name

        nodes = {}
        for name, old in self.nodes.items():
            if name in bypass:
                continue
            new = swap.get(name, old)
            for node in (new,) if isinstance(new, Node) else new:
                nodes[node.name] = replace(node, inputs=tuple(map(target, node.inputs)))
        return replace(
            self,
            nodes=nodes,
            outputs=tuple(map(target, self.outputs)),
            decisions=(*self.decisions, *decisions),
            activations=tuple(
                replace(each, node=target(each.node)) for each in (*self.activations, *activations)
            ),
        )

    def __repr__(self) -> str:
        return (
            f"<Graph: {len(self.nodes)} nodes, {self.n_neurons:,} neurons; "
            f"{', '.join(self.inputs)} -> {', '.join(self.outputs)}>"
        )

    def __str__(self) -> str:
        lines = []
        for name, node in self.nodes.items():
            arguments = ", ".join(node.inputs)
            mark = " -> output" if name in self.outputs else ""
            lines.append(f"{name}: {type(node.op).__name__}({arguments}) {node.shape}{mark}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from .results.display import as_html
        from .results.summary import graph_display

        return as_html(graph_display(self))

    def to_dict(self) -> dict[str, Any]:
        """Nodes, shapes and decisions as plain data that ``json.dumps`` takes; no weights."""
        from .results.summary import graph_dict

        return graph_dict(self)

    def to_frame(self) -> Any:
        """The nodes as a ``pandas.DataFrame``, one row each.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        from .results.display import as_frame
        from .results.summary import graph_records

        return as_frame(graph_records(self))

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """The number of values and of neurons of each node.

        Args:
            ax: A ``matplotlib.axes.Axes``, or None for a new figure.
            **options: Arguments of :func:`kconvert.plot.sizes`.

        Returns:
            The Axes.

        Raises:
            MissingPackageError: Matplotlib is not installed.
        """
        from .plot import sizes

        return sizes(self, ax=ax, **options)


def replace_op(node: Node, **changes: Any) -> Node:
    """The same node with fields of its op changed."""
    return replace(node, op=replace(node.op, **changes))


def product(shape: Sequence[int]) -> int:
    """Number of values in a shape; 1 for the empty shape."""
    size = 1
    for length in shape:
        size *= int(length)
    return size
