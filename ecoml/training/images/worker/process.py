"""The process that trains, from its host's side: start, requests, end."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
from collections.abc import Callable
from multiprocessing import Pipe
from time import monotonic
from typing import Any

from ecoml.errors import BudgetExhausted
from ecoml.outside.python import start_python
from ecoml.training.base import Account

_LONGEST_FACTOR = 20.0
_EXIT_S = 5.0

_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # OpenMP's threads otherwise spin while they wait: joules, and the speed of others
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),  # what a step frees the next one takes: no page is zeroed again and again
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS refuses to be deterministic
}


class TrainingProcess:
    """A process that answers requests (see `ecoml.training.images.worker.server`), from its start to its end.

    Attributes:
        pid: Its number.
    """

    def __init__(self) -> None:
        self._host = os.getpid()
        self._connection, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        self._process = start_python(
            "ecoml.training.images.worker.server:serve",
            *(theirs.fileno(), lifeline),
            descriptors=(theirs.fileno(), lifeline),
            environment={**_ENVIRONMENT, **os.environ},
        )
        theirs.close()
        os.close(lifeline)
        self._incoming = select.poll()  # Connection.poll makes a new selector each time, a tenth of a millisecond
        self._incoming.register(self._connection.fileno(), select.POLLIN)
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Whether it accepts requests. A fork of its host cannot send any."""
        return not self._connection.closed and self._host == os.getpid() and self._process.poll() is None

    def request(
        self,
        name: str,
        *arguments: Any,
        account: Account | None = None,
        patience_s: float | None = None,
        remark: Callable[[str], None] | None = None,
    ) -> Any:
        """Send a request, answer the process's own questions, and return its answer.

        Args:
            name: A method of `TrainingServer`.
            arguments: Its arguments.
            account: The account whose budget the process checks and whose purpose it changes; None: no limit.
            patience_s: Seconds without a sign of life after which it is considered hung; None: no limit.
            remark: Receives remarks for the result.

        Raises:
            ChildProcessError: The process died, or its device failed, and the process was ended.
            TimeoutError: It gave no sign of life, and was ended.
            Exception: The error that the request raised in the process.
        """
        try:
            self._connection.send((name, arguments))
            longest_s = 0.0
            while True:
                asked_s = monotonic()
                allowed_s = None if patience_s is None else max(patience_s, _LONGEST_FACTOR * longest_s)
                if not self._incoming.poll(None if allowed_s is None else 1000 * allowed_s):
                    raise TimeoutError(f"no batch was finished within {allowed_s:.0f} s, so the worker was ended")
                message = self._connection.recv()
                longest_s = max(longest_s, monotonic() - asked_s)
                match message:
                    case ("check_budget",):
                        self._connection.send(_allowed(account))
                    case ("enter", purpose):
                        if account is not None:
                            account.enter(purpose)
                    case ("remark", sentence):
                        if remark is not None:
                            remark(sentence)
                        self._connection.send(True)
                    case ("done", value):
                        return value
                    case ("raised", pickled, line, trace):
                        break
        except (EOFError, ConnectionError):
            self.end(kill=True)
            raise ChildProcessError(self._cause_of_death()) from None
        except BaseException:  # a hang, an interruption: what it was doing will not be waited for
            self.end(kill=True)
            raise
        error = _error(pickled, line, trace)
        if isinstance(error, ChildProcessError):  # it lives, but its device does not
            self.end(kill=True)
        raise error

    def end(self, *, kill: bool) -> None:
        """End it, at once or after its current request. May be called twice."""
        if self._connection.closed:
            return
        self._connection.close()
        os.close(self._lifeline)
        if os.getpid() != self._host:
            return
        if not kill:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_S)
        self._process.kill()
        self._process.wait()  # only now do its CPU seconds count as this process's children's

    def _cause_of_death(self) -> str:
        code = self._process.returncode
        if code >= 0:
            return f"the training's worker ended unexpectedly (exit code {code})"
        why = " (it was killed from outside, or the host ran out of memory)" if code == -signal.SIGKILL else ""
        return f"the training's worker was ended by {signal.Signals(-code).name}{why}"


def _allowed(account: Account | None) -> bool:
    if account is None:
        return True
    try:
        account.check_budget()
    except BudgetExhausted:
        return False
    return True


def _error(pickled: bytes | None, line: str, trace: str) -> BaseException:
    error: BaseException = RuntimeError(line)
    if pickled is not None:
        with contextlib.suppress(Exception):
            error = pickle.loads(pickled)  # noqa: S301 - from our own worker
    error.add_note(f"In the worker:\n{trace.rstrip()}")
    return error
