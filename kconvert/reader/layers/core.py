"""Dense maps."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from ...errors import Unsupported
from ...ir import Parameter, product
from ...ops import Dense
from ..builder import Builder
from ..registry import LAYERS
from .activations import add_activation


@LAYERS.register(keras.layers.Dense, timewise=True)
def dense(layer: keras.layers.Dense, b: Builder, x: str) -> str:
    op = Dense(b.weight(layer, "kernel"), b.optional_weight(layer, "bias"))
    y = b.add(op, x, parameters=b.parameters(layer, weight="kernel", bias="bias"))
    return add_activation(b, layer.activation, y)


@LAYERS.register(keras.layers.EinsumDense)
def einsum_dense(layer: keras.layers.EinsumDense, b: Builder, x: str) -> str:
    kernel = b.weight(layer, "kernel")
    y = dense_map(b, x, layer.equation, kernel, b.parameters(layer, weight="kernel"))
    bias = b.optional_weight(layer, "bias")
    if bias is not None:
        b.decide("training", "its bias is not trained in NengoDL")
        y = b.affine(y, shift=bias)
    return add_activation(b, layer.activation, y)


def dense_map(
    b: Builder,
    x: str,
    equation: str,
    kernel: np.ndarray,
    parameters: Mapping[str, Parameter] | None = None,
) -> str:
    """Add ``einsum(equation, x, kernel)``.

    Args:
        b: The builder.
        x: A value.
        equation: As in ``keras.ops.einsum``, the letters of ``x`` first, the batch axis counted in.
        kernel: Constants.
        parameters: Where the kernel is in the Keras model.

    Raises:
        Unsupported: It is no dense map.
    """
    left, right, result = _einsum_letters(equation, len(b.shape(x)) + 1)
    batch, left = left[:1], left[1:]
    contracted = [letter for letter in left if letter in right]
    kept = [letter for letter in left if letter not in right]
    added = [letter for letter in right if letter not in left]
    is_dense = (
        batch not in right
        and result[:1] == batch
        and sorted(result[1:]) == sorted(kept + added)
        and len(set(left)) == len(left) == len(b.shape(x))
        and len(set(right)) == len(right) == kernel.ndim
    )
    if not is_dense:
        raise Unsupported(
            f"equation={equation!r} is not a dense map (the kernel must sum over axes of the input "
            "or add new ones, and leave the batch axis first)",
            "write it as Dense layers and reshapes",
        )
    sizes = dict(zip(left, b.shape(x), strict=True))
    order = [right.index(letter) for letter in contracted + added]
    kernel = kernel.transpose(order)
    shapes = [sizes[letter] for letter in kept], kernel.shape[len(contracted) :]
    inputs, units = product(kernel.shape[: len(contracted)]), product(shapes[1])
    y = b.transpose(x, [left.index(letter) for letter in kept + contracted])
    y = b.reshape(y, (*shapes[0], inputs))
    as_is = order == sorted(order)
    y = b.add(Dense(kernel.reshape(inputs, units)), y, parameters=parameters if as_is else {})
    y = b.reshape(y, (*shapes[0], *shapes[1]))
    return b.transpose(y, [(kept + added).index(letter) for letter in result[1:]])


def _einsum_letters(equation: str, rank: int) -> tuple[str, str, str]:
    """The letters of input, kernel and result, with an ellipsis written out in capitals."""
    sides, result = equation.replace(" ", "").split("->")
    left, right = sides.split(",")
    more = "ABCDEFGHIJ"[: max(rank - len(left.replace("...", "")), 0)]
    return left.replace("...", more), right, result.replace("...", more)


LAYERS.refuse(
    keras.layers.Embedding,
    reason="it looks up integers, which neurons cannot send",
    fix="compute the embedding outside the model and feed it as the input",
)
LAYERS.refuse(
    keras.layers.Lambda,
    reason="it is Python code, which kconvert cannot read",
    fix="write it with layers or keras.ops, or as a layer class with an importer of your own",
)


def place_of(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """A vector as an array that broadcasts along one axis of a sample; as is for the last."""
    if axis == rank - 1:
        return values
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)
