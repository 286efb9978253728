"""One rule for each op: the NIR nodes that compute it."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import numpy as np

from ...errors import Unsupported
from ...ir import Node
from ...ops import (
    Affine,
    AvgPool,
    AxisMap,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Gather,
    Input,
    Lif,
    MaxPool,
    NeuronOp,
    Pad,
    Relu,
    Reshape,
    Sum,
)
from .kernels import one_by_channel, symmetric, without_groups
from .model import SUBTRACT, NirModel
from .values import Value, channels_first, channels_in_front

MOST_ENTRIES = 2**24
"""Entries of the largest matrix that stands for an op which NIR does not have."""


@singledispatch
def emit(op: Any, node: Node, model: NirModel) -> Value:
    """Add the NIR nodes that compute a node of the graph.

    Raises:
        Unsupported: NIR cannot express it.
    """
    kind = getattr(op, "kind", type(op).__name__)
    raise Unsupported(f"NIR has no node for {kind}", "replace the layer")


@emit.register
def _(op: Input, node: Node, model: NirModel) -> Value:
    import nir

    spatial = len(node.shape) > 1
    shape = channels_in_front(node.shape) if spatial else node.shape
    name = model.add(node.name, nir.Input(input_type={"input": np.array(shape)}))
    return Value((name,), 1.0, None if spatial else np.arange(node.size))


@emit.register
def _(op: Dense, node: Node, model: NirModel) -> Value:
    if len(model.graph.nodes[node.inputs[0]].shape) != 1:
        return as_matrix(node, model)
    value = model.flat(node.inputs[0])
    return linear(node, model, value, op.weight[value.order], op.bias)


@emit.register
def _(op: Conv, node: Node, model: NirModel) -> Value:
    value = model.of(node)
    found = symmetric(op) if value.order is None and len(op.kernel) in (1, 2) else None
    if found is None:
        return as_matrix(node, model)
    bias = np.zeros(op.filters) if op.bias is None else op.bias
    return convolution(node, model, value, *found, op.strides, op.groups, bias)


@emit.register
def _(op: AvgPool, node: Node, model: NirModel) -> Value:
    import nir

    value = model.of(node)
    padded = any(map(any, op.pads))  # whether zeros around the input count is not said in NIR
    if value.order is not None or padded or len(op.pool) not in (1, 2):
        return as_matrix(node, model)
    if len(op.pool) == 1:  # there is no pooling over one axis
        channels = node.shape[-1]
        kernel = one_by_channel(op.pool, channels, 1.0 / op.pool[0])
        ones = (1,)
        return convolution(
            node, model, value, kernel, (0,), ones, op.strides, channels, np.zeros(channels)
        )
    pool = nir.AvgPool2d(np.array(op.pool), np.array(op.strides), np.zeros(2, dtype=int))
    return Value((model.add(node.name, pool, *value.sources),), value.factor, None)


@emit.register
def _(op: Reshape, node: Node, model: NirModel) -> Value:
    return model.flat(node.inputs[0])


@emit.register
def _(op: Sum, node: Node, model: NirModel) -> Value:
    import nir

    found = [model.values[name] for name in node.inputs]
    if any(value.order is not None for value in found):
        found = [model.flat(name) for name in node.inputs]
        orders = np.array([value.order for value in found])
        if (orders != orders[0]).any():
            found = [in_order(name, model) for name in node.inputs]
    order, factor = found[0].order, found[0].factor
    sources: list[str] = []
    shape = found[0].laid_out(node.shape)
    for value, coefficient in zip(found, op.coefficients, strict=True):
        by = coefficient * value.factor / factor
        # Two edges between the same nodes are not allowed.
        if by == 1.0 and not set(value.sources) & set(sources):
            sources += value.sources
        else:
            scale = nir.Scale(model.array(by, shape))
            sources.append(model.add(f"{node.name}.scale", scale, *value.sources))
    return Value(tuple(sources), factor, order)


@emit.register(Affine)
@emit.register(AxisMap)
@emit.register(ConvTranspose)
@emit.register(Gather)
@emit.register(Pad)
def _(op: Any, node: Node, model: NirModel) -> Value:
    return as_matrix(node, model)


@emit.register
def _(op: Concat, node: Node, model: NirModel) -> Value:
    raise Unsupported("NIR cannot join values", "add them instead, with keras.layers.Add")


@emit.register
def _(op: MaxPool, node: Node, model: NirModel) -> Value:
    raise Unsupported(
        "NIR has no maximum", "train with average pooling, or convert with max_pooling='average'"
    )


@emit.register
def _(op: NeuronOp, node: Node, model: NirModel) -> Value:
    raise Unsupported(
        f"NIR has no {op.kind} neurons", "train with relu, or with RateLIF(tau_ref=0.0)"
    )


@emit.register
def _(op: Relu, node: Node, model: NirModel) -> Value:
    import nir

    _require(
        op,
        (
            op.signed or op.max_spikes != 1.0,
            "its neurons may send several spikes in a step, or spikes of negative sign, and NIR "
            "has the spikes 0 and 1",
            "convert with spike_values='binary'",
        ),
    )
    value = model.of(node)
    shape = value.laid_out(node.shape)
    start = _start(op, node, value)
    resistance = model.array(_one(op.gain * model.dt * value.factor), shape)
    if model.reset == SUBTRACT:
        membrane = model.add(f"{node.name}.membrane", nir.I(resistance), *value.sources)
        # Spikes come at the threshold; those of NIR come above it. The start voltage is 0 there.
        above = np.nextafter(model.array(1.0 - start, shape), model.dtype.type(-np.inf))
        spikes = model.add(node.name, nir.Threshold(above), membrane)
        back = model.array(-1.0 / resistance)
        reset = model.add(f"{node.name}.reset", nir.Scale(back), spikes)
        model.edges.append((reset, membrane))
    else:
        if start.any():
            raise Unsupported(
                "its start voltage is not 0, and a file with reset='zero' cannot hold it",
                "convert with initial_voltage=0.0",
            )
        ones = model.array(1.0, shape)
        neurons = nir.IF(r=resistance, v_threshold=ones, v_reset=model.array(0.0, shape))
        spikes = model.add(node.name, neurons, *value.sources)
    return Value((spikes,), op.amplitude / model.dt, value.order)


@emit.register
def _(op: Lif, node: Node, model: NirModel) -> Value:
    import nir

    value = model.of(node)
    _require(
        op,
        (
            op.tau_ref != 0.0,
            f"its neurons have a refractory time of {op.tau_ref:g} s, and NIR has none",
            "train with RateLIF(tau_ref=0.0)",
        ),
        (
            bool(_start(op, node, value).any()),
            "its start voltage is not 0, and NIR cannot hold it for LIF neurons",
            "convert with initial_voltage=0.0",
        ),
    )
    shape = value.laid_out(node.shape)
    neurons = nir.LIF(
        tau=model.array(op.tau_rc / model.dt, shape),
        r=model.array(_one(op.gain * value.factor), shape),
        v_leak=model.array(op.bias, shape),
        v_threshold=model.array(1.0, shape),
        v_reset=model.array(0.0, shape),
    )
    spikes = model.add(node.name, neurons, *value.sources)
    return Value((spikes,), op.amplitude / model.dt, value.order)


def linear(
    node: Node, model: NirModel, value: Value, weight: np.ndarray, bias: np.ndarray | None
) -> Value:
    """A matrix of shape (inputs, units) on a vector, in the order of the vector."""
    import nir

    by = model.factor_for(node.name)
    matrix = model.array(weight.T * (value.factor * by))
    if bias is None:
        name = model.add(node.name, nir.Linear(matrix), *value.sources)
    else:
        name = model.add(node.name, nir.Affine(matrix, model.array(bias * by)), *value.sources)
    return Value((name,), 1.0 / by, np.arange(weight.shape[1]))


def convolution(
    node: Node,
    model: NirModel,
    value: Value,
    weight: np.ndarray,
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    strides: tuple[int, ...],
    groups: int,
    bias: np.ndarray,
) -> Value:
    """A convolution over one or two axes."""
    import nir

    if weight.size * groups > MOST_ENTRIES:
        raise Unsupported(
            f"its {groups} groups are written with zeros between them, which are "
            f"{weight.size * groups:,} entries",
            "use fewer channels",
        )
    by = model.factor_for(node.name)
    # (*kernel, inputs, filters) -> (filters, inputs, *kernel)
    kernel = np.moveaxis(without_groups(weight, groups), (-1, -2), (0, 1)) * (value.factor * by)
    sizes = model.graph.nodes[node.inputs[0]].shape[:-1]
    settings: dict[str, Any] = {"groups": 1, "bias": model.array(bias * by)}
    settings["weight"] = model.array(np.ascontiguousarray(kernel))
    if len(sizes) == 1:
        made = nir.Conv1d(
            sizes[0], stride=strides[0], padding=padding[0], dilation=dilation[0], **settings
        )
    else:
        made = nir.Conv2d(sizes, stride=strides, padding=padding, dilation=dilation, **settings)
    return Value((model.add(node.name, made, *value.sources),), 1.0 / by, None)


def as_matrix(node: Node, model: NirModel) -> Value:
    """A linear op that NIR does not have, or not like this, as the matrix that does the same."""
    before = model.graph.nodes[node.inputs[0]]
    if before.size * node.size > MOST_ENTRIES:
        raise Unsupported(
            f"NIR has no node for it ({type(node.op).__name__} of the shape {before.shape}), and "
            f"the matrix that does the same has {before.size * node.size:,} entries",
            "use layers that NIR has: convolution with square kernels, average pooling, Dense",
        )
    model.matrices.append(node.layer)
    value = model.flat(node.inputs[0])
    unit = np.eye(before.size)[value.order].reshape(-1, *before.shape)
    bias = node.op.evaluate(np.zeros((1, *before.shape))).reshape(-1)
    weight = node.op.evaluate(unit).reshape(before.size, -1) - bias
    return linear(node, model, value, weight, bias if bias.any() else None)


def in_order(name: str, model: NirModel) -> Value:
    """A value as a vector in the order of the graph: flat, in C order, channels last."""
    import nir

    value = model.flat(name)
    if value.in_order or value.order is None:
        return value
    size = value.order.size
    if size * size > MOST_ENTRIES:
        raise Unsupported(
            f"a vector of {size:,} values has its channels first in NIR, and the matrix that puts "
            "them last is too large",
            "end with a Dense layer",
        )
    matrix = np.zeros((size, size))
    matrix[value.order, np.arange(size)] = 1.0
    made = model.add(f"{name}.order", nir.Linear(model.array(matrix)), *value.sources)
    return Value((made,), value.factor, np.arange(size))


def _require(op: Any, *own: tuple[bool, str, str]) -> None:
    """Refuse neurons with all that NIR cannot express about them.

    Args:
        op: The neurons.
        own: What holds for this kind: whether it is a problem, why, and what to do.
    """
    floor = "None" if op.min_voltage is None else f"{op.min_voltage:g}"
    shared = (
        (
            op.min_voltage != -np.inf,
            f"its membrane has a floor (min_voltage={floor}), and NIR has none",
            "convert with min_voltage=-np.inf",
        ),
        (
            op.synapse is not None,
            f"its output has a synapse ({op.synapse}), and NIR has none",
            "convert with synapse=None",
        ),
    )
    if found := [(reason, fix) for bad, reason, fix in (*own, *shared) if bad]:
        reasons, fixes = zip(*found, strict=True)
        raise Unsupported("; ".join(reasons), "; ".join(fixes))


def _start(op: Any, node: Node, value: Value) -> np.ndarray:
    """The start voltages as NIR orders the neurons."""
    start = np.broadcast_to(np.asarray(op.initial_voltage, np.float64).reshape(-1), (node.size,))
    if value.order is not None:
        return start[value.order]
    return channels_first(start.reshape(node.shape))


def _one(factor: float) -> float:
    """A factor that is 1 but for rounding is 1."""
    return 1.0 if math.isclose(factor, 1.0, rel_tol=1e-12) else factor
