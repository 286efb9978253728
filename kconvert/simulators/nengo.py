"""The reference simulator of Nengo: float64, one sample at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import nengo
import numpy as np
from nengo.builder import Model
from nengo.cache import NoDecoderCache

from .base import CHUNK_BYTES, Chunk, Job, RunSpec, steps_at
from .recording import emit_with_probes, no_tuning_curves, random_left_alone

ARRAY_BYTES = 160
"""Of an array besides its values."""


class _Held:
    """The output function of an input node: whatever was put into ``value``."""

    def __init__(self, size: int) -> None:
        self.value = np.zeros(size)

    def __call__(self, t: float) -> np.ndarray:
        return self.value


class NengoRunner:
    """A ``nengo.Simulator`` of a network of its own.

    Args:
        spec: What to run.
    """

    batch_size = 1

    def __init__(self, spec: RunSpec) -> None:
        self._dt = spec.dt
        model, self._probes = emit_with_probes(spec)
        self._inputs: dict[str, _Held] = {}
        for name in spec.graph.inputs:
            node = model.values[name].obj
            node.output = self._inputs[name] = _Held(node.size_out)
        with no_tuning_curves(), random_left_alone():
            # The decoder cache writes to the user's disk, and there are no decoders.
            built = Model(dt=spec.dt, label=model.net.label, decoder_cache=NoDecoderCache())
            # Nengo's optimizer merges operators, and looks at all pairs of them for it: over a
            # minute for MobileNetV2. What they compute is the same.
            self._simulator = nengo.Simulator(
                model.net, dt=spec.dt, model=built, progress_bar=False, optimize=False
            )
        weakref.finalize(self, self._simulator.close)
        recorded = [*self._probes.outputs, *self._probes.counts.values()]
        recorded += self._probes.spikes.values()
        # Nengo keeps an array for each probe and step, and gives a copy of all.
        size = sum(ARRAY_BYTES + 16 * probe.size_in for probe in recorded)
        self._chunk = max(1, CHUNK_BYTES // size)

    def run(self, job: Job) -> Iterator[Chunk]:
        for image in range(job.n):
            self._simulator.reset()
            images = slice(image, image + 1)
            for start in range(0, job.n_steps, self._chunk):
                yield self._steps(job, images, slice(start, min(start + self._chunk, job.n_steps)))

    def _steps(self, job: Job, images: slice, steps: slice) -> Chunk:
        probes, data = self._probes, self._simulator.data
        given = {name: steps_at(job.feeds[name], images, steps)[0] for name in self._inputs}
        self._simulator.clear_probes()
        for step in range(steps.stop - steps.start):
            for name, held in self._inputs.items():
                held.value = given[name][step].astype(np.float64)
            # NengoDL's SoftLIFRate overflows, harmlessly, in the branch that it does not take.
            with np.errstate(over="ignore", divide="ignore"):
                self._simulator.step()
        return probes.chunk(images, steps, lambda probe: data[probe][None], self._dt)
