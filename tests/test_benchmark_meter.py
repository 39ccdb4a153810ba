"""The benchmark of meters, with ecoml alone: the simulated system it shows to every tool."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_ecoml_in_the_system_that_all_tools_are_shown():
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "benchmarks/meter.py", "--tools", "ecoml"),
            *("--scenarios", "late-wrap,denied", "--no-overhead", "--json"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout)["errors"]
    wrap, denied = errors["late-wrap"]["ecoml"], errors["denied"]["ecoml"]
    assert wrap["provenance"] == "measured"
    assert wrap["true_j"] > 10_000
    assert wrap["energy_j"] == pytest.approx(wrap["true_j"], abs=wrap["uncertainty_j"])
    assert wrap["energy_j"] == pytest.approx(wrap["true_j"] + wrap["edges_j"] / 2, rel=0.01)
    assert denied["provenance"] == "estimated"
