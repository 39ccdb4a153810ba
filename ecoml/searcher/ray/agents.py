"""One plain actor on each node of a Ray cluster, which carries messages to and from the agent it holds.

The actors are not detached: they end with the driver. Ray only starts them on their nodes, and carries messages, each
of which may be lost, repeated or late.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ecoml.errors import EcomlError, SearchFailed, UsageError
from ecoml.outside.folders import state_folder
from ecoml.searcher.hosts.agent import Agent
from ecoml.searcher.hosts.messages import Orders, Report, Setup
from ecoml.searcher.hosts.parcels import Shelf, nothing_to_fetch
from ecoml.searcher.hosts.transport import CALL_S, Beat, Event

LOOK_S = 5.0
"""Seconds between two looks at the head, and for new nodes."""

HEAD_S = 30.0
"""A cluster whose head does not answer for this long has ended. (Ray ends its processes after 60 seconds.)"""

ANSWER_S = 2.0
CLOSE_S = 5.0


class RayAgents:
    """Agents on all nodes of a cluster, including nodes that join while a search runs.

    Args:
        address: Address of the cluster's head, `HOST:PORT`; this process runs on one of its nodes.

    Raises:
        UsageError: Ray is not installed.
    """

    def __init__(self, address: str) -> None:
        if importlib.util.find_spec("ray") is None:
            raise UsageError("workers on a Ray cluster need the package ray: pip install 'ecoml[ray]'")
        self.expected = 1
        self._address = address
        self._nodes: dict[str, str] = {}  # host → node
        self._actors: dict[str, Any] = {}
        self._listening: dict[Any, str] = {}  # a reference to what comes → host
        self._looked_s = self._answered_s = 0.0  # when it looked at the head, and when the head answered
        self._mine = False
        self._cut_off = False  # whether there is no node on this host any more: Ray then raises an OSError
        self._shelf: Shelf | None = None
        self._depot: Any = None

    @property
    def hosts(self) -> Sequence[str]:
        return list(self._actors)

    def clock(self) -> float:
        return time.monotonic()

    def lend(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def open(self, setup: Setup, spools: Path) -> None:  # noqa: ARG002 - each node keeps its own
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._setup = setup
        try:
            host, _, port = self._address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()  # Ray would try for minutes
            self._mine = not ray.is_initialized()
            ray.init(self._address, ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR")
        except Exception as error:
            raise UsageError(
                f"no Ray cluster answers at {self._address} ({type(error).__name__}); start one there, and run this on"
                " one of its nodes: ray start --head --port=PORT"
            ) from None
        if self._shelf:
            here = ray.get_runtime_context().get_node_id()
            self._depot = ray.remote(RayDepot).options(**_options(here)).remote(self._shelf)
        self._beat = Beat(self._carry)
        self._looked_s = self._answered_s = time.monotonic()
        self._look_for_nodes()
        self.expected = len(self._nodes)

    def _head_answers(self) -> bool:
        """Whether the head answers. Ray is asked for more only then: without its head, or with another one at the same
        address, its calls never return, or end this process.
        """
        from ray._private.worker import global_worker  # the public calls take no time limit

        self._looked_s = time.monotonic()
        try:
            global_worker.gcs_client.get_all_node_info(timeout=ANSWER_S)
        except Exception:
            return False
        self._answered_s = self._looked_s
        return True

    def _look(self) -> None:
        """Look at the head, and for new nodes.

        Raises:
            SearchFailed: The cluster has ended.
        """
        if not self._cut_off and self._head_answers():
            self._look_for_nodes()
        elif self._cut_off or self._looked_s - self._answered_s > HEAD_S:
            raise SearchFailed(
                f"the head of the Ray cluster at {self._address}, or this host's own node, is lost; all measurements"
                " are saved: start Ray again, then continue with `ecoml resume RUN --workers ray://HEAD:PORT`"
            )

    def _look_for_nodes(self) -> None:
        """Start an agent on each node without one."""
        import ray

        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        for node_id, node in alive.items():
            if node_id not in self._nodes.values():
                host = self._name(node["NodeManagerHostname"], alive)
                self._nodes[host] = node_id
                self._start(host, node)

    def _name(self, hostname: str, alive: dict[str, Any]) -> str:
        """A name that no other living node has; a node that has come back gets its old name."""
        number, name = 1, hostname
        while self._nodes.get(name) in alive:
            number += 1
            name = f"{hostname}-{number}"
        return name

    def _start(self, host: str, node: dict[str, Any]) -> None:
        import ray

        gpus = node["Resources"].get("GPU", 0)  # without them Ray would hide them from the agent
        options = {**_options(node["NodeID"]), "num_gpus": gpus, "max_concurrency": 8}
        self._actors[host] = ray.remote(RayAgent).options(**options).remote(self._setup, host, self._depot)
        self._listen(host)

    def _listen(self, host: str) -> None:
        self._listening[self._actors[host].listen.remote()] = host

    def wait(self, timeout_s: float) -> Sequence[Event]:
        import ray

        if self._cut_off or time.monotonic() - self._looked_s > LOOK_S:
            self._look()
        if not self._listening:
            time.sleep(timeout_s)
            return []
        waiting = list(self._listening)
        try:
            come, waiting = ray.wait(waiting, num_returns=1, timeout=timeout_s)
            if come and waiting:
                come += ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
            return [self._event(reference) for reference in come]
        except OSError:
            self._cut_off = True
            return []

    def _event(self, reference: Any) -> Event:
        import ray

        host = self._listening.pop(reference)
        try:
            report: Report = ray.get(reference)
        except ray.exceptions.RayError:
            self._actors.pop(host, None)
            return host, None
        self._listen(host)
        return host, report

    def send(self, host: str, orders: Orders) -> None:
        self._carry(host, orders)
        self._beat.sent(host, orders)

    def _carry(self, host: str, orders: Orders) -> None:
        import ray

        if (actor := self._actors.get(host)) is not None:
            with suppress(ray.exceptions.RayError, OSError):
                actor.take.remote(orders)

    def call(self, host: str, name: str, trial: int) -> bytes:
        import ray

        if host not in self._actors:
            raise ConnectionError(f"host {host} is lost")
        reference, until_s = self._actors[host].call.remote(name, trial), time.monotonic() + CALL_S
        try:
            while not ray.wait([reference], timeout=LOOK_S)[0]:
                if time.monotonic() > until_s or not self._head_answers():
                    raise ray.exceptions.GetTimeoutError
            given: bytes = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, EcomlError) else ConnectionError(f"host {host}: {cause}")) from None
        except ray.exceptions.RayError:
            raise ConnectionError(f"host {host} does not answer") from None
        except OSError:
            self._cut_off = True
            raise ConnectionError(f"host {host} does not answer") from None
        return given

    def restart(self, host: str) -> bool:
        import ray

        self._beat.forget(host)
        for reference in [reference for reference, of in self._listening.items() if of == host]:
            del self._listening[reference]
        if (actor := self._actors.pop(host, None)) is not None:
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)
        if not self._head_answers():
            return True  # when the host has been silent for long enough
        node = next((node for node in ray.nodes() if node["NodeID"] == self._nodes[host]), None)
        if node is None or not node["Alive"]:
            return False
        self._start(host, node)
        return True

    def close(self) -> None:
        import ray

        self._beat.close()
        closing = [actor.close.remote() for actor in self._actors.values()]
        with suppress(ray.exceptions.RayError):
            ray.wait(closing, num_returns=len(closing), timeout=CLOSE_S)
        for actor in (*self._actors.values(), *([self._depot] if self._depot is not None else [])):
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)
        if self._mine:
            ray.shutdown()


class RayAgent:
    """The actor, which holds a host's agent."""

    def __init__(self, setup: Setup, host: str, depot: Any) -> None:
        self._depot = depot
        self._agent = Agent(setup, spool_of(setup.run, host), host, fetch=self._fetch)
        threading.Thread(target=self._agent.open, name="ecoml-open", daemon=True).start()

    def _fetch(self, digest: str) -> bytes:
        import ray

        if self._depot is None:
            return nothing_to_fetch(digest)
        content: bytes = ray.get(ray.get(self._depot.reference.remote(digest)))
        return content

    def take(self, orders: Orders) -> None:
        """Orders from the driver."""
        self._agent.take(orders)

    def listen(self) -> Report:
        """The agent's next message."""
        return self._agent.next_report()

    def call(self, name: str, trial: int) -> bytes:
        """The result of `checkpoint` or `save`."""
        given: bytes = getattr(self._agent, name)(trial)
        return given

    def close(self) -> None:
        """End the agent."""
        self._agent.close()


class RayDepot:
    """The actor on the driver's node with the parcels; Ray transfers each one once per node."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._references: dict[str, Any] = {}

    def reference(self, digest: str) -> Any:
        """The reference of a parcel in Ray's object store."""
        import ray

        if digest not in self._references:
            self._references[digest] = ray.put(self._shelf.content(digest))
        return self._references[digest]


def _options(node: str) -> dict[str, Any]:
    """Options of an actor that must run on this node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def spool_of(run: str, host: str) -> Path:
    """The path of a node's account of a run, which is needed when the run is resumed."""
    return state_folder() / "spools" / run / f"{host}.sqlite"
