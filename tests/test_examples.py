"""Every example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*arguments: str, cwd: Path) -> str:
    result = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def test_mnist(tmp_path):
    out = run(str(ROOT / "examples/mnist.py"), "--images", "20", cwd=tmp_path)
    assert "20 held-out digits (embedded)" in out
    errors = {line.split(":")[0]: line for line in out.splitlines() if "error" in line}
    assert set(errors) == {"error before training", "Keras error", "spiking error"}
    assert out.count("spiking error") == 2
    assert (tmp_path / "out/mnist.png").read_bytes().startswith(b"\x89PNG")
    assert "figure: out/mnist.png" in out


def test_fine_tune(tmp_path):
    arguments = ("--train", "600", "--test", "60", "--epochs", "1")
    out = run(str(ROOT / "examples/fine_tune.py"), *arguments, cwd=tmp_path)
    before, after = (
        [float(number) for number in re.findall(r"([\d.]+) %", line)]
        for line in out.splitlines()
        if "% error" in line
    )
    assert after[0] < before[0]  # Keras
    assert after[1] < before[1]  # spiking
    assert "DIFFERS" not in out


def test_constraints_name_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    for line in lines:
        assert re.fullmatch(r"#.*|[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line), line
