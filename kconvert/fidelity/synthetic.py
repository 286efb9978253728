"""Samples made from what a model says about its input, for networks converted without samples.

The rates of a layer need to be known to a factor of two or so. That is why images that have nothing
to do with the data are enough, as long as their values have the right size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import is_number
from ..ir import Graph, Shape
from ..ops import Affine, AvgPool, AxisMap, Conv, Dense, Gather, Lif, Pad, Relu, Reshape
from ..reader import Statistics
from ..simulators import SIMULATORS, RunSpec

SAMPLES = 32
"""Samples that are made."""
MATCHED = 4
"""Of these, samples that are run through the first layer, to match its batch statistics."""
LARGE = 3_000_000
"""Neurons; larger networks are not run without being asked."""
SPATIAL = 8
"""An axis of so many values is one of space or time. Shorter ones are of channels."""
SCALES = (0.0, 1 / 32, 1 / 16, 1 / 8, 1 / 4)
"""Widths of Gaussian filters, as shares of the longest axis; the values are smoothed noise."""
SHARED = 0.8
"""Part of the noise that all channels have in common, as in photographs."""
LINEAR = (Affine, AvgPool, AxisMap, Conv, Dense, Gather, Pad, Reshape)
"""Ops of one input whose output is a linear function of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """What values an input takes.

    Args:
        scale: Factor on textures; broadcasts to the shape of a sample.
        shift: What is added then.
        stretched: Whether textures reach from 0 to 1. Otherwise they have mean 0 and variance 1.
        source: What this was inferred from, in words.
    """

    scale: np.ndarray | float
    shift: np.ndarray | float
    stretched: bool
    source: str


def needs_synthetic(graph: Graph) -> bool:
    """Whether the neurons of a network are of no use before they are calibrated.

    ReLU neurons with the rate of their value are: 1 Hz for 1. LIF neurons have the rates that they
    were trained with, so a network that has some is left alone.
    """
    ops = [node.op for node in graph.neurons()]
    return any(isinstance(op, Relu) for op in ops) and not any(isinstance(op, Lif) for op in ops)


def why_not_synthetic(graph: Graph) -> str:
    """Why the network is not run on made-up samples; empty if it can be."""
    if graph.n_neurons > LARGE:
        return f"it takes long to run {graph.n_neurons:,} neurons"
    rates = RunSpec.of_rates(graph, graph.outputs)
    return SIMULATORS["events"].refusal(rates)


def synthetic_samples(
    graph: Graph, statistics: Mapping[str, Statistics], seed: int
) -> tuple[dict[str, np.ndarray], str]:
    """Inputs of the size that the model was made for.

    Args:
        graph: The model as read, before anything is simplified.
        statistics: Name of a value to the mean and variance that it had in training.
        seed: Of the noise.

    Returns:
        Name of an input to samples of shape (n, ...), and in words how they were made.
    """
    samples, sources = {}, []
    for number, name in enumerate(graph.inputs):
        shape = graph.nodes[name].shape
        rng = np.random.default_rng([seed, number])
        noise = textures(rng, SAMPLES, shape)
        values = expected_values(graph, name, statistics, noise[:MATCHED])
        if values.stretched:
            noise = _stretched(noise)
        samples[name] = (values.shift + values.scale * noise).astype(np.float32)
        sources.append(values.source)
    return samples, "; ".join(dict.fromkeys(sources))


def expected_values(
    graph: Graph, name: str, statistics: Mapping[str, Statistics], noise: np.ndarray
) -> Values:
    """What values an input takes, as the layers behind it tell.

    Of a chain of scales and shifts (Rescaling, ``x / 255``, Normalization, BatchNormalization) the
    statistics count, else the range from which it leads to [0, 1] or [-1, 1]. Without a chain, the
    statistics of the first batch normalisation behind linear layers. Without these, [0, 1].

    Args:
        graph: The model as read.
        name: The input.
        statistics: As for :func:`synthetic_samples`.
        noise: Textures of mean 0 and variance 1, of shape (n, ...).
    """
    scale, shift = np.ones(()), np.zeros(())
    here, known = name, statistics.get(name)
    while known is None and (op := _only_reader(graph, here)) is not None:
        if not isinstance(graph.nodes[op].op, Affine):
            break
        affine: Affine = graph.nodes[op].op
        scale, shift = scale * affine.scale, shift * affine.scale + affine.shift
        here, known = op, statistics.get(op)
    if not np.all(scale):
        return _unknown(graph.nodes[name].shape)
    if known is not None:
        mean, deviation = (known.mean - shift) / scale, known.deviation / np.abs(scale)
        return Values(
            deviation, mean, False, "the statistics of the input that are stored in the model"
        )
    if here != name:
        low, high = _range(scale, shift)
        return Values(high - low, low, True, "the range that the model's Rescaling layer expects")
    found = _matched(graph, name, statistics, noise)
    return found or _unknown(graph.nodes[name].shape)


