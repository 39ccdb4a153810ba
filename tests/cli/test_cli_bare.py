"""On a host that lacks what draws, and pyRAPL: a search runs, and its page is left out with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

WITHOUT = """
import sys

for name in ("altair", "vl_convert", "pyRAPL"):
    sys.modules[name] = None  # as if it were not installed
import ecoml
from ecoml.cli import main

def train(config):
    yield config["a"]

space = ecoml.Space({"a": ecoml.Float(0.1, 0.9)})
result = ecoml.Searcher(space, train, budget_j=1e4, max_trials=2, strategy="random", directory="mine").run()
assert len(result.trials) == 2
sys.argv = ["ecoml", *sys.argv[1:]]
main()
"""


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_search_without_what_draws_leaves_its_page_out_and_says_so(tmp_path):
    done = run(tmp_path, "search", "--budget-kwh", "0.0001", "--max-trials", "1", "--threads", "1", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "ecoml: the page was not written: charts need altair, which is not installed" in done.stderr
    assert "Recommended: trial 0" in done.stdout
    assert "Report:" not in done.stdout
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_page_that_is_asked_for_is_one_line_that_names_what_is_missing(tmp_path):
    done = run(tmp_path, "report", "mine")
    assert done.returncode == 2
    expected = "ecoml: charts need altair, which is not installed: pip install altair vl-convert-python\n"
    assert done.stderr.endswith(expected)
