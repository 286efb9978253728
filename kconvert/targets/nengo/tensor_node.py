"""A Keras 3 layer inside a NengoDL TensorNode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...bridge import import_nengo_dl
from ...ir import Shape, product
from ...ops import Opaque


def tensor_node(op: Opaque, shapes: Sequence[Shape], label: str) -> Any:
    """A ``nengo_dl.TensorNode`` that computes the layer on flat vectors, side by side in one input.

    With Keras on TensorFlow the layer becomes a part of NengoDL's TensorFlow graph. With Keras on
    another backend it is called through NumPy, a batch at a time.

    Args:
        op: The layer.
        shapes: Shape of one sample of each of its inputs.
        label: Name of the node.
    """
    nengo_dl = import_nengo_dl(f"the TensorNode of {label!r}, which allow=('tensornode',) keeps,")
    import tensorflow as tf

    bounds = np.cumsum([0, *map(product, shapes)])

    def inputs(x: Any) -> list[Any]:
        return [
            x[:, first:last].reshape(-1, *shape)
            if isinstance(x, np.ndarray)
            else tf.reshape(x[:, first:last], (-1, *shape))
            for first, last, shape in zip(bounds, bounds[1:], shapes, strict=False)
        ]

    def in_numpy(x: np.ndarray) -> np.ndarray:
        return op.to_numpy(op.call(*inputs(np.asarray(x)))).astype(np.float32)

    def step(x: Any) -> Any:
        y = (
            op.call(*inputs(x))
            if op.in_tensorflow
            else tf.numpy_function(in_numpy, [x], tf.float32)
        )
        return tf.reshape(tf.cast(y, x.dtype), (x.shape[0], product(op.shape)))

    return nengo_dl.TensorNode(
        step,
        shape_in=(int(bounds[-1]),),
        shape_out=(product(op.shape),),
        pass_time=False,
        label=label,
    )
