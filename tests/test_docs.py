"""The tables in the documentation are those that the code and the results give."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from kconvert.reader import LAYERS

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(page for page in DOCS.glob("*.md") if "<!-- table:" in page.read_text())


def tables():
    spec = importlib.util.spec_from_file_location("tables", DOCS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_not_stale(page):
    text = page.read_text()
    assert tables().rewritten(text) == text, "run: make tables"


def test_every_class_is_in_the_table():
    text = tables().layers()
    assert all(tables()._spelling(cls)[1] in text for cls in LAYERS.entries)
    names = {table for page in PAGES for table in tables()._BLOCK.findall(page.read_text())}
    assert {name for _, name, _ in names} == set(tables().TABLES)
