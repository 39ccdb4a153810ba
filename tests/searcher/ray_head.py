"""A search whose Ray cluster loses its head, and which is resumed on another one: started by `test_ray.py`."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from chaos import HOSTS_LOST, SEARCH
from chaos_processes import children
from ray.cluster_utils import Cluster
from rigs.hosts import charged_j

from ecoml.run.result import Result

LEASE_S = 3.0


def search(folder: Path, how: str, cluster: Cluster) -> subprocess.Popen[str]:
    """A process that searches, or resumes the search."""
    (folder / "search.py").write_text(SEARCH % HOSTS_LOST)
    given = [folder / "run", 200.0, how, f"ray://{cluster.address}", LEASE_S, False]
    return subprocess.Popen([sys.executable, folder / "search.py", *map(str, given)], stderr=subprocess.PIPE, text=True)


def start() -> Cluster:
    """A cluster of two nodes."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    return cluster


def measurements(run: Path) -> list[tuple[object, ...]]:
    """All that were ever recorded."""
    if not (run / "ledger.sqlite").is_file():
        return []
    with closing(sqlite3.connect(f"file:{run / 'ledger.sqlite'}?mode=ro", uri=True)) as ledger:
        return ledger.execute("SELECT trial, step, score, energy_j FROM measurement ORDER BY id").fetchall()


def main(folder: Path) -> None:
    cluster, run = start(), folder / "run"
    driver = search(folder, "new", cluster)
    while len(measurements(run)) < 10:
        time.sleep(0.2)
    parts = cluster.head_node.all_processes
    head = [parts[part][0].process.pid for part in ("gcs_server", "raylet")]
    for process in [*head, *children(head[1])]:
        os.kill(process, signal.SIGKILL)
    said = driver.communicate(timeout=90)[1].splitlines()[-1]
    before = measurements(run)
    cluster.shutdown()
    cluster = start()
    again = search(folder, "resume", cluster)
    said_again = again.communicate(timeout=120)[1]
    result = Result.load(run)
    energy, spools = result.energy, Path(os.environ["XDG_STATE_HOME"]) / "ecoml/spools"
    told = {
        "said": said,
        "code": driver.returncode,
        "kept": measurements(run)[: len(before)] == before,
        "more": len(measurements(run)) - len(before),
        "resumed": (again.returncode, said_again[-2000:]),
        "spent": [energy.total_j, energy.budget_j + energy.overshoot_bound_j],
        "doubt": energy.doubt_j,
        "charged": charged_j(run),
        "spools": str(spools / result.settings["workers"]["run"]),
    }
    cluster.shutdown()
    print("TOLD", json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
