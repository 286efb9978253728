"""What kconvert raises, one base class and errors that carry their facts as fields; and what kinds
of numbers there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any


class KconvertError(Exception):
    """Base of everything kconvert raises on purpose."""


class InputError(KconvertError, ValueError):
    """An argument does not fit; the text names it, what was received and what is accepted."""


class NoGraphError(InputError):
    """A Keras model has nothing that could be read, such as a graph or sizes.

    Attributes:
        reason: What it has not.
        fix: What the user can do about it.
    """

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. {fix}")
        self.reason, self.fix = reason, fix

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.reason, self.fix)


class FileError(KconvertError, ValueError):
    """A file is not a network that this version of kconvert can read, or cannot be written."""


class ClusterError(KconvertError):
    """A cluster cannot be used; the text says what is wrong with it, and what to do."""


class MissingPackageError(KconvertError, ImportError):
    """A package is missing that only some functions need; the text says how to install it."""


class BridgeError(MissingPackageError):
    """NengoDL is there and cannot work beside Keras 3: a version does not fit, or it is half there.

    A package that is not there at all is a :class:`MissingPackageError`, which catches both.
    """


class GraphError(KconvertError):
    """A graph is malformed. Users should never see this: it is a defect in a reader or a pass."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a model cannot be converted as it stands.

    Args:
        layer: The user's name of the Keras layer.
        layer_class: Its class, as Keras spells it.
        reason: What is not supported: attribute, value received, values accepted.
        fix: What the user can do about it.
        flag: The value of ``allow`` that would convert the layer all the same, if there is one.
    """

    layer: str
    layer_class: str
    reason: str
    fix: str = ""
    flag: str = ""

    def __str__(self) -> str:
        text = f"{self.layer!r} ({self.layer_class}): {self.reason}"
        return "; ".join(filter(None, (text, self.advice)))

    @property
    def advice(self) -> str:
        """What the user can do, the flag included."""
        flag = f"or pass allow=({self.flag!r},)" if self.fix else f"pass allow=({self.flag!r},)"
        if self.flag:
            flag += " to let Keras compute it, without neurons, in NengoDL only"
        return ", ".join(filter(None, (self.fix, flag if self.flag else "")))


class UnsupportedModelError(KconvertError):
    """A model holds layers or settings that cannot be converted; all of them are listed at once.

    Attributes:
        problems: One :class:`Problem` for each reason, in the order of the model's graph.
    """

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        noun = "problem" if len(self.problems) == 1 else "problems"
        self._what = what
        super().__init__(f"{what} ({len(self.problems)} {noun}):\n{lines}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._what, self.problems)


class Unsupported(KconvertError):  # noqa: N818 - a signal from an importer to the reader
    """Raised by a layer's importer and collected into an :class:`UnsupportedModelError`.

    Attributes:
        reason: What is not supported: attribute, value received, values accepted.
        fix: What the user can do about it.
        final: Whether no flag helps, not even running the layer as it is.
    """

    def __init__(self, reason: str, fix: str = "", *, final: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.fix, self.final = reason, fix, final

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), final=self.final), (self.reason, self.fix)


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number, of Python or NumPy, and no bool."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a real number that a float holds, of Python or NumPy, and no bool;
    infinity is one.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:  # an int of more than 308 digits
        return False
    return True


def is_finite(value: Any) -> bool:
    """Whether a value is a number, and neither infinite nor NaN."""
    return is_number(value) and math.isfinite(value)
