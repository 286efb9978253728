"""Synapses and read-outs as Nengo's, and back."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import nengo
import numpy as np

from ...ops import Alpha, LinearFilter, Lowpass, OtherSynapse, ReadOut, Window
from .window import WindowSynapse


@singledispatch
def nengo_synapse(synapse: Any) -> nengo.synapses.Synapse | None:
    """Nengo's synapse for one of :mod:`kconvert.ops.synapse`, or None."""
    raise NotImplementedError(type(synapse).__name__)


@nengo_synapse.register
def _(synapse: None) -> None:
    return None


@nengo_synapse.register
def _(synapse: Lowpass) -> nengo.synapses.Synapse:
    return nengo.Lowpass(synapse.tau)


@nengo_synapse.register
def _(synapse: Alpha) -> nengo.synapses.Synapse:
    return nengo.Alpha(synapse.tau)


@nengo_synapse.register
def _(synapse: LinearFilter) -> nengo.synapses.Synapse:
    return nengo.LinearFilter(
        synapse.num, synapse.den, analog=synapse.analog, method=synapse.method
    )


@nengo_synapse.register
def _(synapse: Window) -> nengo.synapses.Synapse:
    return WindowSynapse(synapse)


@nengo_synapse.register
def _(synapse: OtherSynapse) -> nengo.synapses.Synapse:
    return synapse.synapse


def from_nengo(synapse: Any) -> ReadOut | None:
    """The value of a Nengo synapse; None for what is no synapse."""
    if isinstance(synapse, WindowSynapse):
        return synapse.window
    if type(synapse) is nengo.Lowpass and _is_plain(synapse):
        return Lowpass(float(synapse.tau))
    if type(synapse) is nengo.Alpha and _is_plain(synapse):
        return Alpha(float(synapse.tau))
    if isinstance(synapse, nengo.LinearFilter) and _steps_as_nengo_does(synapse):
        num, den = (tuple(map(float, np.ravel(each))) for each in (synapse.num, synapse.den))
        return LinearFilter(num, den, bool(synapse.analog), str(synapse.method))
    return OtherSynapse(synapse) if isinstance(synapse, nengo.synapses.Synapse) else None


def _is_plain(synapse: Any) -> bool:
    return bool(synapse.analog) and synapse.method == "zoh"


def _steps_as_nengo_does(synapse: Any) -> bool:
    """Whether a subclass leaves the steps of ``nengo.LinearFilter`` as they are."""
    names = ("make_step", "make_state", "_get_ss")
    return all(getattr(type(synapse), name) is getattr(nengo.LinearFilter, name) for name in names)
