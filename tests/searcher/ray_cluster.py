"""Searches on a local Ray cluster, in a network namespace of their own: started by `test_ray.py`, told on a line."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster
from rigs.hosts import SPACE, charged_j, replay, work

import ecoml
from ecoml.searcher.hosts.choosing import RemoteWorkers
from ecoml.trial import TrialState


def homemade(folder: Path) -> Any:
    """A module that only this process finds; the nodes have to be sent it."""
    (folder / "own").mkdir()
    (folder / "own" / "homemade.py").write_text("def half(number):\n    return number / 2\n")
    sys.path.insert(0, str(folder / "own"))
    return importlib.import_module("homemade")


def agents(node) -> list[int]:
    """Processes of the actors on a node."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    return [pid for pid in map(int, children) if b"RayAgent" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def main(folder: str) -> None:
    RemoteWorkers.__init__.__defaults__ = (3.0,)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    told: dict[str, object] = {}
    there = f"ray://{cluster.address}"
    half = homemade(Path(folder)).half

    def replayed(config):
        for measurement in replay(config):
            assert half(8) == 4.0
            yield measurement

    same: dict[str, Any] = {"budget_j": 600.0, "strategy": "random", "energy": "reported", "seed": 3}
    reported = ecoml.Searcher(SPACE, replayed, directory=f"{folder}/reported", workers=there, **same).run()
    told["failed"] = [trial.number for trial in reported.trials if trial.state is TrialState.FAILED]
    told["reported"] = [reported.energy.total_j, sum(trial.energy_j for trial in reported.trials)]

    def strike() -> None:
        found: list[int] = []
        while not found:
            time.sleep(0.2)
            found = agents(second)
        time.sleep(2.0)
        os.kill(found[0], signal.SIGKILL)
        told["struck"] = True

    threading.Thread(target=strike, daemon=True).start()
    searcher = ecoml.Searcher(
        SPACE, work, budget_j=1e5, strategy="random", directory=f"{folder}/metered", workers=there, max_trials=150
    )
    result = searcher.run()
    spools = Path(os.environ["XDG_STATE_HOME"]) / "ecoml/spools" / result.settings["workers"]["run"]
    told["trials"] = [(trial.state.value, len(trial.curve)) for trial in result.trials]
    told["charged"] = charged_j(searcher.directory)
    told["spools"] = str(spools)
    told["hosts"] = sorted(result.energy.by_host)
    cluster.shutdown()
    print("TOLD", json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
