"""The reference simulator of Nengo: float64, one image at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import nengo
import numpy as np
from nengo.builder import Model
from nengo.cache import NoDecoderCache

from ..targets.nengo.model import NengoModel
from .base import Chunk, Job, steps_at
from .recording import no_tuning_curves, recording


class _Held:
    """The output function of an input node: whatever was put into ``value``."""

    def __init__(self, size: int) -> None:
        self.value = np.zeros(size)

    def __call__(self, t: float) -> np.ndarray:
        return self.value


class NengoRunner:
    """A ``nengo.Simulator`` of the network. ``batch_size`` is 1 whatever is asked for."""

    batch_size = 1

    def __init__(self, model: NengoModel, *, batch_size: int, dt: float, spikes: bool) -> None:
        nodes = {name: model.values[name].obj for name in model.graph.inputs}
        self._inputs = {name: _Held(node.size_out) for name, node in nodes.items()}
        outputs = {name: node.output for name, node in nodes.items()}
        self._dt = dt
        try:
            for name, node in nodes.items():
                node.output = self._inputs[name]
            with recording(model, dt=dt, spikes=spikes) as self._probes, no_tuning_curves():
                # The decoder cache writes to the user's disk, and there are no decoders.
                built = Model(dt=dt, label=model.net.label, decoder_cache=NoDecoderCache())
                self._simulator = nengo.Simulator(model.net, dt=dt, model=built, progress_bar=False)
        finally:
            for name, node in nodes.items():
                node.output = outputs[name]
        weakref.finalize(self, self._simulator.close)

    def run(self, job: Job) -> Iterator[Chunk]:
        probes, data = self._probes, self._simulator.data
        n_steps = job.n_steps
        for image in range(job.n):
            self._simulator.reset()
            images = slice(image, image + 1)
            given = {
                name: steps_at(feed, images, slice(0, n_steps))[0]
                for name, feed in job.feeds.items()
            }
            for step in range(n_steps):
                for name, held in self._inputs.items():
                    held.value = given[name][step].astype(np.float64)
                # NengoDL's SoftLIFRate overflows, harmlessly, in the branch that it does not take.
                with np.errstate(over="ignore", divide="ignore"):
                    self._simulator.step()
            yield Chunk(
                images,
                slice(0, n_steps),
                tuple(data[probe][None] for probe in probes.outputs),
                {name: data[probe][None, :, 0] for name, probe in probes.counts.items()},
                {
                    name: np.rint(data[probe][None] * self._dt / probes.amplitude[name])
                    for name, probe in probes.spikes.items()
                },
            )
