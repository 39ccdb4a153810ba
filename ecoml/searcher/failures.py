"""Failures in a row, and when they are too many to go on."""

from __future__ import annotations

from ecoml.endings import SearchEnd, StopReason, TrialEnd

FAILED_IN_A_ROW = 20
"""After so many failed trials in a row the search ends: something other than the configurations is wrong."""

FAILED_ALIKE = 3
"""So many that fail alike are enough, as long as nothing at all has been measured."""


class Failures:
    """How trials have failed since the last measurement."""

    def __init__(self) -> None:
        self._ends: list[TrialEnd] = []

    def add(self, end: TrialEnd) -> None:
        """A further trial has failed."""
        self._ends.append(end)

    def clear(self) -> None:
        """Something was measured."""
        self._ends.clear()

    def end(self, *, nothing_measured: bool) -> SearchEnd | None:
        """Why the search is over, if they are too many; fewer are where nothing at all was measured."""
        last = self._ends[-FAILED_ALIKE:]
        alike = len(last) == FAILED_ALIKE and all(end == last[0] for end in last) and nothing_measured
        failed = last if alike else self._ends if len(self._ends) >= FAILED_IN_A_ROW else []
        return SearchEnd(StopReason.FAILURES, {"trials": len(failed), "last": failed[-1].to_dict()}) if failed else None
