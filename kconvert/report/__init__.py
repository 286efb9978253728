"""One page of HTML that shows what a network does: ``spiking.report(x, y)``."""

from __future__ import annotations

from .page import write_report

__all__ = ["write_report"]
