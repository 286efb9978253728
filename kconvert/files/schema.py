"""A network as JSON and arrays, and back. ``cattrs`` maps dataclasses to dicts and checks types.

Arrays stand apart, in :class:`Arrays`; the JSON has their number in their place. Every value of a
graph is kept exactly: a float64 array that float32 holds exactly is stored as float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from types import UnionType
from typing import Any, Union, get_args, get_origin

import cattrs
import numpy as np
from cattrs.errors import ForbiddenExtraKeysError, IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from .. import ops
from ..errors import FileError, KconvertError
from ..ir import Decision, Graph, Node, OutputActivation, Replacement
from ..network import SpikingNetwork
from ..packages import needed
from ..recipe import Recipe
from ..scoring.scores import WITHOUT_KERAS
from ..scoring.task import Task
from ..signature import Signature
from .soundness import MOST, check_filter, check_graph, check_node

OPS: tuple[type, ...] = (
    *(ops.Relu, ops.Lif, ops.Sigmoid, ops.Softmax),
    *(ops.Affine, ops.AxisMap, ops.Conv, ops.ConvTranspose, ops.Dense),
    *(ops.AvgPool, ops.MaxPool, ops.Concat, ops.Sum),
    *(ops.Gather, ops.Input, ops.Pad, ops.Reshape),
)
"""The ops that a file can hold. An op that only lives in a process is not among them."""
FILTERS: tuple[type, ...] = (ops.Lowpass, ops.Alpha, ops.LinearFilter, ops.Window)
TAGGED = {cls.__name__: cls for cls in (*OPS, *FILTERS)}
"""Classes whose name stands in the JSON."""
READ_OUT = ops.Lowpass | ops.Alpha | ops.LinearFilter | ops.Window | None
KINDS = {"f": np.float64, "i": np.int64}
"""Kinds of arrays, and what they are in a graph."""
INFINITIES = {"-inf": -math.inf, "inf": math.inf}
NETWORK = (
    *("name", "spiking", "seed", "train_biases", "graph", "read_outs", "signature"),
    *("class_names", "recipe", "keras_sha256", "about"),
)
"""What the JSON of a network has."""
OPTIONAL = ("n_steps", "tasks")
"""What it may have. Files that were written before do not have it."""
MOST_REASONS = 3
"""Places that an error names."""
GRAPH = ("nodes", "outputs", "decisions", "activations", "replacements", "calibrated_dt")
SIGNATURE = ("inputs", "outputs", "structure", "in_time", "n_times")


class Arrays:
    """The arrays of a graph, by number."""

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        self._arrays: dict[str, np.ndarray] = dict(arrays or {})

    def add(self, array: np.ndarray) -> dict[str, str]:
        """File an array, and give back what stands for it."""
        key = str(len(self._arrays))
        self._arrays[key] = _smallest(_checked(key, array))
        return {"array": key}

    def get(self, reference: Any) -> np.ndarray:
        """The array that something stands for."""
        if not isinstance(reference, Mapping) or set(reference) != {"array"}:
            raise ValueError(f"{reference!r:.80} does not stand for an array")
        key = reference["array"]
        if not isinstance(key, str) or key not in self._arrays:
            raise ValueError(f"there is no array {key!r:.20}")
        return self._arrays[key]

    def to_safetensors(self) -> bytes:
        with needed("a file of a network"):
            from safetensors.numpy import save

        return save(self._arrays)

    @classmethod
    def from_safetensors(cls, data: bytes) -> Arrays:
        """Read arrays.

        Raises:
            FileError: The data is damaged, or holds what no graph has.
        """
        with needed("a file of a network"):
            from safetensors import SafetensorError
            from safetensors.numpy import load

        try:
            found = load(data)
        except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise FileError(f"the weights are damaged: {error}") from error
        arrays = {}
        for key, array in found.items():
            arrays[key] = _checked(key, array).astype(KINDS[array.dtype.kind])
        return cls(arrays)


def _checked(key: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in KINDS:
        raise FileError(f"array {key!r:.20} has the type {array.dtype}")
    if array.size and not np.abs(array).max() <= MOST:  # also NaN
        raise FileError(f"array {key!r:.20} holds NaN, or values that float32 cannot hold")
    return array


def network_to_json(network: SpikingNetwork, arrays: Arrays) -> dict[str, Any]:
    """A network as plain data; its arrays go into ``arrays``.

    Raises:
        FileError: It holds something that only lives in a process.
    """
    refuse_what_has_no_form(network)
    converter = _converter(arrays)
    graph = network.graph
    return {
        "name": network.name,
        "spiking": network.spiking,
        "seed": network.seed,
        "train_biases": network.train_biases,
        "graph": {
            "nodes": [converter.unstructure(node) for node in graph.nodes.values()],
            "outputs": list(graph.outputs),
            "decisions": converter.unstructure(graph.decisions),
            "activations": converter.unstructure(graph.activations),
            "replacements": converter.unstructure(graph.replacements),
            "calibrated_dt": graph.calibrated_dt,
        },
        "read_outs": [converter.unstructure(each) for each in network.filters],
        "signature": {
            "inputs": [[name, list(shape)] for name, shape in network.signature.inputs.items()],
            "outputs": list(network.signature.outputs),
            "structure": _structure_to_json(network.signature.structure),
            "in_time": network.signature.in_time,
            "n_times": network.signature.n_times,
        },
        "class_names": network.class_names,
        "recipe": converter.unstructure(network.recipe),
        "keras_sha256": network.keras_sha256,
        "about": network.about,
        "tasks": [converter.unstructure(each) for each in network.tasks],
        **({} if network.n_steps is None else {"n_steps": network.n_steps}),
    }


def network_from_json(content: Mapping[str, Any], arrays: Arrays) -> SpikingNetwork:
    """The network of plain data.

    Raises:
        FileError: The data is no network; the text says where.
    """
    read = _Reading(_converter(arrays))
    try:
        parts = _parts(content, NETWORK, "the network", optional=OPTIONAL)
        graph = _graph(parts["graph"], read)
        read_outs = read(parts["read_outs"], tuple[READ_OUT, ...], "read_outs")
        for each in read_outs:
            check_filter(each)
        if len(read_outs) != len(graph.outputs):
            raise ValueError(f"{len(read_outs)} read-outs for {len(graph.outputs)} outputs")
        return SpikingNetwork(
            graph,
            _signature(parts["signature"], graph, read),
            read_outs,
            name=read(parts["name"], str, "name"),
            spiking=read(parts["spiking"], bool, "spiking"),
            seed=_seed(read(parts["seed"], int, "seed")),
            train_biases=read(parts["train_biases"], bool, "train_biases"),
            class_names=read(parts["class_names"], tuple[str, ...] | None, "class_names"),
            recipe=read(parts["recipe"], Recipe | None, "recipe"),
            keras_sha256=read(parts["keras_sha256"], str | None, "keras_sha256"),
            about=read(parts["about"], dict[str, Any], "about"),
            tasks=_tasks(parts.get("tasks"), graph, read),
            n_steps=_n_steps(read(parts.get("n_steps"), int | None, "n_steps")),
        )
    except (KconvertError, ValueError, TypeError, ArithmeticError) as error:
        raise FileError(f"the network is malformed: {error}") from error


def refuse_what_has_no_form(network: SpikingNetwork) -> None:
    """Raise ``FileError`` with all that only lives in a process."""
    found = []
    for node in network.graph.nodes.values():
        if not isinstance(node.op, OPS):
            kind = getattr(node.op, "kind", "")
            what = f"only Nengo knows {kind} neurons" if kind else "a TensorNode calls Keras"
            found.append(f"{node.layer!r}: {what}")
        synapse = getattr(node.op, "synapse", None)
        if synapse is not None and not isinstance(synapse, FILTERS):
            found.append(f"{node.layer!r}: only Nengo knows the synapse {synapse}")
    for name, each in network.read_outs.items():
        if each is not None and not isinstance(each, FILTERS):
            found.append(f"output {name!r}: only Nengo knows the filter {each}")
    swaps: Mapping[str, Any] = network.recipe.swap_activations if network.recipe else {}
    found += [
        f"swap_activations[{name!r}]: only Nengo knows {op.kind} neurons"
        for name, op in swaps.items()
        if not isinstance(op, (str, *OPS))
    ]
    if found:
        raise FileError(
            f"{network.name!r} cannot be saved: {'; '.join(found)}. Convert with neurons and "
            "synapses of kconvert's own (ReLU, RateLIF, sigmoid; None, seconds, nengo.Lowpass, "
            "nengo.Alpha, nengo.LinearFilter), without allow=('tensornode',)"
        )


class _Reading:
    """From JSON to values, with errors that say where."""

    def __init__(self, converter: cattrs.Converter) -> None:
        self._converter = converter

    def __call__(self, value: Any, type_: Any, where: str) -> Any:
        try:
            return self._converter.structure(value, type_)
        except cattrs.BaseValidationError as error:
            reasons = cattrs.transform_error(error, path=where, format_exception=_reason)
            raise ValueError("; ".join(reasons[:MOST_REASONS])) from error
        except (AttributeError, KeyError, ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"{_reason(error, None)} @ {where}") from error


def _reason(error: BaseException, type_: type | None) -> str:
    """What is wrong in one place."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown keys {sorted(error.extra_fields)}"
    return f"{error}" or type(error).__name__


