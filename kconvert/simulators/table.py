"""The table of simulators. To add one: a file that has its runner, and an entry here."""

from __future__ import annotations

from ..arguments import is_word, nearest
from ..errors import InputError
from ..ops import Opaque
from ..packages import needed
from . import sizes
from .base import Runner, RunSpec, Simulator
from .events.compiler.refusal import refusal as events_refusal


def _events(spec: RunSpec, batch_size: int) -> Runner:
    with needed("simulator='events'"):
        from .events.runner import EventRunner

    return EventRunner(spec, batch_size)


def _nengo_dl(spec: RunSpec, batch_size: int) -> Runner:
    with needed("simulator='nengo_dl'"):
        from .nengo_dl import NengoDlRunner

    return NengoDlRunner(spec, batch_size)


def _nengo(spec: RunSpec, batch_size: int) -> Runner:
    with needed("simulator='nengo'"):
        from .nengo import NengoRunner

    return NengoRunner(spec)


def _opaque_refusal(spec: RunSpec) -> str:
    kept = [node.layer for node in spec.graph.nodes.values() if isinstance(node.op, Opaque)]
    if not kept:
        return ""
    return (
        f"allow=('tensornode',) keeps the layers {kept} as TensorNodes of NengoDL; use "
        "simulator='nengo_dl'"
    )


SIMULATORS = {
    simulator.name: simulator
    for simulator in (
        Simulator(
            "events",
            events_refusal,
            _events,
            ("float32", "float64"),
            sizes.events,
            early_exit=True,
        ),
        Simulator(
            "nengo_dl", lambda spec: "", _nengo_dl, ("float32",), sizes.nengo_dl, fixed_batch=True
        ),
        Simulator("nengo", _opaque_refusal, _nengo, ("float64",), sizes.nengo),
    )
}
"""By name, in the order in which "auto" looks for one that can run a network."""


def choose(name: str, spec: RunSpec) -> tuple[Simulator, str]:
    """The simulator that is to run a network.

    Args:
        name: Its name, or "auto": the first one of the table that can run it.
        spec: What is to be run.

    Returns:
        The simulator, and why "auto" is not the event simulator; empty if it is.

    Raises:
        InputError: There is no such simulator, or it cannot run the network.
    """
    if is_word(name, ("auto",)):
        refused = ""
        for simulator in SIMULATORS.values():
            if not (why := simulator.refusal(spec)):
                return simulator, refused
            refused = refused or why
        raise InputError(f"no simulator can run this network: {refused}")
    if not is_word(name, SIMULATORS):
        names = ("auto", *SIMULATORS)
        accepted = ", ".join(map(repr, names))
        raise InputError(
            f"simulator must be one of {accepted}. Received: {name!r}{nearest(name, names)}"
        )
    simulator = SIMULATORS[name]
    if why := simulator.refusal(spec):
        raise InputError(f"simulator={name!r} cannot run this network: {why}")
    if spec.dtype not in (None, *simulator.dtypes):
        raise InputError(
            f"simulator={name!r} computes in {' or '.join(simulator.dtypes)}. Received: "
            f"dtype={spec.dtype!r}"
        )
    return simulator, ""


def make_runner(name: str, spec: RunSpec, batch_size: int) -> Runner:
    """Build the runner of a simulator by its name; "auto" as for :func:`choose`.

    Raises:
        InputError: It cannot run the network, or there is no memory for it.
    """
    simulator, _ = choose(name, spec)
    require_room(simulator, spec, batch_size)
    return simulator.make(spec, batch_size)


def require_room(simulator: Simulator, spec: RunSpec, batch_size: int) -> float:
    """The bytes that a runner needs at least.

    Raises:
        InputError: There are not so many; with the setting that would fit.
    """
    with needed(f"simulator={simulator.name!r}"):
        room = simulator.room(spec, batch_size)
    room.require(f"{spec.graph.n_neurons:,} neurons in simulator={simulator.name!r}")
    return room.total
