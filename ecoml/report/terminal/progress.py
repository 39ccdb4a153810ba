"""A running search: a live view in a terminal or notebook, and a few plain lines elsewhere.

The lines are records of the logger `ecoml`, at level INFO. Without a handler they go to standard error.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ecoml.format import (
    describe_ceiling,
    describe_data,
    describe_plan,
    describe_reach,
    describe_search_end,
    describe_spent,
    describe_trial,
    describe_warm_start,
    format_energy,
    format_score,
    plural,
)
from ecoml.report.terminal.notebook import in_notebook, in_place
from ecoml.report.terminal.status import LiveStatus, Status, StatusSource
from ecoml.run.folder import read_settings
from ecoml.run.result import Result
from ecoml.searcher.energy.waiting import CleanWait
from ecoml.searcher.search import Search
from ecoml.trial import Trial, TrialState

REFRESHES_PER_S = 1.0
"""Seconds between two drawings: drawing costs energy, and once a second is enough for a person."""

SILENCE_S = 0.5, 60.0
"""The shortest time between two plain lines; and the longest, even if nothing has happened."""

SHARE_OF_BUDGET = 0.1
"""There is also a line whenever this share of the budget has been spent."""

log = logging.getLogger("ecoml")


@contextmanager
def show(search: Search) -> Iterator[None]:
    """Show a search while the context is open."""
    source = LiveStatus(search)
    with _heard():
        for why in search.ledger.unmeasured:
            log.info("energy is %s here: %s", search.ledger.provenance, why)
        settings = read_settings(search.ledger.path)
        for sentence in describe_data(settings["data"], search.settings.metric) if "data" in settings else ():
            log.info("%s", sentence)
        if search.settings.warm_start is not None:
            log.info(describe_warm_start(settings["warm_start"], settings["run"]["strategy"]))
        for line in _plan(search):
            log.info("%s", line)
        _say_reach(search)
        if in_notebook():
            shown = in_place(source)
        elif sys.stderr and sys.stderr.isatty():
            shown = _live(source)
        else:
            shown = in_lines(search, PlainLines(source))
        with shown:
            yield


def _plan(search: Search) -> Iterator[str]:
    """The savings that waiting for a cleaner grid is expected to give."""
    limits = search.settings.limits
    if isinstance(search.wait, CleanWait) and limits.when_clean_g_per_kwh is not None:
        yield from describe_plan(list(search.wait.plan()), limits.when_clean_g_per_kwh, limits.until_s)


def _say_reach(search: Search) -> None:
    """Print what the budget buys: at most, from arithmetic alone, and approximately, once a first step is measured."""
    lasting, metric = search.steps.lasting, search.settings.metric
    if lasting is None or any(trial.curve for trial in search.trials):
        return
    if search.steps.floored is not None and (default := search.settings.space.default) is not None:
        steps = lasting.steps(default)
        if (floor_j := search.steps.floored.floor_j(default, steps)) is not None and floor_j > 0:
            for sentence in describe_ceiling(floor_j, search.ledger.left_j):
                log.info("%s", sentence)

    def measured(trial: Trial) -> None:
        if trial.curve:
            search.listeners.remove(measured)
            for sentence in describe_reach(trial.curve[0], lasting.steps(trial.config), search.ledger.left_j, metric):
                log.info("%s", sentence)

    search.listeners.append(measured)


def close(result: Result) -> None:
    """Print the result of a search in a few lines."""
    best, spent = result.recommended, describe_spent(result.energy.total, result.energy.budget_j)
    with _heard():
        if best is not None:
            log.info("recommended: %s", describe_trial(best, result.metric))
        if result.ended is not None:
            log.info("spent %s; %s", spent, describe_search_end(result.ended, result.metric))
        trials, where = plural(len(result.trials), "trial"), result.directory
        log.info("%s, %d of them on the front; in %s (`ecoml report` makes its page)", trials, _on_front(result), where)


def _on_front(result: Result) -> int:
    return len({trial.number for trial in result.front})


@contextmanager
def _heard() -> Iterator[None]:
    """While the context is open, records reach the existing handlers, or else standard error.

    A level that the user set for the logger is respected, so that the lines can be silenced.
    """
    handler, level = None if log.hasHandlers() else logging.StreamHandler(), log.level
    if handler is not None:
        log.addHandler(handler)
    if level == logging.NOTSET:
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        if handler is not None:
            log.removeHandler(handler)


@contextmanager
def _live(source: StatusSource) -> Iterator[None]:
    """A view that stays in place and is redrawn once a second, in the current width of the terminal."""
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


@contextmanager
def in_lines(search: Search, lines: PlainLines) -> Iterator[None]:
    """Print lines when a trial ends, and when there was none for long; print all remaining news at the end."""

    def ended(trial: Trial) -> None:
        if trial.state.ended:
            lines.look()

    def look_now_and_then() -> None:
        while not over.wait(lines.due_in_s()):
            lines.look()

    search.listeners.append(ended)
    over = threading.Event()
    watch = threading.Thread(target=look_now_and_then, name="ecoml-progress", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()
    lines.look(last=True)


class PlainLines:
    """Lines for a changed recommendation, a failed trial, a tenth of the budget, or a minute without a line.

    The log of a long search stays short, and shows that the search is running. Thread-safe.

    Args:
        source: The search.
        say: Prints a line.
        clock: Returns seconds.
        silence_s: The shortest and the longest time between two lines.
    """

    def __init__(
        self,
        source: StatusSource,
        *,
        say: Callable[[str], None] = log.info,
        clock: Callable[[], float] = time.monotonic,
        silence_s: tuple[float, float] = SILENCE_S,
    ) -> None:
        self._source = source
        self._say = say
        self._clock = clock
        self._lock = threading.Lock()
        self._shortest_s, self._longest_s = silence_s
        self._said_at = clock() - self._shortest_s
        self._said_spent_j = 0.0
        self._recommended: tuple[int, int] | None = None
        self._ended: set[int] | None = None

    def due_in_s(self) -> float:
        """Seconds until a line is due."""
        return max(self._shortest_s, self._said_at + self._longest_s - self._clock())

    def look(self, *, last: bool = False) -> None:
        """Print the news if it is worth a line; with `last`, print all news."""
        with self._lock:
            status, now = self._source.status(), self._clock()
            ended = {trial.number for trial in status.trials if trial.state.ended}
            if self._ended is None:  # what an earlier session did is no news
                self._ended = set() if len(ended) <= 1 else ended
            new = sorted(ended - self._ended)
            if not (new if last else self._is_worth_a_line(status, new, now)):
                return
            self._say(self._line(status, status.trials[new[-1]] if new else status.current, len(new) - 1))
            self._said_at, self._said_spent_j, self._ended = now, status.spent_j, ended
            self._recommended = _of(status.recommended)

    def _is_worth_a_line(self, status: Status, new: list[int], now: float) -> bool:
        silent_s = now - self._said_at
        if silent_s >= self._longest_s:
            return True
        return (
            bool(new)
            and silent_s >= self._shortest_s
            and (
                status.spent_j - self._said_spent_j >= SHARE_OF_BUDGET * status.budget_j
                or _of(status.recommended) != self._recommended
                or any(status.trials[number].state is TrialState.FAILED for number in new)
            )
        )

    @staticmethod
    def _line(status: Status, trial: Trial | None, others: int) -> str:
        metric, told, best = status.metric, [], status.recommended
        if trial is not None:
            told.append(
                f"trial {trial.number:>3}  {format_score(metric, trial.score):>8}  {format_energy(trial.energy_j):>8}"
                f"  {plural(trial.step, metric.step)}, {status.doing(trial)}"
            )
        if others > 0:
            told.append(f"and {others} before it")
        if best is not None and (trial is None or best.number != trial.number):
            score, energy = format_score(metric, best.score), format_energy(best.energy_j)
            told.append(f"recommended {score} for {energy}, trial {best.number}")
        told.append(f"spent {format_energy(status.spent_j)} of {format_energy(status.budget_j)} ({status.provenance})")
        return "  | ".join(told)


def _of(trial: Trial | None) -> tuple[int, int] | None:
    return None if trial is None else (trial.number, trial.step)
