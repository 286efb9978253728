"""``.kconvert`` files: a network as a zip of a JSON graph and its weights in safetensors.

A file holds values only. Nothing in it is executed, and no name in it becomes a path. Reading it
needs neither Keras nor Nengo.

    network.json          schema version, graph, signature, read-outs, how it was made
    weights.safetensors   every array of the graph, stored and not compressed
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import FileError
from .network import SpikingNetwork
from .schema import Arrays, network_from_json, network_to_json

if TYPE_CHECKING:
    import keras

    from .reader import Importer, Registry

FORMAT = "kconvert network"
SCHEMA = 1
"""Version of what ``network.json`` holds. A change that older code would misread raises it, and
adds to :data:`MIGRATIONS`."""
MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a schema version to what brings its JSON to the next one."""
SUFFIX = ".kconvert"
JSON, WEIGHTS = "network.json", "weights.safetensors"
MOST_JSON = 64 * 2**20
"""Bytes of JSON that are read at most: a graph of a million nodes takes less."""
PACKAGES = ("kconvert", "numpy", "scipy", "numba", "keras", "tensorflow", "nengo")


def save(network: SpikingNetwork, path: str | Path) -> None:
    """Write a network to a file: see :meth:`SpikingNetwork.save`."""
    target = _target(path)
    arrays = Arrays()
    content = network_to_json(network, arrays)  # refuses before anything is written
    weights = arrays.to_safetensors()
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        **content,
        "about": {**content["about"], "versions": _versions()},
    }
    text = json.dumps(content, allow_nan=False, indent=1).encode()
    with _replacing(target) as file, zipfile.ZipFile(file, "w") as archive:
        # A fixed date: the same network gives the same bytes.
        for name, data, how in (
            (JSON, text, zipfile.ZIP_DEFLATED),
            (WEIGHTS, weights, zipfile.ZIP_STORED),
        ):
            archive.writestr(zipfile.ZipInfo(name), data, how)


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
    where = Path(path)
    content, weights = _read(where)
    try:
        network = network_from_json(content, Arrays.from_safetensors(weights))
    except FileError as error:
        raise FileError(f"{str(where)!r}: {error}") from error
    if model is None:
        return network
    from .model import SpikingModel

    return SpikingModel.of_network(network, model, layers=layers)


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The two members of a file, checked as far as that is possible without knowing the graph."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sorted(info.filename for info in members) != [JSON, WEIGHTS]:
                names = ", ".join(repr(info.filename) for info in members[:3])
                raise FileError(
                    f"{str(path)!r} is no kconvert network: it must hold {JSON!r} and {WEIGHTS!r}, "
                    f"and holds {names or 'nothing'}"
                )
            by_name = {info.filename: info for info in members}
            if by_name[JSON].file_size > MOST_JSON:
                raise FileError(f"{str(path)!r}: {JSON} is larger than {MOST_JSON} bytes")
            if by_name[WEIGHTS].compress_type != zipfile.ZIP_STORED:
                raise FileError(
                    f"{str(path)!r}: {WEIGHTS} is compressed, which kconvert never does"
                )
            with archive.open(JSON) as member:
                text = member.read(MOST_JSON + 1)
            weights = archive.read(WEIGHTS)
    except FileNotFoundError:
        raise FileError(f"{str(path)!r}: there is no such file") from None
    except (IsADirectoryError, PermissionError) as error:
        raise FileError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise FileError(
            f"{str(path)!r} is damaged, cut short, or no kconvert network: {error}"
        ) from error
    content = _checked(path, text)
    if hashlib.sha256(weights).hexdigest() != content.get("weights_sha256"):
        raise FileError(f"{str(path)!r} is damaged: the weights do not have their checksum")
    return content, weights


def _checked(path: Path, text: bytes) -> dict[str, Any]:
    """The JSON, brought to the schema of this version."""
    try:
        content = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{str(path)!r} is damaged: {JSON} is not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileError(f"{str(path)!r} is no kconvert network: {JSON} does not say that it is one")
    schema = content.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise FileError(f"{str(path)!r} is damaged: it has the schema version {schema!r}")
    if schema > SCHEMA:
        written = content.get("about", {}).get("versions", {}).get("kconvert", "a newer version")
        raise FileError(
            f"{str(path)!r} has the schema version {schema}, written by kconvert {written}; this "
            f"version reads up to {SCHEMA}: install a newer kconvert"
        )
    for old in range(schema, SCHEMA):
        content = MIGRATIONS[old](content)
    return content


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _target(path: str | Path) -> Path:
    """Where to write: the file itself where the name is a link."""
    target = Path(path)
    if not target.suffix:
        target = target.with_suffix(SUFFIX)
    return Path(os.path.realpath(target))


@contextmanager
def _replacing(target: Path) -> Iterator[Any]:
    """A file that takes the place of another one once it is complete, and not before."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            temporary = file.name
            os.chmod(temporary, _mode(target))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise FileError(f"{str(target)!r} cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def _mode(target: Path) -> int:
    """The permissions of the file that is there, or of a new one."""
    with suppress(OSError):
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version  # not needed for reading

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
