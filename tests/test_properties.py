"""Random small models: the rate network equals Keras, or the refusal says why.

A run of some thousands, with counts:
``KCONVERT_EXAMPLES=3000 python -m pytest tests/test_properties.py --hypothesis-show-statistics``.
"""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest
from cases import randomized
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from keras import layers as L
from keras import ops

import kconvert
from kconvert.layers import RateLIF

EXAMPLES = int(os.environ.get("KCONVERT_EXAMPLES", "300"))
PARTS = 4  # for workers to share; Hypothesis draws other models in each

# Keras computes in float32. Layers in a row pass their rounding on, here up to nine of them, and a
# random batch normalisation may magnify it: ten times the tolerance of a single layer.
TOLERANCE = 1e-4


class Tower:
    """A model that grows by draws."""

    def __init__(self, draw) -> None:
        self.draw = draw
        rank = draw(st.sampled_from([1, 2, 3, 3, 3, 4]))
        sizes = {1: (2, 8), 2: (3, 9), 3: (3, 8), 4: (2, 4)}[rank]
        spatial = [draw(st.integers(*sizes)) for _ in range(rank - 1)]
        self.input = keras.Input((*spatial, draw(st.integers(1, 4))))
        self.tensors = [self.input]
        self.shared: list[tuple[tuple[int, ...], L.Layer]] = []

    def choose(self, *options):
        return self.draw(st.sampled_from(options))

    def sizes(self, rank: int, most: int = 3) -> tuple[int, ...]:
        return tuple(self.draw(st.integers(1, most)) for _ in range(rank))

    def grow(self) -> None:
        """One more call on one of the tensors; nothing where Keras itself refuses it."""
        x = self.choose(*self.tensors[-3:])
        step = self.choose(*STEPS[len(x.shape) - 1])
        try:
            y = step(self, x)
        except (ValueError, TypeError):
            return  # a window larger than the image, strides together with dilation
        if 0 not in y.shape[1:] and len(y.shape) <= 5:
            self.tensors.append(y)

    def model(self) -> keras.Model:
        outputs = [self.tensors[-1]]
        if self.draw(st.booleans()):
            middle = self.choose(*self.tensors)
            if middle is not outputs[0]:
                outputs.append(middle)
        return randomized(keras.Model(self.input, outputs))


def spatial(t: Tower, x) -> int:
    return len(x.shape) - 2


def activation(t: Tower, x):
    return t.choose(
        L.ReLU(),
        L.ReLU(max_value=0.7),
        L.ReLU(negative_slope=0.2, max_value=1.5),
        L.LeakyReLU(0.1),
        L.Activation("hard_sigmoid"),
        L.Activation("tanh"),
        L.Activation("sigmoid"),
        L.PReLU(),
        RateLIF(),
        RateLIF(smoothing=0.1, intercept=-0.2),
    )(x)


def refused(t: Tower, x):
    return t.choose(
        lambda v: L.Activation("gelu")(v),
        lambda v: L.LayerNormalization()(v),
        lambda v: L.Multiply()([v, v]),
        lambda v: ops.square(v),
        lambda v: L.Softmax()(v),
    )(x)


def normalization(t: Tower, x):
    axis = t.draw(st.integers(1, len(x.shape) - 1))
    return t.choose(L.BatchNormalization(), L.BatchNormalization(axis=axis), L.Rescaling(0.5, 0.2))(
        x
    )


def dense(t: Tower, x):
    return L.Dense(
        t.draw(st.integers(1, 5)),
        use_bias=t.draw(st.booleans()),
        activation=t.choose(None, None, "relu", "softmax", "leaky_relu"),
    )(x)


def conv(t: Tower, x):
    rank = spatial(t, x)
    kind = (L.Conv1D, L.Conv2D, L.Conv3D)[rank - 1]
    groups = t.choose(1, 1, x.shape[-1])
    # TensorFlow 2.21 computes some strided convolutions over three axes of a single channel wrongly
    # on the CPU (eagerly; not inside a tf.function), so there is nothing to compare with.
    strides = t.sizes(rank, 2) if rank < 3 else 1
    return kind(
        groups * t.draw(st.integers(1, 3)),
        t.sizes(rank),
        strides=strides,
        padding=t.choose("valid", "same", *(["causal"] if rank == 1 else [])),
        dilation_rate=t.sizes(rank, 2),
        groups=groups,
        use_bias=t.draw(st.booleans()),
        activation=t.choose(None, None, "relu"),
    )(x)


def depthwise(t: Tower, x):
    rank = spatial(t, x)
    kinds = {
        1: (L.DepthwiseConv1D, L.SeparableConv1D),
        2: (L.DepthwiseConv2D, L.SeparableConv2D),
    }
    depth, separable = kinds[min(rank, 2)]
    settings = {
        "strides": t.draw(st.integers(1, 2)),
        "padding": t.choose("valid", "same"),
        "depth_multiplier": t.draw(st.integers(1, 2)),
    }
    kernel = t.sizes(min(rank, 2))
    if t.draw(st.booleans()):
        return depth(kernel, **settings)(x)
    return separable(t.draw(st.integers(1, 4)), kernel, **settings)(x)


def transposed(t: Tower, x):
    rank = spatial(t, x)
    kind = (L.Conv1DTranspose, L.Conv2DTranspose, L.Conv3DTranspose)[rank - 1]
    return kind(
        t.draw(st.integers(1, 3)),
        t.sizes(rank),
        strides=t.sizes(rank, 2),
        padding=t.choose("valid", "same"),
    )(x)