def _parts(
    content: Any, names: Sequence[str], what: str, optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    """A JSON object that must have certain keys, may have some more, and no others."""
    if not isinstance(content, dict):
        raise TypeError(f"{what} is {content!r:.80}")
    if missing := [name for name in names if name not in content]:
        raise ValueError(f"{what} lacks {missing}")
    if unknown := [f"{name:.40}" for name in content if name not in (*names, *optional)]:
        raise ValueError(f"{what} has the unknown keys {unknown[:MOST_REASONS]}")
    return content


def _seed(seed: int) -> int:
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed is {seed}")
    return seed


def _tasks(content: Any, graph: Graph, read: _Reading) -> tuple[Task, ...] | None:
    found: tuple[Task, ...] | None = read(content, tuple[Task, ...] | None, "tasks")
    if found is None:
        return None
    if len(found) != len(graph.outputs):
        raise ValueError(f"{len(found)} tasks for {len(graph.outputs)} outputs")
    for output, task in enumerate(found):
        if task.classes and len(graph.output_shape(output)) != 1:
            raise ValueError(f"tasks[{output}] has classes, and its output is no vector")
        if not abs(task.threshold) <= MOST:
            raise ValueError(f"tasks[{output}].threshold is {task.threshold}")
        if unknown := [each for each in task.metrics or () if each not in WITHOUT_KERAS]:
            raise ValueError(f"tasks[{output}] has the unknown metrics {unknown[:MOST_REASONS]}")
    return found


def _n_steps(n_steps: int | None) -> int | None:
    if n_steps is not None and not 1 <= n_steps < 2**31:
        raise ValueError(f"n_steps is {n_steps}")
    return n_steps


def _graph(content: Any, read: _Reading) -> Graph:
    parts = _parts(content, GRAPH, "graph")
    nodes = read(parts["nodes"], list[Node], "graph.nodes")
    if len({node.name for node in nodes}) < len(nodes):
        raise ValueError("two nodes have the same name")
    for node in nodes:
        check_node(node)
    graph = Graph(
        {node.name: node for node in nodes},
        read(parts["outputs"], tuple[str, ...], "graph.outputs"),
        read(parts["decisions"], tuple[Decision, ...], "graph.decisions"),
        read(parts["activations"], tuple[OutputActivation, ...], "graph.activations"),
        read(parts["replacements"], tuple[Replacement, ...], "graph.replacements"),
        read(parts["calibrated_dt"], float | None, "graph.calibrated_dt"),
    )
    check_graph(graph)
    return graph


def _signature(content: Any, graph: Graph, read: _Reading) -> Signature:
    parts = _parts(content, SIGNATURE, "signature")
    pairs = read(parts["inputs"], list[tuple[str, tuple[int, ...]]], "signature.inputs")
    found = Signature(
        dict(pairs),
        read(parts["outputs"], tuple[str, ...], "signature.outputs"),
        _structure_from_json(parts["structure"]),
        read(parts["in_time"], bool, "signature.in_time"),
        read(parts["n_times"], int | None, "signature.n_times"),
    )
    shapes = {name: graph.nodes[name].shape for name in graph.inputs}
    if dict(found.inputs) != shapes or len(pairs) != len(shapes):
        raise ValueError(f"the inputs are {shapes}, the signature says {dict(found.inputs)}")
    if len(found.outputs) != len(graph.outputs):
        raise ValueError(f"{len(found.outputs)} names for {len(graph.outputs)} outputs")
    if sorted(_leaves(found.structure)) != list(range(len(found.outputs))):
        raise ValueError("the structure of the outputs does not have each output once")
    if found.n_times is not None and found.n_times < 1:
        raise ValueError(f"signature.n_times is {found.n_times}")
    return found


def _structure_to_json(part: Any) -> Any:
    """Lists, tuples and dicts with a tag, since JSON has no tuples."""
    if isinstance(part, Mapping):
        return {"dict": [[key, _structure_to_json(value)] for key, value in part.items()]}
    if isinstance(part, list | tuple):
        kind = "tuple" if isinstance(part, tuple) else "list"
        return {kind: [_structure_to_json(value) for value in part]}
    return part


def _structure_from_json(part: Any) -> Any:
    if isinstance(part, int) and not isinstance(part, bool):
        return part
    if isinstance(part, Mapping) and len(part) == 1:
        [(kind, parts)] = part.items()
        if not isinstance(parts, list):
            raise TypeError(f"{parts!r:.80} is not a structure of outputs")
        if kind == "dict" and all(_is_entry(part) for part in parts):
            return {key: _structure_from_json(value) for key, value in parts}
        if kind in ("list", "tuple"):
            found = [_structure_from_json(value) for value in parts]
            return tuple(found) if kind == "tuple" else found
    raise ValueError(f"{part!r:.80} is not a structure of outputs")


def _is_entry(part: Any) -> bool:
    return isinstance(part, list) and len(part) == 2 and isinstance(part[0], str)


def _leaves(part: Any) -> list[int]:
    if isinstance(part, int):
        return [part]
    parts = part.values() if isinstance(part, dict) else part
    return [leaf for each in parts for leaf in _leaves(each)]


def _converter(arrays: Arrays) -> cattrs.Converter:
    """The rules between dataclasses and JSON: types are checked, and no key may be too many."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_unstructure_hook(np.ndarray, arrays.add)
    converter.register_structure_hook(np.ndarray, lambda value, _: arrays.get(value))
    converter.register_unstructure_hook(float, _float_to_json)
    converter.register_structure_hook(float, lambda value, _: _float_from_json(value))
    for plain in (bool, int, str):
        converter.register_unstructure_hook(plain, plain)
        converter.register_structure_hook(plain, _exactly)
    converter.register_structure_hook_func(_is_sequence, partial(_sequence, converter))
    # By the value's class, and not by the declared one, which has only what neurons have in common.
    converter.register_unstructure_hook_func(
        lambda type_: _is_union(type_) and ops.NeuronOp in get_args(type_),
        lambda value: converter.unstructure(value),
    )
    tagged = _Tagged()
    converter.register_structure_hook_func(_is_union, partial(_union, converter, arrays, tagged))
    tagged.register(converter)
    # Fields that hold any op.
    op = override(struct_hook=lambda value, _: tagged(value), unstruct_hook=converter.unstructure)
    several = override(
        struct_hook=lambda value, _: tuple(map(tagged, _listed(value))),
        unstruct_hook=lambda value: [converter.unstructure(each) for each in value],
    )
    fields_of: tuple[tuple[type, dict[str, Any]], ...] = (
        (Node, {"op": op}),
        (OutputActivation, {"op": op, "then": several}),
    )
    for cls, field_options in fields_of:
        converter.register_structure_hook(
            cls, make_dict_structure_fn(cls, converter, **field_options)
        )
        converter.register_unstructure_hook(
            cls, make_dict_unstructure_fn(cls, converter, **field_options)
        )
    return converter


class _Tagged:
    """Reads and writes the classes of :data:`TAGGED`, with their name as ``type``."""

    def __init__(self) -> None:
        self._structure: dict[type, Any] = {}

    def register(self, converter: cattrs.Converter) -> None:
        """Make the rules of the classes, once those of their fields are there."""
        for cls in TAGGED.values():
            self._structure[cls] = make_dict_structure_fn(cls, converter)
            unstructure: Any = make_dict_unstructure_fn(cls, converter)
            converter.register_unstructure_hook(cls, partial(_with_tag, unstructure))

    def __call__(self, value: Any, among: tuple[type, ...] = OPS) -> Any:
        """An object of one of some classes, or of their subclasses."""
        kind = value.get("type") if isinstance(value, dict) else None
        cls = TAGGED.get(kind) if isinstance(kind, str) else None
        if cls is None or not issubclass(cls, among):
            known = sorted(each.__name__ for each in TAGGED.values() if issubclass(each, among))
            raise ValueError(f"type must be one of {known}. Received: {kind!r:.80}")
        return self._structure[cls]({k: each for k, each in value.items() if k != "type"}, cls)


def _is_sequence(type_: Any) -> bool:
    return get_origin(type_) in (list, tuple)


def _sequence(converter: cattrs.Converter, value: Any, type_: Any) -> Any:
    """A list or a tuple from a list, and from nothing else that could be gone through."""
    _listed(value)
    origin: Any = get_origin(type_)
    types = list(get_args(type_))
    if origin is list or types[-1] is Ellipsis:
        types = [types[0]] * len(value)
    if len(types) != len(value):
        raise ValueError(f"{len(types)} entries are wanted. Received: {value!r:.80}")
    found, errors = [], []
    for i, (each, wanted) in enumerate(zip(value, types, strict=True)):
        try:
            found.append(converter.structure(each, wanted))
        except Exception as error:  # noqa: BLE001 - goes on with the place where it happened
            error.add_note(IterableValidationNote(f"index {i}", i, wanted))
            errors.append(error)
    if errors:
        raise IterableValidationError("a list is malformed", errors, type_)
    return origin(found)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"a list is wanted. Received: {value!r:.80}")
    return value


def _is_union(type_: Any) -> bool:
    return get_origin(type_) in (Union, UnionType)


def _union(
    converter: cattrs.Converter, arrays: Arrays, tagged: _Tagged, value: Any, type_: Any
) -> Any:
    """A value of one of several types."""
    among = [each for each in get_args(type_) if each is not type(None)]
    if value is None and len(among) < len(get_args(type_)):
        return None
    if np.ndarray in among and isinstance(value, dict):
        return arrays.get(value)
    if float in among:
        return _float_from_json(value)
    if len(among) == 1 and among[0] is not ops.NeuronOp:
        return converter.structure(value, among[0])
    if str in among and isinstance(value, str):
        return value
    return tagged(value, tuple(each for each in among if each is not str))


def _with_tag(unstructure: Any, value: Any) -> dict[str, Any]:
    return {"type": type(value).__name__, **unstructure(value)}


def _smallest(array: np.ndarray) -> np.ndarray:
    """The same values in the smallest type that has them all."""
    array = np.asarray(array, order="C")
    for smaller in (np.int16, np.int32, np.float32):
        if np.dtype(smaller).kind == array.dtype.kind:
            with np.errstate(over="ignore"):
                converted = array.astype(smaller)
            if np.array_equal(converted, array):
                return converted
    return array


def _float_to_json(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _float_from_json(value: Any) -> float:
    if isinstance(value, str) and value in INFINITIES:
        return INFINITIES[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number is wanted. Received: {value!r:.80}")
    return float(value)


def _exactly(value: Any, type_: type) -> Any:
    if type(value) is not type_:
        raise TypeError(f"{type_.__name__} is wanted. Received: {value!r:.80}")
    return value