def textures(rng: np.random.Generator, n: int, shape: Shape) -> np.ndarray:
    """Smoothed noise of several scales, of shape (n, *shape), each with mean 0 and variance 1.

    Values without axes of space are independent.
    """
    from scipy.ndimage import gaussian_filter  # takes a while to import

    spatial = [size >= SPATIAL and len(shape) > 1 for size in shape]
    if not any(spatial):
        return rng.standard_normal((n, *shape))
    shared = tuple(size if space else 1 for size, space in zip(shape, spatial, strict=True))
    longest = max(size for size, space in zip(shape, spatial, strict=True) if space)
    found = np.empty((n, *shape))
    for number in range(n):
        noise = np.sqrt(SHARED) * rng.standard_normal(shared)
        noise = noise + np.sqrt(1 - SHARED) * rng.standard_normal(shape)
        whole = np.zeros(shape)
        for share, weight in zip(SCALES, rng.dirichlet(np.ones(len(SCALES))), strict=True):
            sigma = [share * longest if space else 0.0 for space in spatial]
            smooth = gaussian_filter(noise, sigma, mode="wrap") if share else noise
            whole += weight * smooth / (smooth.std() or 1.0)
        found[number] = (whole - whole.mean()) / (whole.std() or 1.0)
    return found


def _stretched(noise: np.ndarray) -> np.ndarray:
    """Each sample from 0 to 1."""
    axes = tuple(range(1, noise.ndim))
    low, high = noise.min(axis=axes, keepdims=True), noise.max(axis=axes, keepdims=True)
    return (noise - low) / np.where(high > low, high - low, 1.0)


def _range(scale: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that a scale and a shift bring to [0, 1], or to [-c, c] where 0 becomes -c < 0."""
    centred = shift < 0
    from_zero = np.where(centred, 0.0, -shift / scale)
    to = np.where(centred, -2 * shift / scale, (1 - shift) / scale)
    return from_zero, to


def _unknown(shape: Shape) -> Values:
    if len(shape) > 1:
        return Values(1.0, 0.0, True, "the range [0, 1], because the model does not say")
    return Values(1.0, 0.0, False, "mean 0 and variance 1, because the model does not say")


def _only_reader(graph: Graph, name: str) -> str | None:
    readers = graph.readers(name)
    return readers[0].name if len(readers) == 1 else None


def _matched(
    graph: Graph, name: str, statistics: Mapping[str, Statistics], noise: np.ndarray
) -> Values | None:
    """A scale and a shift of noise with which the first linear layers give the batch statistics.

    The variance sets the scale: the median over feature maps. Then the means set a shift for each
    channel of the input, by least squares.
    """
    here: str | None = name
    while here is not None and here not in statistics:
        here = _only_reader(graph, here)
        if here is not None and not isinstance(graph.nodes[here].op, LINEAR):
            return None
    if here is None:
        return None
    known, shape = statistics[here], graph.nodes[name].shape
    kept = tuple(np.broadcast_to(known.mean, graph.nodes[here].shape).shape)
    padded = (1,) * (len(kept) - np.ndim(known.mean)) + np.shape(known.mean)
    axes = (0, *(1 + axis for axis, size in enumerate(padded) if size == 1))
    part = graph.subgraph([here])
    channels = np.eye(shape[-1]) if shape[-1] < SPATIAL else np.ones((1, shape[-1]))
    flat = np.broadcast_to(
        channels.reshape(-1, *(1,) * (len(shape) - 1), shape[-1]), (len(channels), *shape)
    )
    zeros = np.zeros((1, *shape))
    given = part.evaluate({name: np.concatenate([zeros, flat, noise])})[here]
    at_zero, values = given[:1], given[1 + len(channels) :] - given[:1]
    ratios = known.deviation.ravel() ** 2 / np.maximum(values.var(axis=axes).ravel(), 1e-30)
    scale = float(np.sqrt(np.median(ratios)))
    answers = np.stack(
        [(one[None] - at_zero).mean(axis=axes).ravel() for one in given[1 : 1 + len(channels)]]
    )
    left = known.mean.ravel() - (at_zero + scale * values).mean(axis=axes).ravel()
    shifts = np.linalg.lstsq(answers.T, left, rcond=1e-3)[0]
    if not is_number(scale) or not np.isfinite([scale, *shifts]).all() or scale > 1e6:
        return None
    return Values(
        scale, shifts @ channels, False, "the statistics of the first batch normalisation"
    )
