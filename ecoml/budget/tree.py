"""A command and every process that it starts, however often they fork. Linux.

The command gets its own session, and this process adopts orphaned processes (`PR_SET_CHILD_SUBREAPER`). A daemon
therefore remains a descendant: its CPU seconds are counted when it has ended, and it can be ended like the others.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Callable, Collection, Sequence

from ecoml.meter.counters.processes import descendants

_PR_SET_CHILD_SUBREAPER = 36


class ProcessTree:
    """A running command.

    Args:
        command: The command as a list of words; the first is looked up in PATH.
        mask: Signals that are blocked in the command.
        to_stderr: Whether the command's standard output goes to standard error.
        find: Returns the living descendants of a process.

    Raises:
        OSError: The command cannot be started.

    Attributes:
        pid: The command's process number, and its process group's.
        status: The command's exit code, negative for the signal that ended it; None while it runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        mask: Collection[int] = (),
        to_stderr: bool = False,
        find: Callable[[int], set[int]] = descendants,
    ) -> None:
        _adopt_orphans(True)
        self._find = find
        self._others = find(os.getpid())
        self.status: int | None = None
        try:
            self.pid = os.posix_spawnp(
                command[0],
                [*command],
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)] if to_stderr else [],
                setsid=True,
                setsigmask=mask,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them; its children need not
            )
        except OSError:
            self.close()
            raise

    def living(self) -> set[int]:
        """The processes that have not ended; those that have are reaped first.

        While one ended, its children may have been missed; once it is reaped, they are this process's own.
        """
        found = self._find(os.getpid()) - self._others
        ended = {pid for pid in found if self._has_ended(pid)}
        return self.living() if ended else found

    def _has_ended(self, pid: int) -> bool:
        with contextlib.suppress(ChildProcessError):  # another's child, to be collected by that one
            collected, status = os.waitpid(pid, os.WNOHANG)
            if collected == self.pid:
                self.status = os.waitstatus_to_exitcode(status)
            return bool(collected)
        return False

    def pass_on(self, number: int) -> None:
        """Send a signal to the command's process group, as a terminal does."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def send_all(self, number: int) -> set[int]:
        """Send a signal to every process; returns the processes that were running."""
        found = self.living()
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        return found

    def close(self) -> None:
        """Stop adopting orphaned processes."""
        _adopt_orphans(False)


def _adopt_orphans(adopt: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)
