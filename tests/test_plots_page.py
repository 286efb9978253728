"""The page on figures: its code runs in order, and makes the figure that the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import pytest
from matplotlib import image
from matplotlib import pyplot as plt

import kconvert

PAGE = Path(__file__).parent.parent / "docs/reference/plots.md"
TEXT = PAGE.read_text()


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the code of the page defines."""
    folder = tmp_path_factory.mktemp("page")
    found = {}
    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
            exec(compile(block, str(PAGE), "exec"), found)
    plt.close("all")
    return found | {"folder": folder}


def test_the_code_makes_the_figure(names):
    made = image.imread(names["folder"] / "plots.png")
    shown = image.imread(PAGE.with_name("plots.png"))
    assert made.shape == shown.shape
    assert (made < 0.99).any()  # it is not blank
    assert names["held"]["accuracy"] > 0.8


def test_every_function_is_on_the_page():
    rows = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert set(kconvert.plot.__all__) <= set(rows)
    drawn = set(re.findall(r"`plot\.(\w+)`", TEXT))
    assert drawn <= set(kconvert.plot.__all__)
