"""``convert``: read, passes, target. The whole story on one screen."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from .errors import InputError, UnsupportedModelError, is_integer
from .fidelity import (
    CORRECTIONS,
    as_trained,
    calibrate,
    check_calibration,
    check_correction,
    choose_synapse,
    correct,
    equilibrium,
    start_voltages,
    with_neurons,
)
from .ir import Decision, Graph
from .model import Prepared, SpikingModel
from .ops import Opaque, Relu, Softmax
from .options import check_allowed, read_swaps
from .passes import SIMPLIFY, Pass, run
from .passes.set_max_pooling import DEFAULT as DEFAULT_MAX_POOLING
from .passes.set_max_pooling import set_max_pooling
from .passes.set_spiking import (
    EQUILIBRIUM,
    set_initial_voltages,
    set_min_voltages,
    set_signed,
    set_synapses,
)
from .passes.set_spiking import scale_firing_rates as scale_rates
from .reader import LAYERS, Importer, Registry, read_keras

DEFAULT_SYNAPSE = 0.002
"""Seconds. With ``initial_voltage="spread"``, chosen by measurement: docs/accuracy.md."""
DEFAULT_OUTPUT_SYNAPSE = 0.1
"""Seconds: the reference work's."""
DEFAULT_DT = 0.001
"""Seconds: what :meth:`SpikingModel.simulate` runs with if nothing else is said."""

REFERENCE_WORK: Mapping[str, Any] = MappingProxyType(
    {"synapse": None, "output_synapse": 0.1, "initial_voltage": 0.0, "min_voltage": None}
)
"""Arguments of :func:`convert` that give the reference work's network: Nengo's own neurons, which
start at rest, without synapses between them."""


