"""The transport of messages between the driver and its agents: the interface, and its implementation over connections.

`LocalAgents` starts agents as processes of this host, each with its own connection that no other process can reach.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from ecoml.errors import EcomlError
from ecoml.outside.python import start_python
from ecoml.searcher.hosts.agent import Agent
from ecoml.searcher.hosts.messages import BEAT_S, Orders, Report, Setup

CALL_S = 60.0
"""Longest time for the answer to a call, such as the weights of a network."""

LONGEST_TURN_S = 600.0
"""Longest time that a driver may be busy with one decision before its agents stop."""

EXIT_S = 5.0
"""Longest time for a running training to end after its driver has died."""

Event = tuple[str, Report | None]
"""A host and its message; None: its agent is lost."""


class Transport(Protocol):
    """Reaches the agents. No method raises because one agent is lost: this is an event."""

    @property
    def expected(self) -> int:
        """Number of hosts to wait for when a search starts."""

    @property
    def hosts(self) -> Sequence[str]:
        """Names of the hosts with an agent, including those that have not reported yet."""

    def clock(self) -> float:
        """Seconds on the clock of its time limits."""

    def open(self, setup: Setup, spools: Path) -> None:
        """Start the agents. Those on this host store their spools in `spools`."""

    def wait(self, timeout_s: float) -> Sequence[Event]:
        """The events so far, as soon as there is one, or after this many seconds.

        Raises:
            SearchFailed: There will be no more events, from any host.
        """

    def send(self, host: str, orders: Orders) -> None:
        """Send orders; they may be lost."""

    def call(self, host: str, name: str, trial: int) -> bytes:
        """The result of an agent's `checkpoint` or `save`.

        Raises:
            ConnectionError: The agent is lost, or does not answer.
            EcomlError: The agent's error.
        """

    def restart(self, host: str) -> bool:
        """End a host's agent for good, and start a new incarnation; returns whether there will be one."""

    def close(self) -> None:
        """End all agents."""


class Beat:
    """Repeats the last orders to each host while the driver is busy, so that a strategy may take its time.

    Args:
        send: Sends orders to a host, from another thread.
    """

    def __init__(self, send: Callable[[str, Orders], None]) -> None:
        self._send = send
        self._last: dict[str, Orders] = {}
        self._turned_s = time.monotonic()
        self._over = threading.Event()
        threading.Thread(target=self._live, name="ecoml-beat", daemon=True).start()

    def sent(self, host: str, orders: Orders) -> None:
        """Set the last orders of a host."""
        self._last[host] = orders
        self._turned_s = time.monotonic()

    def forget(self, host: str) -> None:
        """Forget a host's orders, because its agent is replaced."""
        self._last.pop(host, None)

    def close(self) -> None:
        """Stop repeating."""
        self._over.set()

    def _live(self) -> None:
        while not self._over.wait(BEAT_S):
            if BEAT_S < time.monotonic() - self._turned_s < LONGEST_TURN_S:
                for host, orders in list(self._last.items()):
                    self._send(host, orders)


class LocalAgents:
    """Agents that are processes of this host.

    Args:
        count: Number of agents.
    """

    def __init__(self, count: int) -> None:
        self.expected = count
        self._agents: dict[str, _Process] = {}

    @property
    def hosts(self) -> Sequence[str]:
        return [host for host, agent in self._agents.items() if not agent.connection.closed]

    def clock(self) -> float:
        return time.monotonic()

    def open(self, setup: Setup, spools: Path) -> None:
        self._setup, self._spools = setup, spools
        self._beat = Beat(lambda host, orders: self._agents[host].send(orders))
        for number in range(self.expected):
            self._start(f"local-{number + 1}")

    def _start(self, host: str) -> None:
        self._agents[host] = _Process(host, self._setup, self._spools)

    def wait(self, timeout_s: float) -> Sequence[Event]:
        events = [(host, report) for host, agent in self._agents.items() for report in agent.take_backlog()]
        if events:
            return events
        by_connection: dict[Any, str] = {
            agent.connection: host for host, agent in self._agents.items() if not agent.connection.closed
        }
        if not by_connection:
            time.sleep(timeout_s)
        for connection in wait(list(by_connection), timeout_s):
            host = by_connection[connection]
            events += [(host, message) for message in self._agents[host].receive()]
        return events

    def send(self, host: str, orders: Orders) -> None:
        self._agents[host].send(orders)
        self._beat.sent(host, orders)

    def call(self, host: str, name: str, trial: int) -> bytes:
        return self._agents[host].call(name, trial)

    def restart(self, host: str) -> bool:
        self._beat.forget(host)
        self._agents[host].kill()
        self._start(host)
        return True

    def close(self) -> None:
        self._beat.close()
        for agent in self._agents.values():
            agent.close()


