"""The account of a command that ran under a budget, for a terminal."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
import textwrap

from ecoml.budget.command import CommandAccount
from ecoml.format import MEANING, describe_spent, duration, fold_gaps, format_energy, format_figure, plural


def print_account(account: CommandAccount) -> None:
    """Print how the command ended and its energy on standard error, as standard output belongs to the command."""
    width = min(100, shutil.get_terminal_size().columns)
    for line in _lines(account):
        print(textwrap.fill(line, width, subsequent_indent="    ", break_long_words=False), file=sys.stderr)


def _lines(account: CommandAccount) -> list[str]:
    total = account.energy.total
    lines = [
        f"{shlex.join(account.command)}: {_how_it_ended(account)}, after {duration(account.seconds)}",
        f"Energy: {describe_spent(total, account.budget_j)}",
    ]
    if len(account.energy.domains) > 1:
        lines += [
            f"  {domain}  {format_figure(part)} ({part.provenance})" for domain, part in account.energy.domains.items()
        ]
    if account.grace_j > 0:
        lines.append(f"  {format_energy(account.grace_j)} of it after ecoml noticed that the budget was spent")
    if account.unmeasured:
        lines.append(f"{total.provenance}: {MEANING[total.provenance]} (`ecoml meters` says how to measure)")
    lines += [f"gap: {gap}" for gap in fold_gaps(account.energy.gaps) if gap not in account.unmeasured]
    if account.left:
        lines.append(f"still running: {', '.join(map(str, account.left))} could not be ended")
    return lines


def _how_it_ended(account: CommandAccount) -> str:
    if account.status is None:
        own = "not to be ended"
    elif account.status < 0:
        own = f"ended by {signal.Signals(-account.status).name}"
    else:
        own = f"exit code {account.status}"
    if not account.stopped:
        return own
    killed = f", {plural(account.killed, 'process')} killed" if account.killed else ""
    return f"stopped at its budget ({own}{killed})"
