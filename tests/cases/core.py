"""Dense maps."""

from __future__ import annotations

import keras
from keras import layers as L

from kconvert.layers import RateLIF

from .build import Refused, case, refused

CASES = {
    "dense": case(lambda: L.Dense(3), (5,)),
    "dense_no_bias": case(lambda: L.Dense(3, use_bias=False), (5,)),
    "dense_relu": case(lambda: L.Dense(3, activation="relu"), (5,)),
    "dense_rank_3": case(lambda: L.Dense(3, activation="relu"), (4, 2, 5)),
    "dense_lif_argument": case(lambda: L.Dense(3, activation=RateLIF(smoothing=0.01)), (5,)),
    "dense_linear": case(lambda: L.Dense(3, activation="linear"), (5,)),
    "dense_in_activation": Refused(
        lambda: keras.Sequential([keras.Input((4,)), L.Dense(4, activation=L.Dense(4))]),
        "activation=Dense is not one of Keras' activations",
    ),
    "einsum_dense": case(lambda: L.EinsumDense("ab,bc->ac", 3, bias_axes="c"), (5,)),
    "einsum_dense_last_axis": case(
        lambda: L.EinsumDense("abc,cd->abd", (3, 4), bias_axes="d", activation="relu"), (3, 5)
    ),
    "einsum_dense_middle_axis": case(
        lambda: L.EinsumDense("abc,bd->adc", (4, 5), bias_axes="dc"), (3, 5)
    ),
    "einsum_dense_ellipsis": case(lambda: L.EinsumDense("...x,xy->...y", 4, bias_axes="y"), (5,)),
    "einsum_dense_two_new_axes": case(
        lambda: L.EinsumDense("abc,cde->abde", (3, 2, 4), bias_axes="de"), (3, 5)
    ),
    "einsum_dense_two_summed_axes": case(
        lambda: L.EinsumDense("abc,dbc->ad", (4,), bias_axes="d"), (3, 5)
    ),
    "einsum_dense_blocks": refused(
        lambda: L.EinsumDense("abc,bcd->abd", (3, 4)), (3, 5), "is not a dense map"
    ),
    "embedding": refused(lambda: L.Embedding(9, 4), (3,), "it looks up integers"),
    "lambda": refused(
        lambda: L.Lambda(lambda x: x * 2, output_shape=(4,)), (4,), "it is Python code"
    ),
}
