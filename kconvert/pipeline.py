"""``convert``: options, read, simplify, neurons, calibrate, network."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Never

import keras

from .errors import InputError
from .fidelity import (
    SWAPPED,
    Calibration,
    Runs,
    as_trained,
    calibrate,
    check_calibration,
    choose_synapse,
    correct,
    equilibrium,
    here,
    needs_synthetic,
    rate_outputs,
    swap_decision,
    synthetic_samples,
    why_not_synthetic,
    with_neurons_of,
)
from .files.about import settings_of
from .ir import Decision, Graph
from .jobs.work import trials_at
from .memory import free_memory, size_of
from .model import SpikingModel
from .ops import RAMP, ReadOut, Relu
from .options import (
    DEFAULT_OUTPUT_SYNAPSE,
    DEFAULT_SYNAPSE,
    DEFAULTS,
    Options,
    check_names,
    floors,
    most_spikes,
    numbers_per_unit,
    read_options,
    read_outs,
    require_spike_values,
    signs,
    start_voltages,
    synapses,
)
from .passes import run
from .passes.fold_affine_into_linear import fold_affine_into_linear
from .passes.merge_clipped_relu import merge_clipped_relu
from .passes.set_neurons_per_unit import set_neurons_per_unit
from .passes.set_spiking import (
    EQUILIBRIUM,
    limit_spikes,
    set_initial_voltages,
    set_min_voltages,
    set_signed,
    set_synapses,
)
from .passes.set_spiking import scale_firing_rates as scale_rates
from .per_layer import PerLayer
from .preparation import Prepared, prepare
from .reader import Importer, Registry, Spiking
from .simulators import DEFAULT_DT
from .verification import keras_values, samples_at_a_time

REFERENCE_WORK: Mapping[str, Any] = MappingProxyType(
    {
        "calibration": False,
        "synapse": None,
        "output_synapse": 0.1,
        "initial_voltage": 0.0,
        "min_voltage": None,
    }
)
"""Settings of :func:`convert` that give the network of the reference work: Hunsberger & Eliasmith
2016, and NengoDL's example after it. All neurons are Nengo's own. They start at rest, and there is
no synapse between them.

