"""A search driven by `ask` and `tell`: the caller trains the trials."""

from __future__ import annotations

from ecoml.endings import EndReason, SearchEnd, TrialEnd
from ecoml.energy import Purpose
from ecoml.errors import UsageError
from ecoml.format import describe_trial_end
from ecoml.searcher.search import Search
from ecoml.searcher.session import CLOSED
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
        self._refuse_closed()
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

    def tell(self, told: Trial, measurement: Measurement, *, done: bool) -> bool:
        """See `Searcher.tell`."""
        search, trial = self._search, self._running(told)
        try:
            search.record(trial, measurement)
        finally:
            if trial.state.ended:
                self._asked.discard(trial.number)
        if not trial.state.ended:
            if done:
                search.change(trial, TrialState.FINISHED, TrialEnd(EndReason.FINISHED))
            elif search.reached or not search.reserve(trial):
                why = EndReason.TARGET if search.reached else EndReason.BUDGET
                search.change(trial, TrialState.STOPPED, TrialEnd(why))
        if trial.state.ended:
            self._asked.discard(trial.number)
            return False
        search.ledger.enter(Purpose.TRAINING, trial.number)
        return True

    def _refuse_closed(self) -> None:
        if self._search.ledger.closed:
            raise UsageError(CLOSED)

    def _running(self, told: Trial) -> Trial:
        """The search's own trial for one from `ask`, which may have been to another process and back."""
        if told.number not in self._asked:
            trials = self._search.trials
            end = trials[told.number].end if 0 <= told.number < len(trials) else None
            why = "" if end is None else f" ({describe_trial_end(end, self._search.settings.metric)})"
            raise UsageError(
                f"trial {told.number} is not running{why}; tell the result of each trial from ask() once, and further"
                " points of a training while tell(…, done=False) returns True"
            )
        self._refuse_closed()
        trial = self._search.trials[told.number]
        if told.config != trial.config:
            raise UsageError(
                f"trial {told.number} has another configuration in this search; tell a trial from its ask()"
            )
        return trial
