"""``fine_tune``: train a Keras model as the spiking network that it becomes."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Never

import keras
import numpy as np

from .arguments import count, is_word, nearest, refuse_unknown, seconds_of_a_step, seed_of
from .cloning import cloned, layer_at
from .data.arrays import Feeds
from .data.streams import first_samples, is_stream
from .errors import InputError, Problem, UnsupportedModelError, is_finite
from .fidelity import FACTORS, Calibration, check_calibration, rounding_errors
from .ir import Graph, Node
from .layers import RateLIF, SpikingAware
from .layers.spiking_aware import CEILINGS, ONE_A_STEP, ceiling_of_relu
from .model import SpikingModel
from .ops import Lif, Relu, Window
from .options import read_options
from .passes import run
from .passes.fold_affine_into_linear import fold_affine_into_next
from .pipeline import convert, with_settings
from .preparation import Prepared, prepare
from .reader import Reading
from .scoring.compiled import given_to_compile
from .simulators import DEFAULT_DT
from .targets.keras.layer import Spiking, unsupported

SAMPLES = 100
"""Samples that are taken for calibration, from the whole of the training data."""
LEARNING_RATE = 5e-4
"""Of Adam: half of Keras' default, since the model is trained already."""


def fine_tune(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    n_steps: int,
    spike_values: str = "binary",
    calibration: Any = None,
    epochs: int = 5,
    batch_size: int = 32,
    learning_rate: float = LEARNING_RATE,
    optimizer: Any = None,
    validation_data: Any = None,
    callbacks: Any = None,
    verbose: Any = "auto",
    dt: float = DEFAULT_DT,
    seed: int | None = None,
    **unknown: Never,
) -> keras.Model:
    """Train a Keras model as the spiking network that it becomes, for runs of few steps.

    The model is calibrated once. Then each step of training runs the converted network for
    ``n_steps`` steps. The forward pass computes the spikes of :meth:`SpikingModel.simulate`. The
    backward pass uses the gradient of each neuron's firing rate at its mean input. The loss and the
    metrics are those that the model was compiled with. They are computed from the read-out after
    ``n_steps``. Training uses ``keras.ops`` only, so it runs on every Keras backend. Your model is
    not changed.

    In the result, a :class:`kconvert.layers.SpikingAware` layer stands in the place of each
    activation and holds its trained rates. ``kconvert.convert(result)``, without calibration, is
    the network that was trained. Keras saves and loads the result as any model. The result itself
    computes firing rates, but it was trained on spikes, so ``result.evaluate`` may show a lower
    accuracy than the spiking network has.

    Batch normalisation keeps its statistics and its scale. Dropout, noise, regularizers and
    constraints of the model are switched off in training. A warning names all other weights that
    training leaves alone.

    Args:
        model: A built and compiled Sequential or functional model, with ReLU (also ReLU6) or
            RateLIF activations, as layers or as ``activation=``. Or a result of this function,
            which keeps its rates.
        x: Training data, as ``model.fit`` takes it: arrays of shape ``(n, *input_shape)``, or a
            dataset, loader or ``PyDataset`` that yields inputs with targets.
        y: Targets, as ``model.fit`` takes them; None for data that yields them.
        n_steps: Number of steps that the spiking network will run for, >= 2. The read-out is one
            step late, as a Nengo probe is: after n steps it is the mean of n - 1.
        spike_values: What a neuron may send in one step: "binary" is 0 or 1, "ternary" is -1, 0
            or 1 (ReLU only).
        calibration: Samples that set the rates, or a :class:`kconvert.Calibration`. None takes 100
            from ``x``. In so few steps, ReLU neurons cut off large values and round small ones.
            Unless the calibration has a ``rate`` or a ``percentile``, each spike is therefore made
            to stand for a smaller value, the one with the least squared error.
        epochs: Number of passes over the training data.
        batch_size: Samples in a step of training; used for arrays.
        learning_rate: Of Adam at the start. It falls to 0 along a cosine, where the number of steps
            is known.
        optimizer: A Keras optimizer in the place of Adam, or its name.
        validation_data: As for ``model.fit``. Its figures are those of the spiking network.
        callbacks: As for ``model.fit``. They see the network in training, not the result.
        verbose: As for ``model.fit``.
        dt: Length of a step in seconds.
        seed: Seed of Python, NumPy and Keras, set by ``keras.utils.set_random_seed``; None leaves
            these alone.
        **unknown: Nothing: any other argument is refused, with the nearest name.

    Returns:
        A new model, compiled with the same loss and metrics. Its ``history`` is that of the
        training.

    Raises:
        InputError: An argument is not accepted (also a ``ValueError``).
        UnsupportedModelError: Some layers cannot be trained in this way. The error lists all.

    Example:
        >>> import keras, kconvert, numpy as np
        >>> keras.utils.set_random_seed(0)
        >>> model = keras.Sequential([
        ...     keras.Input((4,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(2),
        ... ])
        >>> x = np.random.default_rng(0).standard_normal((400, 4)).astype("float32")
        >>> y = (x[:, 0] > x[:, 1]).astype(int)
        >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> _ = model.fit(x, y, epochs=20, verbose=0)
        >>> tuned = kconvert.fine_tune(model, x, y, n_steps=4, verbose=0, seed=0)
        >>> kconvert.convert(tuned).evaluate(x, y, 4).accuracy > 0.9
        True

    References:
        T. Bu et al.: Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking
        neural networks, ICLR 2022, arXiv:2303.04347 (training for a given number of steps). C. Yu
        et al.: Advancing training efficiency of deep spiking neural networks through rate-based
        backpropagation, NeurIPS 2024, arXiv:2410.11488 (the gradient). Y. Bengio, N. Léonard, A.
        Courville: Estimating or propagating gradients through stochastic neurons, 2013,
        arXiv:1308.3432 (straight-through estimators).
    """
    refuse_unknown(unknown, fine_tune)
    n_steps = count("fine_tune: n_steps", n_steps, least=2)
    epochs, batch_size = count("epochs", epochs), count("batch_size", batch_size)
    dt = seconds_of_a_step("dt", dt)
    _check_words(spike_values, learning_rate)
    prepared = prepare(model, read_options())
    prepared.require_convertible(model.name)
    _require_trainable(model, prepared)
    if y is None and not is_stream(x):
        raise InputError("fine_tune: y is missing: arrays in x need targets")
    if seed is not None:
        keras.utils.set_random_seed(seed_of(seed))
    if prepared.reading.spiking:
        tuned = cloned(model, model.get_weights(), _copy)
        _require_same(prepared, spike_values)
    else:
        samples = _samples(x, prepared) if calibration is None else calibration
        if not isinstance(samples, Calibration):
            samples = Calibration(samples, n_steps=n_steps)
        # One layer of Keras has one amplitude.
        samples, feeds = check_calibration(
            replace(samples, per_channel=False, dt=dt), prepared.input_shapes
        )
        tuned = _with_spikes(model, samples, feeds, n_steps, spike_values)
    spiking = convert(tuned)
    trainer, untrained = _trainer(tuned, spiking, prepared.reading, n_steps)
    if untrained:
        warnings.warn(
            f"fine_tune: {', '.join(untrained)} stay as they are: conversion merges their layers "
            "with others in a way that training cannot follow",
            stacklevel=2,
        )
    if optimizer is None:
        steps = _steps_of_training(x, batch_size, epochs)
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps) if steps else None
        optimizer = keras.optimizers.Adam(rate or learning_rate)
    trainer.compile(optimizer=optimizer, **_compiled(model))
    history = trainer.fit(
        x,
        y,
        batch_size=None if is_stream(x) else batch_size,
        epochs=epochs,
        validation_data=validation_data,
        callbacks=callbacks,
        verbose=verbose,
    )
    tuned.compile(optimizer="adam", **_compiled(model))
    tuned.optimizer.build(tuned.trainable_variables)  # Keras does not load what was never built
    tuned.history = history
    return tuned


