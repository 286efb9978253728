"""What must hold of a graph from a file, beyond its types, so that it can be run.

A graph that the reader and the passes made has all of this by construction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from .. import ops
from ..ir import Graph, Node, Shape, product
from ..passes.keep_logits import BEHIND

MOST_VALUES = 2**31 - 1
"""Values that a node may have: the event simulator numbers them with 32 bits."""
MOST_SECONDS = 1e6
"""The longest time constant or start of a window."""
MOST = float(np.finfo(np.float32).max)
"""The largest number: the event simulator computes in float32."""
_MAY_BE = {
    (ops.Relu, "min_voltage"): -math.inf,
    (ops.Lif, "min_voltage"): -math.inf,
    (ops.Relu, "max_spikes"): math.inf,
    (ops.Relu, "max_rate"): math.inf,
}
"""What else a field may be, beside the numbers that float32 holds."""
METHODS = ("gbt", "bilinear", "euler", "backward_diff", "foh", "impulse", "zoh")
"""How scipy makes a filter discrete."""


class UnsoundError(ValueError):
    """Something in a graph does not fit; the text says where and what."""


def check_node(node: Node) -> None:
    """Check what a node says of itself. This allocates nothing.

    Raises:
        UnsoundError: A field does not fit the others.
    """
    try:
        _check_op(node.op, node)
        _require(all(n >= 1 for n in node.shape), f"the shape {node.shape} has a size below 1")
        _require(product(node.shape) <= MOST_VALUES, f"the shape {node.shape} is too large")
        names = {each.name for each in fields(node.op)}
        unknown = sorted(set(node.parameters) - names)
        _require(not unknown, f"parameters names {unknown}, which the op does not have")
        _check_scale(node)
    except UnsoundError as error:
        raise UnsoundError(f"node {node.name!r:.80}: {error}") from None


def check_graph(graph: Graph) -> None:
    """Check what nodes say of each other.

    Raises:
        UnsoundError: Something does not fit.
    """
    _require(graph.outputs, "the graph has no output")
    dt = graph.calibrated_dt
    _require(dt is None or 0 < dt < 1, f"calibrated_dt is {dt}")
    for each in graph.activations:
        known = each.node in graph.nodes
        _require(known, f"the activation of {each.layer!r:.80} has the node {each.node!r:.80}")
        known = each.output is None or 0 <= each.output < len(graph.outputs)
        _require(known, f"the activation of {each.layer!r:.80} has the output {each.output}")
        shape = each.op.out_shape(graph.nodes[each.node].shape)
        for op in each.then:
            _check_behind(op)
            shape = op.out_shape(shape)
            _require(product(shape) <= MOST_VALUES, f"the shape {shape} is too large")


def check_filter(synapse: Any) -> None:
    """Check a synapse, or the filter of a read-out.

    Raises:
        UnsoundError: A number does not fit.
    """
    seconds = getattr(synapse, "tau", getattr(synapse, "start", 0.0))
    _require(seconds <= MOST_SECONDS, f"{synapse} is longer than {MOST_SECONDS:g} seconds")
    if isinstance(synapse, ops.LinearFilter):
        numbers = (*synapse.num, *synapse.den)
        proper = 1 <= len(synapse.num) <= len(synapse.den)
        _require(proper, "a filter's numerator has a higher order than its denominator")
        _require(all(map(math.isfinite, numbers)), "a filter has a coefficient that is no number")
        _require(synapse.den[0] != 0, "a filter's denominator begins with zero")
        _require(synapse.method in METHODS, f"a filter's method is {synapse.method!r:.40}")


def _require(holds: object, text: str) -> None:
    if not holds:
        raise UnsoundError(text)


def _check_op(op: Any, node: Node) -> None:
    if isinstance(op, ops.Input):
        wanted = not node.inputs
    elif isinstance(op, ops.Sum | ops.Concat):
        wanted = bool(node.inputs)
    else:
        wanted = len(node.inputs) == 1
    _require(wanted, f"{type(op).__name__} cannot have {len(node.inputs)} inputs")
    _check_fields(op)
    if isinstance(op, ops.NeuronOp):
        _check_neurons(op, node.shape)
    elif (check := _CHECKS.get(type(op))) is not None:
        check(op)


def _check_behind(op: Any) -> None:
    """Check an op behind the activation of an output."""
    _require(isinstance(op, BEHIND), f"{type(op).__name__} cannot be behind an activation")
    _check_fields(op)
    if (check := _CHECKS.get(type(op))) is not None:
        check(op)


def _check_fields(op: Any) -> None:
    for each in fields(op):
        value = getattr(op, each.name)
        if isinstance(value, float):
            finite = abs(value) <= MOST or value == _MAY_BE.get((type(op), each.name))
            _require(finite, f"{each.name} is {value}")
        if isinstance(value, np.ndarray):
            kind = "i" if isinstance(op, ops.Gather) else "f"
            _require(value.dtype.kind == kind, f"{each.name} has the type {value.dtype}")


def _check_scale(node: Node) -> None:
    if isinstance(node.scale, np.ndarray):
        _require(_broadcasts(node.scale.shape, node.shape), f"scale is of {node.scale.shape}")
    _require(np.all(np.isfinite(node.scale)), "scale is no number")
    if (found := node.correction) is not None:
        shape = node.shape[-1:]
        _require(found.scale.shape == found.shift.shape == shape, f"correction is not of {shape}")
        _require(bool((found.scale > 0).all()), "correction has a scale that is not > 0")


def _broadcasts(shape: Shape, to: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _check_neurons(op: ops.NeuronOp, shape: Shape) -> None:
    _require(op.amplitude != 0, "amplitude is 0")
    voltage = np.asarray(op.initial_voltage)
    fits = voltage.shape in ((), (product(shape),))
    _require(fits, f"initial_voltage is of {voltage.shape}, the neurons are of {shape}")
    _require(bool((voltage < 1).all()), "initial_voltage is not below 1")
    floor = getattr(op, "min_voltage", None)
    _require(floor is None or floor <= 0, f"min_voltage is {floor}")
    if op.synapse is not None:
        check_filter(op.synapse)
    if isinstance(op, ops.Lif):
        for name, least in (("tau_ref", 0.0), ("smoothing", 0.0)):
            _require(getattr(op, name) >= least, f"{name} is {getattr(op, name)}")
        _require(op.tau_rc > 0, f"tau_rc is {op.tau_rc}")
        if op.trained is not None:
            _check_neurons(op.trained, shape)
    if isinstance(op, ops.Relu):
        _require(op.max_spikes >= 1, f"max_spikes is {op.max_spikes}")
    if isinstance(op, ops.Relu | ops.Sigmoid):
        _require(op.max_rate > 0, f"max_rate is {op.max_rate}")


def _check_dense(op: ops.Dense) -> None:
    _require(op.weight.ndim == 2, f"weight is of {op.weight.shape}")
    _check_bias(op.bias, op.weight.shape[1])


def _check_bias(bias: np.ndarray | None, units: int) -> None:
    shape = None if bias is None else bias.shape
    _require(shape in (None, (units,)), f"bias is of {shape}, and there are {units} units")


def _check_axes(n: int, least: int, **settings: Iterable[Any]) -> None:
    """Check that settings have one entry for each of ``n`` axes, none too small or too large."""
    for name, values in settings.items():
        flat = [each for value in values for each in (value if name == "pads" else (value,))]
        count = 2 * n if name == "pads" else n
        _require(len(flat) == count, f"{name} is not for {n} axes")
        fit = all(least <= each <= MOST_VALUES for each in flat)
        _require(fit, f"{name} has a value that is not from {least} to {MOST_VALUES}")


def _check_conv(op: ops.Conv) -> None:
    _require(op.weight.ndim >= 3 and op.weight.size, f"weight is of {op.weight.shape}")
    n = op.weight.ndim - 2
    _check_axes(n, 1, strides=op.strides, dilation=op.dilation)
    _check_axes(n, 0, pads=op.pads)
    whole = op.groups >= 1 and op.filters % op.groups == 0
    _require(whole, f"{op.filters} filters are not {op.groups} groups")
    _check_bias(op.bias, op.filters)


def _check_transpose(op: ops.ConvTranspose) -> None:
    _require(op.weight.ndim >= 3 and op.weight.size, f"weight is of {op.weight.shape}")
    n = op.weight.ndim - 2
    _check_axes(n, 1, strides=op.strides, dilation=op.dilation, spatial=op.spatial)
    _check_axes(n, 0, crop=op.crop)
    _check_bias(op.bias, op.filters)


def _check_pool(op: ops.Pool) -> None:
    n = len(op.pool)
    _check_axes(n, 1, pool=op.pool, strides=op.strides)
    _check_axes(n, 0, pads=op.pads)
    # Else a window might hold nothing but padding, which has no mean and no maximum.
    inside = all(max(pads) < size for pads, size in zip(op.pads, op.pool, strict=True))
    _require(inside, f"pads {op.pads} hold whole windows of {op.pool}")
    if isinstance(op, ops.MaxPool):
        _require(op.over in ("sums", "values"), f"over is {op.over!r:.40}")


def _check_axis_map(op: ops.AxisMap) -> None:
    _require(op.matrix.ndim == 2 and op.matrix.size, f"matrix is of {op.matrix.shape}")


def _check_sum(op: ops.Sum) -> None:
    _require(all(map(math.isfinite, op.coefficients)), "a coefficient is no number")


def _check_softmax(op: ops.Softmax) -> None:
    raise UnsoundError("a softmax has no spiking form")


_CHECKS: Mapping[type, Callable[[Any], None]] = {
    ops.AvgPool: _check_pool,
    ops.AxisMap: _check_axis_map,
    ops.Conv: _check_conv,
    ops.ConvTranspose: _check_transpose,
    ops.Dense: _check_dense,
    ops.MaxPool: _check_pool,
    ops.Pad: lambda op: _check_axes(len(op.pads), 0, pads=op.pads),
    ops.Softmax: _check_softmax,
    ops.Sum: _check_sum,
}
"""What must hold of an op, for those that can be wrong in themselves."""
