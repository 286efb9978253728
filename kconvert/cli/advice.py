"""Advice in errors, warnings and tables, written as it is typed in a shell.

The package speaks of arguments in Python: ``calibration=x``. A user of the command line types
``--calibration DATA``.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from typing import Any

from .options import Setting, settings_of_convert, shown

CALLS: Mapping[str, str] = {
    "kconvert.tune(model, x, y)": "kconvert tune MODEL DATA",
    "kconvert.warm_up()": "kconvert warm-up",
    "spiking.diagnose(x)": "kconvert report MODEL DATA",
    "diagnose(x)": "kconvert report MODEL DATA",
    "convert(..., ": "kconvert convert MODEL (",
}
"""Calls that messages advise, and the commands that do the same."""
_VALUE = r"""('[^']*'|"[^"]*"|\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]|-?[\w.+-]*\w)(?![\w(])"""


def as_typed(text: str) -> str:
    """A text with the arguments of ``convert`` in it as options.

    Args:
        text: What the package says.

    Example:
        >>> as_typed("pass allow=('tensornode',), or calibration=x for some inputs")
        'pass --allow tensornode, or --calibration DATA for some inputs'
        >>> as_typed("use swap_activations={'gelu': 'relu'}")
        'use --swap-activations gelu=relu'
    """
    for call, command in CALLS.items():
        text = text.replace(call, command)
    for setting in settings_of_convert():
        if setting.name == "layers":
            continue
        text = re.sub(
            rf"(?<![\w.-]){setting.name}={_VALUE}",
            lambda found, setting=setting: _typed(setting, found[1]),  # type: ignore[misc]
            text,
        )
        if "_" in setting.name:
            text = re.sub(rf"(?<![\w.'\"-]){setting.name}(?![\w=(:])", setting.option, text)
    return text


def _typed(setting: Setting, value: str) -> str:
    """One setting as an option."""
    try:
        read: Any = ast.literal_eval(value)
    except (ValueError, SyntaxError):  # a name, such as x
        return f"{setting.option} {'DATA' if setting.name == 'calibration' else value}"
    if isinstance(read, Mapping):
        words = [f"{name}={shown(each)}" for name, each in read.items()]
    elif isinstance(read, tuple | list):
        words = list(map(str, read))
    else:
        words = [shown(read)]
    return " ".join(f"{setting.option} {shlex.quote(word)}" for word in words)