def _check_words(spike_values: Any, learning_rate: Any) -> None:
    if not is_word(spike_values, ONE_A_STEP):
        raise InputError(
            "fine_tune: spike_values must be 'binary' or 'ternary': graded spikes keep the "
            "accuracy without training (convert with calibration=x). "
            f"Received: {spike_values!r}{nearest(spike_values, ONE_A_STEP)}"
        )
    if not is_finite(learning_rate) or learning_rate <= 0:
        raise InputError(
            f"fine_tune: learning_rate must be a number > 0. Received: {learning_rate!r}"
        )


def _require_trainable(model: keras.Model, prepared: Prepared) -> None:
    """Refuse what has no loss, or input that changes in time."""
    if not getattr(model, "compiled", False) or getattr(model, "loss", None) is None:
        raise InputError(
            f"fine_tune: {model.name!r} is not compiled with a loss. Call "
            "model.compile(loss=..., metrics=[...]) first"
        )
    if prepared.reading.in_time:
        raise InputError(
            f"fine_tune: {model.name!r} has a time axis, so every step has input of its own. Only "
            "input that is held can be trained"
        )


def _require_same(prepared: Prepared, spike_values: str) -> None:
    """Refuse other spikes than those that the model was trained for before."""
    for node in prepared.graph.neurons():
        trained = "ternary" if getattr(node.op, "signed", False) else "binary"
        if trained != spike_values:
            raise InputError(
                f"fine_tune: {node.layer!r} was trained with spike_values={trained!r}. Received: "
                f"spike_values={spike_values!r}"
            )


