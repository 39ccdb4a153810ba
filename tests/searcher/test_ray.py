"""Agents on a real Ray cluster of two nodes on this machine; the transport alone, without one."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import ecoml
from ecoml.errors import UsageError

HERE = Path(__file__).parent


def test_without_ray_one_line_says_what_to_do(run_folder, monkeypatch, space):
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    with pytest.raises(UsageError, match=r"pip install 'ecoml\[ray\]'") as error:
        ecoml.Searcher(space, lambda config: 0.5, budget_j=1.0, directory=run_folder, workers="ray://head:6379")
    assert "\n" not in str(error.value)
    assert not run_folder.exists()


def alone(*command):
    """Run in a network namespace of its own: Ray takes the host's own address, which need not be reachable."""
    return ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_a_search_on_two_nodes_of_which_one_loses_its_agent(tmp_path):
    if shutil.which("unshare") is None or subprocess.run(alone("true"), check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    environment = {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(Path(ecoml.__file__).parents[1])]),
    }
    ran = subprocess.run(
        alone(sys.executable, str(HERE / "ray_cluster.py"), str(tmp_path)),
        capture_output=True,
        text=True,
        env=environment,
        timeout=480,
        check=False,
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("TOLD")]
    assert lines, ran.stderr[-3000:]
    told = json.loads(lines[0].removeprefix("TOLD"))
    assert told["failed"] == [], "the module that the training imports was sent"
    total_j, of_trials_j = told["reported"]
    assert total_j == pytest.approx(of_trials_j)
    assert total_j <= 600.0 + 100.0
    assert told["struck"]
    assert len(told["hosts"]) == 3, "two nodes, and the driver"
    lost = [curve for state, curve in told["trials"] if state == "stopped"]
    assert len(told["trials"]) == 150
    assert len(lost) <= 1
    for host, charged_j in told["charged"].items():
        with closing(sqlite3.connect(Path(told["spools"]) / f"{host}.sqlite")) as spool:
            assert spool.execute("SELECT TOTAL(energy_j) FROM entry").fetchone()[0] == pytest.approx(charged_j)
