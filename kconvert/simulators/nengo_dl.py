"""NengoDL's simulator: TensorFlow, float32, a batch of samples at a time."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping

import nengo
import numpy as np

from ..bridge import import_nengo_dl
from .base import CHUNK_BYTES, Chunk, Job, RunSpec, steps_at
from .recording import emit_with_probes, no_tuning_curves, random_left_alone


class NengoDlRunner:
    """A ``nengo_dl.Simulator`` of a network of its own.

    Args:
        spec: What to run.
        batch_size: Samples that run at a time.
    """

    def __init__(self, spec: RunSpec, batch_size: int) -> None:
        nengo_dl = import_nengo_dl("simulator='nengo_dl'")
        self.batch_size = batch_size
        self._dt = spec.dt
        model, self._probes = emit_with_probes(spec)
        self._inputs = {name: model.values[name].obj for name in spec.graph.inputs}
        # This simulator never trains, and is built simpler.
        model.net.config[nengo.Network].inference_only = True
        with no_tuning_curves(), random_left_alone():
            warnings.filterwarnings("ignore", message="No GPU support detected")
            self._simulator = nengo_dl.Simulator(
                model.net, dt=spec.dt, minibatch_size=batch_size, progress_bar=False
            )
        neurons = sum(probe.size_in for probe in self._probes.spikes.values())
        size = sum(node.size_out for node in self._inputs.values()) + neurons
        weakref.finalize(self, self._simulator.close)
        self._chunk = max(1, CHUNK_BYTES // (4 * batch_size * size))

    def run(self, job: Job) -> Iterator[Chunk]:
        n_steps = job.n_steps
        for first in range(0, job.n, self.batch_size):
            images = slice(first, min(first + self.batch_size, job.n))
            self._simulator.reset(
                include_trainable=False, include_probes=False, include_processes=False
            )
            for start in range(0, n_steps, self._chunk):
                yield self._call(job.feeds, images, slice(start, min(start + self._chunk, n_steps)))

    def _call(self, feeds: Mapping[str, np.ndarray], images: slice, steps: slice) -> Chunk:
        n = images.stop - images.start
        given = {}
        for name, node in self._inputs.items():
            data = steps_at(feeds[name], images, steps)
            if n < self.batch_size:  # NengoDL's batch has a fixed size: the last image fills it up
                data = np.concatenate([data, data[-1:].repeat(self.batch_size - n, axis=0)])
            given[node] = np.ascontiguousarray(data)
        data = self._simulator.predict_on_batch(given, stateful=True)
        return self._probes.chunk(images, steps, lambda probe: data[probe][:n], self._dt)