def _samples(x: Any, prepared: Prepared) -> Any:
    """Samples for calibration: evenly from the whole array, which may be sorted by class."""
    if is_stream(x):
        return first_samples(x, prepared.input_shapes, SAMPLES)

    def some(array: Any) -> Any:
        array = np.asarray(array)
        return array[np.linspace(0, len(array) - 1, min(SAMPLES, len(array))).astype(int)]

    return keras.tree.map_structure(some, x)


def _with_spikes(
    model: keras.Model, samples: Calibration, feeds: Feeds, n_steps: int, spike_values: str
) -> keras.Model:
    """A copy whose activations say how they spike."""
    dt = samples.dt
    calibrated = convert(
        model,
        calibration=samples,
        synapse=None,
        correction=None,
        spike_values=spike_values,
    )
    found = _replaced(model, calibrated.graph, spike_values)
    settings = {"n_steps": n_steps, "dt": dt, "spike_values": spike_values}
    errors: dict[str, np.ndarray] = {}
    if samples.rate is None and samples.percentile is None:
        errors = rounding_errors(calibrated.graph, feeds, n_steps - 1, dt)

    def factor(nodes: Sequence[Node]) -> float:
        """What to multiply the value of a spike with, for the least error over all calls."""
        if not errors:
            return 1.0
        return float(FACTORS[np.sum([errors[node.name] for node in nodes], axis=0).argmin()])

    def each_layer(layer: Any) -> Any:
        copied = _copy(layer)
        if id(layer) not in found:
            return copied
        own = {**settings, "dtype": layer.dtype_policy}
        nodes = found[id(layer)]
        if _is_activation(layer):
            rate = copied.layer if isinstance(copied, SpikingAware) else copied
            return _spiking(rate, nodes, factor(nodes), {**own, "name": layer.name})
        ceiling = CEILINGS[layer.activation.__name__]
        rate = keras.layers.ReLU(None if ceiling == math.inf else ceiling)
        copied.activation = _spiking(rate, nodes, factor(nodes), own)
        return copied

    return cloned(model, model.get_weights(), each_layer)


def _replaced(model: keras.Model, graph: Graph, spike_values: str) -> dict[int, list[Node]]:
    """Identity of each layer that is to be replaced, to its neurons at each call.

    Raises:
        UnsupportedModelError: Some neurons are of no such layer.
        InputError: There are no neurons.
    """
    found: dict[int, list[Node]] = {}
    problems: dict[str, Problem] = {}
    for node in graph.neurons():
        layer = _activation_at(model, node)
        if layer is None or (spike_values == "ternary" and isinstance(node.op, Lif)):
            problems[node.layer] = _problem(node, spike_values)
        else:
            found.setdefault(id(layer), []).append(node)
    if problems:
        raise UnsupportedModelError(f"{model.name!r} cannot be fine-tuned", list(problems.values()))
    if not found:
        raise InputError(f"fine_tune: {model.name!r} has no neurons")
    return found


