"""Linear maps with weights: dense, convolution, and a scale and shift for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import GraphError
from ..ir import Shape
from .window import window_geometry, windows


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """``x @ weight + bias`` over the last axis.

    Args:
        weight: Shape (inputs, units).
        bias: Shape (units,), or None.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None

    def out_shape(self, x: Shape) -> Shape:
        if x[-1:] != self.weight.shape[:1]:
            raise GraphError(f"a dense map of {self.weight.shape} cannot read the shape {x}")
        return (*x[:-1], self.weight.shape[1])

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """Convolution over any number of spatial axes, channels last, as Keras defines it.

    Args:
        weight: Shape (*kernel, input channels / groups, filters).
        bias: Shape (filters,), or None.
        strides: One for each spatial axis.
        dilation: One for each spatial axis.
        padding: "valid" or "same".
        groups: Channels are split into this many blocks that do not mix.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    strides: Shape
    dilation: Shape
    padding: str
    groups: int = 1

    @property
    def kernel(self) -> Shape:
        return self.weight.shape[:-2]

    @property
    def filters(self) -> int:
        return int(self.weight.shape[-1])

    def out_shape(self, x: Shape) -> Shape:
        if len(x) != self.weight.ndim - 1 or x[-1] != self.weight.shape[-2] * self.groups:
            raise GraphError(
                f"a convolution kernel of {self.weight.shape} in {self.groups} groups cannot read "
                f"the shape {x}"
            )
        sizes, _ = window_geometry(x[:-1], self.kernel, self.strides, self.dilation, self.padding)
        return (*sizes, self.filters)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        y = np.zeros((len(x), *self.out_shape(x.shape[1:])))
        inputs, outputs = self.weight.shape[-2], self.filters // self.groups
        for index, value in windows(x, self.kernel, self.strides, self.dilation, self.padding):
            for group in range(self.groups):
                read = slice(group * inputs, (group + 1) * inputs)
                write = slice(group * outputs, (group + 1) * outputs)
                y[..., write] += value[..., read] @ self.weight[index][:, write]
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class ChannelAffine:
    """``x * scale + shift`` for each index of the last axis: batch normalisation at inference.

    Args:
        scale: Shape (channels,).
        shift: Shape (channels,).
    """

    scale: np.ndarray
    shift: np.ndarray

    def out_shape(self, x: Shape) -> Shape:
        if x[-1:] != self.scale.shape or self.shift.shape != self.scale.shape:
            raise GraphError(f"a scale for {self.scale.shape} channels cannot read the shape {x}")
        return x

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return x * self.scale + self.shift
