"""A search driven by `ask` and `tell`: the caller trains the trials."""

from __future__ import annotations

from ecoml.endings import EndReason, SearchEnd, TrialEnd
from ecoml.energy import Purpose
from ecoml.errors import UsageError
from ecoml.searcher.search import Search
from ecoml.strategies import Start
from ecoml.trial import Measurement, Trial, TrialState

UNKNOWN_SHARE = 0.1
"""Share of the budget that is reserved for each trial from `ask` while the energy of a trial is unknown."""


class ByHand:
    """The trials from `ask` that have not ended.

    Args:
        search: The search.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._asked: set[int] = set()

    def ask(self) -> Trial | None:
        """See `Searcher.ask`."""
        search, ledger = self._search, self._search.ledger
        if search.ended:
            return None
        if ledger.metered and self._asked:
            raise UsageError(
                f"tell the result of trial {min(self._asked)} first: two trials cannot be metered at the same time"
            )
        unknown_j = UNKNOWN_SHARE * ledger.budget_j
        for number in self._asked:  # with what is known by now
            search.reserve(search.trials[number], unknown_j)
        if self._asked and not ledger.budget.fits(search.steps.new_j(unknown_j)):
            return None
        decision = search.decisions.next()
        if isinstance(decision, SearchEnd):
            if not self._asked:  # else there may be room again when what is under way has been told
                search.end(decision)
            return None
        trial = search.begin(decision) if isinstance(decision, Start) else search.trials[decision.number]
        if not search.reserve(trial, unknown_j):
            search.change(trial, TrialState.STOPPED, TrialEnd(EndReason.BUDGET))
            if not self._asked:
                search.end(search.steps.spent_on(trial))
            return None
        if trial.state is not TrialState.RUNNING:
            search.change(trial, TrialState.RUNNING)
        self._asked.add(trial.number)
        ledger.enter(Purpose.TRAINING, trial.number)
        return trial

    def tell(self, trial: Trial, measurement: Measurement, *, done: bool) -> None:
        """See `Searcher.tell`."""
        search = self._search
        if trial.number not in self._asked:
            raise UsageError(f"trial {trial.number} is not running; tell the result of each trial from ask() once")
        try:
            search.record(trial, measurement)
        finally:
            if trial.state.ended:
                self._asked.discard(trial.number)
        if done and not trial.state.ended:
            search.change(trial, TrialState.FINISHED, TrialEnd(EndReason.FINISHED))
        if trial.state.ended:
            self._asked.discard(trial.number)
        else:
            search.reserve(trial)
            search.ledger.enter(Purpose.TRAINING, trial.number)