def _copy(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _spiking(
    layer: Any, nodes: Sequence[Node], factor: float, settings: Mapping[str, Any]
) -> SpikingAware:
    """A layer with the rates that calibration found for its neurons.

    A layer that is called several times has the largest of its amplitudes, which cuts off least.

    Args:
        layer: The activation.
        nodes: Its neurons, at each call.
        factor: What to multiply the value of a spike of ReLU neurons with.
        settings: Further arguments of the new layer.
    """
    op: Any = max(nodes, key=lambda node: float(node.op.amplitude)).op
    if isinstance(op, Lif):
        changed = {
            "tau_rc": op.tau_rc,
            "tau_ref": op.tau_ref,
            "amplitude": op.amplitude,
            "max_rate": layer.max_rate * layer.amplitude / op.amplitude,
            "noise": 0.0,
        }
        faster = RateLIF.from_config({**layer.get_config(), **changed})
        return SpikingAware(faster, phase="random", **settings)
    amplitude = max(float(np.median(node.op.amplitude / node.scale)) for node in nodes)
    return SpikingAware(layer, amplitude=factor * amplitude, phase=0.5, **settings)


def _activation_at(model: keras.Model, node: Node) -> Any:
    """The Keras layer whose activation neurons are, if it is one that can be replaced; or None."""
    if not isinstance(node.op, Relu | Lif) or (
        isinstance(node.op, Lif) and node.op.trained is not None
    ):
        return None
    # The second call of a layer has a number behind its name.
    for name in (node.layer, re.sub(r"\.\d+$", "", node.layer)):
        try:
            layer = layer_at(model, tuple(name.split("/")))
        except (ValueError, AttributeError):
            continue
        wanted = name.rsplit("/", 1)[-1]
        plain = _is_activation(layer) or _is_plain(getattr(layer, "activation", None))
        return layer if layer.name == wanted and plain else None
    return None


def _is_activation(layer: Any) -> bool:
    """Whether a layer is an activation and nothing else."""
    if isinstance(layer, SpikingAware):
        layer = layer.layer
    return isinstance(layer, RateLIF) or bool(ceiling_of_relu(layer))


def _is_plain(activation: Any) -> bool:
    return getattr(activation, "__name__", "") in CEILINGS


def _problem(node: Node, spike_values: str) -> Problem:
    what = node.op.kind
    if isinstance(node.op, Lif) and spike_values == "ternary":
        return Problem(
            node.layer, f"{what} neurons", "LIF neurons send 0 or 1", "pass spike_values='binary'"
        )
    return Problem(
        node.layer,
        f"{what} neurons",
        "its neurons are not those of an activation that can be replaced",
        "use a ReLU without slope and threshold, or a kconvert.layers.RateLIF",
    )


def _trainer(
    tuned: keras.Model, spiking: SpikingModel, reading: Reading, n_steps: int
) -> tuple[keras.Model, list[str]]:
    """A model of the same inputs and outputs that runs the spiking network.

    Returns:
        The model, and what the user could expect to be trained and is not.
    """
    graph = _in_training(tuned)
    if nodes := unsupported(graph):
        raise UnsupportedModelError(
            f"{tuned.name!r} cannot be fine-tuned",
            [
                Problem(node.layer, type(node.op).__name__, "it cannot be computed in training")
                for node in nodes
            ],
        )
    variables = {
        (name, field): getattr(layer_at(tuned, parameter.layer), parameter.attribute)
        for name, node in graph.nodes.items()
        for field, parameter in node.parameters.items()
    }
    followed = {id(each) for each in variables.values()}
    untrained = [repr(name) for name, each in _weights_of(tuned) if id(each) not in followed]
    if not variables:
        raise InputError(f"fine_tune: {tuned.name!r} has no weights that can be trained")
    dt = graph.calibrated_dt or DEFAULT_DT
    [read_out] = set(spiking.read_outs.values())
    if not isinstance(read_out, Window):
        raise TypeError(f"the read-out of a trained network is a mean, not {read_out}")
    layer = Spiking(graph, variables, read_out.shares(n_steps, dt), dt)
    inputs = [
        keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name)
        for tensor in tuned.inputs
    ]
    outputs = layer(inputs)
    if len(outputs) > 1:  # losses may be given by name
        names = tuned.output_names
        outputs = [
            keras.layers.Identity(name=name, dtype="float32")(each)
            for name, each in zip(names, outputs, strict=True)
        ]
    trainer = keras.Model(
        keras.tree.map_structure(inputs.__getitem__, reading.input_structure),
        keras.tree.map_structure(outputs.__getitem__, reading.output_structure),
        name=tuned.name,
    )
    return trainer, untrained


def _in_training(tuned: keras.Model) -> Graph:
    """The network that a model with spikes of its own converts to, for training.

    A shift in front of a layer, of ``Rescaling`` or batch normalisation, stays apart. Merged into
    the layer, its part of the bias would have to follow every change of the kernel.
    """
    options = read_options()
    prepared = prepare(tuned, options)
    passes = [each for each in prepared.passes if each is not fold_affine_into_next]
    apart = replace(prepared, graph=run(prepared.reading.graph, passes))
    return with_settings(apart, options)[1]


def _weights_of(model: keras.Model) -> Iterator[tuple[str, keras.Variable]]:
    """The weights that training is expected to change, by the names of layers and weights.

    The scale of batch normalisation is none of them: it stays, as its statistics do.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inner = _weights_of(layer)
            yield from ((f"{layer.name}/{name}", each) for name, each in inner)
        else:
            kept = layer.gamma if isinstance(layer, keras.layers.BatchNormalization) else None
            for each in layer.trainable_variables:
                if each is not kept:
                    yield f"{layer.name}/{each.name}", each


def _compiled(model: keras.Model) -> dict[str, Any]:
    """Loss and metrics of a model, for another: metrics hold sums, so they are copied."""
    given = given_to_compile(model)
    settings = {
        name: given.get(name) for name in ("loss", "loss_weights", "metrics", "weighted_metrics")
    }
    settings["loss"] = model.loss
    return {name: keras.tree.map_structure(_fresh, each) for name, each in settings.items()}


def _fresh(given: Any) -> Any:
    is_metric = isinstance(given, keras.metrics.Metric)
    return type(given).from_config(given.get_config()) if is_metric else given


def _steps_of_training(x: Any, batch_size: int, epochs: int) -> int:
    """How many steps the training has; 0 where it is not known."""
    if is_stream(x):
        try:
            return len(x) * epochs
        except TypeError:
            return 0
    return math.ceil(len(keras.tree.flatten(x)[0]) / batch_size) * epochs