def convert(
    model: keras.Model,
    *,
    spiking: bool = True,
    calibration: Any = None,
    synapse: Any = "auto",
    output_synapse: Any = "auto",
    initial_voltage: Any = "auto",
    min_voltage: Any = "auto",
    signed: Any = "auto",
    correction: Any = "auto",
    scale_firing_rates: float | Mapping[str, float] | None = None,
    max_pooling: str | Mapping[str, str] = DEFAULT_MAX_POOLING,
    swap_activations: Mapping[Any, Any] | None = None,
    allow: Collection[str] = (),
    train_biases: bool = False,
    layers: Registry | Mapping[type, Importer] | None = None,
    seed: int = 0,
) -> SpikingModel:
    """Convert a Keras 3 model to a spiking network for Nengo and NengoDL.

    The reference work's own settings (Hunsberger & Eliasmith 2016, as in NengoDL's example) are
    ``**kconvert.REFERENCE_WORK``. Where a setting is a dict by layer name, names may be patterns
    such as ``"block1_*"`` (as :mod:`fnmatch` has them); a layer's own name goes before them, and of
    patterns the first counts.

    Args:
        model: A built Sequential or functional model.
        spiking: Spiking neurons; False emits their rates. With ``synapse=None`` and
            ``output_synapse=None`` the rate network's output after one step equals
            ``model.predict`` (of the logits, where the model ends in a softmax).
        calibration: Samples that set the firing rates: an array of some dozens of typical inputs
            (without labels; several inputs as :meth:`SpikingModel.simulate` takes them), or a
            :class:`kconvert.Calibration`. What is "auto" below is then chosen for such rates.
        synapse: Filter behind every layer of neurons: None, a time constant in seconds of a
            ``nengo.Lowpass``, a ``nengo.synapses.Synapse``, or a dict of these by layer name
            (layers that are not named get None). "auto" is 2 ms; with ``calibration`` None where
            all neurons are ReLU, else what served best of a few that were tried on the samples.
        output_synapse: Filter of the read-out: None, seconds or a synapse; "ramp", the mean from
            the start on with weights that grow with time; "window", the mean from when the input
            has gone through the layers and synapses of the network, or another
            :class:`kconvert.Window`; or a dict of these by Keras' names of the outputs. "auto" is
            0.1, or "ramp" with ``calibration``.
        initial_voltage: Membrane voltage at the start in units of the threshold: "spread" covers
            [0, 1) evenly, so that neurons with like input do not fire in step; "uniform" does so at
            random (``seed``); with ``calibration``, "equilibrium" takes voltages that the neuron
            has on the samples after some steps; or a number in [0, 1), or an array of the layer's
            shape, or a dict of these by layer name (layers that are not named start at 0); "auto",
            which is "spread", or with ``calibration`` 1/2 for ReLU and sigmoid neurons.
        min_voltage: How far below its resting level a membrane may go, in units of the threshold:
            a number <= 0, also ``-np.inf``; None for Nengo's own neurons (a LIF membrane ends at 0,
            ReLU neurons leave negative input out); "auto", which leaves neurons as they are, or
            with ``calibration`` no floor for ReLU neurons; or a dict of these by layer name (layers
            that are not named get "auto"). docs/fidelity.md says what a floor costs.
        signed: Whether ReLU neurons take spikes back, by spikes of negative sign, where the sum
            that called for them falls again: True, False, or a dict by layer name (layers that are
            not named get "auto"). "auto" is False; with ``calibration`` True for neurons without a
            floor where the read-out's error on the samples is too large otherwise, as in deep
            networks. Signed neurons have no use for ``min_voltage=None``: without a number they
            have no floor.
        correction: Whether what neurons read, and the output, is brought to the mean that was
            trained, feature map by feature map and layer by layer, as samples in spikes show that
            it is not: None, "bias" (by shifts), "affine" (by factors and shifts), or a dict of
            these by layer name (layers that are not named get "auto"; outputs go with the layers).
            "auto" is None without ``calibration``, and where all neurons are ReLU without a floor;
            else what served best of these on samples. Rate networks have no need of it.
            docs/fidelity.md.
        scale_firing_rates: Factor on firing rates, at the same output: a number > 0 or a dict by
            layer name. Exact for ReLU neurons, not for LIF.
        max_pooling: How maxima are taken in time, for all layers or as a dict by layer name (layers
            that are not named get the default): "before" (of running sums, in front of the neurons
            where there are any), "sums" (of running sums), "values" (of what arrives at each
            step), "circuit" (spiking ReLU neurons), "average" (average pooling instead).
            docs/max_pooling.md has what each keeps of the accuracy.
        swap_activations: What to use in the place of activations: Keras' name of one, its
            function, its layer class, or a Nengo neuron type, to a ``nengo.neurons.NeuronType``
            (its current is the activation's input), or to Keras' name of another activation.
        allow: "tensornode" computes layers that cannot be converted as they are, in a NengoDL
            TensorNode, without neurons. Such a network runs in NengoDL only.
        train_biases: Give biases that a feature map shares a connection of their own, so that
            NengoDL trains them too. Without it they are held fixed while NengoDL trains.
        layers: Importers of your own, as ``{MyLayer: importer}``, or a whole registry; by default
            ``kconvert.LAYERS``.
        seed: Seed of the Nengo network, and of random start voltages.

    Raises:
        InputError: The model or an argument does not fit (also a ``ValueError``).
        UnsupportedModelError: Layers cannot be converted; all of them are listed.

    Example:
        >>> import keras, kconvert
        >>> model = keras.Sequential([
        ...     keras.Input((6, 6, 1)),
        ...     keras.layers.Conv2D(4, 3),
        ...     kconvert.layers.RateLIF(),
        ...     keras.layers.Flatten(),
        ...     keras.layers.Dense(3),
        ... ])
        >>> spiking = convert(model)
        >>> sum(ensemble.n_neurons for ensemble in spiking.net.ensembles)
        64
    """
    from .targets.nengo import net as nengo_net  # Nengo takes a second to import

    prepared = prepare(
        model,
        layers=layers,
        swap_activations=swap_activations,
        allow=allow,
        max_pooling=max_pooling,
    )
    if prepared.problems:
        raise UnsupportedModelError(f"{model.name!r} cannot be converted", prepared.problems)
    calibrated = calibration is not None
    if _is_auto(initial_voltage):
        initial_voltage = start_voltages(prepared.graph) if calibrated else "spread"
    settings = {"initial_voltage": initial_voltage, "correction": correction}
    if not calibrated and (argument := asks_for_samples(settings)):
        raise InputError(
            f"{argument}={settings[argument]!r} is found by running samples: pass them as "
            "calibration=x, or leave it out"
        )
    check_correction(prepared.graph, correction)
    read_out = partial(
        nengo_net.read_outs,
        output_synapse,
        "ramp" if calibrated else DEFAULT_OUTPUT_SYNAPSE,
        prepared.reading.output_names,
    )
    read_out(prepared.graph, DEFAULT_DT)  # refuses what is none before anything is run
    floor = set_min_voltages(min_voltage, auto=-np.inf if calibrated else None)
    seed = _integer(seed)
    start = partial(set_initial_voltages, initial_voltage, seed=seed)
    graph = run(prepared.graph, [start(), floor])
    graph = run(graph, [set_signed(signed)])
    default = None if calibrated else DEFAULT_SYNAPSE
    given = default if _is_auto(synapse) else synapse
    graph = run(graph, [set_synapses(_by_layer(given, nengo_net.check_synapse, "synapse"))])
    dt = DEFAULT_DT
    if calibrated:
        how, feeds = check_calibration(calibration, prepared.input_shapes)
        graph, dt = calibrate(graph, how, feeds, signed, correction), how.dt
    if scale_firing_rates is not None:
        graph = run(graph, [scale_rates(scale_firing_rates)])
    if calibrated and _is_auto(synapse):
        found, decisions = choose_synapse(graph, how, feeds, read_out(graph, dt), DEFAULT_SYNAPSE)
        best = nengo_net.check_synapse(found, "synapse")
        graph = run(graph, [set_synapses(best)]).rewrite(decisions=decisions)
    if spiking and calibrated:
        rates = as_trained(with_neurons(graph, prepared.graph))
        if _asks_for(initial_voltage, EQUILIBRIUM):
            graph = run(graph, [start(equilibrium(graph, how, feeds))])
        graph = correct(graph, rates, correction, feeds, n_steps=int(how.n_steps), dt=dt)
    if spiking:
        graph = graph.rewrite(decisions=_slow_neurons(graph))
    return SpikingModel(
        model,
        prepared,
        graph,
        spiking=bool(spiking),
        output_synapse=read_out(graph, dt),
        train_biases=bool(train_biases),
        seed=seed,
        dt=dt if calibrated else None,
    )


