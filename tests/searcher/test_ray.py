"""Agents on a real Ray cluster of two nodes on this machine; the transport alone, without one."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from chaos import HOSTS_LOST

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


def told_by(script, folder):
    """What a script tells that runs on a Ray cluster of this machine."""
    if shutil.which("unshare") is None or subprocess.run(alone("true"), check=False, capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    paths = [HERE.parent, HERE.parents[1] / "benchmarks", Path(ecoml.__file__).parents[1]]
    environment = {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    ran = subprocess.run(
        alone(sys.executable, str(HERE / script), str(folder)),
        capture_output=True,
        text=True,
        env=environment,
        timeout=480,
        check=False,
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("TOLD")]
    assert lines, ran.stderr[-3000:]
    return json.loads(lines[0].removeprefix("TOLD"))


def spooled_j(path):
    with closing(sqlite3.connect(path)) as spool:
        total = "SELECT TOTAL(energy_j) FROM (SELECT energy_j FROM entry UNION ALL SELECT energy_j FROM in_flight)"
        return spool.execute(total).fetchone()[0]


with_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


@pytest.mark.slow
@with_ray
def test_a_search_on_two_nodes_of_which_one_loses_its_agent(tmp_path):
    told = told_by("ray_cluster.py", tmp_path)
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
        assert spooled_j(Path(told["spools"]) / f"{host}.sqlite") == pytest.approx(charged_j)


@pytest.mark.slow
@with_ray
def test_a_search_whose_head_is_lost_ends_with_one_line_and_is_resumed_on_another_cluster(tmp_path):
    told = told_by("ray_head.py", tmp_path)
    assert told["code"] == HOSTS_LOST, "the search ended by itself"
    assert "is lost" in told["said"]
    assert "ecoml resume RUN --workers ray://HEAD:PORT" in told["said"]
    assert told["resumed"][0] == 0, told["resumed"][1]
    assert told["kept"]
    assert told["more"] > 0
    spent_j, most_j = told["spent"]
    assert spent_j <= most_j
    charged_j = sum(told["charged"].values())
    spools_j = sum(spooled_j(path) for path in Path(told["spools"]).glob("*.sqlite"))
    assert spools_j == pytest.approx(charged_j, abs=told["doubt"] + 1e-6)


@pytest.mark.parametrize("workers", ["ray://127.0.0.1:1", "ray://[::1]:1"])
@with_ray
def test_a_head_that_does_not_answer_is_one_line_at_once(run_folder, space, workers):
    began_s = time.monotonic()
    searcher = ecoml.Searcher(space, lambda config: 0.5, budget_j=100.0, directory=run_folder, workers=workers)
    with pytest.raises(UsageError, match="no Ray cluster answers"):
        searcher.run()
    assert time.monotonic() - began_s < 20.0
