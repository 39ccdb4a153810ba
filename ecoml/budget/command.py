"""A command under a hard energy budget.

    open the meter → start the command → meter its process tree → SIGTERM at the budget → wait → SIGKILL

Signals are blocked and taken one at a time (`sigtimedwait`), so that none is lost and none arrives at a bad moment. The
budget covers all processes of the tree. Processes that are still running after the command has ended stay under the
budget.
"""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ecoml.budget.spending import LONGEST_BLIND_S, Spending
from ecoml.budget.tree import ProcessTree
from ecoml.energy import J_PER_KWH, EnergyByDomain
from ecoml.errors import UsageError
from ecoml.format import plural
from ecoml.meter import open_meter
from ecoml.meter.base import Meter
from ecoml.meter.required import refuse_unmeasured, what_is_unmeasured

STOPPED = 124
"""Exit code when the budget ended the command, the same as timeout(1) uses."""

GRACE_S = 10.0
"""Seconds between SIGTERM and SIGKILL."""

GIVE_UP_S = 10.0
"""Processes that SIGKILL has not ended after this time (another user's, or waiting for a disk) are named and left
alone.
"""

_RETRY_S = 0.05

_SOON_S = 1.0
"""Processes that end this soon after the command are not mentioned."""

_PASSED_ON = {
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH),
}
_TAKEN = {*_PASSED_ON, signal.SIGCHLD, signal.SIGTSTP}


@dataclass(frozen=True, slots=True)
class CommandAccount:
    """The account of a command.

    Attributes:
        command: The command as a list of words.
        status: The command's exit code, negative for the signal that ended it; None if it could not be ended.
        stopped: Whether the budget ended the command, or processes that the command left running.
        energy: The energy that was spent, by domain.
        budget_j: The budget.
        grace_j: Joules spent after ecoml noticed that the budget was spent.
        seconds: Duration until the last process had ended.
        killed: Number of processes that SIGKILL ended.
        left: Processes that could not be ended.
        unmeasured: Why the energy is not measured: one sentence per reason, each with its remedy.
    """

    command: tuple[str, ...]
    status: int | None
    stopped: bool
    energy: EnergyByDomain
    budget_j: float
    grace_j: float
    seconds: float
    killed: int
    left: tuple[int, ...]
    unmeasured: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """The exit code for the shell: `STOPPED` at the budget; else the command's own, or 128 + n if signal n ended
        it.
        """
        if self.stopped or self.status is None:
            return STOPPED
        return self.status if self.status >= 0 else 128 - self.status

    def to_dict(self) -> dict[str, Any]:
        """The account as a JSON object."""
        total = self.energy.total
        return {
            "command": list(self.command),
            "stopped_by_budget": self.stopped,
            "command_status": self.status,
            "exit_code": self.exit_code,
            **total.to_dict(),
            "energy_kwh": total.energy_j / J_PER_KWH,
            "budget_j": self.budget_j,
            "left_j": max(0.0, self.budget_j - total.energy_j),
            "after_the_budget_j": self.grace_j,
            "by_domain": {domain: part.to_dict() for domain, part in self.energy.domains.items()},
            "seconds": self.seconds,
            "killed": self.killed,
            "still_running": list(self.left),
            "gaps": list(self.energy.gaps),
            "unmeasured": list(self.unmeasured),
        }


