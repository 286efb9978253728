"""Callbacks for Keras' ``fit``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from .arguments import count, flag, nearest
from .data.arrays import check_feeds
from .data.streams import first_samples
from .errors import InputError
from .fidelity.calibration import BATCH
from .fidelity.histogram import Histogram
from .ops import Lif
from .options import read_factors, read_options
from .passes import run
from .passes.set_spiking import scale_firing_rates as scale_rates
from .passes.set_spiking import without_synapses
from .preparation import prepare
from .simulators import Job, RunSpec, make_runner

READING = ("swap_activations", "allow", "layers", "max_pooling")


class FiringRates(keras.callbacks.Callback):
    """Reports the firing rates of every layer of neurons while the model trains.

    The rates are those of the network that ``kconvert.convert(model, calibration=False)`` would
    give at that moment. After an epoch, ``logs`` has three entries for each layer, which other
    callbacks such as ``CSVLogger`` and ``TensorBoard`` see too: ``<layer>/rate`` (mean in Hz),
    ``<layer>/rate_99`` (99th percentile of the rates above zero, in Hz) and ``<layer>/dead`` (share
    of neurons that no sample makes fire).

    Args:
        x: Some dozens of samples, as :meth:`SpikingModel.simulate` takes them, without a time axis.
        scale_firing_rates: As in :func:`kconvert.convert`.
        every: Number of epochs between two reports, >= 1.
        verbose: Print a line for each report.
        **settings: Arguments of :func:`kconvert.convert` that say how the model is read:
            ``swap_activations``, ``allow``, ``layers``, ``max_pooling``.

    Attributes:
        history: One dict for each report: ``epoch``, and the entries of ``logs``.

    Raises:
        InputError: An argument is not accepted. Samples are checked when training begins.
        UnsupportedModelError: The model cannot be converted. Raised when training begins.

    Example:
        >>> import keras, numpy as np
        >>> from kconvert.callbacks import FiringRates
        >>> from kconvert.layers import RateLIF
        >>> layers = [keras.Input((4,)), keras.layers.Dense(3), RateLIF(name="lif")]
        >>> model = keras.Sequential(layers)
        >>> model.compile("sgd", "mse")
        >>> rates = FiringRates(np.eye(4), verbose=False)
        >>> _ = model.fit(np.eye(4), np.zeros((4, 3)), verbose=0, callbacks=[rates])
        >>> sorted(rates.history[0])
        ['epoch', 'lif/dead', 'lif/rate', 'lif/rate_99']
    """

    def __init__(
        self,
        x: Any,
        *,
        scale_firing_rates: float | Mapping[str, float] | None = None,
        every: int = 1,
        verbose: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__()
        count("FiringRates: every", every)
        flag("FiringRates: verbose", verbose)
        if unknown := sorted(set(settings) - set(READING)):
            raise InputError(
                f"FiringRates: unknown arguments {unknown}. Arguments that say how a model is read "
                f"are {sorted(READING)}{nearest(unknown[0], READING)}"
            )
        self.x, self.every, self.verbose = x, int(every), verbose
        self.scale_firing_rates, self.settings = scale_firing_rates, settings
        self.history: list[dict[str, float]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self._rates()  # what does not fit is to be seen before an epoch was spent

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        found = self._rates()
        self.history.append({"epoch": epoch, **found})
        if logs is not None:
            logs.update(found)
        if self.verbose and found:
            layers = dict.fromkeys(name.rsplit("/", 1)[0] for name in found)
            texts = [
                f"{layer} {found[f'{layer}/rate']:.1f} Hz (99 %: {found[f'{layer}/rate_99']:.0f}, "
                f"dead: {100 * found[f'{layer}/dead']:.0f} %)"
                for layer in layers
            ]
            print(f"firing rates: {', '.join(texts)}")  # noqa: T201

    def _rates(self) -> dict[str, float]:
        prepared = prepare(self.model, read_options(**self.settings))
        prepared.require_convertible(self.model.name)
        graph = prepared.graph
        # Spikes know no soft threshold: below it a neuron does not fire.
        hard = {
            node.name: replace(node.op, smoothing=0.0)
            for node in graph.neurons()
            if isinstance(node.op, Lif)
        }
        graph = without_synapses(graph.with_ops(hard))
        factors = read_factors(self.scale_firing_rates).on(graph.neurons())
        graph = run(graph, [scale_rates(factors)])
        # A generator gives its samples once, and they are wanted after every epoch.
        self.x = first_samples(self.x, prepared.input_shapes)
        feeds = check_feeds(self.x, prepared.input_shapes, None, 1)
        names = tuple(node.name for node in graph.neurons())
        if not names:
            return {}
        rates = {name: Histogram() for name in names}
        totals = dict.fromkeys(names, 0.0)
        fired: dict[str, Any] = dict.fromkeys(names, False)
        n = feeds.n * feeds.n_steps
        runner = make_runner("auto", RunSpec.of_rates(graph, names), min(BATCH, feeds.n))
        for chunk in runner.run(Job(feeds.arrays, feeds.n_steps)):
            for name, values in zip(names, chunk.outputs, strict=True):
                hertz = np.abs(values / graph.nodes[name].op.unit)
                rates[name].add(hertz)
                totals[name] += float(hertz.sum(dtype=np.float64)) / hertz.shape[-1] / n
                fired[name] |= (hertz > 0).any(axis=(0, 1))
        return {
            key: value
            for name in names
            for key, value in {
                f"{name}/rate": totals[name],
                f"{name}/rate_99": rates[name].percentile(99),
                f"{name}/dead": float(1 - np.mean(fired[name])),
            }.items()
        }