def pooling(t: Tower, x):
    rank = spatial(t, x)
    average = (L.AveragePooling1D, L.AveragePooling2D, L.AveragePooling3D)[rank - 1]
    maximum = (L.MaxPooling1D, L.MaxPooling2D, L.MaxPooling3D)[rank - 1]
    strides = t.sizes(rank)
    return t.choose(average, maximum)(
        t.sizes(rank), strides=t.choose(None, strides), padding=t.choose("valid", "same")
    )(x)


def pooled_away(t: Tower, x):
    rank = spatial(t, x)
    average = (L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D)
    maximum = (L.GlobalMaxPooling1D, L.GlobalMaxPooling2D, L.GlobalMaxPooling3D)
    return t.choose(average, maximum)[rank - 1](keepdims=t.draw(st.booleans()))(x)


def padding(t: Tower, x):
    rank = spatial(t, x)
    pads = [tuple(t.draw(st.integers(0, 2)) for _ in range(2)) for _ in range(rank)]
    zeros = (L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D)[rank - 1]
    crop = (L.Cropping1D, L.Cropping2D, L.Cropping3D)[rank - 1]
    return t.choose(zeros, crop)(pads[0] if rank == 1 else tuple(pads))(x)


def up_sampling(t: Tower, x):
    rank = spatial(t, x)
    if rank == 2:
        size = t.sizes(2, 2)
        return L.UpSampling2D(size, interpolation=t.choose("nearest", "bilinear"))(x)
    return (L.UpSampling1D(2), L.UpSampling1D(2), L.UpSampling3D((1, 2, 1)))[rank - 1](x)


def reshaping(t: Tower, x):
    shape = x.shape[1:]
    rank = len(shape)
    options = [L.Flatten(), L.Permute(t.draw(st.permutations(range(1, rank + 1))))]
    if shape[0] % 2 == 0:
        options.append(L.Reshape((2, shape[0] // 2, *shape[1:])))
    if rank == 1:
        options.append(L.RepeatVector(2))
    return t.choose(*options)(x)


def arithmetic(t: Tower, x):
    return t.choose(
        lambda v: v * 1.5 + 0.3,
        lambda v: 0.5 - v,
        lambda v: abs(v),
        lambda v: ops.clip(v, -0.5, 0.9),
        lambda v: ops.mean(v, axis=1, keepdims=True),
        lambda v: ops.max(v, axis=-1, keepdims=True),
        lambda v: ops.flip(v, axis=-1),
        lambda v: v[:, ::2],
    )(x)


def merging(t: Tower, x):
    alike = [y for y in t.tensors if y.shape == x.shape]
    y = t.choose(*alike)
    axis = t.draw(st.integers(1, len(x.shape) - 1))
    return t.choose(
        L.Add(), L.Subtract(), L.Average(), L.Maximum(), L.Minimum(), L.Concatenate(axis=axis)
    )([x, y])


def sharing(t: Tower, x):
    """A layer that other tensors of the shape go through as well."""
    for shape, layer in t.shared:
        if shape == x.shape:
            return layer(x)
    layer = t.choose(L.Dense(x.shape[-1], activation="relu"), L.BatchNormalization())
    t.shared.append((x.shape, layer))
    return layer(x)


def nesting(t: Tower, x):
    inside = keras.Input(x.shape[1:])
    layer = t.choose(L.Dense(2, activation="relu"), L.Rescaling(2.0), L.ReLU())
    inner = keras.Model(inside, L.BatchNormalization()(layer(inside)))
    return inner(x)


ANY = [activation, activation, normalization, dense, arithmetic, merging, sharing, nesting, refused]
IMAGE = [conv, conv, conv, transposed, pooling, pooling, padding, up_sampling, pooled_away]
STEPS = {
    1: [*ANY, reshaping],
    2: [*ANY, *IMAGE, depthwise, reshaping],
    3: [*ANY, *IMAGE, depthwise, depthwise, reshaping],
    4: [*ANY, *IMAGE, reshaping],
}


@st.composite
def models(draw) -> keras.Model:
    tower = Tower(draw)
    for _ in range(draw(st.integers(1, 9))):
        tower.grow()
    return tower.model()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(PARTS))
@settings(
    max_examples=EXAMPLES // PARTS,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)
@given(model=models())
def test_random_models(model, part):
    try:
        spiking = kconvert.convert(model, calibration=False)
    except kconvert.UnsupportedModelError as error:
        assert error.problems
        assert all(problem.reason for problem in error.problems)
        assert not kconvert.check(model)
        event("refused")
        return
    assert kconvert.check(model)
    event("converted")
    result = spiking.verify(simulator="nengo", tolerance=TOLERANCE, n=2)
    assert result.passed, f"{result}\n{spiking.graph}"
    the_same_spikes(model)


def the_same_spikes(model: keras.Model) -> None:
    """In Nengo and in the event simulator, to the last one: neither knows of the other."""
    spiking = kconvert.convert(model, scale_firing_rates=300.0)
    rng = np.random.default_rng(0)
    x = {name: rng.standard_normal((2, *shape)) for name, shape in spiking.signature.inputs.items()}
    core = spiking.simulate(x, 8, simulator="nengo", spikes=True)
    events = spiking.simulate(x, 8, simulator="events", dtype="float64", spikes=True)
    event(f"{'no ' * (not sum(core.n_spikes.values()))}spikes")
    for layer, train in core.spikes.items():
        assert np.array_equal(events.spikes[layer], train), f"{layer}\n{spiking.graph}"
    for mine, theirs in zip(
        keras.tree.flatten(events.outputs), keras.tree.flatten(core.outputs), strict=True
    ):
        # Sums in another order; a factor of random layers may be in the thousands.
        scale = max(1.0, float(np.abs(theirs).max()))
        assert np.abs(mine - theirs).max() <= 1e-9 * scale, str(spiking.graph)
