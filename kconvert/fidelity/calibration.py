"""Firing rates from images: each layer spikes as fast as the steps can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..data import Feeds, InputShapes, check_feeds
from ..errors import InputError
from ..ir import Decision, Graph
from ..ops import Lif, NeuronOp, OtherNeuron, Relu, Sigmoid
from ..passes import Pass, run
from ..passes.set_spiking import divide_time_constants, scale_firing_rates, set_synapses
from ..simulators import rate_values
from ..simulators.choose import resolve

BATCH = 64
"""Samples whose rates are held at a time."""


@dataclass(frozen=True, slots=True)
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
        percentile: The percentile of each layer's rates above zero, > 0 and <= 100.
        rate: The rate in Hz that it is brought to; by default ``1 / dt``. Spiking ReLU neurons can
            fire several times a step: a higher rate costs spikes and nothing else.
        dt: Length of the steps, in seconds, that the network will be run with.

    Raises:
        InputError: A number does not fit.

    Example:
        >>> import numpy as np
        >>> Calibration(np.zeros((20, 28, 28, 1)), percentile=99.0).rate is None
        True
    """

    x: Any
    percentile: float = 99.0
    rate: float | None = None
    dt: float = 0.001

    def __post_init__(self) -> None:
        _check("percentile", self.percentile, 100.0)
        _check("dt", self.dt, 1.0)
        if self.rate is not None:
            _check("rate", self.rate, np.inf)


def check_calibration(calibration: Any, shapes: InputShapes) -> tuple[Calibration, Feeds]:
    """A calibration from itself or from its samples, and these samples.

    Raises:
        InputError: They do not fit the model.
    """
    if not isinstance(calibration, Calibration):
        calibration = Calibration(calibration)
    return calibration, check_feeds(calibration.x, shapes, None, 1)


def calibrate(graph: Graph, calibration: Calibration, feeds: Feeds) -> list[Pass]:
    """Measure every layer's rates on the samples.

    ReLU and sigmoid neurons get another gain (exact); LIF neurons shorter time constants, as far as
    these still hold a step. A layer that does not fire on the samples is left as it is.

    Args:
        graph: What is to be converted.
        calibration: How.
        feeds: Its samples.

    Returns:
        The passes that set the rates.
    """
    rates = _percentiles(graph, feeds, calibration.percentile)
    wanted = calibration.rate or 1.0 / calibration.dt
    gains, divisors, silent = {}, {}, []
    for name, rate in rates.items():
        node = graph.nodes[name]
        op = node.op
        if rate == 0 or isinstance(op, OtherNeuron):
            reason = "it has no scale" if rate else "it does not fire on the calibration samples"
            text = f"firing rates are left as they are: {reason}"
            silent.append(Decision("calibration", node.call or name, text, name))
        elif isinstance(op, Lif):
            # A neuron of Nengo's loses time where its refractory period ends within the step of
            # the spike.
            divisors[name] = max(1.0, min(wanted / rate, op.tau_ref / calibration.dt))
        else:
            gains[name] = wanted / rate

    def list_silent(graph: Graph) -> Graph:
        return graph.rewrite(decisions=silent)

    return [scale_firing_rates(gains), divide_time_constants(divisors), list_silent]


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


def _percentiles(graph: Graph, feeds: Feeds, percentile: float) -> dict[str, float]:
    """A percentile of each layer's rates above zero, in Hz; 0 for a layer without any."""
    graph = run(graph, [set_synapses(None)])
    names = [name for name, node in graph.nodes.items() if isinstance(node.op, NeuronOp)]
    seen = {name: _Histogram() for name in names}
    simulator, _ = resolve("auto", graph)
    for chunk in rate_values(graph, names, feeds.arrays, feeds.n_steps, simulator, BATCH):
        for name, values in zip(names, chunk.outputs, strict=True):
            op: Any = graph.nodes[name].op
            seen[name].add(values / op.amplitude)
    return {name: histogram.percentile(percentile) for name, histogram in seen.items()}


class _Histogram:
    """Counts on a logarithmic scale: percentiles to 0.3 %, in memory that does not grow."""

    LOWEST, HIGHEST, IN_AN_OCTAVE = -60, 60, 256

    def __init__(self) -> None:
        self.counts = np.zeros((self.HIGHEST - self.LOWEST) * self.IN_AN_OCTAVE + 1, dtype=np.int64)

    def add(self, values: np.ndarray) -> None:
        """Count the values above zero."""
        octaves = np.log2(values[values > 0]).clip(self.LOWEST, self.HIGHEST)
        bins = np.rint((octaves - self.LOWEST) * self.IN_AN_OCTAVE).astype(np.int64)
        self.counts += np.bincount(bins, minlength=len(self.counts))

    def percentile(self, percentile: float) -> float:
        """The value that this share of them is not above; 0 if there is none."""
        up_to = self.counts.cumsum()
        if up_to[-1] == 0:
            return 0.0
        found = np.searchsorted(up_to, percentile / 100 * up_to[-1])
        return float(2.0 ** (found / self.IN_AN_OCTAVE + self.LOWEST))


def _check(name: str, value: Any, most: float) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < float(value) <= most or not np.isfinite(float(value)):
        limit = "" if np.isinf(most) else f" and <= {most:g}"
        raise InputError(
            f"Calibration: {name} must be a number > 0{limit}. Received: {name}={value!r}"
        )
