"""Every benchmark runs, in its smallest form. What it measures is not looked at here."""

from __future__ import annotations

import os
import subprocess
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
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_runs(script, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "examples")}
    before = sorted((ROOT / "benchmarks/results").iterdir())
    result = subprocess.run(
        [sys.executable, str(ROOT / f"benchmarks/{script}.py"), "--quick"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert "|---|" in result.stdout
    assert sorted((ROOT / "benchmarks/results").iterdir()) == before  # no record of a smoke test
