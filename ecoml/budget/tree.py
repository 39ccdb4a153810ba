"""A command and every process that it starts, however far they fork away: found, signalled, waited for. Linux.

The command gets a session of its own, and this process adopts what loses its parent (`PR_SET_CHILD_SUBREAPER`): a
daemon stays a descendant, its CPU seconds are counted when it has ended, and it can be ended like the rest.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Collection, Sequence

from ecoml.meter.counters.processes import descendants

_PR_SET_CHILD_SUBREAPER = 36


class ProcessTree:
    """A command that runs.

    Args:
        command: Its words; the first is looked up in the path.
        mask: Signals that are blocked in it.
        to_stderr: Whether its standard output goes to standard error.

    Raises:
        OSError: It cannot be started.

    Attributes:
        pid: Of the command; its process group has the same number.
        status: The command's exit code, negative for the signal that ended it; None while it runs.
    """

    def __init__(self, command: Sequence[str], *, mask: Collection[int] = (), to_stderr: bool = False) -> None:
        _adopt_orphans(True)
        self._others = descendants(os.getpid())
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
        """Those that have not ended, after collecting those that have."""
        found = descendants(os.getpid()) - self._others
        for pid in [*found]:
            with contextlib.suppress(ChildProcessError):  # another's child, to be collected by that one
                collected, status = os.waitpid(pid, os.WNOHANG)
                if collected:
                    found.discard(pid)
                if collected == self.pid:
                    self.status = os.waitstatus_to_exitcode(status)
        return found

    def pass_on(self, number: int) -> None:
        """Send a signal to the command's process group, as a terminal does."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def send_all(self, number: int) -> set[int]:
        """Send a signal to every process; gives those that were there."""
        found = self.living()
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        return found

    def close(self) -> None:
        """Adopt nobody any more."""
        _adopt_orphans(False)


def _adopt_orphans(adopt: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)
