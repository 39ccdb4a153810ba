"""The status of a search at one moment, from the search itself or from its run folder."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from ecoml.endings import SearchEnd
from ecoml.energy import Provenance
from ecoml.format import describe_ending
from ecoml.metric import Metric
from ecoml.run.folder import LEDGER, read_settings
from ecoml.run.result import metric_of, recommend, result_of
from ecoml.run.storage.in_flight import read_in_flight_j
from ecoml.run.storage.snapshot import read_snapshot
from ecoml.searcher.search import Search
from ecoml.trial import Trial, TrialState

POWER_OVER_S = 10.0
"""Length of the power average in seconds: readings come once a second, so it is at most a tenth off."""

SHORTEST_POWER_S = 2.5
"""Over a shorter time the figure would depend on the heartbeat more than on the host."""


_RESERVED = ("reserved_j", "closing_j")


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a search.

    Attributes:
        budget_j: The budget.
        spent_j: Joules spent so far.
        reserved_j: Joules reserved for the current step and for the end of the search.
        provenance: Provenance of the joules.
        power_w: Mean power of the last seconds, of all metered domains; None if unknown.
        trials: All trials, in order.
        order: The trial of every measurement, in order.
        current: The trial that is being trained, or was trained last; None before the first.
        front: The current front.
        metric: The metric of the scores.
        ended: Why the search ended; None while it runs.
        hosts_j: Joules by host, for a search on several hosts; `driver` is the host that runs the loop.
        chosen: The recommendation of an ended search; None before.
    """

    budget_j: float
    spent_j: float
    reserved_j: float
    provenance: Provenance
    power_w: float | None
    trials: Sequence[Trial]
    order: Sequence[int]
    current: Trial | None
    front: Sequence[Trial]
    metric: Metric
    ended: SearchEnd | None
    hosts_j: Mapping[str, float] = field(default_factory=dict)
    chosen: Trial | None = None

    @property
    def left_j(self) -> float:
        """Joules not yet reserved for anything."""
        return max(0.0, self.budget_j - self.spent_j - self.reserved_j)

    @property
    def recommended(self) -> Trial | None:
        """The recommendation of an ended search; before the end the best of the front, if any."""
        return self.chosen or recommend(self.front)

    def doing(self, trial: Trial) -> str:
        """The state of a trial in words: `new`, `resumed` (continued after other trials), or how it ended."""
        if trial.state is not TrialState.RUNNING:
            return describe_ending(trial, self.metric)
        straight = sum(1 for _ in takewhile(lambda number: number == trial.number, reversed(self.order)))
        return "new" if straight == trial.step else "resumed"

    @property
    def trial_j(self) -> float | None:
        """Mean joules per trial so far, everything included; None before three trials have ended, or without any
        joule.
        """
        ended = sum(trial.state.ended for trial in self.trials)
        return (self.spent_j / ended if ended >= 3 else 0.0) or None


class StatusSource(Protocol):
    """The source of a status."""

    def status(self) -> Status:
        """The current status of the search."""


class LiveStatus:
    """The status of a search in this process."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._order = [number for trial in search.trials for number in [trial.number] * trial.step]
        self._steps = {trial.number: trial.step for trial in search.trials}
        self._front: tuple[int, tuple[Trial, ...]] = (-1, ())
        self._power = Power()
        search.listeners.append(self._changed)

    def status(self) -> Status:
        search, ledger = self._search, self._search.ledger
        if self._front[0] != len(self._order):
            self._front = len(self._order), search.front
        metered = ledger.provenance is not Provenance.REPORTED
        return Status(
            budget_j=ledger.budget_j,
            spent_j=ledger.spent_j,
            reserved_j=0.0 if search.ended else ledger.budget.steps.total_j() + ledger.budget.closing_j,
            provenance=ledger.provenance,
            power_w=self._power.after(ledger.spent_j) if metered else None,
            trials=search.trials,
            order=tuple(self._order),
            current=search.current,
            front=self._front[1],
            metric=search.settings.metric,
            ended=search.ended,
            hosts_j=ledger.by_host_j,
        )

    def _changed(self, trial: Trial) -> None:
        new = trial.step - self._steps.get(trial.number, 0)
        self._order.extend([trial.number] * new)
        self._steps[trial.number] = trial.step


class FolderStatus:
    """The status of a run folder; another process may be writing to it. Only reads, and takes no lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._spent_j = 0.0
        self._power = Power()

    def status(self) -> Status:
        """The current status of the search.

        Raises:
            RunFolderError: The folder is no run folder, or of a newer version.
        """
        ledger = self._folder / LEDGER
        settings = read_settings(self._folder)
        snapshot = read_snapshot(ledger, metric_of(settings))
        result = result_of(snapshot, settings, self._folder)
        # Between the two readings a step may be settled: then its joules are in neither, for this once.
        spent_j = result.energy.total_j + read_in_flight_j(ledger)
        self._spent_j = max(self._spent_j, spent_j)
        order = [entry.trial for entry in result.progress]
        provenance = result.energy.provenance
        moving = result.ended is None and provenance is not Provenance.REPORTED
        return Status(
            budget_j=result.energy.budget_j,
            spent_j=self._spent_j,
            reserved_j=0.0 if result.ended else math.fsum(snapshot.settings.get(key, 0.0) for key in _RESERVED),
            provenance=provenance,
            power_w=self._power.after(self._spent_j) if moving else None,
            trials=result.trials,
            order=order,
            current=_current(result.trials, order),
            front=result.front,
            metric=result.metric,
            ended=result.ended,
            chosen=result.recommended if result.ended else None,
            hosts_j={host: part.energy_j for host, part in result.energy.by_host.items()},
        )


class Power:
    """Mean power over the last seconds, from the energy spent at each call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looks: deque[tuple[float, float]] = deque()

    def after(self, spent_j: float) -> float | None:
        """Watts, given the energy spent by now; None while there are too few data."""
        now = self._clock()
        self._looks.append((now, spent_j))
        while len(self._looks) > 2 and now - self._looks[1][0] >= POWER_OVER_S:
            self._looks.popleft()
        since, before_j = self._looks[0]
        return (spent_j - before_j) / (now - since) if now - since >= SHORTEST_POWER_S else None


def _current(trials: Sequence[Trial], order: Sequence[int]) -> Trial | None:
    running = next((trial for trial in reversed(trials) if trial.state is TrialState.RUNNING), None)
    if running is not None or not trials:
        return running
    return trials[order[-1]] if order else trials[-1]
