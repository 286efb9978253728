"""``.kconvert`` files: a network as a zip of a JSON graph and its weights in safetensors.

A file holds values only. Nothing in it is executed, and no name in it becomes a path. Reading it
needs neither Keras nor Nengo.

    network.json          schema version, graph, signature, read-outs, how it was made
    weights.safetensors   every array of the graph, stored and not compressed
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError, InputError
from ..network import SpikingNetwork
from .about import versions
from .replacing import file_path, replacing
from .schema import Arrays, network_from_json, network_to_json

if TYPE_CHECKING:
    import keras

    from ..reader import Importer, Registry

FORMAT = "kconvert network"
SCHEMA = 1
"""Version of what ``network.json`` holds. A change that older code would misread raises it, and
adds to :data:`MIGRATIONS`."""
MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a schema version to what brings its JSON to the next one."""
ENVELOPE = ("format", "schema", "weights_sha256")
"""Keys of the JSON that are about the file, and not about the network."""
SUFFIX = ".kconvert"
JSON, WEIGHTS = "network.json", "weights.safetensors"
MOST_JSON = 32 * 2**20
"""Bytes of JSON at most: a graph of ten thousand nodes takes less."""
MOST_RATIO = 200
"""How much smaller compressed JSON may be. Graphs become some 20 times smaller, zip bombs 1000."""
MOST_DEPTH = 64
"""How deep lists and objects of the JSON may be nested."""


def save(network: SpikingNetwork, path: str | Path) -> None:
    """Write a network to a file: see :meth:`SpikingNetwork.save`."""
    target = _target(path)
    parts = _parts(network)
    with replacing(target) as file:
        _write(file, *parts)


def to_bytes(network: SpikingNetwork) -> bytes:
    """What :func:`save` writes, for processes that read it with :func:`from_bytes`."""
    file = io.BytesIO()
    _write(file, *_parts(network))
    return file.getvalue()


def from_bytes(data: bytes) -> SpikingNetwork:
    """A network from what :func:`to_bytes` gave."""
    content, weights = _read(io.BytesIO(data))
    return network_from_json(content, Arrays.from_safetensors(weights))


def digest(network: SpikingNetwork) -> str:
    """A checksum of what a network computes; the numbers of an evaluation have no part in it.

    Raises:
        FileError: It holds something that only lives in a process.
    """
    arrays = Arrays()
    content = network_to_json(network, arrays)
    kept = {name: each for name, each in content.items() if name not in NOT_COMPUTED}
    text = json.dumps(kept, sort_keys=True).encode()
    return hashlib.sha256(text + arrays.to_safetensors()).hexdigest()


NOT_COMPUTED = ("about", "n_steps", "class_names")
"""Keys of the JSON of a network that have no part in its outputs."""


def _parts(network: SpikingNetwork) -> tuple[bytes, bytes]:
    """The JSON and the weights of a network, which can be read again."""
    arrays = Arrays()
    content = network_to_json(network, arrays)  # refuses before anything is written
    weights = arrays.to_safetensors()
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        **content,
        "about": {**content["about"], "versions": versions()},
    }
    try:
        text = json.dumps(content, allow_nan=False, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"about must hold what JSON can hold, without NaN: {error}") from error
    if len(text) > MOST_JSON:
        raise FileError(f"{network.name!r} is too large: its graph takes {len(text)} bytes of JSON")
    try:
        # A file that could not be read again must not take the place of one that can.
        network_from_json(_brought_up_to_date(_parsed(text)), arrays)
    except FileError as error:
        raise FileError(f"{network.name!r} cannot be saved: {error}") from error
    return text, weights


def _write(file: Any, text: bytes, weights: bytes) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        # A fixed date: the same network gives the same bytes.
        for name, data, compression in (
            (JSON, text, zipfile.ZIP_DEFLATED),
            (WEIGHTS, weights, zipfile.ZIP_STORED),
        ):
            archive.writestr(zipfile.ZipInfo(name), data, compression)


def load(
    path: str | Path,
    model: keras.Model | None = None,
    *,
    layers: Registry | Mapping[type, Importer] | None = None,
) -> SpikingNetwork:
    """Read a network from a ``.kconvert`` file.

    Args:
        path: The file.
        model: The Keras model that the network was made from, with the same weights. With it the
            result is a :class:`SpikingModel`, which has ``verify``, ``diagnose``, ``to_keras`` and
            Keras' accuracy in ``evaluate``.
        layers: With ``model``: the importers of your own that it was converted with.

    Returns:
        The network. It gives the same outputs, to the bit, as the one that was saved.

    Raises:
        FileError: The file is missing, damaged, of another kind, or newer than this kconvert (also
            a ``ValueError``).
        InputError: The model is not the one that the network was made from.

    Example:
        >>> import tempfile, keras, kconvert, numpy as np
        >>> relu = keras.layers.Dense(3, activation="relu")
        >>> model = keras.Sequential([keras.Input((4,)), relu], name="tiny")
        >>> x = np.random.default_rng(0).random((5, 4))
        >>> spiking = kconvert.convert(model, calibration=x)
        >>> path = tempfile.mkdtemp() + "/tiny.kconvert"
        >>> spiking.save(path)
        >>> network = kconvert.load(path)
        >>> network
        <SpikingNetwork 'tiny': spiking, 3 neurons>
        >>> bool((network.predict(x) == spiking.predict(x)).all())
        True
    """
    where = file_path(path)
    try:
        content, weights = _read(where)
        network = network_from_json(content, Arrays.from_safetensors(weights))
    except FileError as error:
        raise FileError(f"{str(where)!r}: {error}") from error.__cause__
    if model is None:
        return network
    from ..model import SpikingModel

    return SpikingModel.of_network(network, model, layers=layers)


