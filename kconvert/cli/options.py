"""The settings of ``convert`` as options of the command line.

They are made from the arguments of :func:`kconvert.convert` and its docstring: a new argument is a
new option, with the same name, default and text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer

from ..errors import InputError
from . import quiet_tensorflow

NOT_OPTIONS = ("layers", "calibration")
"""Importers are Python code. Calibration samples are data: ``--calibration`` reads them."""
WORDS: Mapping[str, Any] = {"none": None, "true": True, "false": False}


def with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose argument ``settings`` is made of an option for each setting of ``convert``.

    This imports Keras, so it is done for the command that is run or explained alone.
    """
    quiet_tensorflow()
    from ..options import DEFAULTS
    from ..pipeline import convert

    texts = argument_texts(convert)
    options = [
        _option(name, f"{first_sentence(texts[name])} [default: {shown(default)}]")
        for name, default in DEFAULTS.items()
        if name not in NOT_OPTIONS
    ]

    @wraps(function)
    def run(**given: Any) -> None:
        words = {each.name: given.pop(each.name) for each in options}
        settings = {name: read_setting(name, each) for name, each in words.items() if each}
        function(**given, settings=settings)

    own = inspect.signature(function, eval_str=True)
    kept = [each for name, each in own.parameters.items() if name != "settings"]
    run.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (*kept, *options)}
    return run


def _option(name: str, text: str) -> inspect.Parameter:
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        metavar="VALUE",
        help=text,
        show_default=False,
        rich_help_panel="Settings of the conversion, as for kconvert.convert",
    )
    annotation = Annotated[list[str] | None, option]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=None, annotation=annotation)


def read_setting(name: str, words: Iterable[str]) -> Any:
    """The value of a setting from what was typed.

    ``none``, ``true``, ``false`` and numbers are what they say, other words are texts.
    ``name=value`` makes a setting by layer; ``allow`` is a list.

    Raises:
        InputError: A value for all layers and one for a single layer are mixed, or several values.
    """
    words = list(words)
    if name == "allow":
        return tuple(words)
    pairs = [word.partition("=") for word in words]
    if all(equals for _, equals, _ in pairs):
        return {layer.strip(): read_word(value) for layer, _, value in pairs}
    if len(words) > 1:
        option = f"--{name.replace('_', '-')}"
        raise InputError(
            f"{option} is given {len(words)} times: {', '.join(words)}. Give one value for all "
            f"layers, or repeat {option} LAYER=VALUE"
        )
    return read_word(words[0])


def read_word(word: str) -> Any:
    """None, a truth value, a number or a text."""
    word = word.strip()
    if word.lower() in WORDS:
        return WORDS[word.lower()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def argument_texts(function: Any) -> dict[str, str]:
    """The section ``Args`` of a docstring, by argument."""
    text = inspect.getdoc(function) or ""
    section = text.partition("Args:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if begins := re.match(r" {4}(\w+): (.*)", line):
            name, found[begins[1]] = begins[1], begins[2]
        elif name:
            found[name] += f" {line.strip()}"
    return found


def first_sentence(text: str) -> str:
    """A text up to its first full stop, without the marks of the docstring."""
    plain = re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("`", "")
    return re.split(r"(?<=[^.][.]) ", plain)[0]


def shown(default: Any) -> str:
    """A default as it would be typed."""
    if default is None or isinstance(default, bool):
        return str(default).lower()
    return "none" if default == () else str(default)
