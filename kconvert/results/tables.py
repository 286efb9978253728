"""Tables in plain text, for ``summary``, ``verify``, ``check`` and ``diagnose``."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..packages import needed

WIDTH = 10_000
"""Columns that a table may take: a terminal wraps long lines, a file keeps them whole."""


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[str] = ()
) -> str:
    """Rows under a head, in columns as wide as they must be.

    Args:
        head: Names of the columns.
        rows: Cells.
        numbers: Names of the columns that are aligned to the right.
    """
    with needed("a table"):
        from rich.box import Box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

    under_head = Box("    \n    \n -- \n    \n    \n    \n    \n    \n")
    made = Table(box=under_head, show_edge=False, pad_edge=False, padding=(0, 1))
    for name in head:
        made.add_column(Text(name), justify="right" if name in numbers else "left", no_wrap=True)
    for row in rows:
        made.add_row(*map(Text, row))  # as it is: names of layers are no markup
    console = Console(width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as found:
        console.print(made)
    return "\n".join(line.rstrip() for line in found.get().splitlines())
