"""Following a search from another terminal, through its run folder: only reads, takes no lock."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from ecoml.energy import Provenance
from ecoml.errors import SearchFailed
from ecoml.report.terminal.progress import PlainLines
from ecoml.report.terminal.status import SHORTEST_POWER_S, FolderStatus
from ecoml.run.storage.in_flight import is_written

LOOK_S = 1.0
"""Shortest time between two readings of the folder."""

READING_SHARE = 0.1
"""Largest share of the time that reading may take, however long the run has become."""


def follow(folder: Path, *, once: bool = False, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show a search until it ends; with `once`, show its current state.

    Raises:
        RunFolderError: The folder is no run folder, or of a newer version.
        SearchFailed: The process of the search was killed: no process writes to the folder.
    """
    source = FolderStatus(folder)
    status = source.status()
    if once and not status.ended and status.provenance is not Provenance.REPORTED and is_written(folder):
        sleep(SHORTEST_POWER_S + 0.1)  # power takes two looks
    if not once and not status.ended:
        try:
            _until_the_end(source, folder, sleep)
        except KeyboardInterrupt:  # ends the watching, not the search
            return
    _print(source)
    if not source.status().ended and not is_written(folder):
        raise SearchFailed(
            f"{folder}: the search was interrupted, and no process here continues it."
            f" Continue with: ecoml resume {folder}"
        )


def _until_the_end(source: FolderStatus, folder: Path, sleep: Callable[[float], None]) -> None:
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.live import Live

        from ecoml.report.terminal.view import view

        with Live(console=Console(), auto_refresh=False, transient=True, vertical_overflow="crop") as screen:
            while True:
                started = time.monotonic()
                status = source.status()
                if status.ended or not is_written(folder):
                    return
                screen.update(view(status), refresh=True)
                _rest(time.monotonic() - started, sleep)
    lines = PlainLines(source, say=lambda line: print(line, flush=True))
    while True:
        started = time.monotonic()
        lines.look()
        if source.status().ended or not is_written(folder):
            lines.look(last=True)
            return
        _rest(time.monotonic() - started, sleep)


def _rest(took_s: float, sleep: Callable[[float], None]) -> None:
    sleep(max(LOOK_S, took_s / READING_SHARE))


def _print(source: FolderStatus) -> None:
    from ecoml.report.terminal.summary import console
    from ecoml.report.terminal.view import view

    console().print(view(source.status()))
