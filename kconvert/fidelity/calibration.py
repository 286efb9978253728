"""Firing rates from samples: each layer spikes as fast as the steps can show."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Feeds, InputShapes, check_feeds
from ..errors import InputError, is_integer, is_number
from ..ir import Decision, Graph
from ..ops import Lif, NeuronOp, OtherNeuron, Relu, Sigmoid
from ..passes import Pass, run
from ..passes.balance_channels import balance_channels, can_be_balanced
from ..passes.set_spiking import (
    by_layer,
    divide_time_constants,
    scale_firing_rates,
    set_signed,
    set_synapses,
)
from ..simulators import rate_values
from ..simulators.choose import resolve
from ..targets.nengo.net import check_synapse
from ..targets.nengo.neurons import amplitudes
from ..targets.nengo.window import RAMP
from .correction import tentative
from .histogram import Histogram
from .lif_curves import LIMITS, Fit, fit_lif, within
from .neurons import as_trained, learners_of, neurons, with_ops
from .trial import Trial, can_be_tried

PERCENTILE = 99.0
BATCH = 64
"""Samples whose rates are held at a time."""
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
            do.
        percentile: The percentile of each layer's rates above zero, > 0 and <= 100 (the largest);
            or a dict of these by layer name or pattern, 99 for others.
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
    percentile: float | Mapping[str, float] = PERCENTILE
    rate: float | Mapping[str, float] | None = None
    dt: float = 0.001
    n_steps: int = 30
    per_channel: bool = True

    def __post_init__(self) -> None:
        _check("percentile", self.percentile, 100.0)
        _check("dt", self.dt, 1.0)
        if self.rate is not None:
            _check("rate", self.rate, 1e9)
        if not is_integer(self.n_steps) or self.n_steps < 1:
            raise InputError(f"Calibration: n_steps must be an integer >= 1: {self.n_steps!r}")
        if not isinstance(self.per_channel, bool | np.bool_):
            raise InputError(f"Calibration: per_channel must be a bool: {self.per_channel!r}")


def check_calibration(calibration: Any, shapes: InputShapes) -> tuple[Calibration, Feeds]:
    """A calibration from itself or from its samples, and these samples.

    Raises:
        InputError: They do not fit the model.
    """
    if not isinstance(calibration, Calibration):
        calibration = Calibration(calibration)
    return calibration, check_feeds(calibration.x, shapes, None, 1)


def calibrate(
    graph: Graph, calibration: Calibration, feeds: Feeds, signed: Any, correction: Any
) -> Graph:
    """Set every layer's rates from what it does on the samples.

    ReLU and sigmoid neurons get another gain (exact); LIF neurons shorter time constants, as far as
    these still hold a step, or where they stand for ReLU the curve nearest to it. Where all neurons
    are ReLU, what this leaves of the read-out's error is measured: see :func:`_finest`.

    Args:
        graph: What is to be converted, with the synapses that it shall have, if any.
        calibration: How.
        feeds: Its samples.
        signed: Whether ReLU neurons take spikes back: as :func:`set_signed` has it.
        correction: What will be corrected then: as :func:`~.correction.correct` has it.
    """
    wanted = by_layer("Calibration: rate", calibration.rate, None, graph)
    wanted = {name: rate or 1.0 / calibration.dt for name, rate in wanted.items()}
    gains, divisors = {}, {}
    learners = learners_of(graph)
    decisions: list[Decision] = []
    balanced = [name for name in graph.nodes if can_be_balanced(graph, name)]
    whole, by_channel = _percentiles(
        as_trained(graph),
        feeds,
        by_layer("Calibration: percentile", calibration.percentile, PERCENTILE, graph),
        balanced if calibration.per_channel else [],
    )
    balance = {
        name: np.clip(whole[name] / np.where(rates > 0, rates, whole[name]), *BALANCE)
        for name, rates in by_channel.items()
        if whole[name]
    }
    for name, rate in whole.items():
        node = graph.nodes[name]
        op: Any = node.op
        text = ""
        if isinstance(op, OtherNeuron):
            text = f"{type(op.neuron_type).__name__} neurons keep their rates"
        elif name in learners:
            continue  # has its rate from its curve
        elif isinstance(op, Lif):
            # A neuron of Nengo's loses time where its refractory period ends within the step of
            # the spike.
            most = op.tau_ref / calibration.dt
            divisors[name] = max(1.0, min(wanted[name] / rate, most) if rate else most)
        elif rate:
            gains[name] = wanted[name] / rate
        else:
            text = f"no spikes on the calibration samples: an output of 1 is {wanted[name]:g} Hz"
            gains[name] = wanted[name] * op.amplitude
        if text:
            decisions.append(Decision("calibration", node.call or name, text, name))

    def passes(spikes: float, auto: bool) -> tuple[Pass, ...]:
        factors = {name: gain * spikes for name, gain in gains.items()}
        scales = (scale_firing_rates(factors), divide_time_constants(divisors))
        return (*scales, set_signed(signed, auto), balance_channels(balance))

    graph, learned = _learn(graph, passes(1.0, False), calibration, feeds, correction)
    decisions += learned
    found, more = _finest(lambda *how: run(graph, passes(*how)), calibration, feeds)
    return found.rewrite(decisions=[*decisions, *more])


def choose_synapse(
    graph: Graph, calibration: Calibration, feeds: Feeds, output_synapse: Any, default: float
) -> tuple[float | None, list[Decision]]:
    """The synapse behind the neurons that brings the read-out nearest to the rate network's.

    Between ReLU neurons whose membranes have no floor it is None: they add up whatever order spikes
    come in. Other neurons' curves are not linear, and of a current that comes in spikes they make
    another mean than of the current's mean; a filter brings it nearer, and delays it. Which of
    these weighs more depends on the network and on the number of steps, so a few are tried.

    Args:
        graph: With everything else set.
        calibration: How long the network will run.
        feeds: Samples; the first ones are used.
        output_synapse: Filter of the read-out.
        default: Seconds; where trying is not possible, or tells nothing.

    Returns:
        The synapse's time constant in seconds or None, and what was found.
    """
    bent = [node for node in neurons(graph) if not isinstance(node.op, Relu)]
    if not bent:
        return None, []
    if not can_be_tried(graph, feeds, output_synapse):
        return default, []
    run_for, dt = calibration.n_steps, calibration.dt
    error = Trial(graph, feeds, output_synapse, n_steps=run_for, dt=dt).error
    errors = {
        tau: error(run(graph, [set_synapses(check_synapse(tau or None, "synapse"))]))
        for tau in SYNAPSES
    }
    good = min(errors.values()) * GOOD
    best = next((tau for tau, error in errors.items() if error <= good), default)
    tried = ", ".join(f"{1000 * tau:g} ms {error:.2g}" for tau, error in errors.items())
    text = (
        f"synapses of {1000 * best:g} ms: the read-out's error after {calibration.n_steps} steps "
        f"as a share of what tells the samples apart, with synapses of {tried}"
    )
    return best or None, [Decision("calibration", bent[0].call or bent[0].name, text, bent[0].name)]


def _finest(
    scaled: Callable[[float, bool], Graph],
    calibration: Calibration,
    feeds: Feeds,
) -> tuple[Graph, list[Decision]]:
    """How fine spikes must be: the cheapest that brings the read-out near to the rate network's.

    Each layer rounds to whole spikes, and a spike that comes too early cannot be undone. Over some
    ten layers neither matters; over fifty the errors are larger than the signal. Then neurons take
    spikes back (:class:`~kconvert.targets.nengo.integrate_and_fire.SignedIntegrateAndFire`), and
    fire several times a step, each spike being worth as much less.

    Args:
        scaled: From spikes a step, and whether neurons whose sign is "auto" are signed, to a graph.
        calibration: How long the network will run, and the rate, if that is given.
        feeds: Samples; the first ones are used.
    """
    output_synapse = RAMP  # whatever else reads it out
    plain = scaled(1.0, False)
    layers = neurons(plain)
    fixed = not layers or not all(isinstance(node.op, Relu) for node in layers)
    if fixed or not can_be_tried(plain, feeds, output_synapse):
        return plain, []
    choice = _signs(scaled(1.0, True)) != _signs(plain)
    candidates = [(1.0, False), (1.0, True)] if choice else [(1.0, False)]
    if calibration.rate is None:
        candidates += [(float(spikes), choice) for spikes in SPIKES]
    trial = Trial(plain, feeds, output_synapse, n_steps=calibration.n_steps, dt=calibration.dt)
    errors: dict[tuple[float, bool], float] = {}
    for candidate in candidates:
        errors[candidate] = trial.error(scaled(*candidate))
        if errors[candidate] <= NEAR:
            break
    good = max(NEAR, min(errors.values()) * GOOD)
    if len(errors) == 1:  # good at once, or no choice
        return plain, []
    best = next(candidate for candidate, error in errors.items() if error <= good)
    rate = calibration.rate
    by_name = isinstance(rate, Mapping)
    per_step = 1.0 if rate is None or isinstance(rate, Mapping) else rate * calibration.dt
    numbers = {spikes: "the given" if by_name else f"{spikes * per_step:g}" for spikes, _ in errors}
    names = {(spikes, sign): numbers[spikes] + ", signed" * sign for spikes, sign in errors}
    tried = "; ".join(f"{names[each]}: {error:.2g}" for each, error in errors.items())
    text = (
        f"{names[best]} spikes a step: the read-out's error after {trial.n_steps} steps as a share "
        f"of what tells the samples apart, by spikes a step, is {tried}"
    )
    first = layers[0]
    return scaled(*best), [Decision("calibration", first.call or first.name, text, first.name)]


def _signs(graph: Graph) -> list[bool]:
    return [node.op.signed for node in graph.nodes.values() if isinstance(node.op, Relu)]


def start_voltages(graph: Graph) -> Mapping[str, Any]:
    """Start voltages for calibrated rates: half the threshold, so that counts are rounded and not
    cut off (Bu et al. 2022, "Optimized potential initialization for low-latency spiking neural
    networks"); for LIF neurons, whose rates stay lower, spread evenly.
    """
    return {
        name: 0.5 if isinstance(node.op, Relu | Sigmoid) else "spread"
        for name, node in graph.nodes.items()
        if isinstance(node.op, NeuronOp)
    }


def _fits(
    graph: Graph, learners: Mapping[str, NeuronOp], calibration: Calibration, feeds: Feeds
) -> dict[str, list[Fit]]:
    """Curves of LIF neurons that go through those of the neurons whose place they took, over the
    inputs that these have on the samples.

    Args:
        graph: With the LIF neurons.
        learners: Name to the neurons whose place they took.
        calibration: At which rate, if that is given.
        feeds: The samples.
    """
    inputs = [graph.nodes[name].inputs[0] for name in learners]
    rates = by_layer("Calibration: rate", calibration.rate, None, graph)
    found = {}
    for name, x in zip(learners, _some_values(as_trained(graph), inputs, feeds), strict=True):
        own: Any = graph.nodes[name].op
        # Between and around the values too, for inputs that the samples do not have.
        above = x[x > 0] if (x > 0).any() else np.abs(x)
        reach = float(np.percentile(above, 99)) or 1.0
        x = np.concatenate([x, np.linspace(-reach, reach, EVERYWHERE)])
        y = learners[name].evaluate(x)
        found[name] = fit_lif(own, x, y, calibration.dt, rates[name])
    return found


def _learn(
    graph: Graph,
    passes: Sequence[Pass],
    calibration: Calibration,
    feeds: Feeds,
    correction: Any,
) -> tuple[Graph, list[Decision]]:
    """Give LIF neurons the curves of the neurons whose place they took: those with which the
    read-out comes nearest to that of the rate network with these.

    Args:
        graph: With the LIF neurons.
        passes: What else is to be done before it runs.
        calibration: For how many steps.
        feeds: The samples.
        correction: What will be corrected then: as :func:`~.correction.correct` has it.
    """
    learners = learners_of(graph)
    if not learners:
        return graph, []
    fits = _fits(graph, learners, calibration, feeds)
    chosen = {
        limit: {name: within(found, limit) for name, found in fits.items()} for limit in LIMITS
    }
    best, tried = LIMITS[0], ""
    if can_be_tried(graph, feeds, RAMP):  # whatever else reads it out
        run_for, dt = calibration.n_steps, calibration.dt
        trial = Trial(as_trained(graph), feeds, RAMP, n_steps=run_for, dt=dt)
        corrected = tentative(as_trained(run(graph, passes)), correction, feeds, trial)
        errors = {
            limit: trial.error(run(with_ops(graph, _ops(found)), [*passes, corrected]))
            for limit, found in chosen.items()
        }
        best = min(errors, key=lambda limit: errors[limit])
        if errors[best] > LOST:
            warnings.warn(
                "calibration: with LIF neurons in the place of ReLU the read-out's error after "
                f"{trial.n_steps} steps is {errors[best]:.2g} of what tells the samples apart. In "
                "a deep network, or with a floor under their membranes, they are not near enough "
                "to ReLU: more steps (kconvert.Calibration(x, n_steps=...)) may help, or ReLU "
                "neurons; diagnose(x) has the layers",
                stacklevel=4,
            )
        listed = ", ".join(f"{limit:g}: {error:.2g}" for limit, error in errors.items())
        tried = (
            f"; the read-out's error after {trial.n_steps} steps as a share of what tells the "
            f"samples apart, by the error of the curves that is accepted, is {listed}"
        )
    decisions = []
    for name in learners:
        fit = chosen[best][name]
        text = (
            f"LIF neurons with tau_rc={fit.op.tau_rc:.3g} and tau_ref={fit.op.tau_ref:.3g} whose "
            f"curve is {type(learners[name]).__name__}'s up to {100 * fit.error:.1f} %, at up to "
            f"{fit.rate:g} Hz{tried}"
        )
        tried = ""  # once is enough
        decisions.append(Decision("calibration", graph.nodes[name].call or name, text, name))
    return with_ops(graph, _ops(chosen[best])), decisions


def _ops(fits: Mapping[str, Fit]) -> dict[str, NeuronOp]:
    return {name: fit.op for name, fit in fits.items()}


def _some_values(graph: Graph, names: Sequence[str], feeds: Feeds) -> list[np.ndarray]:
    """Values of nodes on the samples, drawn at random (the same on every machine): half of them
    from those above zero, which may be few.
    """
    graph = run(graph, [set_synapses(None)])
    rng = np.random.default_rng(0)
    simulator, _ = resolve("auto", graph)
    drawn: list[list[np.ndarray]] = [[] for _ in names]
    batch_size = min(BATCH, feeds.n)
    chunks = -(-feeds.n // batch_size)
    for chunk in rate_values(graph, names, feeds.arrays, feeds.n_steps, simulator, batch_size):
        for parts, values in zip(drawn, chunk.outputs, strict=True):
            for among in (values.ravel(), values[values > 0]):
                if among.size:
                    parts.append(rng.choice(among, -(-DRAWN // (2 * chunks))).astype(np.float64))
    return [np.concatenate(parts) for parts in drawn]


def _percentiles(
    graph: Graph, feeds: Feeds, percentile: Mapping[str, float], by_channel: Collection[str]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """A percentile in Hz of each layer's rates above zero, and of some layers' feature maps; 0
    where no rate is above zero.
    """
    graph = run(graph, [set_synapses(None)])
    names = [node.name for node in neurons(graph)]
    if not names:
        return {}, {}
    seen = {name: Histogram() for name in names}
    maps = {
        name: Histogram(graph.nodes[name].shape[-1], in_an_octave=8, octaves=32)
        for name in by_channel
    }
    simulator, _ = resolve("auto", graph)
    batch_size = min(BATCH, feeds.n)
    for chunk in rate_values(graph, names, feeds.arrays, feeds.n_steps, simulator, batch_size):
        for name, values in zip(names, chunk.outputs, strict=True):
            op: Any = graph.nodes[name].op
            rates = values / amplitudes(op, spiking=True)[1]
            seen[name].add(rates)
            if name in maps:
                maps[name].add(rates.reshape(-1, maps[name].rows))
    return (
        {name: histogram.percentile(percentile[name]) for name, histogram in seen.items()},
        {name: histogram.percentiles(percentile[name]) for name, histogram in maps.items()},
    )


def _check(name: str, setting: Any, limit: float) -> None:
    included = name == "percentile"
    by_name = isinstance(setting, Mapping) and name != "dt"
    for value in setting.values() if by_name else [setting]:
        if not is_number(value) or not (0 < value < limit or (included and value == limit)):
            below = f"{'<=' if included else '<'} {limit:g}"
            raise InputError(
                f"Calibration: {name} must be a number > 0 and {below}. Received: {name}={value!r}"
            )
