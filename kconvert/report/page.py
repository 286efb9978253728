"""The page: checked at the door, measured, drawn, and written at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..arguments import count
from ..data.arrays import Feeds, check_feeds
from ..data.streams import TUNED, first_batch, is_stream, labels_of
from ..errors import FileError, InputError
from ..files.replacing import file_path, replacing
from ..packages import needed
from ..results.energy import LEFT_OUT, Energy
from ..results.summary import network_records
from ..scoring.labels import check_class_names
from . import sections
from .figures import figures
from .measure import examples_of, goals_of, measure
from .packing import script_json
from .recording import player_data

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis
    from ..model import SpikingModel
    from ..network import SpikingNetwork

SUFFIXES = (".html", ".htm")
EXAMPLES, MOST_EXAMPLES = 8, 32
"""Examples in the player: by default, and at most."""
DIAGNOSED = 64
"""Samples that the diagnosis looks at, and that operations are counted on."""


def write_report(
    network: SpikingNetwork,
    x: Any,
    y: Any,
    path: Any,
    *,
    n_steps: int | None,
    n_examples: int | None,
    class_names: Sequence[str] | None,
    title: str | None,
    settings: Mapping[str, Any],
) -> Path:
    """Write the page: see :meth:`SpikingNetwork.report`."""
    with needed("a report"):
        for module in ("jinja2", "matplotlib"):  # before anything is run
            import_module(module)
    target = _target(path)
    if title is not None and not isinstance(title, str):
        raise InputError(f"title must be a string. Received: {title!r}")
    x, y, from_stream = _samples(network, x, y)
    feeds = check_feeds(x, network.signature.inputs, n_steps, network.default_steps)
    wanted = _n_examples(n_examples, feeds.n)
    names = _class_names(network, class_names)
    measured = measure(network, x, y, feeds, settings)
    numbers = examples_of(measured.evaluations, wanted, feeds.n)
    chosen = feeds.some(numbers)
    goals = goals_of(network, chosen, numbers, measured, names)
    quiet = {**settings, "progress": False}
    player = player_data(network, chosen, numbers, goals, quiet)
    diagnosis = _diagnosis(network, feeds, settings)
    energy, no_energy = _energy(network, feeds, settings)
    content = {
        "network": network,
        "measured": measured,
        "summary": sections.summary(network, feeds.n_steps, settings["dt"]),
        "tiles": sections.tiles(
            measured.evaluations, measured.activity, labelled=measured.labelled
        ),
        "n": feeds.n,
        "layers": sections.layer_rows(network, measured.activity, settings["dt"]),
        "every_layer": network_records(network),
        "read_outs": network.read_outs,
        "decisions": network.decisions,
        "words": sections.words(
            measured.evaluations, measured.activity, labelled=measured.labelled
        ),
        "convert_call": sections.convert_call(network.about.get("settings", {})),
        "versions": sections.version_rows(network.about),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "title": title or f"{network.name} in spikes",
        "from_stream": from_stream,
        "figures": figures(network, measured, diagnosis, energy),
        "diagnosis": diagnosis,
        "energy": energy,
        "no_energy": no_energy,
        "devices": sections.device_rows(energy),
        "left_out": LEFT_OUT,
        "player": player,
        "player_json": script_json(player),
        "report_call": sections.report_call(
            {"n_steps": feeds.n_steps, "n_examples": wanted}, labelled=measured.labelled
        ),
    }
    _write(target, content)
    return target


def _write(target: Path, content: Mapping[str, Any]) -> None:
    import jinja2

    folder = files(__package__)
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((folder / "page.html.j2").read_text("utf-8"))
    text = template.render(
        css=(folder / "page.css").read_text("utf-8"),
        js=(folder / "player.js").read_text("utf-8"),
        **content,
    )
    with replacing(target) as file:
        file.write(text.encode())


def _target(path: Any) -> Path:
    """Where to write, checked before anything is run."""
    given = file_path(path)
    if given.name and not given.suffix:
        given = given.with_suffix(SUFFIXES[0])
    if given.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"path must end in .html, so that a report never replaces another kind of file. "
            f"Received: {str(given)!r}"
        )
    target = Path(os.path.realpath(given))
    if target.is_dir():
        raise FileError(f"{str(given)!r} is a folder: give the name of a file in it")
    if not target.parent.is_dir():
        raise FileError(f"the folder {str(target.parent)!r} does not exist: make it first")
    if not os.access(target.parent, os.W_OK):
        raise FileError(f"the folder {str(target.parent)!r} cannot be written to")
    return target


def _samples(network: SpikingNetwork, x: Any, y: Any) -> tuple[Any, Any, bool]:
    """Samples and labels as arrays, and whether they are the first ones of a stream."""
    if isinstance(y, str | os.PathLike):
        raise InputError(f"y must be labels. For the name of the file write path={y!r}")
    if not is_stream(x):
        return x, y, False
    if y is not None:
        raise InputError(
            f"y must be left out: x is a {type(x).__name__}, which also yields the labels"
        )
    batch = first_batch(x, network.signature.inputs, TUNED)
    return dict(batch.x), labels_of(batch), True


def _n_examples(given: int | None, n: int) -> int:
    if given is None:
        return min(EXAMPLES, n)
    found = count("n_examples", given, most=MOST_EXAMPLES)
    if found > n:
        raise InputError(
            f"n_examples must be at most the number of samples in x, which is {n}. Received: "
            f"n_examples={given}"
        )
    return found


def _class_names(network: SpikingNetwork, given: Any) -> Sequence[str] | None:
    if given is None:
        return network.class_names
    return check_class_names(given, network._units)


def _diagnosis(
    network: SpikingNetwork, feeds: Feeds, settings: Mapping[str, Any]
) -> Diagnosis | None:
    """Where the loss begins: of a network with its Keras model whose neurons all spike."""
    spikes = network.spiking and all(node.op.spikes for node in network.graph.neurons())
    if not spikes or not network.graph.neurons() or not network._has_reference(feeds):
        return None
    first = feeds.some(slice(DIAGNOSED))
    return cast("SpikingModel", network).diagnose(
        first.as_given(network.signature.inputs),
        feeds.n_steps,
        simulator=settings["simulator"],
        dt=settings["dt"],
    )


def _energy(
    network: SpikingNetwork, feeds: Feeds, settings: Mapping[str, Any]
) -> tuple[Energy | None, str]:
    """What a spiking network computes, or why it is not known; neither of a rate network."""
    if not network.spiking:
        return None, ""
    first = feeds.some(slice(DIAGNOSED))
    options = {**settings, "simulator": "auto", "progress": False}
    try:
        return network.energy(
            first.as_given(network.signature.inputs), feeds.n_steps, **options
        ), ""
    except InputError as error:  # they cannot be counted, or no memory for one sample's spikes
        return None, str(error)
