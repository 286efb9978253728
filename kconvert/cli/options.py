"""The settings of ``convert`` as options of the command line.

They are made from the arguments of :func:`kconvert.convert` and its docstring: a new argument is a
new option, with the same name, default and text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from ..errors import InputError
from . import quiet_tensorflow

NOT_OPTIONS = ("layers", "calibration")
"""Importers are Python code. Calibration samples are data: ``--calibration`` reads them."""
WORDS: Mapping[str, Any] = {"none": None, "true": True, "false": False}


class WithSettings(TyperCommand):
    """A command that also takes the settings of ``convert``, in ``context.obj``.

    The options are made when the command is run or explained: that imports Keras, and
    ``kconvert --help`` does not.
    """

    def get_params(self, ctx: typer.Context) -> list[Any]:
        *own, help_option = super().get_params(ctx)
        return [*own, *settings_options(), help_option]

    def invoke(self, ctx: typer.Context) -> Any:
        names = {option.name for option in settings_options()}
        given = {name: ctx.params.pop(name) for name in names if name in ctx.params}
        ctx.obj = {name: read_setting(name, words) for name, words in given.items() if words}
        return super().invoke(ctx)


def settings_options() -> list[TyperOption]:
    """An option for each setting of ``convert``."""
    quiet_tensorflow()
    from ..options import DEFAULTS
    from ..pipeline import convert

    texts = argument_texts(convert)
    return [
        TyperOption(
            param_decls=[name, f"--{name.replace('_', '-')}"],
            multiple=True,
            metavar="VALUE",
            help=f"{first_sentence(texts[name])} [default: {shown(default)}]",
            rich_help_panel="Settings of the conversion, as for kconvert.convert",
        )
        for name, default in DEFAULTS.items()
        if name not in NOT_OPTIONS
    ]


def read_setting(name: str, words: Iterable[str]) -> Any:
    """The value of a setting from what was typed.

    ``none``, ``true``, ``false`` and numbers are what they say, other words are texts. ``name=value``
    makes a setting by layer; ``allow`` is a list.

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
