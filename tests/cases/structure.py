"""Graphs: sharing, nesting, several inputs and outputs, names."""

from __future__ import annotations

import keras
from keras import layers as L

from kconvert.layers import RateLIF

from .build import Case, Refused, functional, randomized


def _two_inputs_two_outputs() -> keras.Model:
    a, b = keras.Input((5, 4, 2), name="image"), keras.Input((3,), name="vector")
    x = RateLIF(name="lif_a")(L.Conv2D(3, 2, name="conv")(a))
    y = L.Dense(4, activation="relu", name="hidden")(b)
    left = L.Dense(2, name="left")(L.Flatten()(x))
    right = L.Dense(5, name="right")(y)
    model = keras.Model({"image": a, "vector": b}, {"left": left, "right": right})
    return randomized(model)


def _shared_layer() -> keras.Model:
    a, b = keras.Input((6,)), keras.Input((6,))
    dense = L.Dense(4, activation="relu", name="shared")
    return randomized(keras.Model([a, b], [dense(a), L.Dense(3, name="end")(dense(b))]))


def _nested() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((5, 4, 2)), L.Conv2D(3, 2), L.BatchNormalization(), L.ReLU()], name="inner"
    )
    x = keras.Input((5, 4, 2))
    return randomized(keras.Model(x, L.Dense(3)(L.Flatten()(inner(x)))))


def _middle_output() -> keras.Model:
    x = keras.Input((5, 4, 2))
    middle = L.Conv2D(3, 2, name="middle")(x)
    return randomized(keras.Model(x, [middle, L.ReLU(name="end")(middle), x]))


def _nested_shares_a_tensor() -> keras.Model:
    """The outer model reads the inner model's own input and a tensor inside it."""
    x = keras.Input((4,))
    inside = L.Dense(5, name="inside")(x)
    inner = keras.Model(x, L.Dense(4, name="end_of_inner")(inside), name="inner")
    outer = L.Dense(4)(inner(L.Dense(4)(x)))
    return randomized(keras.Model(x, [outer, L.Dense(3)(x), L.Dense(2)(inside)]))


def _nested_twice() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, activation="relu")], name="inner")
    x = keras.Input((4,))
    return randomized(keras.Model(x, [inner(x), L.Dense(2)(inner(inner(x)))]))


def _names_that_collide() -> keras.Model:
    """Names that the reader would make up are taken by other layers."""
    d, e = L.Dense(4, name="d"), L.Dense(4, name="d.1")
    x = keras.Input((4,))
    a = d(x)
    f = L.Dense(4, activation="relu", name="f")(a)
    g = L.Identity(name="g")(L.Dense(4, name="dense.f")(f))
    return randomized(keras.Model(x, [e(x), d(a), d(g)]))


def _nested_on_dicts() -> keras.Model:
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    inner = keras.Model({"a": a, "b": b}, L.Subtract()([a, L.Dense(3)(b)]), name="inner")
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    return randomized(keras.Model([x, y], L.Dense(2)(inner({"a": x, "b": y}))))


def _nested_on_a_list() -> keras.Model:
    a, b = keras.Input((3,)), keras.Input((3,))
    inner = keras.Model([a, b], L.Add()([a, L.Dense(3)(b)]), name="inner")
    x, y = keras.Input((3,)), keras.Input((3,))
    return randomized(keras.Model([x, y], inner([y, x])))


def _fixed_batch() -> keras.Model:
    x = keras.Input(batch_shape=(5, 4))
    return randomized(keras.Model(x, L.Dense(3, activation="relu")(x)))


class OverriddenCall(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def _overridden_nested() -> keras.Model:
    x = keras.Input((4,))
    inner = OverriddenCall(x, L.Dense(4)(x), name="inner")
    y = keras.Input((4,))
    return keras.Model(y, L.Dense(2)(inner(y)))


def _nested_in_training() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), L.BatchNormalization()], name="inner")
    x = keras.Input((4,))
    return randomized(keras.Model(x, inner(x, training=True)))


def _masked() -> keras.Model:
    x, mask = keras.Input((3, 4)), keras.Input((3,), dtype="bool")
    return keras.Model([x, mask], L.BatchNormalization()(x, mask=mask))


def _replaced_call() -> keras.Model:
    layer = L.Dense(3, name="changed")
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.call = lambda x: -keras.ops.matmul(x, layer.kernel)
    return model


def _replaced_call_inside() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4)], name="inner")
    y = keras.Input((4,))
    model = keras.Model(y, L.Dense(2)(inner(y)))
    inner.call = lambda x, **more: -x
    return model


def _replaced_call_in_a_wrapper() -> keras.Model:
    layer = L.Dense(3)
    x = keras.Input((5, 4))
    model = keras.Model(x, L.TimeDistributed(layer, name="frames")(x))
    layer.call = lambda x: -keras.ops.matmul(x, layer.kernel)
    return model


def _lora() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), L.Dense(3)])
    model.layers[0].enable_lora(2)
    return model


CASES = {
    "inputs_and_outputs": Case(_two_inputs_two_outputs),
    "nested_shares_a_tensor": Case(_nested_shares_a_tensor),
    "nested_twice": Case(_nested_twice),
    "nested_on_dicts": Case(_nested_on_dicts),
    "nested_on_a_list": Case(_nested_on_a_list),
    "names_that_collide": Case(_names_that_collide),
    "fixed_batch": Case(_fixed_batch),
    "replaced_call": Refused(_replaced_call, r"'changed' .*its call\(\) was replaced"),
    "replaced_call_inside": Refused(_replaced_call_inside, r"'inner' .*its call\(\) was replaced"),
    "replaced_call_in_a_wrapper": Refused(
        _replaced_call_in_a_wrapper, r"'frames' .*its call\(\) was replaced"
    ),
    "overridden_nested": Refused(_overridden_nested, r"'inner' .*overrides call\(\)"),
    "nested_in_training": Case(_nested_in_training),
    "in_training": functional((4,), lambda x: L.Dense(3)(L.Dropout(0.5)(x, training=True))),
    "masked": Refused(_masked, "it was called with the argument mask="),
    "lora": Refused(_lora, "it has LoRA weights"),
    "shared_layer": Case(_shared_layer),
    "nested": Case(_nested),
    "middle_output": Case(_middle_output),
}
