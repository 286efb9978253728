"""The documentation: its code runs, its tables are what code and results give, its links exist."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import kconvert
from kconvert.options import DEFAULTS
from kconvert.reader import LAYERS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def script(name):
    """A script of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TABLES, BLOCKS, NOTEBOOKS = script("tables"), script("blocks"), script("notebooks")
PAGES = BLOCKS.pages()
BY_PAGE = {page: BLOCKS.blocks(page) for page in PAGES}
ALL_BLOCKS = [block for page in PAGES for block in BY_PAGE[page]]
SCRIPTS = sorted(NOTEBOOKS.GALLERY.glob("*.py"))


def ids(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def session():
    """Pages that start from the same tutorial share its trained model."""
    return BLOCKS.Session()


@pytest.fixture
def registry():
    """Pages register layers of their own, which the tables of other tests must not have."""
    before = dict(LAYERS.entries)
    yield
    LAYERS.entries.clear()
    LAYERS.entries.update(before)


def shape_of(text):
    """A text without its numbers and spaces, which differ between machines."""
    text = re.sub(r"[-+]?\d[\d,.]*(e[-+]?\d+)?", "#", text)
    return re.sub(r"[-\s]+", " ", text).strip()


@pytest.mark.parametrize("page", [page for page in PAGES if BY_PAGE[page]], ids=ids)
def test_code_runs_and_prints_what_the_page_says(page, session, registry):
    import matplotlib.pyplot as plt

    ran = 0
    for block, printed in session._run(page, session._start_of(page)):
        ran += 1
        if block.printed is not None:
            assert printed.strip()
        if block.printed is not None and not block.varies:
            assert shape_of(printed) == shape_of(block.printed), f"{block.name}: make tables"
        if block.figure is not None:
            assert plt.get_fignums(), f"{block.name} draws nothing"
    assert ran == sum(block.runs for block in BY_PAGE[page])


def test_every_block_runs_or_says_why_not():
    fences = sum(len(re.findall(r"^ *```(?:python|sh|pycon)$", p.read_text(), re.M)) for p in PAGES)
    assert fences == len(ALL_BLOCKS), "a block that the parser does not see"
    python = [block for block in ALL_BLOCKS if block.language == "python"]
    shown = [block.name for block in python if block.not_run]
    assert len(shown) <= len(python) / 50, shown


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "<!-- table:" in page.read_text()], ids=ids
)
def test_tables_are_not_stale(page):
    text = page.read_text()
    assert TABLES.rewritten(text) == text, "run: make tables"


def test_every_table_and_every_class_has_its_place():
    text = TABLES.layers()
    assert all(TABLES._spelling(cls)[1] in text for cls in LAYERS.entries)
    names = [name for page in PAGES for _, name, _ in TABLES._BLOCK.findall(page.read_text())]
    assert set(names) == set(TABLES.TABLES)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!http|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), target


def test_every_setting_of_convert_is_in_the_reference():
    text = (DOCS / "reference" / "settings.md").read_text()
    for name in ("model", *DEFAULTS):
        assert f"`{name}`" in text, name


def test_every_public_name_is_in_the_reference():
    text = "".join(page.read_text() for page in (DOCS / "reference").rglob("*.md"))
    for name in kconvert.__all__:
        assert f"kconvert.{name}" in text, name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_notebooks_are_those_of_their_scripts_and_ran_without_errors(path):
    import nbformat

    stored = path.with_suffix(".ipynb")
    assert stored.stat().st_size < 300_000
    notebook = nbformat.read(stored, 4)
    scripted = NOTEBOOKS.cells(path.read_text())
    assert [c.source for c in notebook.cells] == [c.source for c in scripted], "make gallery"
    outputs = [out for c in notebook.cells if c.cell_type == "code" for out in c.outputs]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]
    assert str(ROOT) not in stored.read_text()


def test_figures_are_drawn(tmp_path):
    """The cheap ones; the others need trained networks, or the pages' own code draws them."""
    figures = script("figures")
    for name in ("one-neuron", "rounding"):
        figures.draw(name, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert all((figures.FOLDER / f"{name}.png").exists() for name in figures.FIGURES)
