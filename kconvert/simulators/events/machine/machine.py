"""Steps a program, a sample at a time.

A sample's whole run is one stretch of work, so that its state stays in the cache and threads do not
wait for each other.
"""

from __future__ import annotations

import math

from numba import njit

from .calls import call, pointer_to


@njit(inline="always")
def _largest(logits):
    """Which output is the largest; of one unit whether it is above zero."""
    best = 0
    for unit in range(1, len(logits)):
        if logits[unit] > logits[best]:
            best = unit
    return best if len(logits) > 1 else int(logits[0] > 0)


@njit(inline="always")
def _confidence(logits, best):
    """The softmax probability of a class; of one unit the logistic one."""
    if len(logits) == 1:
        return 1.0 / (1.0 + math.exp(-abs(logits[0])))
    total = 0.0
    for unit in range(len(logits)):
        total += math.exp(logits[unit] - logits[best])
    return 1.0 / total


def run(  # noqa: C901
    prologue, step, groups, machine, n_steps, stable, confidence, taken, stop
):
    """Run samples one after the other.

    Some steps at a time, as many as there are copies of the lists of events: a group of
    instructions runs all of them, then the next group does.

    Args:
        prologue: The ``Listing`` of the time before the first step.
        step: That of every step.
        groups: Where its groups begin, and the end of the last.
        machine: A ``Machine``.
        n_steps: Number of steps.
        stable: Steps for which the largest output must have been the same before a sample's run
            ends, or 0 to go on. They count from where the read-out's first spike arrives.
        confidence: Softmax probability that the largest output must have for it.
        taken: Where each sample's number of steps is written.
        stop: An array of one number: not zero once the run is to end.

    Returns:
        The number of samples that were finished.
    """
    memory, recorded = machine.memory, machine.recorded
    state, refractory_steps, slots = memory.state, memory.refractory_steps, memory.n_events.shape[0]
    outputs, counts = recorded.outputs, recorded.counts
    operations, spikes = recorded.operations, recorded.spikes
    lowest, highest = recorded.lowest, recorded.highest
    pointer = pointer_to(machine)
    for sample in range(len(taken)):
        for place in range(len(state)):
            state[place] = machine.shared.initial[place]
        for neuron in range(len(refractory_steps)):
            refractory_steps[neuron] = 0
        for line in range(len(prologue.lines)):
            call(prologue.kernels[line], prologue.lines[line], pointer, sample, 0, 0)
        since, best = 0, -1
        taken[sample] = n_steps
        for start in range(0, n_steps, slots):
            if stop[0]:
                return sample
            end = min(start + slots, n_steps)
            for group in range(len(groups) - 1):
                for now in range(start, end):
                    for line in range(groups[group], groups[group + 1]):
                        kernel = step.kernels[line]
                        call(kernel, step.lines[line], pointer, sample, now, now - start)
            if stable == 0:
                continue
            for now in range(start, end):
                logits = outputs[sample, now]
                largest = _largest(logits)
                since = since + 1 if largest == best else 1
                if not memory.n_events[now - start, -1]:
                    since = 0
                best = largest
                if since >= stable and _confidence(logits, best) >= confidence:
                    taken[sample] = now + 1
                    break
            if taken[sample] < n_steps:
                # What was run beyond this step does not count.
                for later in range(taken[sample], n_steps):
                    for value in range(outputs.shape[2]):
                        outputs[sample, later, value] = outputs[sample, taken[sample] - 1, value]
                    for layer in range(counts.shape[2]):
                        counts[sample, later, layer] = 0
                        operations[sample, later, layer] = 0
                        lowest[sample, later, layer] = 0
                        highest[sample, later, layer] = 0
                    for neuron in range(spikes.shape[2] if spikes.shape[1] else 0):
                        spikes[sample, later, neuron] = 0
                break
    return len(taken)
