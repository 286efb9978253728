"""``convert``: options, read, simplify, neurons, calibrate, network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Never

import keras

from .data.arrays import Feeds
from .fidelity import (
    SWAPPED,
    Calibration,
    as_trained,
    calibrate,
    check_calibration,
    choose_synapse,
    correct,
    equilibrium,
    needs_synthetic,
    rate_outputs,
    swap_decision,
    synthetic_samples,
    why_not_synthetic,
    with_neurons_of,
)
from .files.about import settings_of
from .ir import Decision, Graph
from .model import SpikingModel
from .ops import RAMP, ReadOut, Relu
from .options import (
    DEFAULT_OUTPUT_SYNAPSE,
    DEFAULT_SYNAPSE,
    DEFAULTS,
    ONE_A_STEP,
    Options,
    check_names,
    floors,
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
from .passes.set_max_pooling import DEFAULT as DEFAULT_MAX_POOLING
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
from .reader import Importer, Registry
from .simulators import DEFAULT_DT
from .verification import keras_values

REFERENCE_WORK: Mapping[str, Any] = MappingProxyType(
    {
        "calibration": False,
        "synapse": None,
        "output_synapse": 0.1,
        "initial_voltage": 0.0,
        "min_voltage": None,
    }
)
"""Arguments of :func:`convert` that give the network of the reference work (Hunsberger & Eliasmith
2016, as in NengoDL's example): Nengo's own neurons, which start at rest, without synapses between
them.

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
    correction: Any = "auto",
    scale_firing_rates: float | Mapping[str, float] | None = None,
    max_pooling: str | Mapping[str, str] = DEFAULT_MAX_POOLING,
    swap_activations: Mapping[Any, Any] | None = None,
    allow: Collection[str] = (),
    train_biases: bool = False,
    layers: Registry | Mapping[type, Importer] | None = None,
    seed: int = 0,
    **unknown: Never,
) -> SpikingModel:
    """Convert a Keras 3 model to a spiking network for Nengo and NengoDL.

    The reference work's own settings (Hunsberger & Eliasmith 2016, as in NengoDL's example) are
    ``**kconvert.REFERENCE_WORK``; with one of them changed, ``**(kconvert.REFERENCE_WORK |
    {"calibration": x})``. Where a setting is a dict by layer name, names may be patterns
    such as ``"block1_*"`` (as :mod:`fnmatch` has them); a layer's own name goes before them, and of
    patterns the first counts.

    Args:
        model: A built Sequential or functional model.
        spiking: Spiking neurons; False emits their rates. With ``synapse=None`` and
            ``output_synapse=None`` the rate network's ``predict`` after one step equals
            ``model.predict``.
        calibration: Samples that set the firing rates: an array of some dozens of typical inputs
            (without labels; several inputs as :meth:`SpikingModel.simulate` takes them; of a
            dataset, loader or generator the first 100 are taken), or a
            :class:`kconvert.Calibration`. What is "auto" below is then chosen for such rates.
            Without samples a network of ReLU neurons is calibrated with smoothed noise, of the size
            that the model's own layers of normalisation tell, and a warning says so; unless it has
            LIF neurons, or ``scale_firing_rates`` is given. False leaves rates as they are.
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
            that are not named get "auto"). docs/explanation/why-spikes-lose-accuracy.md.
        signed: Whether ReLU neurons take spikes back, by spikes of negative sign, where the sum
            that called for them falls again: True, False, or a dict by layer name (layers that are
            not named get "auto"). "auto" is False; with ``calibration`` True for neurons without a
            floor where the read-out's error on the samples is too large otherwise, as in deep
            networks. Signed neurons have no use for ``min_voltage=None``: without a number they
            have no floor.
        spike_values: What a neuron may send in one step: "binary", 0 or 1, as most chips and NIR
            readers have it; "ternary", -1, 0 or 1; "graded", any integer; "auto", what
            ``calibration`` chooses, which is graded in deep networks. LIF neurons send 0 or 1.
        correction: Whether what neurons read, and the output, is brought to the mean that was
            trained, feature map by feature map and layer by layer, as samples in spikes show that
            it is not: None, "bias" (by shifts), "affine" (by factors and shifts), or a dict of
            these by layer name (layers that are not named get "auto"; outputs go with the layers).
            "auto" is None without ``calibration``, and where all neurons are ReLU without a floor;
            else what served best of these on samples. Rate networks have no need of it.
            docs/explanation/calibration.md.
        scale_firing_rates: Factor on firing rates, at the same output: a number > 0 or a dict by
            layer name. Exact for ReLU neurons, not for LIF.
        max_pooling: How maxima are taken in time, for all layers or as a dict by layer name (layers
            that are not named get the default): "before" (of running sums, in front of the neurons
            where there are any), "sums" (of running sums), "values" (of what arrives at each
            step), "circuit" (spiking ReLU neurons), "average" (average pooling instead).
            docs/explanation/max-pooling.md has what each keeps of the accuracy.
        swap_activations: What to use in the place of activations: Keras' name of one, its
            function, its layer class, or a Nengo neuron type, to a ``nengo.neurons.NeuronType``
            (its current is the activation's input), or to Keras' name of another activation. Of
            ``RectifiedLinear``, ``LIFRate`` and ``SoftLIFRate`` the spiking neurons are used whose
            rates they are; types without such (``Tanh``) transmit rates. A decision says which.
        allow: "tensornode" computes layers that cannot be converted as they are, in a NengoDL
            TensorNode, without neurons. Such a network runs in NengoDL only.
        train_biases: Give biases that a feature map shares a connection of their own, so that
            NengoDL trains them too. Without it they are held fixed while NengoDL trains.
        layers: Importers of your own, as ``{MyLayer: importer}``, or a whole registry; by default
            ``kconvert.LAYERS``.
        seed: Seed of the Nengo network, and of random start voltages.
        **unknown: Nothing. Any other argument is refused with the nearest name, and those of
            NengoDL's ``Converter`` with what to pass here.

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
        >>> spiking.n_neurons
        64
    """
    check_names(unknown)
    given: dict[str, Any] = {
        "spiking": spiking,
        "calibration": calibration,
        "synapse": synapse,
        "output_synapse": output_synapse,
        "initial_voltage": initial_voltage,
        "min_voltage": min_voltage,
        "signed": signed,
        "spike_values": spike_values,
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
    options, synthetic = _with_synthetic(
        options, prepared, rates_given=scale_firing_rates is not None
    )
    names = prepared.reading.output_names
    # A calibrated layer keeps to a ceiling, so ReLU6 needs no second layer that takes off what is
    # above it. One of its affine nodes may then go into the layer in front.
    read = prepared.graph
    if options.is_calibrated:
        read = run(read, [merge_clipped_relu, fold_affine_into_linear])
    graph = _with_neurons(read, options)
    _read_outs(options, names, graph)  # refuses unknown outputs before anything is run
    if options.is_calibrated:
        if prepared.graph.replacements and not synthetic:
            swapped = _what_swaps_cost(model, prepared, options.calibration)
            graph = graph.rewrite(decisions=swapped)
        graph = _calibrated(graph, options, prepared, read)
    else:
        graph = _scaled(graph, options, DEFAULT_DT)
    graph = graph.rewrite(decisions=synthetic)
    if options.spiking:
        graph = graph.rewrite(decisions=_slow_neurons(graph))
    spiking_model = SpikingModel(
        model,
        prepared,
        graph,
        read_outs=_read_outs(options, names, graph),
        spiking=options.spiking,
        train_biases=options.train_biases,
        seed=options.seed,
        about={"settings": settings_of(given, DEFAULTS)},
    )
    for each in synthetic:  # last: an error of another argument would make it pointless
        warnings.warn(
            f"{each.text}. Pass some dozens of typical inputs as calibration=x, or "
            "calibration=False for rates as they are",
            stacklevel=2,
        )
    return spiking_model


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
            f"not calibrated, since no samples were given and made-up ones were not tried: {why}. "
            "An output of 1 is 1 spike per second, which few steps cannot show"
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


def _with_neurons(graph: Graph, options: Options) -> Graph:
    """How the neurons spike, as far as no samples are needed."""
    calibrated = options.is_calibrated
    # These refuse unknown layers before anything is run.
    options.correction.on(graph.neurons())
    options.scale_firing_rates.on(graph.neurons())
    voltages = start_voltages(options.initial_voltage, graph, calibrated=calibrated)
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


def _what_swaps_cost(model: keras.Model, prepared: Prepared, calibration: Any) -> list[Decision]:
    """The network with swapped activations against Keras, on the first of the samples."""
    _, feeds = check_calibration(calibration, prepared.input_shapes)
    n = min(SWAPPED, feeds.n)
    some = Feeds({name: x[:n] for name, x in feeds.arrays.items()}, n, feeds.n_steps, feeds.held)
    found = rate_outputs(prepared.graph, some)
    if found is None:
        return []
    compiled = prepared.reading.predicts_differently
    wanted = keras_values(model, model.outputs, some, compiled=compiled)
    return [swap_decision(prepared.graph, found, [each.reshape(n, -1) for each in wanted])]


def _scaled(graph: Graph, options: Options, dt: float) -> Graph:
    """The user's factors on rates, and the most spikes of a step that the user allows."""
    most = 1.0 if options.spike_values in ONE_A_STEP else math.inf
    factors = options.scale_firing_rates.on(graph.neurons())
    graph = run(graph, [scale_rates(factors)])
    require_spike_values(graph, options.spike_values, dt)
    return run(graph, [limit_spikes(most, dt)])


def _calibrated(graph: Graph, options: Options, prepared: Prepared, read: Graph) -> Graph:
    """What samples decide: rates, synapses, start voltages and corrections."""
    calibration, feeds = check_calibration(options.calibration, prepared.input_shapes)
    n_steps, dt = int(calibration.n_steps), calibration.dt
    graph = calibrate(
        graph, calibration, feeds, options.signed, options.correction, options.spike_values
    )
    graph = _scaled(graph, options, dt)
    if options.synapse.is_auto:
        filters = _read_outs(options, prepared.reading.output_names, graph)
        graph = choose_synapse(graph, calibration, feeds, filters, DEFAULT_SYNAPSE)
    if not options.spiking:
        return graph
    trained = as_trained(with_neurons_of(graph, read))
    if options.initial_voltage.holds(EQUILIBRIUM):
        voltages = start_voltages(options.initial_voltage, graph, calibrated=True)
        found = equilibrium(graph, calibration, feeds)
        graph = run(graph, [set_initial_voltages(voltages, found, seed=options.seed)])
    return correct(graph, trained, options.correction, feeds, n_steps=n_steps, dt=dt)


def _read_outs(
    options: Options, names: Collection[str], graph: Graph
) -> tuple[ReadOut | None, ...]:
    """The filter of each output."""
    auto = RAMP if options.is_calibrated else DEFAULT_OUTPUT_SYNAPSE
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
            "an output of 1 is 1 spike per second, which few steps cannot show: pass "
            "scale_firing_rates (such as 100) unless the outputs are in the hundreds",
            node.name,
        )
        for layer, node in slow.items()
    ]
