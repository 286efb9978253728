"""Convolutions as NIR has them, by zeros in the kernel, which change no value.

NIR's ``padding`` is one number for each axis: as many zeros before it as behind. And nir 1.0.8
finds the size of the output from the first axis of the kernel alone, and the channels of the input
from a group: files with other kernels than square ones, or with groups, do not pass its checks.
"""

from __future__ import annotations

import numpy as np

from ...ops import Conv


def symmetric(op: Conv) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...]] | None:
    """A kernel for the same convolution, with the zeros that NIR can put around the input.

    Args:
        op: The convolution.

    Returns:
        The kernel of shape ``(*kernel, inputs, filters)``, the padding and the dilation of each
        axis; or None where zeros cannot make the kernel square.
    """
    even = all(before == after for before, after in op.pads)
    if even and len(set(op.kernel)) == 1:
        return op.weight, tuple(before for before, _ in op.pads), op.dilation
    weight = _without_dilation(op)
    # With the padding p an axis of a kernel of size k and pads (b, a) needs a kernel of the size
    # k + 2 p - b - a: p - b zeros before, p - a behind.
    least = [max(pads) for pads in op.pads]
    sizes = [
        size + 2 * p - sum(pads)
        for size, p, pads in zip(weight.shape, least, op.pads, strict=False)
    ]
    if len({size % 2 for size in sizes}) > 1:
        return None
    padding = tuple(p + (max(sizes) - size) // 2 for p, size in zip(least, sizes, strict=True))
    zeros = [(p - b, p - a) for p, (b, a) in zip(padding, op.pads, strict=True)]
    return np.pad(weight, [*zeros, (0, 0), (0, 0)]), padding, (1,) * len(padding)


def _without_dilation(op: Conv) -> np.ndarray:
    """The kernel with the zeros of its dilation written out."""
    sizes = [(size - 1) * rate + 1 for size, rate in zip(op.kernel, op.dilation, strict=True)]
    weight = np.zeros((*sizes, *op.weight.shape[-2:]))
    weight[tuple(slice(None, None, rate) for rate in op.dilation)] = op.weight
    return weight


def without_groups(weight: np.ndarray, groups: int) -> np.ndarray:
    """A kernel whose groups do not mix, as one of a single group: with zeros between them.

    Args:
        weight: Shape ``(*kernel, inputs / groups, filters)``.
        groups: Number of groups.
    """
    if groups == 1:
        return weight
    inputs, filters = weight.shape[-2], weight.shape[-1] // groups
    whole = np.zeros((*weight.shape[:-2], inputs * groups, weight.shape[-1]))
    for g in range(groups):
        out = slice(g * filters, (g + 1) * filters)
        whole[..., g * inputs : (g + 1) * inputs, out] = weight[..., out]
    return whole


def one_by_channel(kernel: tuple[int, ...], channels: int, value: float) -> np.ndarray:
    """The kernel of a convolution that does the same in each channel by itself."""
    return np.full((*kernel, 1, channels), value)
