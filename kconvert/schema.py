"""A network as JSON and arrays, and back. ``cattrs`` maps dataclasses to dicts and checks types.

Arrays stand apart, in :class:`Arrays`; the JSON has their number in their place. Every value of a
graph is kept exactly: a float64 array that float32 holds exactly is stored as float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from types import UnionType
from typing import Any, Union, get_args, get_origin

import cattrs
import numpy as np
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from . import ops
from .errors import FileError, KconvertError
from .ir import Decision, Graph, Node, OutputActivation, Replacement
from .network import Signature, SpikingNetwork
from .packages import needed
from .recipe import Recipe

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


class Arrays:
    """The arrays of a graph, by number."""

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None) -> None:
        self._arrays: dict[str, np.ndarray] = dict(arrays or {})

    def add(self, array: np.ndarray) -> dict[str, str]:
        """File an array, and give back what stands for it."""
        key = str(len(self._arrays))
        self._arrays[key] = _smallest(array)
        return {"array": key}

    def get(self, reference: Any) -> np.ndarray:
        """The array that something stands for."""
        if not isinstance(reference, Mapping) or set(reference) != {"array"}:
            raise ValueError(f"{reference!r:.80} does not stand for an array")
        if reference["array"] not in self._arrays:
            raise ValueError(f"there is no array {reference['array']!r:.20}")
        return self._arrays[reference["array"]]

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
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise FileError(f"the weights are damaged: {error}") from error
        arrays = {}
        for key, array in found.items():
            if array.dtype.kind not in KINDS:
                raise FileError(f"array {key!r:.20} has the type {array.dtype}")
            arrays[key] = array.astype(KINDS[array.dtype.kind])
            if not np.isfinite(arrays[key]).all():
                raise FileError(f"array {key!r:.20} holds NaN or infinite values")
        return cls(arrays)


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
    }


def network_from_json(content: Mapping[str, Any], arrays: Arrays) -> SpikingNetwork:
    """The network of plain data.

    Raises:
        FileError: The data is no network; the text says where.
    """
    converter = _converter(arrays)
    structure: Any = converter.structure
    try:
        graph = _graph(content["graph"], structure)
        read_outs = tuple(structure(each, READ_OUT) for each in content["read_outs"])
        signature = _signature(content["signature"], graph)
        if len(read_outs) != len(graph.outputs):
            raise ValueError(f"{len(read_outs)} read-outs for {len(graph.outputs)} outputs")
        return SpikingNetwork(
            graph,
            signature,
            read_outs,
            name=structure(content["name"], str),
            spiking=structure(content["spiking"], bool),
            seed=structure(content["seed"], int),
            train_biases=structure(content["train_biases"], bool),
            class_names=structure(content["class_names"], tuple[str, ...] | None),
            recipe=structure(content["recipe"], Recipe | None),
            keras_sha256=structure(content["keras_sha256"], str | None),
            about=structure(content["about"], dict[str, Any]),
        )
    except cattrs.BaseValidationError as error:
        raise FileError(f"the graph is malformed: {'; '.join(_first_reasons(error))}") from error
    except KeyError as error:
        raise FileError(f"the graph is malformed: {error} is missing") from error
    except (KconvertError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise FileError(f"the graph is malformed: {error}") from error


def refuse_what_has_no_form(network: SpikingNetwork) -> None:
    """Raise ``FileError`` with all that only lives in a process."""
    found = []
    for node in network.graph.nodes.values():
        if not isinstance(node.op, OPS):
            kind = getattr(node.op, "kind", "")
            what = f"{kind} neurons" if kind else f"a {type(node.op).__name__} (TensorNode)"
            found.append(f"{node.layer!r}: {what} only live in this process")
        synapse = getattr(node.op, "synapse", None)
        if synapse is not None and not isinstance(synapse, FILTERS):
            found.append(f"{node.layer!r}: only Nengo knows the synapse {synapse}")
    for name, each in network.read_outs.items():
        if each is not None and not isinstance(each, FILTERS):
            found.append(f"output {name!r}: only Nengo knows the filter {each}")
    if found:
        raise FileError(
            f"{network.name!r} cannot be saved: {'; '.join(found)}. Convert with neurons and "
            "synapses of kconvert's own (ReLU, RateLIF, sigmoid; None, seconds, nengo.Lowpass, "
            "nengo.Alpha, nengo.LinearFilter), without allow=('tensornode',)"
        )


def _graph(content: Mapping[str, Any], structure: Any) -> Graph:
    nodes = structure(content["nodes"], list[Node])
    if len({node.name for node in nodes}) < len(nodes):
        raise ValueError("two nodes have the same name")
    for node in nodes:
        for each in fields(node.op):
            value = getattr(node.op, each.name)
            if isinstance(value, float) and not math.isfinite(value) and each.name != "min_voltage":
                raise ValueError(f"{each.name} of {node.name!r} is {value}")
    return Graph(
        {node.name: node for node in nodes},
        structure(content["outputs"], tuple[str, ...]),
        structure(content["decisions"], tuple[Decision, ...]),
        structure(content["activations"], tuple[OutputActivation, ...]),
        structure(content["replacements"], tuple[Replacement, ...]),
        structure(content["calibrated_dt"], float | None),
    )


def _signature(content: Mapping[str, Any], graph: Graph) -> Signature:
    found = Signature(
        {str(name): tuple(map(int, shape)) for name, shape in content["inputs"]},
        tuple(map(str, content["outputs"])),
        _structure_from_json(content["structure"]),
        bool(content["in_time"]),
        None if content["n_times"] is None else int(content["n_times"]),
    )
    shapes = {name: graph.nodes[name].shape for name in graph.inputs}
    if dict(found.inputs) != shapes:
        raise ValueError(f"the inputs are {shapes}, the signature says {dict(found.inputs)}")
    if len(found.outputs) != len(graph.outputs):
        raise ValueError(f"{len(found.outputs)} names for {len(graph.outputs)} outputs")
    if sorted(_leaves(found.structure)) != list(range(len(found.outputs))):
        raise ValueError("the structure of the outputs does not have each output once")
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
        if kind == "dict":
            return {str(key): _structure_from_json(value) for key, value in parts}
        if kind in ("list", "tuple"):
            found = [_structure_from_json(value) for value in parts]
            return tuple(found) if kind == "tuple" else found
    raise ValueError(f"{part!r:.80} is no structure of outputs")


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
    tagged = _Tagged()
    converter.register_structure_hook_func(_is_union, partial(_union, converter, arrays, tagged))
    tagged.register(converter)
    # Fields that hold any op.
    op = override(struct_hook=lambda value, _: tagged(value), unstruct_hook=converter.unstructure)
    for cls in (Node, OutputActivation):
        converter.register_structure_hook(cls, make_dict_structure_fn(cls, converter, op=op))
        converter.register_unstructure_hook(cls, make_dict_unstructure_fn(cls, converter, op=op))
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
    array = np.ascontiguousarray(array)
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


def _first_reasons(error: Exception) -> list[str]:
    """What is wrong, and where, of at most three places."""
    return cattrs.transform_error(error, path="network")[:3]
