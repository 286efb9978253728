"""What all results share: text, HTML for notebooks, plain data and data frames.

Each result says what it shows in a :class:`Display`, and what it holds in records: dicts of plain
values, one for each row. The functions below turn these into what users ask for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from html import escape
from itertools import islice
from typing import Any

import numpy as np

from ..packages import needed
from .tables import table

SMALL = 1000
"""Values of an array that :func:`plain` writes out unless it is asked for all."""
MOST_TEXT = 200
"""Characters of an object that JSON does not know."""
MOST_ROWS = 200
"""Rows of a table in a notebook."""
Record = Mapping[str, Any]
"""One row of a result: name of the column to its value."""

_DIV = 'style="max-width: 100%; overflow-x: auto"'
_TABLE = 'style="border-collapse: collapse; margin: 0.4em 0; color: inherit; font-size: inherit"'
_LINE = "border-bottom: 1px solid rgba(128, 128, 128, 0.5)"
_CELL = "padding: 0.15em 0.7em"
# Colours of text and background are the page's: its theme, light or dark, decides.


@dataclass(frozen=True, slots=True)
class Display:
    """What a result shows: lines, a table and further lines.

    Args:
        before: Lines above the table.
        head: Names of the columns; empty if there is no table.
        rows: Cells.
        numbers: Names of the columns that are aligned to the right.
        after: Lines below the table.
    """

    before: Sequence[str]
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    numbers: Collection[str] = ()
    after: Sequence[str] = ()


def as_text(display: Display) -> str:
    """A display as plain text."""
    shown = [table(display.head, display.rows, numbers=display.numbers)] if display.rows else []
    return "\n".join([*display.before, *shown, *display.after])


def as_html(display: Display) -> str:
    """A display as HTML, which takes its colours from the page around it."""
    parts = [f"<div {_DIV}>", _paragraph(display.before)]
    if display.rows:
        align = ["right" if name in display.numbers else "left" for name in display.head]
        # Only the last column has texts that may be long.
        wraps = ["; white-space: nowrap"] * (len(display.head) - 1) + [""]
        parts.append(f"<table {_TABLE}><thead><tr>")
        for name, side in zip(display.head, align, strict=True):
            style = f"text-align: {side}; {_CELL}; {_LINE}"
            parts.append(f'<th scope="col" style="{style}">{escape(name)}</th>')
        parts.append("</tr></thead><tbody>")
        for row in display.rows[:MOST_ROWS]:
            cells = (
                f'<td style="text-align: {side}; {_CELL}{wrap}">{escape(cell)}</td>'
                for cell, side, wrap in zip(row, align, wraps, strict=True)
            )
            parts.append(f"<tr>{''.join(cells)}</tr>")
        parts.append("</tbody></table>")
        if (left := len(display.rows) - MOST_ROWS) > 0:
            parts.append(_paragraph([f"and {left:,} more rows: print() shows them"]))
    parts += [_paragraph(display.after), "</div>"]
    return "".join(parts)


def _paragraph(lines: Sequence[str]) -> str:
    return f"<p>{'<br>'.join(map(escape, lines))}</p>" if lines else ""


def plain(value: Any, *, arrays: bool = False) -> Any:
    """A value as ``json.dumps`` takes it.

    NaN becomes None and an infinite number the text "inf" or "-inf", as JSON has neither. An array
    of more than 1000 values becomes its shape and type. A result becomes its ``to_dict()``.

    Args:
        value: Anything.
        arrays: Write out every array, however large it is.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value) if math.isfinite(value) else str(value)
    if isinstance(value, np.ndarray | np.generic):
        if value.size > SMALL and not arrays:
            return {"shape": list(value.shape), "dtype": str(value.dtype)}
        return plain(value.tolist(), arrays=arrays)
    if isinstance(value, Mapping):
        return {str(key): plain(each, arrays=arrays) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each, arrays=arrays) for each in value]
    return _plain_object(value, arrays)


def _plain_object(value: Any, arrays: bool) -> Any:
    if isinstance(value, type):
        return value.__name__
    if hasattr(value, "to_dict"):
        return plain(value.to_dict(), arrays=arrays)
    if is_dataclass(value):
        held = {each.name: getattr(value, each.name) for each in fields(value)}
        return plain(held, arrays=arrays)
    return repr(value)[:MOST_TEXT]


def as_frame(records: Sequence[Record], columns: Sequence[str] = ()) -> Any:
    """Records as a ``pandas.DataFrame``, a row each.

    Args:
        records: The rows.
        columns: Names of the columns where there are no rows.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    with needed("to_frame"):
        import pandas as pd

    return pd.DataFrame.from_records(
        [dict(each) for each in records], columns=list(records[0] if records else columns)
    )


def listed(names: Collection[Any], most: int = 4) -> str:
    """Some names in a line, and how many more there are."""
    shown = ", ".join(str(each) for each in islice(names, most))
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def shape_of(value: Any) -> str:
    """Shapes of arrays, nested as they are."""
    if isinstance(value, Mapping):
        inner = listed([f"{name}: {shape_of(each)}" for name, each in value.items()])
        return "{" + inner + "}"
    if isinstance(value, list | tuple) and not all(isinstance(each, int) for each in value):
        return "[" + listed([shape_of(each) for each in value]) + "]"
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else str(tuple(shape))


def percent(share: float) -> str:
    """A share in percent."""
    return "unknown" if math.isnan(share) else f"{100 * share:.2f} %"