class _Process:
    """One agent's process, and the connection to it."""

    def __init__(self, host: str, setup: Setup, spools: Path) -> None:
        self.host = host
        self.connection, theirs = Pipe()
        self._process = start_python(
            "ecoml.searcher.hosts.transport:serve",
            *(theirs.fileno(), host, os.fspath(spools)),
            descriptors=(theirs.fileno(),),
            environment=os.environ,
            new_session=True,  # Ctrl-C is the driver's to answer
        )
        theirs.close()
        self._backlog: deque[Report | None] = deque()
        self._sending = threading.Lock()
        with suppress(OSError):
            self.connection.send(setup)

    def take_backlog(self) -> list[Report | None]:
        """Messages that arrived while an answer was awaited."""
        taken = list(self._backlog)
        self._backlog.clear()
        return taken

    def receive(self) -> list[Report | None]:
        """All messages that have arrived, without waiting."""
        messages: list[Report | None] = []
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if isinstance(message, Report):
                    messages.append(message)
        except (OSError, EOFError):
            self.connection.close()
            messages.append(None)
        return messages

    def send(self, message: object) -> None:
        with self._sending, suppress(OSError):  # that it is gone is noticed when it is listened to
            self.connection.send(message)

    def call(self, name: str, trial: int) -> bytes:
        self.send((name, trial))
        until_s = time.monotonic() + CALL_S
        try:
            while (left_s := until_s - time.monotonic()) > 0 and self.connection.poll(left_s):
                message = self.connection.recv()
                if isinstance(message, Report):
                    self._backlog.append(message)
                    continue
                given, error = message
                if error is not None:
                    raise error
                return bytes(given)
        except (OSError, EOFError):
            self.connection.close()
            self._backlog.append(None)
        raise ConnectionError(f"host {self.host} does not answer")

    def kill(self) -> None:
        self._process.kill()
        self.close()

    def close(self) -> None:
        self.connection.close()
        try:
            self._process.wait(CALL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(descriptor: int, host: str, spools: str) -> None:
    """The main function of an agent's process, which ends when its driver does."""
    connection: Connection[Any, Any] = Connection(descriptor)
    try:
        setup = connection.recv()
    except (EOFError, OSError):
        return
    try:
        agent = Agent(setup, Path(spools) / f"{host}.sqlite", host)
    except EcomlError as error:
        sys.exit(f"ecoml: {error}")
    sending = threading.Lock()

    def answer(name: str, trial: int) -> None:
        try:
            given, error = getattr(agent, name)(trial), None
        except Exception as raised:
            given, error = None, raised
        with sending, suppress(OSError):
            connection.send((given, error))

    def listen() -> None:
        try:
            while True:
                message = connection.recv()
                if isinstance(message, Orders):
                    agent.take(message)
                else:
                    threading.Thread(target=answer, args=message, daemon=True).start()
        except (EOFError, OSError):
            agent.end()

    threading.Thread(target=agent.open, name="ecoml-open", daemon=True).start()
    threading.Thread(target=listen, name="ecoml-listen", daemon=True).start()
    try:
        while True:
            report = agent.next_report()
            with sending:
                connection.send(report)
            if report.closed:
                break
    except OSError:  # the driver is gone
        pass
    end = threading.Timer(EXIT_S, os._exit, (0,))  # a training that does not look must not keep the process
    end.daemon = True
    end.start()
    agent.close()
