"""A Ray cluster of this host for `chaos.py`: whole nodes are killed, stopped and replaced too.

A node is its raylet with all processes that this started; the head has the cluster's server as well. If the head is
killed, the search must end with one line, and it is resumed on another cluster. Ray uses the host's own address. If the
host cannot reach that address, run in a network namespace:

    unshare -rn sh -c 'ip link set lo up && exec nice python benchmarks/chaos.py --runs 20 --nodes 4'
"""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos_processes import children
from ray.cluster_utils import Cluster


class LocalCluster:
    """Nodes of this host, with an agent each."""

    lease_s = 3.0
    longest_s = 60.0

    def __init__(self, nodes: int, state: Path, *, digits: bool) -> None:
        self.digits = digits
        self.budget_j = (500.0, 700.0) if digits else (150.0, 250.0)
        self._state = state
        self._nodes_wanted, self._ended = nodes - 1, list[Cluster]()
        self._start()

    def _start(self) -> None:
        self._cluster, self._nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1}), list[Any]()
        while len(self._nodes) < self._nodes_wanted:
            self._add_node()
        self.workers = f"ray://{self._cluster.address}"

    def targets(self, driver: int) -> list[tuple[str, list[int]]]:
        if len(self._nodes) < self._nodes_wanted:
            self._add_node()
        nodes = [self._processes(node) for node in self._nodes]
        head = self._processes(self._cluster.head_node)
        agents = [("agent", [process]) for tree in [head, *nodes] for process in tree if _is_agent(process)]
        server = self._cluster.head_node.all_processes["gcs_server"][0].process.pid
        return [("driver", [driver]), *agents, *(("node", tree) for tree in nodes), ("head", [server, *head])]

    def _add_node(self) -> None:
        try:
            self._nodes.append(self._cluster.add_node(num_cpus=1))
        except Exception as error:  # Ray's own time-out, on a busy machine
            print(f"another node later: {error}", file=sys.stderr)

    def _processes(self, node: Any) -> list[int]:
        return [_raylet(node), *children(_raylet(node))]

    def killed(self, name: str, processes: list[int]) -> None:
        """Start another cluster, or another node later, in place of the killed one."""
        if name == "head":  # its other nodes go on, until Ray ends them after a minute
            self._ended.append(self._cluster)
            self._start()
        for node in [node for node in self._nodes if name == "node" and _raylet(node) == processes[0]]:
            self._nodes.remove(node)
            self._cluster.remove_node(node, allow_graceful=False)

    def spools(self, run: Path) -> list[Path]:
        settings = tomllib.loads((run / "run.toml").read_text(encoding="utf-8"))
        return list((self._state / "ecoml/spools" / settings["workers"]["run"]).glob("*.sqlite"))

    def close(self) -> None:
        """End all clusters."""
        for ended in (*self._ended, self._cluster):
            ended.shutdown()


def _raylet(node: Any) -> int:
    process: int = node.all_processes["raylet"][0].process.pid
    return process


def _is_agent(process: int) -> bool:
    try:
        return b"RayAgent" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


@contextmanager
def cluster(nodes: int, *, digits: bool) -> Iterator[LocalCluster]:
    """This number of nodes. The agents of a node keep their spools in the node's folder."""
    with tempfile.TemporaryDirectory(prefix="ecoml-ray-") as state:
        os.environ |= {"XDG_STATE_HOME": state, "RAY_USAGE_STATS_ENABLED": "0"}
        found = LocalCluster(nodes, Path(state), digits=digits)
        try:
            yield found
        finally:
            found.close()
