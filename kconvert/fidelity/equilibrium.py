"""Start voltages as a network that has been running for a while has them."""

from __future__ import annotations

import numpy as np

from ..data.arrays import Feeds
from ..errors import InputError
from ..ir import Graph
from ..passes.set_spiking import EQUILIBRIUM, spread
from ..simulators import SIMULATORS, Job, RunSpec
from .calibration import Calibration
from .trial import samples

SAMPLES = 48
"""Most samples that are run."""
STEPS = 20
"""Steps after which voltages are taken, in networks of up to half as many layers of neurons."""
BELOW_THRESHOLD = float(np.nextafter(np.float32(1), np.float32(0)))


def equilibrium(graph: Graph, calibration: Calibration, feeds: Feeds) -> dict[str, np.ndarray]:
    """Run samples, and take the start voltages from where that leaves the membranes.

    A neuron that hardly fires rests below the threshold, at a voltage that its input sets; one that
    fires is anywhere between two spikes. So each neuron starts at one of the voltages that it had
    on the samples: of these in order, the one at the share that the even spread has for the neuron.
    Voltages below 0, which say what one sample was and not what the neuron is, count as 0.

    Args:
        graph: With everything else set, and voltages to look from.
        calibration: How long a step is.
        feeds: Samples; the first ones are used.

    Returns:
        Layer name to voltages of shape (neurons,).

    Raises:
        InputError: The event simulator, which alone shows its membranes, cannot run the network.
    """
    spec = RunSpec(graph, (None,) * len(graph.outputs), dt=calibration.dt)
    if refused := SIMULATORS["events"].refusal(spec):
        raise InputError(
            f"initial_voltage={EQUILIBRIUM!r} runs the event simulator, which cannot run this "
            f"network: {refused}. Use 'spread' or a number"
        )
    if not graph.n_neurons:
        return {}
    from ..simulators.events.runner import EventRunner

    n = samples(graph, SAMPLES, fewest=1)
    n_steps = max(STEPS, 2 * graph.depth) if feeds.held else feeds.n_steps
    runner = EventRunner(spec, n)
    arrays = {name: array[:n] for name, array in feeds.arrays.items()}
    left = runner.voltages(Job(arrays, n_steps))
    return {name: _ranked(np.sort(voltages, axis=0)) for name, voltages in left.items()}


def _ranked(voltages: np.ndarray) -> np.ndarray:
    """Of each neuron's voltages in order, of shape (samples, neurons), one."""
    samples, neurons = voltages.shape
    ranks = (spread(neurons) * samples).astype(np.int64)
    picked = voltages[ranks, np.arange(neurons)].astype(np.float64)
    return np.clip(picked, 0.0, BELOW_THRESHOLD)
