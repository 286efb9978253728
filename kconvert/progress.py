"""A progress bar for long runs: on a terminal only, unless the caller decides."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from .packages import needed
from .simulators import Chunk


def track(chunks: Iterable[Chunk], n: int, n_steps: int, show: bool | None) -> Iterator[Chunk]:
    """Pass chunks on, showing how much of ``n`` images times ``n_steps`` is done.

    Args:
        chunks: What a runner yields.
        n: Number of images.
        n_steps: Number of steps.
        show: True, False, or None for "if standard error is a terminal".
    """
    if show is None:  # nobody asked for a bar, so it is no error that there can be none
        show = sys.stderr.isatty() and find_spec("rich") is not None
    if not show:
        yield from chunks
        return
    with needed("a progress bar"):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

    columns = (
        TextColumn("simulating"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} % of {task.fields[n]} samples x {task.fields[steps]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True, force_terminal=True), transient=True
    ) as bar:
        task = bar.add_task("", total=n * n_steps, n=n, steps=n_steps)
        for chunk in chunks:
            done = (chunk.images.stop - chunk.images.start) * (chunk.steps.stop - chunk.steps.start)
            bar.advance(task, done)
            yield chunk
