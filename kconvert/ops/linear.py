"""Linear maps: dense, convolution, its transpose, a scale and shift, a matrix along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product as cartesian

import numpy as np

from ..errors import GraphError
from ..ir import Shape, product
from .window import Pads, extent, window_counts, windows


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
        y = x @ np.ascontiguousarray(self.weight)  # another order in memory would round differently
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """Convolution over any number of spatial axes, channels last, as Keras defines it.

    Args:
        weight: Shape ``(*kernel, input channels / groups, filters)``.
        bias: Shape (filters,), or None.
        strides: One for each spatial axis.
        dilation: One for each spatial axis.
        pads: Zeros around each spatial axis.
        groups: Channels are split into this many blocks that do not mix.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    strides: Shape
    dilation: Shape
    pads: Pads
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
        counts = window_counts(x[:-1], self.kernel, self.strides, self.dilation, self.pads)
        return (*counts, self.filters)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        out = self.out_shape(x.shape[1:])
        y = np.zeros((len(x), *out[:-1], self.groups, self.filters // self.groups))
        inputs = self.weight.shape[-2]
        weight = self.weight.reshape(*self.kernel, inputs, self.groups, -1)
        for index, value in windows(x, self.kernel, self.strides, self.dilation, self.pads):
            value = value.reshape(*value.shape[:-1], self.groups, inputs)
            if self.groups == 1:
                y += np.tensordot(value, weight[index], ((-2, -1), (1, 0)))[..., None, :]
            else:
                y += np.einsum("...gi,igo->...go", value, weight[index])
        y = y.reshape(len(x), *out)
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose:
    """Transposed convolution: every input value adds its kernel to the output.

    The input value at position i meets kernel entry k at position ``i * stride + k * dilation -
    crop`` of the output; what falls outside is dropped.

    Args:
        weight: Shape ``(*kernel, filters, input channels)``, as Keras has it.
        bias: Shape (filters,), or None.
        strides: One for each spatial axis.
        dilation: One for each spatial axis.
        crop: How many cells are cut off before each spatial axis.
        spatial: Output size of each spatial axis.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    strides: Shape
    dilation: Shape
    crop: Shape
    spatial: Shape

    @property
    def kernel(self) -> Shape:
        return self.weight.shape[:-2]

    @property
    def filters(self) -> int:
        return int(self.weight.shape[-2])

    def full(self, x: Shape) -> Shape:
        """Spatial size before anything is cut off."""
        return tuple(
            (size - 1) * stride + extent(k, rate)
            for size, stride, k, rate in zip(
                x[:-1], self.strides, self.kernel, self.dilation, strict=True
            )
        )

    def out_shape(self, x: Shape) -> Shape:
        if len(x) != self.weight.ndim - 1 or x[-1] != self.weight.shape[-1]:
            raise GraphError(
                f"a transposed kernel of {self.weight.shape} cannot read the shape {x}"
            )
        return (*self.spatial, self.filters)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        full = self.full(x.shape[1:])
        ends = [
            max(size, c + out) for size, c, out in zip(full, self.crop, self.spatial, strict=True)
        ]
        y = np.zeros((len(x), *ends, self.filters))
        for index in cartesian(*(range(k) for k in self.kernel)):
            places = tuple(
                slice(i * rate, i * rate + (size - 1) * stride + 1, stride)
                for i, rate, size, stride in zip(
                    index, self.dilation, x.shape[1:-1], self.strides, strict=True
                )
            )
            y[(slice(None), *places)] += x @ self.weight[index].T
        kept = tuple(slice(c, c + out) for c, out in zip(self.crop, self.spatial, strict=True))
        y = y[(slice(None), *kept)]
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """``x * scale + shift``: batch normalisation at inference, rescaling, products with constants.

    Args:
        scale: Broadcasts to the shape of one sample.
        shift: Broadcasts to the shape of one sample.
    """

    scale: np.ndarray
    shift: np.ndarray

    def out_shape(self, x: Shape) -> Shape:
        try:
            shape = np.broadcast_shapes(x, self.scale.shape, self.shift.shape)
        except ValueError:
            shape = ()
        if shape != x:
            raise GraphError(
                f"a scale of shape {self.scale.shape} and a shift of {self.shift.shape} cannot "
                f"read the shape {x}"
            )
        return x

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        return x * self.scale + self.shift


@dataclass(frozen=True, slots=True, eq=False)
class AxisMap:
    """A fixed matrix applied along one axis: means, sums, and resizing by interpolation.

    Args:
        axis: Axis of one sample, from 0.
        matrix: Shape (size afterwards, size before).
    """

    axis: int
    matrix: np.ndarray

    def out_shape(self, x: Shape) -> Shape:
        if not 0 <= self.axis < len(x) or x[self.axis] != self.matrix.shape[1]:
            raise GraphError(
                f"a matrix of {self.matrix.shape} along axis {self.axis} cannot read the shape {x}"
            )
        return (*x[: self.axis], self.matrix.shape[0], *x[self.axis + 1 :])

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        before, after = product(x.shape[: self.axis + 1]), product(x.shape[self.axis + 2 :])
        # Another order in memory would round differently.
        matrix = np.ascontiguousarray(self.matrix)
        y = matrix @ x.reshape(before, x.shape[self.axis + 1], after)
        return y.reshape(len(x), *self.out_shape(x.shape[1:]))
