"""Counts failures in a row, and decides when there are too many."""

from __future__ import annotations

from collections.abc import Sequence

from ecoml.endings import SearchEnd, StopReason, TrialEnd
from ecoml.trial import Trial

FAILED_IN_A_ROW = 20
"""After this many failed trials in a row the search ends, because the cause is probably not the configurations."""

FAILED_ALIKE = 3
"""This many equal failures suffice if nothing has been measured at all."""


class Failures:
    """The failures since the last measurement.

    Args:
        trials: All trials of the search; the sequence grows.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = trials
        self._ends: list[TrialEnd] = []

    def add(self, end: TrialEnd) -> None:
        """A trial has failed."""
        self._ends.append(end)

    def clear(self) -> None:
        """A measurement succeeded."""
        self._ends.clear()

    @property
    def nothing_measured(self) -> bool:
        """Whether there is no measurement yet, so that every trial is affected by the current fault."""
        return not any(trial.curve for trial in self._trials)

    def end(self) -> SearchEnd | None:
        """The end of the search if there are too many failures; fewer are enough if nothing was measured at all."""
        last = self._ends[-FAILED_ALIKE:]
        alike = len(last) == FAILED_ALIKE and all(end == last[0] for end in last) and self.nothing_measured
        failed = last if alike else self._ends if len(self._ends) >= FAILED_IN_A_ROW else []
        return SearchEnd(StopReason.FAILURES, {"trials": len(failed), "last": failed[-1].to_dict()}) if failed else None