def prepare(
    model: keras.Model,
    *,
    layers: Registry | Mapping[type, Importer] | None = None,
    swap_activations: Mapping[Any, Any] | None = None,
    allow: Collection[str] = (),
    max_pooling: str | Mapping[str, str] = DEFAULT_MAX_POOLING,
    **others: Any,
) -> Prepared:
    """Read a model and apply the passes that every model goes through.

    Args:
        model: As for :func:`convert`, and so the other arguments.
        layers: Importers.
        swap_activations: Activations.
        allow: Flags.
        max_pooling: Maxima.
        **others: The other arguments of :func:`convert`, which come later.

    Raises:
        InputError: The model or an argument does not fit.
    """
    from .targets.nengo import net as nengo_net
    from .targets.nengo.neurons import neuron_op

    if unknown := sorted(set(others) - set(signature(convert).parameters)):
        raise InputError(f"convert has no arguments {unknown}")
    registry = layers if isinstance(layers, Registry) else LAYERS.extended(layers or {})
    swaps = read_swaps(swap_activations, neuron_op)
    allowed = check_allowed(allow)
    read = partial(read_keras, layers=registry, swap=swaps, allow=allowed)
    reading = read(model)
    passes: tuple[Pass, ...] = (*SIMPLIFY, set_max_pooling(max_pooling, in_time=reading.in_time))
    if "tensornode" in allowed:
        passes = (*passes, _keep_softmax)
    graph = run(reading.graph, passes)
    return Prepared(reading, read, passes, graph, (*reading.problems, *nengo_net.problems(graph)))


def _keep_softmax(graph: Graph) -> Graph:
    """What is left of softmax, away from the outputs, as TensorNodes."""
    swap, decisions = {}, []
    for node in graph.nodes.values():
        if not isinstance(node.op, Softmax):
            continue
        function = keras.ops.log_softmax if node.op.log else keras.ops.softmax
        op = Opaque(
            partial(function, axis=node.op.axis + 1),
            keras.ops.convert_to_numpy,
            node.shape,
            in_tensorflow=keras.backend.backend() == "tensorflow",
        )
        swap[node.name] = replace(node, op=op)
        text = "softmax is computed by Keras, without neurons"
        decisions.append(Decision("tensornode", node.call or node.name, text, node.name))
    return graph.rewrite(swap=swap, decisions=decisions) if swap else graph


def asks_for_samples(settings: Mapping[str, Any]) -> str:
    """Which of some arguments of :func:`convert` only a run of samples can find, if any."""
    words = {"initial_voltage": (EQUILIBRIUM,), "correction": CORRECTIONS}
    return next((name for name in words if _asks_for(settings.get(name), *words[name])), "")


def _is_auto(setting: Any) -> bool:
    return isinstance(setting, str) and setting == "auto"


def _asks_for(setting: Any, *names: str) -> bool:
    """Whether a setting, for any of the layers, is one of these words."""
    values = setting.values() if isinstance(setting, Mapping) else [setting]
    return any(isinstance(value, str) and value in names for value in values)


def _by_layer(setting: Any, check: Any, argument: str) -> Any:
    if isinstance(setting, Mapping):
        return {name: check(value, f"{argument}[{name!r}]") for name, value in setting.items()}
    return check(setting, argument)


def _integer(seed: Any) -> int:
    if not is_integer(seed) or not 0 <= int(seed) < 2**31:
        raise InputError(f"seed must be an integer from 0 to 2**31 - 1. Received: seed={seed!r}")
    return int(seed)


def _slow_neurons(graph: Graph) -> list[Decision]:
    """ReLU neurons left at one spike per second for an output of 1."""
    slow = {
        node.call or node.name: node
        for node in graph.nodes.values()
        if isinstance(node.op, Relu) and node.op.gain == 1.0
    }
    return [
        Decision(
            "rates",
            layer,
            "an output of 1 is 1 spike per second, which few steps cannot show: pass "
            "scale_firing_rates (such as 100) unless the outputs are in the hundreds",
            node.name,
        )
        for layer, node in slow.items()
    ]
