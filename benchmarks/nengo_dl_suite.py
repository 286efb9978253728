"""NengoDL's own tests, which its package ships, run through the bridge.

    make bench BENCH=nengo_dl_suite

Needs click (``pip install click``), which NengoDL's benchmarks use. The tests were written for old
versions of pytest, NumPy and Nengo; the failures that come from these are listed in
docs/reference/bridge.md.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

# What NengoDL's repository has in its conftest.py, and its package does not ship.
PLUGIN = """
    import nengo
    import pytest

    if not hasattr(nengo.networks, "Oscillator"):  # gone from Nengo 4, used by one parameter set
        nengo.networks.Oscillator = lambda tau, frequency, n: nengo.networks.EnsembleArray(n, 2)


    def pytest_addoption(parser):
        parser.addoption("--dtype", default="float32")
        parser.addoption("--unroll-simulation", default=1, type=int)
        parser.addoption("--device", default=None)
        parser.addoption("--inference-only", default=False)
        parser.addoption("--performance", default=False)


    @pytest.fixture
    def Simulator(request):
        from nengo_dl.tests import make_test_sim

        return make_test_sim(request)
"""

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nengo_dl_plugin.py").write_text(textwrap.dedent(PLUGIN))
        Path(folder, "pytest.ini").write_text(
            "[pytest]\npythonpath = .\nnengo_simloader = nengo_dl.tests.make_test_sim\n"
            "markers =\n  gpu\n  performance\n  training\n  slow\n"
        )
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            f"{folder}/pytest.ini",
            "--rootdir",
            folder,
        ]
        command += ["-p", "nengo_dl_plugin", "-p", "kconvert.bridge", "--pyargs", "nengo_dl"]
        command += ["-q", "-W", "ignore", "--continue-on-collection-errors", "--tb=line"]
        sys.exit(subprocess.run([*command, *sys.argv[1:]], cwd=folder, check=False).returncode)