Python takes no argument twice. To change one of them, use ``|``:
``convert(model, **(REFERENCE_WORK | {"calibration": x}))``."""


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
    spike_values: str = "auto",
    neurons_per_unit: Any = 1,
    correction: Any = "auto",
    scale_firing_rates: float | Mapping[str, float] | None = None,
    max_pooling: str | Mapping[str, str] = "before",
    swap_activations: Mapping[Any, Any] | None = None,
    allow: Collection[str] = (),
    train_biases: bool = False,
    layers: Registry | Mapping[type, Importer] | None = None,
    seed: int = 0,
    distribute: str | None = None,
    **unknown: Never,
) -> SpikingModel:
    """Convert a Keras 3 model to a spiking network for Nengo and NengoDL.

    Settings by layer are dicts by layer name. Names may be patterns such as ``"block1_*"`` (see
    :mod:`fnmatch`). A layer's own name goes before patterns, and of patterns the first counts.

    Args:
        model: A built Sequential or functional model.
        spiking: False gives the rate network: the same network with firing rates in place of
            spikes. With ``synapse=None`` and ``output_synapse=None`` its ``predict`` after one step
            equals ``model.predict``.
        calibration: Typical samples, without labels, that set the firing rates: an array of some
            dozens of inputs, a dataset, loader or generator (its first 100 samples are used), or a
            :class:`kconvert.Calibration`. Several inputs as in :meth:`SpikingModel.simulate`.
            Samples also decide what "auto" means below. None makes up samples for a network of ReLU
            neurons, from smoothed noise, with a warning. Networks with LIF neurons, and calls with
            ``scale_firing_rates``, are then left as they are. False never calibrates.
        synapse: Filter behind each layer of neurons: None, a time constant in seconds of a
            ``nengo.Lowpass``, or a ``nengo.synapses.Synapse``; or a dict by layer name, where other
            layers get None. "auto" is 2 ms. With calibration it is None where all neurons are ReLU,
            and otherwise the best of a few that are tried on the samples.
        output_synapse: Filter of the read-out: None, seconds, a synapse, or a
            :class:`kconvert.Window`. "ramp" is the mean from the start, with weights that grow with
            time. "window" is the mean from the time when the input has passed the whole network. Or
            a dict by output name. "auto" is 0.1 s, and "ramp" with calibration.
        initial_voltage: Membrane voltage at the start, as a share of the threshold: a number in
            [0, 1), or an array of the layer's shape. "spread" covers [0, 1) evenly, so that neurons
            with like input do not fire together. "uniform" is random (``seed``). "equilibrium"
            takes voltages that the neurons have on the samples after some steps; it needs
            calibration. Or a dict by layer name, where other layers start at 0. "auto" is "spread",
            and with calibration 1/2 for ReLU and sigmoid neurons.
        min_voltage: Lowest membrane voltage, as a share of the threshold: a number <= 0, where
            ``-np.inf`` is no floor. None keeps Nengo's own neurons, whose floor is 0. Or a dict by
            layer name, where other layers get "auto". "auto" leaves neurons as they are; with
            calibration, ReLU neurons have no floor. A floor costs accuracy:
            docs/explanation/why-spikes-lose-accuracy.md.
        signed: Allow negative spikes of ReLU neurons, which cancel earlier ones: True, False, or a
            dict by layer name, where other layers get "auto". "auto" is False; with calibration,
            True where the read-out's error on the samples is too large otherwise, as in deep
            networks. Signed neurons have no floor unless ``min_voltage`` is a number.
        spike_values: What a neuron may send in one step: "binary" is 0 or 1, as on most chips.
            "ternary" is -1, 0 or 1. "graded" is any integer. "auto" is what calibration chooses:
            graded spikes in deep networks. LIF neurons send 0 or 1.
        neurons_per_unit: Number of neurons for each unit of a layer, or a dict by layer name, where
            other layers get 1. They spike in turn, and their mean is the unit's value. More neurons
            give finer values in the same number of steps, also where each sends 0 or 1: see
            docs/explanation/binary-spikes.md.
        correction: Correct each feature map so that its spiking mean on the samples matches Keras:
            None, "bias" (add a shift), "affine" (multiply, and add a shift), or a dict by layer
            name, where other layers get "auto". Outputs are corrected with the layers. "auto" is
            None without calibration, and where all neurons are ReLU without a floor; otherwise the
            best of the three on samples. See docs/explanation/calibration.md.
        scale_firing_rates: Factor > 0 on firing rates, at the same output, or a dict by layer name.
            Exact for ReLU neurons, not for LIF.
        max_pooling: How maxima are taken in time: "before" (of running sums, before the neurons),
            "sums" (of running sums, behind the neurons), "values" (of each step), "circuit"
            (spiking ReLU neurons), "average" (average pooling instead); or a dict by layer name,
            where other layers get the default. docs/explanation/max-pooling.md has what each costs.
        swap_activations: Neurons or activations to use in place of others. Keys are Keras' name of
            an activation, its function, its layer class, or a Nengo neuron type. Values are a
            ``nengo.neurons.NeuronType``, whose current is the activation's input, or Keras' name of
            another activation. ``RectifiedLinear``, ``LIFRate`` and ``SoftLIFRate`` become the
            spiking neurons whose rates they are. Types without a spiking form (``Tanh``) transmit
            rates. A decision says which.
        allow: Flags for what is not spiking. "tensornode" computes layers that cannot be converted
            as they are, in a NengoDL TensorNode. Such a network runs in NengoDL only.
        train_biases: Give biases that a feature map shares a connection of their own, so that
            NengoDL trains them too. Otherwise they stay fixed while NengoDL trains.
        layers: Importers of your own layers, as ``{MyLayer: importer}``, or a whole registry;
            ``kconvert.LAYERS`` by default.
        seed: Seed of the Nengo network, of random start voltages and of made-up samples.
        distribute: Where calibration tries settings on samples: None for this process, or a Ray
            cluster, as for :meth:`SpikingModel.evaluate`. The network is the same to the bit.
        **unknown: Nothing. Any other argument is refused with the nearest name, and those of
            NengoDL's ``Converter`` with what to pass here.

    Raises:
        InputError: The model or an argument is not accepted (also a ``ValueError``).
        UnsupportedModelError: Some layers cannot be converted. The error lists all of them.
        ClusterError: The cluster cannot be used.

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
        >>> spiking.n_neurons
        64
    """
    check_names(unknown, own=["distribute"])
    given: dict[str, Any] = {
        "spiking": spiking,
        "calibration": calibration,
        "synapse": synapse,
        "output_synapse": output_synapse,
        "initial_voltage": initial_voltage,
        "min_voltage": min_voltage,
        "signed": signed,
        "spike_values": spike_values,
        "neurons_per_unit": neurons_per_unit,
        "correction": correction,
        "scale_firing_rates": scale_firing_rates,
        "max_pooling": max_pooling,
        "swap_activations": swap_activations,
        "allow": allow,
        "train_biases": train_biases,
        "layers": layers,
        "seed": seed,
    }
    options = read_options(**given)
    prepared = prepare(model, options)
    prepared.require_convertible(model.name)
    own = prepared.reading.spiking
    options, synthetic = _with_synthetic(
        options, prepared, rates_given=scale_firing_rates is not None or bool(own)
    )
    read, graph = with_settings(prepared, options)
    runs = here if distribute is None else trials_at(distribute)
    if options.is_calibrated:
        if prepared.graph.replacements and not synthetic:
            swapped = _what_swaps_cost(model, prepared, options.calibration)
            graph = graph.rewrite(decisions=swapped)
        graph = _calibrated(graph, options, prepared, read, runs)
    else:
        graph = _scaled(graph, options, graph.calibrated_dt or DEFAULT_DT)
    graph = graph.rewrite(decisions=synthetic)
    if options.spiking:
        graph = graph.rewrite(decisions=_slow_neurons(graph))
    spiking_model = SpikingModel(
        model,
        prepared,
        graph,
        read_outs=_read_outs(options, prepared.reading.output_names, graph),
        spiking=options.spiking,
        train_biases=options.train_biases,
        seed=options.seed,
        about={"settings": settings_of(given, DEFAULTS)},
    )
    for each in synthetic:  # last: an error of another argument would make it pointless
        warnings.warn(
            f"{each.text}. Pass some dozens of typical inputs as calibration=x, or "
            "calibration=False to leave the rates as they are",
            stacklevel=2,
        )
    return spiking_model


def with_settings(prepared: Prepared, options: Options) -> tuple[Graph, Graph]:
    """A graph as it was read, and the same with what the settings say of its neurons.

    What needs samples is left out.

    Raises:
        InputError: A setting names a layer or an output that the model does not have, or does not
            fit a layer; or there are samples for a model that was trained for rates of its own.
    """
    own = prepared.reading.spiking
    if own and options.is_calibrated:
        raise InputError(
            f"calibration: {next(iter(own))!r} and other layers were trained for rates of their "
            "own, which samples would change. Leave calibration out, or convert the model from "
            "before fine_tune"
        )
    # A calibrated layer keeps to a ceiling, so ReLU6 needs no second layer that takes off what is
    # above it. One of its affine nodes may then go into the layer in front.
    read = prepared.graph
    if options.is_calibrated:
        read = run(read, [merge_clipped_relu, fold_affine_into_linear])
    if own:
        read = replace(read, calibrated_dt=next(iter(own.values())).dt)
    graph = _with_neurons(read, options, own)
    _read_outs(options, prepared.reading.output_names, graph)  # refuses unknown outputs
    several = set_neurons_per_unit(numbers_per_unit(options.neurons_per_unit, graph))
    return several(read), several(graph)


def _with_synthetic(
    options: Options, prepared: Prepared, *, rates_given: bool
) -> tuple[Options, list[Decision]]:
    """Samples made up for a network that spikes too slowly without, if the user said nothing."""
    said = options.calibration is not None or rates_given
    if said or not options.spiking or not needs_synthetic(prepared.graph):
        return options, []
    first = next(node for node in prepared.graph.neurons() if isinstance(node.op, Relu))
    if why := why_not_synthetic(prepared.graph):
        text = (
            "not calibrated: no samples were given, and made-up samples were not tried because "
            f"{why}. An output of 1 is 1 spike per second, which is too slow for short runs"
        )
    else:
        reading = prepared.reading
        x, source = synthetic_samples(reading.graph, reading.statistics, options.seed)
        # Means on noise are not those on data, so nothing is corrected by them.
        correction = options.correction
        if correction.is_auto:
            correction = PerLayer("correction", None)
        options = replace(options, calibration=Calibration(x), correction=correction)
        text = f"no samples were given: rates are set by smoothed noise with values from {source}"
    return options, [Decision("calibration", first.layer, text, first.name)]


def _with_neurons(graph: Graph, options: Options, own: Mapping[str, Spiking]) -> Graph:
    """How the neurons spike, as far as no samples are needed.

    Args:
        graph: As read.
        options: What the user wants.
        own: Name of a layer to how it wants its neurons to spike.
    """
    calibrated = options.is_calibrated or bool(own)
    # These refuse unknown layers before anything is run.
    options.correction.on(graph.neurons())
    options.scale_firing_rates.on(graph.neurons())
    voltages = start_voltages(options.initial_voltage, graph, calibrated=calibrated, spiking=own)
    _require_room(graph, voltages)
    graph = run(
        graph,
        [
            set_initial_voltages(voltages, seed=options.seed),
            set_min_voltages(floors(options.min_voltage, graph, calibrated=calibrated)),
        ],
    )
    auto = None if calibrated else DEFAULT_SYNAPSE
    return run(
        graph,
        [
            set_signed(signs(options.signed, graph, spike_values=options.spike_values)),
            set_synapses(synapses(options.synapse, graph, auto)),
        ],
    )


def _require_room(graph: Graph, voltages: Mapping[str, Any]) -> None:
    """Refuse start voltages that differ from neuron to neuron and find no place."""
    n = sum(graph.nodes[name].size for name, value in voltages.items() if isinstance(value, str))
    free = free_memory()
    if free is not None and 8 * n > free:
        raise InputError(
            f"initial_voltage: start voltages of {n:,} neurons need {size_of(8 * n)}, and "
            f"{size_of(free)} of memory are free: give a number, such as initial_voltage=0.5, "
            "which needs none, or a model for smaller inputs"
        )


def _what_swaps_cost(model: keras.Model, prepared: Prepared, calibration: Any) -> list[Decision]:
    """The network with swapped activations against Keras, on the first of the samples."""
    _, feeds = check_calibration(calibration, prepared.input_shapes)
    some = feeds.some(slice(SWAPPED))
    found = rate_outputs(prepared.graph, some)
    if found is None:
        return []
    compiled = prepared.reading.predicts_differently
    at_a_time = samples_at_a_time(prepared.reading.graph)
    wanted = keras_values(model, model.outputs, some, at_a_time=at_a_time, compiled=compiled)
    return [swap_decision(prepared.graph, found, [each.reshape(some.n, -1) for each in wanted])]


def _scaled(graph: Graph, options: Options, dt: float) -> Graph:
    """The user's factors on rates, and the most spikes of a step that the user allows."""
    most = most_spikes(options.spike_values)
    factors = options.scale_firing_rates.on(graph.neurons())
    graph = run(graph, [scale_rates(factors)])
    require_spike_values(graph, options.spike_values, dt)
    return run(graph, [limit_spikes(most, dt)])


