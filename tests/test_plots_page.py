"""The page about figures names every function. Its code runs in ``test_docs.py``."""

from __future__ import annotations

import re
from pathlib import Path

import kconvert

TEXT = (Path(__file__).parent.parent / "docs/reference/plots.md").read_text()


def test_every_function_is_on_the_page():
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert set(kconvert.plot.__all__) <= set(rows)
    drawn = set(re.findall(r"`plot\.(\w+)`", TEXT))
    assert drawn <= set(kconvert.plot.__all__)
