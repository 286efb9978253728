"""Synapses and read-outs as values. A target maps them to its own objects.

Time constants are in seconds. :func:`delay` says how long each of them keeps a signal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import MOST_STEPS, flag
from ..errors import InputError, is_number


def _require_seconds(what: str, value: Any) -> None:
    if not is_number(value) or not 0 <= value < math.inf:
        raise InputError(f"{what} must be seconds >= 0. Received: {value!r}")


@dataclass(frozen=True, slots=True)
class Lowpass:
    """First-order low-pass filter, ``exp(-t / tau) / tau``.

    Args:
        tau: Time constant in seconds, >= 0; 0 passes the signal on.
    """

    tau: float

    def __post_init__(self) -> None:
        _require_seconds("Lowpass: tau", self.tau)

    def __str__(self) -> str:
        return f"low-pass {1000 * self.tau:g} ms"


@dataclass(frozen=True, slots=True)
class Alpha:
    """Alpha function, ``t exp(-t / tau) / tau**2``.

    Args:
        tau: Time constant in seconds, >= 0.
    """

    tau: float

    def __post_init__(self) -> None:
        _require_seconds("Alpha: tau", self.tau)

    def __str__(self) -> str:
        return f"alpha {1000 * self.tau:g} ms"


@dataclass(frozen=True, slots=True)
class LinearFilter:
    """Any linear filter, given by its transfer function.

    Args:
        num: Coefficients of the numerator, highest power first.
        den: Coefficients of the denominator, highest power first.
        analog: Whether they are of a filter in continuous time.
        method: How such a filter is made discrete, as ``scipy.signal.cont2discrete`` names it.
    """

    num: tuple[float, ...]
    den: tuple[float, ...]
    analog: bool = True
    method: str = "zoh"

    @property
    def order(self) -> int:
        """Number of state variables."""
        return max(len(self.den) - 1, 0)

    def __str__(self) -> str:
        return f"linear filter of order {self.order}"


@dataclass(frozen=True, slots=True, eq=False)
class OtherSynapse:
    """A synapse of a kind that only Nengo knows.

    Args:
        synapse: The ``nengo.synapses.Synapse``.
    """

    synapse: Any

    def __str__(self) -> str:
        return str(self.synapse)


Synapse = Lowpass | Alpha | LinearFilter | OtherSynapse
"""What may stand behind neurons; None stands for no filter."""


@dataclass(frozen=True, slots=True)
class Window:
    """A read-out: the mean of the output from some time on.

    A deep network has no output in its first steps, and its rates have not settled. If the first d
    of n steps are wrong, a plain mean is wrong by the share d / n. A window that begins with step
    d + 1 leaves these steps out (Hunsberger & Eliasmith 2016, "Training spiking deep networks for
    neuromorphic hardware", read out in this way). With growing weights, step n has the weight n:
    the first steps then count for (d / n)^2, and no start has to be chosen. Such a mean is
    ``y += 2 / (n + 1) * (x - y)`` (Shamir & Zhang 2013, "Stochastic gradient descent for non-smooth
    optimization: convergence results and optimal averaging schemes").

    Before the window begins, the read-out is the mean so far. At each step it gives the value from
    before that step, as the synapse of a Nengo probe does.

    Args:
        start: Seconds to leave out, >= 0, rounded to whole steps.
        growing: Whether weights grow with time from there on.

    Raises:
        InputError: ``start`` is not a time, or ``growing`` not a bool.

    Example:
        >>> import keras, kconvert
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="end")])
        >>> spiking = kconvert.convert(model, output_synapse=kconvert.Window(0.02))
        >>> spiking.read_outs["end"]
        Window(start=0.02, growing=False)
    """

    start: float = 0.0
    growing: bool = False

    def __post_init__(self) -> None:
        _require_seconds("Window: start", self.start)
        flag("Window: growing", self.growing)

    def first(self, dt: float) -> int:
        """Number of steps that are left out."""
        return round(min(self.start / dt, MOST_STEPS))

    def shares(self, n_steps: int, dt: float) -> np.ndarray:
        """Share of each step in the read-out at step ``n_steps``, which holds the steps before it.

        Returns:
            Shape (n_steps - 1,); the sum is 1.
        """
        found = np.zeros(max(n_steps - 1, 0))
        first, growth = self.first(dt), int(self.growing)
        for step in range(n_steps - 1):
            since = step + 1 - (first if step + 1 > first else 0)
            share = (1 + growth) / (since + growth)
            found *= 1 - share
            found[step] = share
        return found

    def __str__(self) -> str:
        kind = "mean with growing weights" if self.growing else "mean"
        return kind + (f" from {1000 * self.start:g} ms on" if self.start else "")


ReadOut = Synapse | Window
"""What may filter an output; None stands for no filter."""

RAMP = Window(growing=True)
"""What ``output_synapse="ramp"`` is."""


def transfer_function(synapse: Synapse) -> LinearFilter | None:
    """The synapse as a general linear filter; None for a synapse that only Nengo knows."""
    if isinstance(synapse, Lowpass):
        return LinearFilter((1.0,), (synapse.tau, 1.0))
    if isinstance(synapse, Alpha):
        return LinearFilter((1.0,), (synapse.tau**2, 2 * synapse.tau, 1.0))
    return synapse if isinstance(synapse, LinearFilter) else None


def delay(synapse: Synapse | None) -> float:
    """The mean time in seconds that a filter keeps a signal; 0 where it is not known."""
    found = None if synapse is None else transfer_function(synapse)
    if found is None or not found.analog:
        return 0.0
    return max(_mean_time(found.den) - _mean_time(found.num), 0.0)


def _mean_time(polynomial: Sequence[float]) -> float:
    known = len(polynomial) > 1 and polynomial[-1] != 0
    return float(polynomial[-2] / polynomial[-1]) if known else 0.0
