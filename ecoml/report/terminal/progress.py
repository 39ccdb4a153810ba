"""A search while it runs: a live view in a terminal, few plain lines elsewhere. Both write to standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ecoml.energy import format_energy
from ecoml.report.terminal.status import LiveStatus, Status, StatusSource
from ecoml.report.terminal.words import percent, steps
from ecoml.run.result import recommend
from ecoml.searcher.loop import Loop
from ecoml.trial import Trial

REFRESHES_PER_S = 1.0
"""Drawing costs energy too: once a second is enough for a person."""

SHORTEST_SILENCE_S = 0.5
"""Plain lines come no faster than this."""

LONGEST_SILENCE_S = 60.0
"""After so long a trial that ends is worth a line, whatever came of it."""

SHARE_OF_BUDGET = 0.1
"""And so it is whenever so much more of the budget is spent."""


@contextmanager
def show(search: Loop) -> Iterator[None]:
    """Show a search while the context is open."""
    for why in search.ledger.unmeasured:
        print(f"energy is {search.ledger.provenance} here: {why}", file=sys.stderr, flush=True)
    for note in search.notes:
        print(note, file=sys.stderr, flush=True)
    source = LiveStatus(search)
    if sys.stderr.isatty():
        with live(source):
            yield
    else:
        lines = PlainLines(source)

        def changed(trial: Trial) -> None:
            if trial.state.ended:
                lines.look()

        search.listeners.append(changed)
        yield
        lines.look(last=True)


@contextmanager
def live(source: StatusSource) -> Iterator[None]:
    """A view that stays in place and is drawn anew once a second, to the width that the terminal then has."""
    from rich.console import Console
    from rich.live import Live

    from ecoml.report.terminal.view import view

    with Live(
        get_renderable=lambda: view(source.status()),
        console=Console(stderr=True),
        refresh_per_second=REFRESHES_PER_S,
        transient=True,
        vertical_overflow="crop",
    ):
        yield


class PlainLines:
    """A line when the best gets better, a trial fails, a tenth of the budget is gone, or a minute has passed.

    A log of a long search stays short, and shows that it is getting on.
    """

    def __init__(
        self,
        source: StatusSource,
        *,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._say = say
        self._clock = clock
        self._said_at = -LONGEST_SILENCE_S
        self._said_spent_j = 0.0
        self._best: tuple[int, int] | None = None
        self._ended: set[int] | None = None

    def look(self, *, last: bool = False) -> None:
        """Say what is new, if it is worth a line; everything that is new, if nothing more will come."""
        status = self._source.status()
        ended = {trial.number for trial in status.trials if trial.state.ended}
        if self._ended is None:  # what an earlier sitting did is no news
            self._ended = set() if len(ended) <= 1 else ended
        new = sorted(ended - self._ended)
        if not new:
            return
        now = self._clock()
        if not last and not (now - self._said_at >= SHORTEST_SILENCE_S and self._is_news(status, new, now)):
            return
        self._say(self._line(status, status.trials[new[-1]], len(new) - 1))
        self._said_at, self._said_spent_j, self._ended = now, status.spent_j, ended
        self._best = _of(recommend(status.front))

    def _is_news(self, status: Status, new: list[int], now: float) -> bool:
        return (
            now - self._said_at >= LONGEST_SILENCE_S
            or status.spent_j - self._said_spent_j >= SHARE_OF_BUDGET * status.budget_j
            or _of(recommend(status.front)) != self._best
            or any(status.trials[number].state == "failed" for number in new)
        )

    @staticmethod
    def _line(status: Status, trial: Trial, others: int) -> str:
        why = f": {trial.failure}" if trial.failure else ""
        best = recommend(status.front)
        told = [
            f"trial {trial.number:>3}  {percent(trial.score):>8}  {format_energy(trial.energy_j):>8}"
            f"  {steps(trial, status.step_name)}, {trial.state}{why}"
        ]
        if others:
            told.append(f"and {others} before it")
        if best is not None and best.number != trial.number:
            told.append(f"best {percent(best.score)} for {format_energy(best.energy_j)}, trial {best.number}")
        told.append(f"spent {format_energy(status.spent_j)} of {format_energy(status.budget_j)} ({status.provenance})")
        return "  | ".join(told)


def _of(trial: Trial | None) -> tuple[int, int] | None:
    return None if trial is None else (trial.number, trial.step)
