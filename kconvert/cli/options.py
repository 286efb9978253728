"""The settings of ``convert`` as options of the command line.

They are made from the arguments of :func:`kconvert.convert` and its docstring: a new argument is a
new option, with the same name, default and text. Both are read from the source, so that neither
help nor a stored network has to wait for Keras.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from importlib import import_module
from importlib.resources import files
from typing import Annotated, Any, NamedTuple

import typer

from ..errors import InputError

PIPELINE = "kconvert.pipeline"
"""The module of ``convert``."""
NOT_OPTIONS = ("layers", "calibration")
"""Importers are Python code. Calibration samples are data: ``--calibration`` reads them."""
NO_SETTINGS = ("distribute",)
"""Arguments of ``convert`` that have no part in the network: commands have options of their own."""
WORDS: Mapping[str, Any] = {"none": None, "true": True, "false": False}
PANEL = "Settings of the conversion, as for kconvert.convert"


class Setting(NamedTuple):
    """One argument of ``convert``."""

    name: str
    default: Any
    text: str

    @property
    def option(self) -> str:
        """As it is typed."""
        return f"--{self.name.replace('_', '-')}"


@cache
def settings_of_convert() -> tuple[Setting, ...]:
    """Every argument of ``convert`` but the model, in its order."""
    try:
        defaults, texts = _from_source()
    except (OSError, ValueError):  # only compiled code is there: it is imported, and Keras with it
        found = import_module(PIPELINE).convert
        defaults = {
            name: each.default
            for name, each in inspect.signature(found).parameters.items()
            if each.default is not inspect.Parameter.empty
        }
        texts = argument_texts(inspect.getdoc(found) or "")
    return tuple(
        Setting(name, default, texts[name])
        for name, default in defaults.items()
        if name not in NO_SETTINGS
    )


def with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose argument ``settings`` becomes an option for each setting of ``convert``."""
    options = [_option(each) for each in settings_of_convert() if each.name not in NOT_OPTIONS]

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


def _option(setting: Setting) -> inspect.Parameter:
    option = typer.Option(
        setting.option,
        metavar="VALUE",
        help=f"{for_shells(setting.text)} (default: {shown(setting.default)})",
        show_default=False,
        rich_help_panel=PANEL,
    )
    annotation = Annotated[list[str] | None, option]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(setting.name, keyword, default=None, annotation=annotation)


def read_setting(name: str, words: Iterable[str]) -> Any:
    """The value of a setting from what was typed.

    ``none``, ``true``, ``false`` and numbers are what they say, other words are texts.
    ``name=value`` makes a setting by layer; ``allow`` is a list.

    Raises:
        InputError: A value for all layers and one for a single layer are mixed, or a layer has
            several values.
    """
    words = list(words)
    option = f"--{name.replace('_', '-')}"
    if name == "allow":
        return tuple(words)
    pairs = [word.partition("=") for word in words]
    if all(equals for _, equals, _ in pairs):
        found = {layer.strip(): read_word(value) for layer, _, value in pairs}
        if len(found) < len(pairs):
            raise InputError(f"{option} names a layer twice: {', '.join(words)}")
        return found
    if len(words) > 1:
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


def argument_texts(docstring: str) -> dict[str, str]:
    """The section ``Args`` of a docstring, by argument."""
    section = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if begins := re.match(r" {4}\**(\w+): (.*)", line):
            name, found[begins[1]] = begins[1], begins[2]
        elif name:
            found[name] += f" {line.strip()}"
    return found


def for_shells(text: str) -> str:
    """A text of a docstring without its marks, and with values as they are typed in a shell.

    Example:
        >>> for_shells("``None``, a :class:`kconvert.Window`, or a dict by layer name")
        'none, a kconvert.Window, or LAYER=VALUE'
    """
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text).replace("`", "")
    for pattern, word in _TYPED.items():
        text = re.sub(pattern, word, text)
    return text


_TYPED = {
    r"\bNone\b": "none",
    r"\bTrue\b": "true",
    r"\bFalse\b": "false",
    r"\bnp\.inf\b": "inf",
    r"a dict (of these )?by layer name": "LAYER=VALUE",
    r"(or )?as a dict by layer name": "LAYER=VALUE",
    r"a dict by output name": "OUTPUT=VALUE",
}


def shown(default: Any) -> str:
    """A default as it would be typed."""
    if default is None or isinstance(default, bool):
        return str(default).lower()
    return "none" if default == () else str(default)


def _from_source() -> tuple[dict[str, Any], dict[str, str]]:
    """Defaults and texts of the arguments, read without an import.

    Raises:
        OSError: There is no source.
        ValueError: It does not have them as expected.
    """
    root, *folders, name = PIPELINE.split(".")  # find_spec would import the packages around it
    source = files(root).joinpath(*folders, f"{name}.py").read_text(encoding="utf-8")
    (convert,) = (
        each
        for each in ast.parse(source).body
        if isinstance(each, ast.FunctionDef) and each.name == "convert"
    )
    pairs = zip(convert.args.kwonlyargs, convert.args.kw_defaults, strict=True)
    defaults = {each.arg: ast.literal_eval(default or "None") for each, default in pairs}
    return defaults, argument_texts(ast.get_docstring(convert) or "")
