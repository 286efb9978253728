"""A network as a ``nir.NIRGraph``, and what the file does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import Problem, Unsupported, UnsupportedModelError
from ...ir import Graph
from ...ops import ReadOut, Relu
from .model import RESETS, SUBTRACT, NirModel
from .rules import emit, in_order
from .values import Value

__all__ = ["RESETS", "to_nir"]


def to_nir(
    graph: Graph,
    outputs: Mapping[str, ReadOut | None],
    *,
    label: str,
    dt: float,
    reset: str,
    dtype: str,
) -> Any:
    """Emit a network.

    Args:
        graph: What to emit.
        outputs: Name of each output to its read-out, in the order of ``graph.outputs``.
        label: Name of the network, for errors.
        dt: Length of a step in seconds.
        reset: What a spike does to ReLU neurons: "subtract" or "zero".
        dtype: Type of the arrays.

    Returns:
        A ``nir.NIRGraph``; its metadata has ``dt`` and ``notes``.

    Raises:
        UnsupportedModelError: NIR cannot express some layers; all are listed.
    """
    import nir

    model = NirModel(graph, dt, reset, np.dtype(dtype))
    problems: list[Problem] = []
    for node in graph.nodes.values():
        try:
            model.values[node.name] = emit(node.op, node, model)
        except Unsupported as error:
            kind = getattr(node.op, "kind", type(node.op).__name__)
            problems.append(Problem(node.layer, kind, error.reason, error.fix))
            # Something to read for the layers behind it, which may be refused as well.
            order = None if len(node.shape) > 1 else np.arange(node.size)
            model.values[node.name] = Value((node.name,), 1.0, order)
    if problems:
        raise UnsupportedModelError(f"{label!r} cannot be written as NIR", problems)
    for output, name in zip(outputs, graph.outputs, strict=True):
        spatial = model.values[name].order is None
        if not spatial:
            model.values[name] = in_order(name, model)
        value = model.unscaled(name)
        shape = np.array(model.shape_of(name))
        model.add(f"{output}.output", nir.Output(output_type={"output": shape}), *value.sources)
    metadata = {"dt": dt, "notes": "\n".join(notes(model, outputs))}
    return nir.NIRGraph(model.nodes, model.edges, metadata=metadata)


def notes(model: NirModel, outputs: Mapping[str, ReadOut | None]) -> list[str]:
    """What someone who runs the file must know, since NIR does not say it."""
    graph, dt, reset = model.graph, model.dt, model.reset
    found = [
        f"the unit of time is a step of {1000 * dt:g} ms: time constants are in steps, and a spike "
        "is 1 in its step"
    ]
    relu = any(isinstance(node.op, Relu) for node in graph.neurons())
    if relu and reset == SUBTRACT:
        found.append(
            "ReLU neurons are three nodes: an integrator, a threshold, and a scale that subtracts "
            "1 from the integrator after a spike. The subtraction acts in the next step"
        )
    elif relu:
        found.append(
            "ReLU neurons are IF nodes. NIR resets them to 0 after a spike, and this network "
            "subtracts the threshold: a reader that resets to 0 computes another network"
        )
    if any(len(graph.nodes[name].shape) > 1 for name in graph.inputs):
        found.append("inputs have the channels first, and stay the same in all steps")
    else:
        found.append("inputs stay the same in all steps")
    if model.matrices:
        layers = ", ".join(dict.fromkeys(model.matrices))
        found.append(f"layers that NIR has no node for are matrices: {layers}")
    for name, read_out in outputs.items():
        what = "the last step alone" if read_out is None else str(read_out)
        found.append(
            f"the output {name!r} is the value of each step. kconvert's read-out is {what}"
        )
    for each in graph.activations:
        kind = getattr(each.op, "kind", type(each.op).__name__)
        found.append(f"the file ends in front of the {kind.lower()} of {each.layer!r}")
    return found
