"""Every benchmark runs, in its smallest form. What it measures is not looked at here."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = [
    "reference_cnn",
    "accuracy",
    "events",
    "kernels",
    "fidelity",
    "efficiency",
    "first_result",
    "keras_suite",
    "messages",
    "cost_model",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("script", SCRIPTS)
def test_runs(script, tmp_path, monkeypatch, capsys):
    """As a program, but in this process, which has imported what takes so long to import."""
    path = ROOT / f"benchmarks/{script}.py"
    before = sorted((ROOT / "benchmarks/results").iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), "--quick"])
    # What it finds as a program, and not what stands beside the tests.
    monkeypatch.setattr(sys, "path", [each for each in sys.path if Path(each) != ROOT / "tests"])
    runpy.run_path(str(path), run_name="__main__")
    assert "|---|" in capsys.readouterr().out
    assert sorted((ROOT / "benchmarks/results").iterdir()) == before  # no record of a smoke test
