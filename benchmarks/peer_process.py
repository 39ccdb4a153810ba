"""A peer in a process of its own, for packages that cannot be installed beside ecoml.

Both ends are here; the child's needs nothing but Python. Each message is a line of JSON, and is answered by one:

    {"connect": {"space": [{"name": …, "kind": "Float" | "Int" | "Choice", "low": …, "high": …, "log": …, "options": …,
        "default": …}, …], "seed": 0, "length": 52, "first": {name: value} or null}}          → {}
    {"suggest": true}                                                  → {"values": {name: value} or null, "until": 3}
    {"report": 0, "curve": [[utility, joules], …], "state": null or "failed", …}              → {"until": null}

The answers are those of `ecoml.strategies.peers.requests.Peer`. Each also has "cpu_s", the CPU seconds that the child
has spent on it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ecoml.space import Parameter, Space
    from ecoml.strategies.peers.requests import PeerSearch, Request
    from ecoml.trial import Point, TrialState


class Served(Protocol):
    """What the child's end answers with."""

    def suggest(self) -> tuple[Mapping[str, Any], int | None] | None:
        """The next request: values, and the step up to which to train; None: there is none."""

    def report(self, number: int, curve: Sequence[tuple[float, float]], state: str | None) -> int | None:
        """See `Peer.report`; a point is (utility, joules)."""


def serve(connect: Callable[[Mapping[str, Any]], Served]) -> None:
    """Answer the messages on the standard input until it ends; what the peer prints goes to the standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    peer: Served | None = None
    for line in sys.stdin:
        message, before_s = json.loads(line), time.process_time()
        answer: dict[str, Any] = {}
        if "connect" in message:
            peer = connect(message["connect"])
        elif "suggest" in message and peer is not None:
            suggestion = peer.suggest()
            answer = dict(zip(("values", "until"), suggestion or (None, None), strict=True))
        elif peer is not None:
            answer = {"until": peer.report(message["report"], message["curve"], message["state"])}
        print(json.dumps(answer | {"cpu_s": time.process_time() - before_s}), file=answers, flush=True)


class PeerProcess:
    """The child process, and the peer in it.

    Args:
        command: Starts it.

    Attributes:
        cpu_s: CPU seconds that the peer has spent on its answers.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._end = weakref.finalize(self, _end, self._process)
        self.cpu_s = 0.0

    def connect(self, space: Space, seed: int, length: int | None, first: Mapping[str, Any] | None) -> PeerProcess:
        """Begin anew."""
        described = [_described(name, parameter) for name, parameter in space.free.items()]
        self._say({"connect": {"space": described, "seed": seed, "length": length, "first": first}})
        return self

    def suggest(self) -> Request | None:
        """The peer's next request."""
        from ecoml.strategies.peers.requests import Request

        answer = self._say({"suggest": True})
        return None if answer["values"] is None else Request(answer["values"], answer["until"])

    def report(self, number: int, curve: Sequence[Point], state: TrialState | None) -> int | None:
        """Tell the peer the result of a request."""
        points = [(point.utility, point.energy_j) for point in curve]
        until: int | None = self._say({"report": number, "curve": points, "state": state})["until"]
        return until

    def _say(self, message: Mapping[str, Any]) -> dict[str, Any]:
        from ecoml.errors import UsageError

        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise UsageError(f"the peer's process has ended; its errors are above; it was {' '.join(self._command)}")
        answer: dict[str, Any] = json.loads(line)
        self.cpu_s += answer["cpu_s"]
        return answer


def search_by_process(space: Space, seed: int, python: Path, *arguments: str) -> tuple[PeerSearch, PeerProcess]:
    """A search by a peer in another environment, and its process.

    Args:
        space: The space to search.
        seed: ≥ 0.
        python: The interpreter of that environment.
        arguments: The script that calls `serve`, and what it wants.
    """
    from ecoml.strategies.peers.requests import PeerSearch

    process = PeerProcess([str(python), *arguments])
    return PeerSearch(
        space, seed, lambda length, first: process.connect(space, seed, length, first), partial=True
    ), process


def _described(name: str, parameter: Parameter) -> dict[str, Any]:
    keys = ("low", "high", "log", "options", "default")
    return {"name": name, "kind": type(parameter).__name__} | {key: getattr(parameter, key, None) for key in keys}


def _end(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()
