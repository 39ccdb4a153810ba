"""The host's side of the worker: one process for all trainings of this one, started when first needed.

A worker that dies or hangs fails the trial it was asked for, and a new one is started for the next. Trials that were
left are files, so they outlive it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from itertools import count
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

from ecoml.errors import BudgetExhausted
from ecoml.training.base import Account
from ecoml.training.images.worker.workload import Prepared, Workload
from ecoml.trial import Measurement, Trial

_LONGEST_FACTOR = 20.0
_LEAVING_S = 5.0

_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # OpenMP's threads otherwise spin while they wait: joules, and the speed of others
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),  # what a step frees the next one takes: no page is zeroed again and again
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it cuBLAS refuses to be deterministic
}


class WorkerRun:
    """One trial's training in the worker; see `ecoml.training.base.Run`.

    Args:
        worker: Where it is trained.
        workload: What it is trained on.
        trial: The trial.
        account: Where its batches ask for leave.
        patience_s: Seconds without a sign of life after which it counts as hung.
    """

    _numbers = count()

    def __init__(
        self, worker: TrainingProcess, workload: Workload, trial: Trial, account: Account, patience_s: float
    ) -> None:
        self.workload = workload
        self.trial = trial
        self.number = next(self._numbers)
        self.account = account
        self.patience_s = patience_s
        self.frozen: Path | None = None
        self.steps = 0
        self.closed = False
        self.worker = worker

    def __next__(self) -> Measurement:
        if self.closed:
            raise StopIteration
        accuracy = self.worker.advance(self)
        if accuracy is None:
            raise StopIteration
        self.steps += 1
        return Measurement(accuracy)

    def close(self) -> None:
        """Let go of its network. May be called twice."""
        if not self.closed:
            self.closed = True
            self.worker.forget(self)


class TrainingProcess:
    """The worker process. Any thread may use it; requests take turns."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._incoming = select.poll()  # Connection.poll makes a new selector each time, a tenth of a millisecond
        self._lifeline: int | None = None
        self._held: WorkerRun | None = None
        self._folder: Path | None = None
        self._pid = os.getpid()

    @property
    def pid(self) -> int | None:
        """Number of the process, None while there is none."""
        return self._process.pid if self._process is not None else None

    def prepare(self, workload: Workload) -> Prepared:
        """Have the data loaded; as long as it takes.

        Raises:
            UsageError: As the worker's reading of the data and device raised it.
        """
        with self._lock:
            prepared: Prepared = self._request("prepare", workload)
        return prepared

    def advance(self, run: WorkerRun) -> float | None:
        """Train a run for an epoch, and give its accuracy; None at its end.

        Raises:
            ChildProcessError: The worker died; this run is lost with it.
            TimeoutError: It gave no sign of life, and was ended.
            Exception: Whatever the training raised.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self._end(kill=True)  # killed while it was idle
            if self._held is not run:
                self._leave()
                if run.steps and run.frozen is None:
                    raise ChildProcessError("the worker that held this training has died since")
            if self._connection is None:
                self._request("prepare", run.workload)
            self._held, kept = run, run.frozen
            try:
                accuracy: float | None = self._request(
                    "advance", run.workload, run.number, run.trial.number, dict(run.trial.config), kept, run=run
                )
            except (ChildProcessError, TimeoutError):
                # The one that ended the worker pays for the next one, and not the trial that comes next.
                self._request("prepare", run.workload)
                raise
            except BaseException:
                self._held = None
                raise
            finally:
                if kept is not None:
                    kept.unlink(missing_ok=True)
                    run.frozen = None
            return accuracy

    def save(self, run: WorkerRun, path: Path, problem: str) -> None:
        """Write a run's present network.

        Raises:
            ValueError: It has none: it was never advanced, or it is closed.
        """
        with self._lock:
            if self._held is not run:
                raise ValueError(
                    f"trial {run.trial.number} has no weights to save: save it after a step, before the next trial's"
                )
            model = run.workload.model_name
            self._request("save", path, problem, run.trial.number, dict(run.trial.config), model, run=run)

    def test(self, workload: Workload, path: Path, problem: str, patience_s: float) -> float:
        """Test accuracy of a model file."""
        with self._lock:
            accuracy: float = self._request("test", workload, path, problem, patience_s=patience_s)
        return accuracy

    def leave(self, run: WorkerRun) -> None:
        """Put a run into a file, if it is held, so that another worker can go on with it."""
        with self._lock:
            if self._held is run:
                self._leave()

    def forget(self, run: WorkerRun) -> None:
        """A run is closed."""
        with self._lock:
            if self._held is run:
                self._held = None
                if self._process is not None:
                    with contextlib.suppress(ChildProcessError, TimeoutError):
                        self._request("drop", run=run)
            if run.frozen is not None:
                run.frozen.unlink(missing_ok=True)
                run.frozen = None

    def stop(self) -> None:
        """End the process, and delete what it left. May be called twice."""
        with self._lock:
            self._end(kill=False)
            if self._folder is not None and os.getpid() == self._pid:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _leave(self) -> None:
        """Put the run that is held into a file, so that another one can be held."""
        held, self._held = self._held, None
        if held is None or self._process is None:
            return
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ecoml-suspended-"))
        path = self._folder / f"{held.number}"
        self._request("checkpoint", path, run=held)
        held.frozen = path

    def _request(
        self, name: str, *arguments: Any, run: WorkerRun | None = None, patience_s: float | None = None
    ) -> Any:
        """Ask, serve what the worker asks back, and give its answer or raise its error."""
        if run is not None:
            patience_s = run.patience_s
        try:
            connection = self._open()
            connection.send((name, arguments))
            longest_s = 0.0
            while True:
                asked_s = monotonic()
                allowed_s = None if patience_s is None else max(patience_s, _LONGEST_FACTOR * longest_s)
                if not self._incoming.poll(None if allowed_s is None else 1000 * allowed_s):
                    raise TimeoutError(f"no batch was finished within {allowed_s:.0f} s, so the worker was ended")
                message = connection.recv()
                longest_s = max(longest_s, monotonic() - asked_s)
                match message:
                    case ("check_budget",):
                        connection.send(_allowed(run))
                    case ("enter", purpose):
                        if run is not None:
                            run.account.enter(purpose)
                        connection.send(True)
                    case ("done", value):
                        return value
                    case ("raised", pickled, line, trace):
                        break
        except (EOFError, ConnectionError):
            raise ChildProcessError(self._last_words()) from None
        except BaseException:  # a hang, an interruption: what it was doing will not be waited for
            self._end(kill=True)
            raise
        error = _error(pickled, line, trace)
        if isinstance(error, ChildProcessError):  # it lives, but its device does not
            self._end(kill=True)
        raise error

    def _open(self) -> Connection[Any, Any]:
        if self._connection is not None and os.getpid() == self._pid:
            return self._connection
        self._pid = os.getpid()
        ours, theirs = Pipe()
        lifeline, self._lifeline = os.pipe()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from ecoml.training.images.worker.worker import serve;"
            f" serve({theirs.fileno()}, {lifeline})"
        )
        self._process = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a caller's model prints must not get between the lines of --json
            pass_fds=(theirs.fileno(), lifeline),
            env={**_ENVIRONMENT, **os.environ},
        )
        theirs.close()
        os.close(lifeline)
        self._connection, self._held = ours, None
        self._incoming = select.poll()
        self._incoming.register(ours.fileno(), select.POLLIN)
        return ours

    def _last_words(self) -> str:
        """How the worker ended, in one line."""
        process = self._process
        self._end(kill=True)
        code = process.returncode if process is not None else None
        if code is None or code >= 0:
            return f"the training's worker ended by itself (exit code {code})"
        why = " (it was killed from outside, or the host ran out of memory)" if code == -signal.SIGKILL else ""
        return f"the training's worker was ended by {signal.Signals(-code).name}{why}"

    def _end(self, *, kill: bool) -> None:
        process, connection, lifeline = self._process, self._connection, self._lifeline
        self._process = self._connection = self._lifeline = None
        self._held = None
        if connection is not None:
            connection.close()
        if lifeline is not None:
            os.close(lifeline)
        if process is None or os.getpid() != self._pid:
            return
        if not kill:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LEAVING_S)
        process.kill()
        process.wait()  # only now do its CPU seconds count as this process's children's


def _allowed(run: WorkerRun | None) -> bool:
    if run is None:
        return True
    try:
        run.account.check_budget()
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


def _shared() -> Callable[..., TrainingProcess]:
    workers: dict[str | None, TrainingProcess] = {}
    lock = threading.Lock()

    def shared(device: str | None = None) -> TrainingProcess:
        with lock:
            if device not in workers:
                workers[device] = TrainingProcess()
                atexit.register(workers[device].stop)
            return workers[device]

    return shared


shared_worker = _shared()
"""The worker of this process; several trainings, one after the other or in turns, share what it has loaded.

Where trials are trained on several devices at once, each device has its own: `shared_worker("cuda:1")`.
"""