def _calibrated(
    graph: Graph, options: Options, prepared: Prepared, read: Graph, runs: Runs
) -> Graph:
    """What samples decide: rates, synapses, start voltages and corrections."""
    calibration, feeds = check_calibration(options.calibration, prepared.input_shapes)
    n_steps, dt = int(calibration.n_steps), calibration.dt
    graph = calibrate(
        graph, calibration, feeds, options.signed, options.correction, options.spike_values, runs
    )
    graph = _scaled(graph, options, dt)
    if options.synapse.is_auto:
        filters = _read_outs(options, prepared.reading.output_names, graph)
        graph = choose_synapse(graph, calibration, feeds, filters, DEFAULT_SYNAPSE, runs)
    if not options.spiking:
        return graph
    trained = as_trained(with_neurons_of(graph, read))
    if options.initial_voltage.holds(EQUILIBRIUM):
        voltages = start_voltages(options.initial_voltage, graph, calibrated=True)
        found = equilibrium(graph, calibration, feeds)
        graph = run(graph, [set_initial_voltages(voltages, found, seed=options.seed)])
    return correct(graph, trained, options.correction, feeds, n_steps=n_steps, dt=dt, runs=runs)


def _read_outs(
    options: Options, names: Collection[str], graph: Graph
) -> tuple[ReadOut | None, ...]:
    """The filter of each output."""
    calibrated = options.is_calibrated or graph.calibrated_dt is not None
    auto = RAMP if calibrated else DEFAULT_OUTPUT_SYNAPSE
    dt = graph.calibrated_dt or DEFAULT_DT
    return read_outs(options.output_synapse, names, graph, dt=dt, auto=auto)


def _slow_neurons(graph: Graph) -> list[Decision]:
    """ReLU neurons left at one spike per second for an output of 1."""
    slow = {
        node.layer: node
        for node in graph.neurons()
        if isinstance(node.op, Relu) and node.op.gain == 1.0
    }
    return [
        Decision(
            "rates",
            layer,
            "an output of 1 is 1 spike per second, which is too slow for short runs: pass "
            "scale_firing_rates (such as 100) unless the outputs are in the hundreds",
            node.name,
        )
        for layer, node in slow.items()
    ]
