"""What the machine works on: arrays by name, of one type in every run of a precision.

Kernels are compiled for exactly these types, once, whatever runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

WAITING = np.uint32
"""The type of the steps that a neuron is refractory for."""


class Shared(NamedTuple):
    """What all samples share.

    Args:
        lists: Where each list of events begins, and the end of the last.
        weights: Real numbers.
        tables: Integers.
        initial: ``state`` before the prologue.
    """

    lists: np.ndarray
    weights: np.ndarray
    tables: np.ndarray
    initial: np.ndarray


class Fed(NamedTuple):
    """The input of a piece of work.

    Args:
        held: What does not change, of shape (samples, values).
        timed: What changes, of shape (samples, steps, values).
    """

    held: np.ndarray
    timed: np.ndarray


class Memory(NamedTuple):
    """The working memory of one thread.

    Args:
        state: Every value that is dense.
        refractory_steps: The steps that neurons are still refractory for.
        pointers: For each cell its first event, and the end of the last.
        indices: Places of events; a copy of all lists for each of some steps.
        values: Values of events, likewise.
        n_events: Number of events, of shape (copies, lists + 1). What is behind the last list says
            whether the read-out has begun.
        piece: Memory for a few numbers: a piece of a row of weights, the states of a filter.
        dense: Memory for a dense input.
    """

    state: np.ndarray
    refractory_steps: np.ndarray
    pointers: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    n_events: np.ndarray
    piece: np.ndarray
    dense: np.ndarray


class Recorded(NamedTuple):
    """What a piece of work records.

    Args:
        outputs: Of shape (samples, steps or 1, values).
        counts: Spikes, of shape (samples, as many, layers).
        operations: Synaptic operations, likewise.
        lowest: The lowest number of spikes of a neuron in a step, of those that are negative, or 0;
            likewise.
        highest: The highest number of spikes of a neuron in a step, or 0; likewise.
        spikes: Of every neuron, of shape (samples, steps or 0, neurons).
        bounds: Where each layer begins among the neurons, and the end of the last.
    """

    outputs: np.ndarray
    counts: np.ndarray
    operations: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    spikes: np.ndarray
    bounds: np.ndarray


class Machine(NamedTuple):
    """All that a kernel sees."""

    shared: Shared
    fed: Fed
    memory: Memory
    recorded: Recorded


class Listing(NamedTuple):
    """Instructions in order.

    Args:
        kernels: Address of the kernel of each.
        lines: Address of the record of each.
    """

    kernels: np.ndarray
    lines: np.ndarray


def machine_type(real: Any) -> Any:
    """The type that Numba gives to a :class:`Machine` with real numbers of a precision."""

    def array(dtype: Any, axes: int = 1) -> np.ndarray:
        return np.zeros((0,) * axes, dtype=dtype)

    reals, integers = array(real), array(np.int64)
    return numba.typeof(
        Machine(
            Shared(integers, reals, array(np.int32), reals),
            Fed(array(real, 2), array(real, 3)),
            Memory(
                reals,
                array(WAITING),
                integers,
                array(np.uint32),
                reals,
                array(np.int64, 2),
                reals,
                reals,
            ),
            Recorded(
                array(real, 3),
                array(np.float64, 3),
                array(np.int64, 3),
                array(np.int64, 3),
                array(np.int64, 3),
                array(np.int32, 3),
                integers,
            ),
        )
    )