def _read(path: Path | io.BytesIO) -> tuple[dict[str, Any], bytes]:
    """The JSON and the weights of a file, checked as far as that goes without knowing the graph."""
    try:
        if isinstance(path, Path) and path.exists() and not path.is_file():
            raise FileError("this is not a regular file")  # a pipe would never end
        with zipfile.ZipFile(path) as archive:
            _check_members(archive.infolist())
            with archive.open(JSON) as member:
                text = member.read(MOST_JSON + 1)
            weights = archive.read(WEIGHTS)
    except FileNotFoundError:
        raise FileError("there is no such file") from None
    except PermissionError as error:
        raise FileError(f"it cannot be read: {error.strerror}") from None
    except _DAMAGE as error:
        raise FileError(f"it is damaged, cut short, or not a kconvert network: {error}") from error
    content = _parsed(text)
    wanted = content.get("weights_sha256")
    content = _brought_up_to_date(content)
    if hashlib.sha256(weights).hexdigest() != wanted:
        raise FileError("it is damaged: the weights do not have their checksum")
    return content, weights


_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError),
)
"""What reading a zip that is damaged raises."""


def _check_members(members: Sequence[zipfile.ZipInfo]) -> None:
    """Check what a zip says of itself before anything in it is read."""
    if sorted(info.filename for info in members) != [JSON, WEIGHTS]:
        names = ", ".join(f"{info.filename!r:.80}" for info in members[:3])
        raise FileError(
            f"it is not a kconvert network: it must hold {JSON!r} and {WEIGHTS!r}, and holds "
            f"{names or 'nothing'}"
        )
    for info in members:
        allowed = {
            JSON: (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED),
            WEIGHTS: (zipfile.ZIP_STORED,),
        }
        if info.compress_type not in allowed[info.filename]:
            raise FileError(f"{info.filename} is compressed as kconvert never does")
        if info.flag_bits & 1:
            raise FileError(f"{info.filename} is encrypted")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise FileError(f"{info.filename} is not a regular file")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise FileError(f"{info.filename} is damaged: it has two sizes")
        if info.filename == JSON and info.file_size > MOST_JSON:
            raise FileError(f"{JSON} is larger than {MOST_JSON} bytes")
        if info.file_size > MOST_RATIO * max(info.compress_size, 1):
            raise FileError(f"{info.filename} is more than {MOST_RATIO} times its compressed size")


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise FileError(f"it is damaged: {JSON} is not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileError(f"it is not a kconvert network: {JSON} does not say that it is one")
    waiting: list[tuple[Any, int]] = [(content, 1)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise FileError(f"it is damaged: {JSON} is nested more than {MOST_DEPTH} deep")
        parts = part.values() if isinstance(part, dict) else part
        waiting += [(each, depth + 1) for each in parts if isinstance(each, dict | list)]
    return content


def _brought_up_to_date(content: dict[str, Any]) -> dict[str, Any]:
    """The JSON in the schema of this version, without what is about the file."""
    schema = content.get("schema")
    content = {key: value for key, value in content.items() if key not in ENVELOPE}
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise FileError(f"it is damaged: it has the schema version {schema!r:.80}")
    if schema > SCHEMA:
        raise FileError(
            f"it has the schema version {schema}, written by kconvert {_writer(content)}; this "
            f"version reads up to {SCHEMA}: install a newer kconvert"
        )
    for old in range(schema, SCHEMA):
        content = MIGRATIONS[old](content)
    return content


def _writer(content: Any) -> str:
    """The version of kconvert that wrote a file, as far as it says so."""
    for key in ("about", "versions", "kconvert"):
        content = content.get(key) if isinstance(content, dict) else None
    return content[:40] if isinstance(content, str) else "of a newer version"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _target(path: str | Path) -> Path:
    """Where to write: the file itself where the name is a link."""
    target = file_path(path)
    if target.name and not target.suffix:
        target = target.with_suffix(SUFFIX)
    return Path(os.path.realpath(target))
