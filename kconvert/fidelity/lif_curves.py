"""LIF neurons with the curve of other neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ops import Lif

RATES = (100.0, 125.0, 160.0, 200.0, 250.0, 320.0, 400.0, 500.0)
"""Hz; those that are tried for a layer's 99th percentile: the lower, the better the curve."""
LIMITS = (0.02, 0.05, 0.1)
"""Differences of the curves that may be accepted for finer spikes, as shares of the values."""
TAU_RC = (0.001, 0.5)
"""Seconds; time constants outside do no more for a curve, and are hard on float32."""
STARTS = ((2.0, 0.8, 0.02), (6.0, 0.0, 0.02), (20.0, -2.0, 0.05), (60.0, 0.5, 0.1))
"""Current of the 99th percentile, bias and membrane time constant from which a search starts."""


@dataclass(frozen=True, slots=True)
class Fit:
    """LIF neurons with the curve that goes through given values, as nearly as theirs can.

    Args:
        op: The neurons.
        rate: Rate in Hz of the 99th percentile of the values above zero.
        error: Root mean square of the difference as a share of that of the values.
    """

    op: Lif
    rate: float
    error: float


def fit_lif(
    op: Lif, x: np.ndarray, y: np.ndarray, dt: float, rate: float | None = None
) -> list[Fit]:
    """Fits for several rates, the slowest first.

    The curve of a fast LIF neuron is far from a straight line; a slow one needs many steps. For
    each rate, gain, bias and membrane time constant minimise the squared difference over the data.
    The refractory period is one step, the shortest in which Nengo's neurons lose no time. The
    amplitude follows from the rate.

    Args:
        op: The neurons, with synapse, start voltage and floor.
        x: Inputs, of shape (n,).
        y: The values wanted at these, of shape (n,); some above zero.
        dt: Length of a step in seconds.
        rate: The only rate to look at, in Hz; at most every other step is a spike.
    """
    most = 0.5 / dt
    fits: list[Fit] = []
    for each in RATES if rate is None else (rate,):
        if fits and (fits[-1].error > LIMITS[-1] or each > most):
            break
        fits.append(_fit(op, x, y, min(each, most), dt))
    return fits


def within(fits: list[Fit], limit: float) -> Fit:
    """The fastest whose difference is within a limit, or the one with the best curve."""
    return next((fit for fit in reversed(fits) if fit.error <= limit), fits[0])


def _fit(op: Lif, x: np.ndarray, y: np.ndarray, rate: float, dt: float) -> Fit:
    from scipy.optimize import minimize  # takes half a second to import

    fires = y > 0
    amplitude = float(np.percentile(y[fires], 99)) / rate
    unit = float(np.percentile(np.abs(x[fires]), 99))
    power = float(np.square(y).sum())
    order = np.argsort(x)
    x, y = x[order], y[order]
    # What neurons miss that do not fire, by how many these are.
    missed = np.concatenate([[0.0], np.cumsum(np.square(y))])

    def settings(parameters: np.ndarray) -> tuple[float, float, float]:
        log_current, bias, log_tau = parameters
        tau_rc = float(np.clip(np.exp(log_tau), *TAU_RC))
        return float(np.exp(log_current)) / unit, float(bias), tau_rc

    def loss(parameters: np.ndarray) -> float:
        # As Lif.evaluate, which takes five times as long: of the inputs in order, the last ones
        # fire; and NumPy's log is fast where its log1p is not.
        gain, bias, tau_rc = settings(parameters)
        first = int(np.searchsorted(x, (1.0 - bias) / gain, side="right"))
        above = np.maximum(gain * x[first:] + (bias - 1.0), 1e-300)
        found = amplitude / (dt + tau_rc * np.log(1.0 + 1.0 / above))
        return float(missed[first] + np.square(found - y[first:]).sum()) / power

    searches = [
        minimize(
            loss,
            [np.log(current), bias, np.log(tau_rc)],
            method="Nelder-Mead",
            options={"maxiter": 600, "xatol": 1e-3, "fatol": 1e-8},
        )
        for current, bias, tau_rc in STARTS
    ]
    best = min(searches, key=lambda search: float(search.fun))
    gain, bias, tau_rc = settings(best.x)
    neurons = replace(
        op,
        gain=gain,
        bias=bias,
        tau_rc=tau_rc,
        tau_ref=dt,
        amplitude=amplitude,
        smoothing=0.0,
    )
    return Fit(neurons, rate, float(best.fun) ** 0.5)
