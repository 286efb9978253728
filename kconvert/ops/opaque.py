"""A layer kept as it is, without neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A layer that Keras computes at every step.

    Args:
        call: From Keras tensors, batch axis first, one for each input, to one tensor.
        to_numpy: From a Keras tensor to an array.
        shape: Shape of one sample of the result.
        in_tensorflow: Whether Keras' tensors are TensorFlow's.
    """

    call: Callable[..., Any]
    to_numpy: Callable[[Any], np.ndarray]
    shape: Shape
    in_tensorflow: bool

    def out_shape(self, *xs: Shape) -> Shape:
        return self.shape

    def evaluate(self, *xs: np.ndarray) -> np.ndarray:
        value = self.to_numpy(self.call(*(x.astype(np.float32) for x in xs)))
        return np.asarray(value, dtype=np.float64)
