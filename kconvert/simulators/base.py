"""The small interface between a converted model and what runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive steps of one batch.

    Args:
        images: Which of the images.
        steps: Which of the steps.
        outputs: One array for each output, of shape (images, steps, size).
        counts: Layer name to the number of spikes in each step, of shape (images, steps).
        spikes: Layer name to spikes of each neuron, of shape (images, steps, neurons); empty
            unless asked for.
    """

    images: slice
    steps: slice
    outputs: tuple[np.ndarray, ...]
    counts: Mapping[str, np.ndarray]
    spikes: Mapping[str, np.ndarray]


class Runner(Protocol):
    """A network that is built and ready to run.

    Attributes:
        batch_size: Images that run at a time.
    """

    batch_size: int

    def run(self, feeds: Mapping[str, np.ndarray], n_steps: int) -> Iterator[Chunk]:
        """Run all images from the initial state, a batch and some steps at a time.

        Args:
            feeds: Input name to an array of shape (n, 1, size), held, or (n, n_steps, size).
            n_steps: Number of steps.
        """
        ...


def steps_at(feed: np.ndarray, images: slice, steps: slice) -> np.ndarray:
    """The input of some images at some steps, with held input repeated, in float32.

    Returns:
        Shape (images, steps, size).
    """
    if feed.shape[1] == 1:
        batch = np.asarray(feed[images], dtype=np.float32)
        return np.broadcast_to(batch, (batch.shape[0], steps.stop - steps.start, batch.shape[2]))
    return np.asarray(feed[images, steps], dtype=np.float32)
