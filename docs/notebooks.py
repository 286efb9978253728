"""Runs the notebooks of the gallery, and stores them with their outputs.

    make gallery                       # all of them
    make gallery NOTEBOOK=few-spikes   # one

A notebook is written as ``docs/gallery/name.py``: a cell begins with ``# %%``, one of text with
``# %% [markdown]``. What runs is stored as ``docs/gallery/name.ipynb``.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

GALLERY = Path(__file__).parent / "gallery"
QUIET = (
    "import logging, warnings\n"
    "warnings.filterwarnings('ignore', category=DeprecationWarning)\n"
    "%config InlineBackend.figure_formats = ['png']\n"
    "%config InlineBackend.rc = {'figure.dpi': 72}\n"
)
"""Runs first and is not stored: sizes of figures, and warnings that are not ours."""


METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


def cells(source: str) -> list[nbformat.NotebookNode]:
    """The cells of a script in percent format; each has its number as its id."""
    found = []
    for number, part in enumerate(re.split(r"^# %%", source, flags=re.MULTILINE)[1:]):
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            text = re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE)
            found.append(new_markdown_cell(text, id=f"cell-{number}"))
        else:
            found.append(new_code_cell(body.strip(), id=f"cell-{number}"))
    return found


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook of a script, with its outputs."""
    first = new_code_cell(QUIET, id="quiet")
    notebook = new_notebook(cells=[first, *cells(path.read_text())])
    notebook.metadata = METADATA
    NotebookClient(notebook, timeout=1200, kernel_name="python3").execute()
    notebook.cells = notebook.cells[1:]
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            # What TensorFlow logs is of no interest to readers.
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
            cell.execution_count = None
            for out in cell.outputs:
                if "execution_count" in out:
                    out["execution_count"] = None
    notebook.metadata = METADATA
    return notebook


def main(names: list[str]) -> None:
    for path in sorted(GALLERY.glob("*.py")):
        if names and path.stem not in names:
            continue
        target = path.with_suffix(".ipynb")
        target.write_text(nbformat.writes(executed(path)) + "\n")
        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
