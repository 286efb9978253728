"""Sphinx configuration."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import kconvert

project = "kconvert"
copyright = "2026, the kconvert developers"
version = release = kconvert.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["_build"]
nb_execution_mode = "off"  # notebooks are stored with their outputs: make gallery
html_theme = "furo"
html_title = "kconvert"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
myst_heading_anchors = 3