def run_command(
    command: Sequence[str],
    budget_j: float,
    *,
    grace_s: float = GRACE_S,
    to_stderr: bool = False,
    require_measured: bool = False,
    meter: Meter | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> CommandAccount:
    """Run a command until it and all processes it started have ended, or until the budget is spent.

    Args:
        command: The command as a list of words.
        budget_j: The budget in joules.
        grace_s: Seconds between SIGTERM and SIGKILL.
        to_stderr: Whether the command's standard output goes to standard error.
        require_measured: Refuse to run if the energy can only be estimated.
        meter: Your own meter; default: this host's.
        say: A function that receives each message, one line at a time.

    Raises:
        UsageError: The command cannot be started; `exit_code` is 127 if the command does not exist, else 126.
        MeterError: The energy could only be estimated, and `require_measured` is set.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)  # before the meter's threads, which inherit it
    mine = None
    try:
        meter = meter or (mine := open_meter())
        if require_measured:
            refuse_unmeasured(meter)
        spending = Spending(meter, budget_j)
        run = _Run(_start(command, before, to_stderr), spending, grace_s, say, shlex.quote(command[0]))
        try:
            run.until_all_have_ended()
        finally:
            run.tree.close()
        spending.close()
        energy = spending.read()
        return CommandAccount(
            command=tuple(command),
            status=run.tree.status,
            stopped=run.spent_j is not None,
            energy=energy,
            budget_j=budget_j,
            grace_j=0.0 if run.spent_j is None else energy.energy_j - run.spent_j,
            seconds=spending.seconds,
            killed=len(run.killed),
            left=tuple(sorted(run.left)),
            unmeasured=what_is_unmeasured(meter),
        )
    finally:
        if mine is not None:
            mine.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class CommandError(UsageError):
    """A command that cannot be started, with the exit code that shells use for this."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _start(command: Sequence[str], mask: Collection[int], to_stderr: bool) -> ProcessTree:
    try:
        return ProcessTree(command, mask=mask, to_stderr=to_stderr)
    except FileNotFoundError:
        raise CommandError(f"there is no command {command[0]!r}; give one as you would type it", 127) from None
    except OSError as error:
        raise CommandError(f"{command[0]} cannot be started: {error.strerror}", 126) from None


class _Run:
    """A running process tree, and what the budget did to it.

    Attributes:
        tree: The process tree.
        spent_j: Joules spent when ecoml noticed that the budget was spent; None before.
        killed: Number of processes that SIGKILL ended.
        left: Processes that could not be ended.
    """

    def __init__(
        self, tree: ProcessTree, spending: Spending, grace_s: float, say: Callable[[str], None], name: str
    ) -> None:
        self.tree = tree
        self.spent_j: float | None = None
        self.killed: set[int] = set()
        self.left: set[int] = set()
        self._spending, self._grace_s, self._say, self._name = spending, grace_s, say, name
        self._kill_s = self._give_up_s = float("inf")
        self._ended_s: float | None = None
        self._told_of_rest = False

    def until_all_have_ended(self) -> None:
        while living := self.tree.living():
            now_s = time.monotonic()
            if now_s >= self._give_up_s:
                self.left = living
                return
            if now_s >= self._kill_s:
                self.killed |= self.tree.send_all(signal.SIGKILL)
            elif self.spent_j is None and self._spending.exhausted():
                self._ask_to_end(living, now_s)
            elif self.spent_j is None:
                self._tell_of_rest(living, now_s)
            self._take_signal(now_s)

    def _tell_of_rest(self, living: set[int], now_s: float) -> None:
        """Say once that the command has ended while processes it started are still running."""
        if self.tree.status is None or self._told_of_rest:
            return
        self._ended_s = self._ended_s or now_s
        if now_s >= self._ended_s + _SOON_S:
            self._told_of_rest = True
            self._say(f"{self._name} has ended; processes it started ({_processes(living)}) continue under the budget")

    def _ask_to_end(self, living: set[int], now_s: float) -> None:
        self.spent_j = self._spending.read().energy_j
        self._kill_s = now_s + self._grace_s
        self._give_up_s = self._kill_s + GIVE_UP_S
        self._say(
            f"the energy budget is spent; sent SIGTERM to {_processes(living)}; SIGKILL follows in {self._grace_s:g} s"
        )
        self.tree.send_all(signal.SIGTERM)
        self.tree.send_all(signal.SIGCONT)  # what was stopped cannot end

    def _take_signal(self, now_s: float) -> None:
        """Wait for a signal until the next action is due, and pass the signal on."""
        if self.spent_j is None:
            wait_s = min(self._spending.due_s(), LONGEST_BLIND_S)
        else:
            wait_s = max(_RETRY_S, min(self._kill_s - now_s, LONGEST_BLIND_S))
        taken = signal.sigtimedwait(_TAKEN, wait_s)
        if taken is None:
            return
        if taken.si_signo in _PASSED_ON:
            self.tree.pass_on(taken.si_signo)
        elif taken.si_signo == signal.SIGTSTP:  # what has a session of its own ignores it: all stop, and go on together
            self.tree.send_all(signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            self.tree.send_all(signal.SIGCONT)


def _processes(living: set[int]) -> str:
    return plural(len(living), "process")
