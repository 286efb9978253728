"""Firing rates from samples: each layer spikes as fast as the steps can show."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ..arguments import count, flag, seconds_of_a_step
from ..data.arrays import Feeds, InputShapes, check_feeds
from ..data.streams import first_samples
from ..errors import InputError, is_number
from ..ir import Decision, Graph
from ..layers.spiking_aware import ONE_A_STEP
from ..ops import Lif, Lowpass, NeuronOp, ReadOut, Synapse
from ..options import most_spikes, signs
from ..passes import Pass, run
from ..passes.balance_channels import balance_channels, can_be_balanced
from ..passes.set_neurons_per_unit import numbers_of_neurons
from ..passes.set_spiking import (
    divide_time_constants,
    limit_spikes,
    scale_firing_rates,
    set_signed,
    set_synapses,
    without_synapses,
)
from ..per_layer import AUTO, PerLayer
from ..results.display import plain, shape_of
from ..simulators import Chunk, Job, RunSpec, make_runner
from .correction import tentative
from .histogram import Histogram
from .lif_curves import LIMITS, Fit, fit_lif, within
from .neurons import as_trained, to_be_fitted
from .trial import RATIO, Runs, Trial, here, samples, why_not_tried

PERCENTILE = 99.0
ONE = ((99.0, True), (99.9, False))
"""Percentiles that are tried where a neuron sends at most one spike a step, each with whether it is
that of each feature map. The first needs fewer steps. The second cuts off less, also of inputs that
are larger than the samples, and costs fewer spikes."""
SEVERAL = ((99.9, False), (99.99, False))
"""The same with several neurons per unit. These round less, so that what is cut off is the larger
error sooner."""
TIE = 1.1
"""Percentiles whose errors are nearer than this cannot be told apart on some samples. The first one
is taken, which is faster."""
BATCH = 64
"""Most samples whose rates are held at a time."""
SYNAPSES = (0.0, 0.001, 0.002, 0.005, 0.01)
"""Seconds; those that are tried."""
DRAWN = 4096
"""Inputs of a layer that a curve is fitted to."""
EVERYWHERE = 2048
"""Inputs in between, at even distances, that it is fitted to as well."""
BALANCE = (0.25, 4.0)
"""The least and the largest factor on the rates of a feature map."""
SPIKES = (4, 16, 64)
"""Spikes a step that are tried where one is not enough."""
NEAR = 0.1
"""An error of the read-out that is small enough, as a share of what tells the samples apart."""
LOST = 0.5
"""An error with which most samples get another class."""
GOOD = 4 / 3
"""Of those whose error is at most so many times the least, the fastest is taken: a run may be
shorter than it was calibrated for, and before a filter has settled nothing is right."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Samples that set the firing rates of a conversion, and how.

    Of the rates of a layer that are not zero, over neurons and samples, a percentile is brought to
    one spike a step: the robust form (Rueckauer et al. 2017, "Conversion of continuous-valued deep
    networks to efficient event-driven networks for image classification") of data-based
    normalisation (Diehl et al. 2015, "Fast-classifying, high-accuracy spiking deep networks through
    weight and threshold balancing").

    Args:
        x: Input of the model, as :meth:`SpikingModel.simulate` takes it; some dozens of samples,
            without labels, that are typical of what will be classified. Samples of the training set
            do. Of a dataset, a loader or a generator the first 100 are taken.
        percentile: The percentile of each layer's rates above zero, > 0 and <= 100 (the largest);
            or a dict of these by layer name or pattern, 99 for others. By default 99, or with at
            most one spike a step ("binary" and "ternary") 99 of each feature map or 99.9 of the
            layer; with several neurons per unit, 99.9 or 99.99 of the layer. It is the one that
            brings the read-out nearer on the samples.
        rate: The rate in Hz that it is brought to. By default ``1 / dt``, one spike a step; and
            where all neurons are ReLU and that leaves too large an error on the samples, 4, 16 or
            64 spikes a step, each of which is worth as much less. Or a dict by layer name or
            pattern, one spike a step for others.
        dt: Length of the steps, in seconds, that the network will be run with.
        n_steps: For about how many steps. What is chosen by trying (``rate``, the signs of spikes,
            synapses) is tried with so many, or twice the layers of neurons, if that is more.
        per_channel: Bring each feature map of ReLU neurons to that rate, as far as a factor from
            1/4 to 4 does, and not only the layer (Kim et al. 2020, "Spiking-YOLO"): where nothing
            but pooling and the like is between the neurons and linear layers.

    Raises:
        InputError: A number does not fit.

    Example:
        >>> import numpy as np
        >>> Calibration(np.zeros((20, 28, 28, 1)), percentile=99.9).n_steps
        30
    """

    x: Any
    percentile: float | Mapping[str, float] | None = None
    rate: float | Mapping[str, float] | None = None
    dt: float = 0.001
    n_steps: int = 30
    per_channel: bool = True

    def __post_init__(self) -> None:
        _per_layer("percentile", self.percentile, PERCENTILE)
        _per_layer("rate", self.rate, None)
        seconds_of_a_step("Calibration: dt", self.dt)
        count("Calibration: n_steps", self.n_steps)
        flag("Calibration: per_channel", self.per_channel)

    def __repr__(self) -> str:
        changed = [
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(self)
            if each.name != "x" and getattr(self, each.name) != each.default
        ]
        return f"Calibration({', '.join([f'x: {shape_of(self.x)}', *changed])})"

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The settings as plain data that ``json.dumps`` takes.

        Args:
            arrays: Write out the samples too, if they are arrays.
        """
        return {each.name: plain(getattr(self, each.name), arrays=arrays) for each in fields(self)}


def check_calibration(calibration: Any, shapes: InputShapes) -> tuple[Calibration, Feeds]:
    """A calibration from itself or from its samples, and these samples.

    Raises:
        InputError: They do not fit the model.
    """
    if not isinstance(calibration, Calibration):
        calibration = Calibration(calibration)
    x = first_samples(calibration.x, shapes)
    return calibration, check_feeds(x, shapes, None, 1)


def calibrate(
    graph: Graph,
    calibration: Calibration,
    feeds: Feeds,
    signed: PerLayer[Any],
    correction: PerLayer[Any],
    spike_values: str = AUTO,
    runs: Runs = here,
) -> Graph:
    """Set every layer's rates from what it does on the samples.

    ReLU and sigmoid neurons get another gain (exact). LIF neurons get shorter time constants, as
    far as these still hold a step; where they replaced ReLU, they are fitted to its curve. Where
    all neurons are ReLU, the error of the read-out that this leaves is measured: see
    :func:`_finest`.

    Args:
        graph: What is to be converted, with the synapses that it shall have, if any.
        calibration: The settings.
        feeds: Its samples.
        signed: The user's ``signed``.
        correction: The user's ``correction``, which will be done later.
        spike_values: The user's ``spike_values``.
        runs: Where candidates are run.

    Raises:
        InputError: The rate asks for more spikes a step than ``spike_values`` allows.
    """
    one = spike_values in ONE_A_STEP
    rates = _per_layer("rate", calibration.rate, None).on(graph.neurons())
    _require_rates(rates, calibration.dt, spike_values)
    choices: dict[str, tuple[Any, bool]]
    choices = {"the given": (calibration.percentile, calibration.per_channel)}
    several = one and bool(numbers_of_neurons(graph))
    if one and calibration.percentile is None:
        tried = SEVERAL if several else ONE
        both = [(each, calibration.per_channel and maps) for each, maps in tried]
        choices = {
            f"percentile {each:g}" + (" of each feature map" if maps else ""): (each, maps)
            for each, maps in both
        }
    balanced = [node.name for node in graph.neurons() if can_be_balanced(graph, node.name)]
    found_percentiles = _percentiles(
        as_trained(graph),
        feeds,
        [
            _per_layer("percentile", each, PERCENTILE).on(graph.neurons())
            for each, _ in choices.values()
        ],
        balanced if any(maps for _, maps in choices.values()) else [],
    )
    measured = [
        _Measured(
            *_factors(graph, whole, rates, calibration.dt),
            _balance(whole, by_channel) if maps else {},
        )
        for (whole, by_channel), (_, maps) in zip(found_percentiles, choices.values(), strict=True)
    ]

    def passes(spikes: float, auto: bool, which: int = 0) -> tuple[Pass, ...]:
        found = measured[which]
        factors = {name: gain * spikes for name, gain in found.gains.items()}
        scales = (scale_firing_rates(factors), divide_time_constants(found.divisors))
        sign = set_signed(signs(signed, graph, auto=auto, spike_values=spike_values))
        limit = limit_spikes(most_spikes(spike_values), calibration.dt)
        return (*scales, sign, balance_channels(found.balance), limit)

    graph, fitted = _fit_curves(graph, passes(1.0, False), calibration, feeds, correction, runs)
    given = {name: (1.0, False, which) for which, name in enumerate(choices)} if one else None
    found, which, more = _finest(
        lambda *setting: run(graph, passes(*setting)),
        calibration,
        feeds,
        given,
        runs,
        over_time=several,
    )
    decisions = measured[which].decisions
    return replace(
        found.rewrite(decisions=[*decisions, *fitted, *more]), calibrated_dt=calibration.dt
    )


class _Measured(NamedTuple):
    """What a percentile asks for: see :func:`_factors` and :func:`_balance`."""

    gains: dict[str, float]
    divisors: dict[str, float]
    decisions: list[Decision]
    balance: dict[str, np.ndarray]


def _require_rates(rates: Mapping[str, float | None], dt: float, spike_values: str) -> None:
    most = max((rate for rate in rates.values() if rate is not None), default=0.0)
    if spike_values in ONE_A_STEP and most * dt > 1 + 1e-9:
        raise InputError(
            f"spike_values={spike_values!r} allows one spike a step, {1 / dt:g} Hz. Received: "
            f"Calibration(rate={most:g}); leave rate out, or use spike_values='graded'"
        )


def _balance(
    whole: Mapping[str, float], by_channel: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Factors that bring each feature map's percentile to the layer's."""
    return {
        name: np.clip(whole[name] / np.where(found > 0, found, whole[name]), *BALANCE)
        for name, found in by_channel.items()
        if whole[name]
    }


def _factors(
    graph: Graph, measured: Mapping[str, float], rates: Mapping[str, float | None], dt: float
) -> tuple[dict[str, float], dict[str, float], list[Decision]]:
    """Factors on rates, and divisors of time constants, by layer.

    Args:
        graph: The network.
        measured: Name of a layer to a percentile of its rates in Hz.
        rates: Name of a layer to the rate in Hz that this shall be; None is a spike a step.
        dt: Length of a step in seconds.
    """
    gains, divisors = {}, {}
    decisions: list[Decision] = []
    fitted = to_be_fitted(graph)
    for name, rate in measured.items():
        node, wanted = graph.nodes[name], rates[name] or 1.0 / dt
        op: Any = node.op
        text = ""
        if name in fitted:
            continue  # has its rate from its curve
        if isinstance(op, Lif):
            # A neuron of Nengo's loses time where its refractory period ends within the step of
            # the spike.
            most = op.tau_ref / dt
            divisors[name] = max(1.0, min(wanted / rate, most) if rate else most)
        elif not op.scales_exactly:
            text = f"{op.kind} neurons keep their rates"
        elif rate:
            gains[name] = wanted / rate
        else:
            text = f"no spikes on the calibration samples: an output of 1 is {wanted:g} Hz"
            gains[name] = wanted * op.amplitude
        if text:
            decisions.append(Decision("calibration", node.layer, text, name))
    return gains, divisors, decisions


def choose_synapse(
    graph: Graph,
    calibration: Calibration,
    feeds: Feeds,
    read_outs: tuple[ReadOut | None, ...],
    default: Synapse,
    runs: Runs = here,
) -> Graph:
    """Give neurons the synapse that brings the read-out nearest to the rate network's.

    ReLU neurons without a floor get none: they add up whatever order spikes come in. The curves of
    other neurons are not linear, so a spiky input gives another average output than a steady one. A
    filter makes the input steadier, and delays it. Which of these matters more depends on the
    network and on the number of steps, so a few time constants are tried.

    Args:
        graph: With everything else set, and no synapses.
        calibration: How long the network will run.
        feeds: Samples; the first ones are used.
        read_outs: Filter of each output.
        default: The synapse where trying is not possible.
        runs: Where candidates are run.
    """
    nonlinear = [node for node in graph.neurons() if not node.op.integrates]
    names = [node.name for node in graph.neurons()]

    def with_synapse(synapse: Synapse | None) -> Graph:
        return set_synapses(dict.fromkeys(names, synapse))(graph)

    if not nonlinear:
        return graph
    if why_not_tried(graph, feeds, read_outs):
        return with_synapse(default)
    n_steps, dt = calibration.n_steps, calibration.dt
    trial = Trial(graph, feeds, read_outs, n_steps=n_steps, dt=dt, runs=runs)
    candidates = {
        f"{1000 * tau:g} ms": partial(with_synapse, Lowpass(tau) if tau else None)
        for tau in SYNAPSES
    }
    found = trial.choose(candidates.items(), slack=GOOD)
    text = (
        f"synapses of {found.name}: the read-out's error after {calibration.n_steps} steps "
        f"{RATIO}, by synapse, is {found.tried}"
    )
    first = nonlinear[0]
    return found.graph.rewrite(decisions=[Decision("calibration", first.layer, text, first.name)])


def _finest(
    scaled: Callable[..., Graph],
    calibration: Calibration,
    feeds: Feeds,
    given: Mapping[str, tuple[float, bool, int]] | None,
    runs: Runs,
    *,
    over_time: bool,
) -> tuple[Graph, int, list[Decision]]:
    """How fine spikes must be: the cheapest that brings the read-out near to the rate network's.

    Each layer rounds to whole spikes, and a spike that comes too early cannot be undone. Over some
    ten layers neither matters; over fifty the errors are larger than the signal. Then neurons take
    spikes back (:class:`~kconvert.targets.nengo.integrate_and_fire.SignedIntegrateAndFire`), and
    fire several times a step, each spike being worth as much less.

    Args:
        scaled: From spikes a step, whether neurons whose sign is "auto" are signed, and the number
            of a percentile, to a graph.
        calibration: How long the network will run, and the rate, if that is given.
        feeds: Samples; the first ones are used.
        given: What alone is tried, by name, if the user has said which spikes there may be.
        runs: Where candidates are run.
        over_time: Whether errors over time are compared, of candidates that cost about the same.

    Returns:
        The graph, the number of its percentile, and what was decided.
    """
    plain = scaled(1.0, False)
    layers = plain.neurons()
    rate = calibration.rate
    per_step = rate * calibration.dt if isinstance(rate, int | float) else 1.0

    def name(spikes: float, sign: bool, _: int) -> str:
        number = "the given" if isinstance(rate, Mapping) else f"{spikes * per_step:g}"
        return number + (" signed" if sign else "")

    tried = given
    if tried is None:
        can_be_signed = _signs(scaled(1.0, True)) != _signs(plain)
        settings = [(1.0, False, 0), *([(1.0, True, 0)] if can_be_signed else [])]
        if rate is None:
            settings += [(float(spikes), can_be_signed, 0) for spikes in SPIKES]
        tried = {name(*each): each for each in settings}
    all_relu = bool(layers) and all(node.op.integrates for node in layers)
    if not all_relu or len(tried) == 1 or why_not_tried(plain, feeds):
        return plain, 0, []
    trial = Trial(plain, feeds, n_steps=calibration.n_steps, dt=calibration.dt, runs=runs)
    candidates = [(each, partial(scaled, *setting)) for each, setting in tried.items()]
    near, slack = (0.0, TIE) if over_time else (NEAR, GOOD)
    found = trial.choose(candidates, over_time=over_time, near=near, slack=slack)
    which = tried[found.name][2]
    if len(found.errors) == 1:  # good at once
        return found.graph, which, []
    chosen, by = found.name, "percentile"
    if given is None:
        chosen, by = f"{found.name} spikes a step", "spikes a step"
    when = trial.when(over_time=over_time)
    text = f"{chosen}: the read-out's error {when} {RATIO}, by {by}, is {found.tried}"
    decision = Decision("calibration", layers[0].layer, text, layers[0].name)
    return found.graph, which, [decision]


def _signs(graph: Graph) -> list[bool]:
    return [getattr(node.op, "signed", False) for node in graph.neurons()]


def _fits(graph: Graph, calibration: Calibration, feeds: Feeds) -> dict[str, list[Fit]]:
    """For each layer of LIF neurons that replaced others, fits to the curve of these.

    Args:
        graph: With the LIF neurons.
        calibration: At which rate, if that is given.
        feeds: The samples.
    """
    replaced = to_be_fitted(graph)
    inputs = [graph.nodes[name].inputs[0] for name in replaced]
    rates = _per_layer("rate", calibration.rate, None).on(graph.neurons())
    found = {}
    for name, x in zip(replaced, _some_values(as_trained(graph), inputs, feeds), strict=True):
        own: Any = graph.nodes[name].op
        # Between and around the values too, for inputs that the samples do not have.
        above = x[x > 0] if (x > 0).any() else np.abs(x)
        reach = float(np.percentile(above, 99)) or 1.0
        x = np.concatenate([x, np.linspace(-reach, reach, EVERYWHERE)])
        y = replaced[name].evaluate(x)
        found[name] = fit_lif(own, x, y, calibration.dt, rates[name])
    return found


def _fit_curves(
    graph: Graph,
    passes: Sequence[Pass],
    calibration: Calibration,
    feeds: Feeds,
    correction: PerLayer[Any],
    runs: Runs,
) -> tuple[Graph, list[Decision]]:
    """Fit LIF neurons to the curves of the neurons that they replaced.

    Of several fits, those are taken with which the read-out comes nearest to that of the rate
    network of the replaced neurons.

    Args:
        graph: With the LIF neurons.
        passes: What else is to be done before it runs.
        calibration: For how many steps.
        feeds: The samples.
        correction: The user's ``correction``, which will be done later.
        runs: Where candidates are run.
    """
    replaced = to_be_fitted(graph)
    if not replaced:
        return graph, []
    fits = _fits(graph, calibration, feeds)
    by_limit = {
        f"{limit:g}": {name: within(found, limit) for name, found in fits.items()}
        for limit in LIMITS
    }
    best, tried = next(iter(by_limit)), ""
    if not why_not_tried(graph, feeds):
        trained = as_trained(graph)
        n_steps, dt = calibration.n_steps, calibration.dt
        trial = Trial(trained, feeds, n_steps=n_steps, dt=dt, runs=runs)
        corrections = tentative(as_trained(run(graph, passes)), correction, feeds, trial)

        @cache
        def corrected(limit: str) -> tuple[Pass, ...]:
            return corrections(run(graph.with_ops(_ops(by_limit[limit])), passes))

        def candidate(limit: str) -> Graph:
            return run(graph.with_ops(_ops(by_limit[limit])), [*passes, *corrected(limit)])

        found = trial.choose((limit, partial(candidate, limit)) for limit in by_limit)
        best = found.name
        if found.error > LOST:
            warnings.warn(
                "calibration: with LIF neurons instead of ReLU, the read-out's error after "
                f"{trial.n_steps} steps is {found.error:.2g}, {RATIO}. In a deep network, or with "
                "a floor under the membrane, LIF neurons are too different from ReLU. More steps "
                "(kconvert.Calibration(x, n_steps=...)) or ReLU neurons may help; diagnose(x) "
                "shows the layers",
                stacklevel=4,
            )
        tried = (
            f"; the read-out's error after {trial.n_steps} steps {RATIO}, by the largest error of "
            f"a curve, is {found.tried}"
        )
    decisions = []
    for name, fit in by_limit[best].items():
        text = (
            f"LIF neurons with tau_rc={fit.op.tau_rc:.3g} and tau_ref={fit.op.tau_ref:.3g}: their "
            f"curve differs from {replaced[name].kind}'s by {100 * fit.error:.1f} %, at up to "
            f"{fit.rate:g} Hz{tried}"
        )
        tried = ""  # once is enough
        decisions.append(Decision("calibration", graph.nodes[name].layer, text, name))
    return graph.with_ops(_ops(by_limit[best])), decisions


def _ops(fits: Mapping[str, Fit]) -> dict[str, NeuronOp]:
    return {name: fit.op for name, fit in fits.items()}


def _some_values(graph: Graph, names: Sequence[str], feeds: Feeds) -> list[np.ndarray]:
    """Values of nodes on the samples, drawn at random, the same on every machine.

    As many of each sample; half of them from those above zero, which may be few.
    """
    n_drawn = -(-DRAWN // (2 * feeds.n))
    drawn: list[list[np.ndarray]] = [[] for _ in names]
    for chunk in rate_chunks(graph, names, feeds):
        for number, (parts, outputs) in enumerate(zip(drawn, chunk.outputs, strict=True)):
            # By sample, as the number of samples in a chunk depends on the cores of the machine.
            for sample, values in enumerate(outputs, chunk.images.start):
                rng = np.random.default_rng([number, sample])
                for among in (values.ravel(), values[values > 0]):
                    if among.size:
                        parts.append(rng.choice(among, n_drawn).astype(np.float64))
    return [np.concatenate(parts) for parts in drawn]


def _percentiles(
    graph: Graph,
    feeds: Feeds,
    percentiles: Sequence[Mapping[str, float]],
    by_channel: Collection[str],
) -> list[tuple[dict[str, float], dict[str, np.ndarray]]]:
    """Percentiles in Hz of each layer's rates above zero, and of some layers' feature maps; 0
    where no rate is above zero.
    """
    names = [node.name for node in graph.neurons()]
    if not names:
        return [({}, {}) for _ in percentiles]
    seen = {name: Histogram() for name in names}
    maps = {
        name: Histogram(graph.nodes[name].shape[-1], in_an_octave=8, octaves=32)
        for name in by_channel
    }
    for chunk in rate_chunks(graph, names, feeds):
        for name, values in zip(names, chunk.outputs, strict=True):
            op: Any = graph.nodes[name].op
            rates = values / op.unit
            seen[name].add(rates)
            if name in maps:
                maps[name].add(rates.reshape(-1, maps[name].rows))
    return [
        (
            {name: histogram.percentile(each[name]) for name, histogram in seen.items()},
            {name: histogram.percentiles(each[name]) for name, histogram in maps.items()},
        )
        for each in percentiles
    ]


def _at_a_time(graph: Graph, feeds: Feeds) -> int:
    """Samples whose rates are held at a time."""
    return min(samples(graph, BATCH, fewest=1), feeds.n)


def rate_chunks(graph: Graph, names: Sequence[str], feeds: Feeds) -> Iterator[Chunk]:
    """Values of nodes of the rate network on the samples."""
    batch_size = _at_a_time(graph, feeds)
    spec = RunSpec.of_rates(without_synapses(graph), tuple(names))
    return make_runner("auto", spec, batch_size).run(Job(feeds.arrays, feeds.n_steps))


def _per_layer(name: str, setting: Any, others: Any) -> PerLayer[Any]:
    """A setting of :class:`Calibration` by layer, checked."""
    if setting is None:
        return PerLayer(f"Calibration: {name}", others)
    limit, included = (100.0, True) if name == "percentile" else (1e9, False)
    return PerLayer.read(
        f"Calibration: {name}",
        setting,
        lambda value, argument: _number(argument, value, limit, included=included),
        others=others,
    )


def _number(argument: str, value: Any, limit: float, *, included: bool = False) -> float:
    if not is_number(value) or not (0 < value < limit or (included and value == limit)):
        below = f"{'<=' if included else '<'} {limit:g}"
        raise InputError(f"{argument} must be a number > 0 and {below}. Received: {value!r}")
    return float(value)
