"""Which packages only some functions need, and the one text that says how to install them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import MissingPackageError

NEW_PYTHON = (3, 12)
"""From here on NengoDL's sdist does not build by itself: it asks for a setuptools below 64, which
does not run there."""
BUILD_TOOLS = ("setuptools<81", "wheel")
"""What NengoDL's sdist is built with there; setuptools 81 and later have no ``pkg_resources``."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that somebody may not have.

    Args:
        name: What people call it.
        requirement: What pip installs, as in pyproject.toml.
    """

    name: str
    requirement: str


PACKAGES: Mapping[str, Package] = {
    "cattrs": Package("cattrs", "cattrs>=24.1"),
    "filelock": Package("filelock", "filelock>=3.16"),
    "keras": Package("Keras", "keras>=3.12,<4"),
    "nengo": Package("Nengo", "nengo>=4.1,<5"),
    "numba": Package("Numba", "numba>=0.62"),
    "packaging": Package("packaging", "packaging>=23"),
    "rich": Package("rich", "rich>=13"),
    "safetensors": Package("safetensors", "safetensors>=0.5"),
    "scipy": Package("SciPy", "scipy>=1.13"),
    "typer": Package("Typer", "typer>=0.29"),
}
"""What comes with kconvert, by the name of the module. A stored network runs without some."""
EXTRAS: Mapping[str, Package] = {
    "jinja2": Package("Jinja2", "jinja2>=3.1"),
    "PIL": Package("Pillow", "pillow>=10"),
    "matplotlib": Package("Matplotlib", "matplotlib>=3.9"),
    "mlxtend": Package("mlxtend", "mlxtend>=0.23"),
    "nir": Package("nir", "nir>=1.0.8"),
    "pandas": Package("pandas", "pandas>=2.2"),
    "ray": Package("Ray", "ray[client,data]>=2.49"),
}
"""What only some functions need, by the name of the module: the extras of pyproject.toml."""
BACKENDS: Mapping[str, Package] = {
    "tensorflow": Package("TensorFlow", "tensorflow"),
    "jax": Package("JAX", "jax"),
    "torch": Package("PyTorch", "torch"),
}
"""What Keras runs on: one of these, which the user chooses."""
NENGO_DL: Mapping[str, Package] = {
    "nengo_dl": Package("NengoDL", "nengo-dl==3.6.0"),
    "tensorflow": Package("TensorFlow", "tensorflow==2.21.*"),
    "tf_keras": Package("tf-keras", "tf-keras==2.21.*"),
}
"""The extra ``nengo-dl``."""


def install_lines(
    requirements: Sequence[str], python: tuple[int, ...] = tuple(sys.version_info[:2])
) -> tuple[str, ...]:
    """The commands that install packages.

    Args:
        requirements: What to install, as pip takes it.
        python: The version of Python.
    """

    def pip(*words: str) -> str:
        quoted = (f'"{word}"' if set(word) & set("<>=*") else word for word in words)
        return " ".join(("pip install", *quoted))

    old_sdist = any(requirement.startswith("nengo-dl") for requirement in requirements)
    if old_sdist and python >= NEW_PYTHON:
        return pip(*BUILD_TOOLS), pip("--no-build-isolation", *requirements)
    return (pip(*requirements),)


def how_to_install(requirements: Sequence[str]) -> str:
    """The end of an error's text: the commands, each on a line of its own."""
    lines = install_lines(requirements)
    version = ".".join(map(str, sys.version_info[:2]))
    return "\n    ".join((f"To install on Python {version}:", *lines))


def missing(what: str, packages: Sequence[Package], why: str = "") -> MissingPackageError:
    """The error for packages that are not there.

    Args:
        what: What needs them.
        packages: The packages.
        why: What more there is to know, as a sentence.
    """
    names = " and ".join(package.name for package in packages)
    verb = "is" if len(packages) == 1 else "are"
    install = how_to_install([package.requirement for package in packages])
    text = f"{what} needs {names}, which {verb} not installed."
    return MissingPackageError(" ".join(filter(None, (text, why, install))))


@contextmanager
def needed(what: str) -> Iterator[None]:
    """Let an import fail with a :class:`MissingPackageError` if a known package is not there.

    Args:
        what: What needs the package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if (package := PACKAGES.get(module) or EXTRAS.get(module)) is not None:
            raise missing(what, [package]) from error
        if module in BACKENDS:
            package = BACKENDS[module]
            why = (
                f"Keras is set to run on {package.name}. It also runs on "
                f"{' and '.join(other.name for other in BACKENDS.values() if other != package)}: "
                "install one and name it in the environment variable KERAS_BACKEND."
            )
            raise missing(what, [package], why) from error
        raise
