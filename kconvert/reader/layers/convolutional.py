"""Convolutions."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras.src.ops import nn as nn_operations

from ...errors import Unsupported
from ...ir import Shape
from ...ops import Conv, ConvTranspose
from ...ops.window import extent, pads_of
from ..attempts import attempt
from ..builder import Builder
from ..registry import LAYERS
from .activations import add_activation
from .channels import as_given, channels_last
from .merging import PRODUCT

_PLAIN = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@LAYERS.register(*_PLAIN)
def conv(layer: Any, b: Builder, x: str) -> str:
    x = channels_last(b, layer, x)
    kernel = b.weight(layer, "kernel")
    op = _conv(layer, b, x, kernel, b.optional_weight(layer, "bias"))
    y = b.add(op, x, parameters=b.parameters(layer, weight="kernel", bias="bias"))
    return add_activation(b, layer.activation, _as_given_with_bias(b, layer, y))


@LAYERS.register(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
def depthwise_conv(layer: Any, b: Builder, x: str) -> str:
    x = channels_last(b, layer, x)
    kernel = b.weight(layer, "kernel")
    op = _depthwise(layer, b, x, kernel, b.optional_weight(layer, "bias"))
    y = b.add(op, x, parameters=b.parameters(layer, weight="kernel", bias="bias"))
    return add_activation(b, layer.activation, _as_given_with_bias(b, layer, y))


@LAYERS.register(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
def separable_conv(layer: Any, b: Builder, x: str) -> str:
    x = channels_last(b, layer, x)
    op = _depthwise(layer, b, x, b.weight(layer, "depthwise_kernel"), None)
    y = b.add(op, x, parameters=b.parameters(layer, weight="depthwise_kernel"))
    ones = (1,) * len(op.kernel)
    kernel = b.weight(layer, "pointwise_kernel")
    bias = b.optional_weight(layer, "bias")
    y = b.add(
        Conv(kernel, bias, ones, ones, ((0, 0),) * len(ones)),
        y,
        parameters=b.parameters(layer, weight="pointwise_kernel", bias="bias"),
    )
    return add_activation(b, layer.activation, _as_given_with_bias(b, layer, y))


@LAYERS.register(
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose
)
def conv_transpose(layer: Any, b: Builder, x: str) -> str:
    out = layer.compute_output_shape((1, *b.shape(x)))[1:]
    spatial = out[1:] if layer.data_format == "channels_first" else out[:-1]
    x = channels_last(b, layer, x)
    kernel = b.weight(layer, "kernel")
    crop = []
    for size, n, k, stride, rate in zip(
        spatial, b.shape(x), kernel.shape, layer.strides, layer.dilation_rate, strict=False
    ):
        # It is the gradient of the convolution that reads the output, so that one's padding counts.
        total = max((n - 1) * stride + extent(k, rate) - size, 0)
        crop.append(total // 2 if layer.padding == "same" else 0)
    op = ConvTranspose(
        kernel,
        b.optional_weight(layer, "bias"),
        strides=tuple(layer.strides),
        dilation=tuple(layer.dilation_rate),
        crop=tuple(crop),
        spatial=tuple(spatial),
    )
    y = b.add(op, x, parameters=b.parameters(layer, weight="kernel", bias="bias"))
    return add_activation(b, layer.activation, _as_given_with_bias(b, layer, y))


@LAYERS.register(nn_operations.Conv)
def ops_conv(operation: Any, b: Builder, *xs: str) -> str:
    x, [kernel], settings = _of_operation(operation, b, n_kernels=1)
    y = b.add(_conv(settings, b, x, kernel), x)
    return as_given(b, settings, y)


@LAYERS.register(nn_operations.DepthwiseConv)
def ops_depthwise_conv(operation: Any, b: Builder, *xs: str) -> str:
    x, [kernel], settings = _of_operation(operation, b, n_kernels=1)
    y = b.add(_depthwise(settings, b, x, kernel, None), x)
    return as_given(b, settings, y)


@LAYERS.register(nn_operations.SeparableConv)
def ops_separable_conv(operation: Any, b: Builder, *xs: str) -> str:
    x, [depthwise, pointwise], settings = _of_operation(operation, b, n_kernels=2)
    y = b.add(_depthwise(settings, b, x, depthwise, None), x)
    ones = (1,) * (pointwise.ndim - 2)
    y = b.add(Conv(pointwise, None, ones, ones, ((0, 0),) * len(ones)), y)
    return as_given(b, settings, y)


def _of_operation(
    operation: Any, b: Builder, n_kernels: int
) -> tuple[str, list[np.ndarray], SimpleNamespace]:
    """The value with its channels last, the kernels, and the settings as a layer has them."""
    given = [*b.arguments[0], *b.arguments[1].values()][: 1 + n_kernels]
    x, *kernels = given
    if not isinstance(x, str) or any(isinstance(kernel, str) for kernel in kernels):
        raise Unsupported(PRODUCT, "use a constant kernel")
    rank = len(b.shape(x)) - 1
    settings = SimpleNamespace(
        data_format=operation.data_format or keras.config.image_data_format(),
        padding=operation.padding,
        strides=_per_axis(operation.strides, rank),
        dilation_rate=_per_axis(operation.dilation_rate, rank),
    )
    arrays = [np.asarray(keras.ops.convert_to_numpy(kernel), np.float64) for kernel in kernels]
    return channels_last(b, settings, x), arrays, settings


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    return (int(value),) * rank if np.ndim(value) == 0 else tuple(int(each) for each in value)


def _as_given_with_bias(b: Builder, layer: Any, y: str) -> str:
    """The value with its channels where the layer has them, and the bias where ``predict`` adds it.

    Keras on TensorFlow takes the bias of a layer with channels first to belong to the last axis if
    that is as long as there are filters (keras/src/backend/tensorflow/numpy.py, ``add``). For some
    layers on some machines TensorFlow's own optimizer puts it back in its place. So Keras is asked.
    """
    convolved, y = y, as_given(b, layer, y)
    if layer.data_format != "channels_first" or not layer.use_bias:
        return y
    shape = b.shape(y)
    bias = b.weight(layer, "bias").reshape(-1, *(1,) * (len(shape) - 1)).astype(np.float32)
    added = keras.ops.add(np.zeros((1, *shape), np.float32), bias[None])
    wrong = keras.ops.convert_to_numpy(added)[0] - np.broadcast_to(bias, shape)
    if not wrong.any():
        return y
    in_place = _predict_adds_it_to_filters(layer, b.shape(b.inputs[0]), shape)
    if in_place is None:
        b.decide(
            "bias",
            "added to each filter; Keras cannot compute this layer on this machine, so verify and "
            "evaluate have nothing to compare with",
        )
        return y
    if in_place:
        b.predicts_differently = True
        b.decide(
            "bias",
            "added to each filter as in predict; called eagerly, Keras adds it "
            "along the last axis, which is as long",
        )
        return y
    b.decide(
        "bias",
        "added along the last axis, as Keras does on this machine where that is as long as there "
        "are filters; not trained in NengoDL",
    )
    # The correction is made of the bias as it is now.
    node = b.nodes[convolved]
    kept = {field: place for field, place in node.parameters.items() if field != "bias"}
    b.nodes[convolved] = replace(node, parameters=kept)
    return b.affine(y, shift=wrong)


def _predict_adds_it_to_filters(layer: Any, shape: Shape, out: Shape) -> bool | None:
    """Where the compiled layer adds its bias: it predicts zeros, with a bias that tells filters.

    Args:
        layer: The layer.
        shape: Of a sample of its input: what is found depends on sizes.
        out: Of a sample of its output.

    Returns:
        Whether it is to the filters; None if Keras cannot compute the layer on this machine.
    """
    twin = type(layer).from_config(layer.get_config())
    source = keras.Input(shape)
    model = keras.Model(source, twin(source))
    # Positive and small, where activations tell values apart.
    bias = np.linspace(0.1, 0.9, twin.bias.shape[0], dtype=np.float32)
    twin.bias.assign(bias)
    found, error = attempt(model.predict_on_batch, np.zeros((1, *shape), np.float32))
    if error is not None:
        return None
    values = np.broadcast_to(bias.reshape(-1, *(1,) * (len(out) - 1)), out)
    expected = values if twin.activation is None else twin.activation(values[None])
    expected = np.asarray(keras.ops.convert_to_numpy(expected)).reshape(out)
    return bool(np.allclose(found[0], expected, rtol=1e-4, atol=1e-5))


def _conv(
    layer: Any, b: Builder, x: str, kernel: np.ndarray, bias: np.ndarray | None = None
) -> Conv:
    """The convolution of a value; the sizes of value and kernel tell the groups, as in Keras."""
    return Conv(
        kernel,
        bias,
        strides=tuple(layer.strides),
        dilation=tuple(layer.dilation_rate),
        pads=_pads(layer, b, x, kernel),
        groups=b.shape(x)[-1] // kernel.shape[-2],
    )


def _depthwise(layer: Any, b: Builder, x: str, kernel: np.ndarray, bias: np.ndarray | None) -> Conv:
    """A convolution in which every channel is a group of its own."""
    channels = kernel.shape[-2]
    return Conv(
        kernel.reshape(*kernel.shape[:-2], 1, -1),
        bias,
        strides=tuple(layer.strides),
        dilation=tuple(layer.dilation_rate),
        pads=_pads(layer, b, x, kernel),
        groups=channels,
    )


def _pads(layer: Any, b: Builder, x: str, kernel: np.ndarray) -> tuple[tuple[int, int], ...]:
    strides, dilation = tuple(layer.strides), tuple(layer.dilation_rate)
    return pads_of(layer.padding, b.shape(x)[:-1], kernel.shape[:-2], strides, dilation)
