"""A network for other programs: as NIR, and in files whose ending says in which format."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any

from .arguments import is_word, nearest, seconds_of_a_step
from .errors import InputError
from .files.replacing import file_path, replacing
from .packages import needed
from .running.settings import DTYPES
from .simulators import DEFAULT_DT
from .targets.plain import write_csv, write_json, write_npz

if TYPE_CHECKING:
    from .network import SpikingNetwork

Writer = Callable[["SpikingNetwork", IO[bytes], Mapping[str, Any]], tuple[str, ...]]
"""Writes a network with some settings, and gives back what the file does not hold."""
NIR = ".nir"


def export(network: SpikingNetwork, path: Any, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Write a network to a file, see :meth:`SpikingNetwork.export`."""
    target = file_path(path)
    ending = target.suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"path must end in {', '.join(FORMATS)}. Received: {str(path)!r}")
    if settings and ending != NIR:
        raise InputError(
            f"{', '.join(settings)}: only files that end in {NIR} have settings. Received: "
            f"{str(path)!r}"
        )
    # In memory first: what cannot be written leaves an old file alone.
    held = io.BytesIO()
    notes = FORMATS[ending](network, held, settings)
    with replacing(target) as file:
        file.write(held.getvalue())
    return notes


def nir_graph(network: SpikingNetwork, *, reset: str, dt: float | None, dtype: str) -> Any:
    """A network as a ``nir.NIRGraph``, see :meth:`SpikingNetwork.to_nir`."""
    from .targets.nir.graph import RESETS, to_nir

    for name, word, words in (("reset", reset, RESETS), ("dtype", dtype, DTYPES)):
        if not is_word(word, words):
            raise InputError(
                f"to_nir: {name} must be one of {', '.join(map(repr, words))}. Received: "
                f"{word!r}{nearest(word, words)}"
            )
    step = network.graph.calibrated_dt or DEFAULT_DT if dt is None else dt
    seconds = seconds_of_a_step("to_nir: dt", step)
    if not network.spiking:
        raise InputError("to_nir: a rate network has no spikes: convert with spiking=True")
    with needed("a NIR file"):
        return to_nir(
            network.graph,
            network.read_outs,
            label=network.name,
            dt=seconds,
            reset=reset,
            dtype=dtype,
        )


def _nir(network: SpikingNetwork, file: IO[bytes], settings: Mapping[str, Any]) -> tuple[str, ...]:
    graph = network.to_nir(**settings)
    with needed("a NIR file"):
        import nir
    nir.write(file, graph)
    return tuple(graph.metadata["notes"].splitlines())


def _plain(write: Callable[[Any, IO[bytes]], None]) -> Writer:
    def written(
        network: SpikingNetwork, file: IO[bytes], settings: Mapping[str, Any]
    ) -> tuple[str, ...]:
        write(network.graph, file)
        return ()

    return written


FORMATS: Mapping[str, Writer] = {
    NIR: _nir,
    ".json": _plain(write_json),
    ".csv": _plain(write_csv),
    ".npz": _plain(write_npz),
}
"""Ending of a file to what writes it."""
