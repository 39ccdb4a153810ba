"""The loop, over one worker or several.

    fill the idle workers: decide → begin → reserve → advance
    for each step that has ended: take → record → tell the strategy → continue, suspend or stop

A strategy is asked for as many decisions as there are idle workers. If it has nothing to propose while trials run
(`End`, or no budget for a further one), it is asked again when one of them has left its worker.
"""

from __future__ import annotations

from contextlib import suppress

from ecoml.endings import EndReason, SearchEnd, StopReason, TrialEnd
from ecoml.energy import Purpose
from ecoml.errors import EcomlError
from ecoml.searcher.search import Outcome, Search
from ecoml.searcher.workers import Seat, Stepper
from ecoml.strategies import Start
from ecoml.trial import Trial, TrialState

FINAL = (StopReason.TARGET_REACHED, StopReason.EXHAUSTED, StopReason.NOT_WORTH_IT)
"""After these reasons no new trial is started, whatever the outcome of the running trials."""


class Loop:
    """Advances the trials of a search until it ends.

    Args:
        search: The search.
        stepper: Advances runs on its workers.
    """

    def __init__(self, search: Search, stepper: Stepper) -> None:
        self._search = search
        self._stepper = stepper
        self._next: tuple[Trial, int | None] | None = None  # decided, and waiting for room in the budget

    def run(self) -> SearchEnd:
        """Search until it ends; returns why it ended."""
        with self._stepper.open():
            try:
                while True:
                    end = self._fill()
                    if end is not None and not self._busy:
                        return end
                    if end is not None and end.reason in FINAL:
                        self._stepper.rest(self._idle)
                    for seat, outcome in self._stepper.ended():
                        if (end := self._settle(seat, outcome)) is not None:
                            return end
                    if self._search.reached:
                        self._recall(EndReason.TARGET)
            except BaseException:
                self._recall(EndReason.INTERRUPTED)
                self._drain()
                raise

    @property
    def _busy(self) -> list[Seat]:
        return [seat for seat in self._stepper.seats if seat.trial is not None]

    @property
    def _idle(self) -> list[Seat]:
        return [seat for seat in self._stepper.seats if seat.trial is None and not seat.gone]

    def _fill(self) -> SearchEnd | None:
        """Give every idle worker a trial, if possible; returns why there is no further one."""
        while idle := self._idle:
            if self._next is None or self._search.reached:
                decision = self._search.decisions.next()
                if isinstance(decision, SearchEnd):
                    return decision
                if isinstance(decision, Start):
                    self._next = self._search.begin(decision), decision.steps
                else:
                    self._next = self._search.trials[decision.number], decision.steps
            trial, steps = self._next
            seat = self._stepper.seat_for(self._search.runs.get(trial.number), idle)
            if seat is None:
                return None  # the worker that holds it is at another trial
            if (end := self._assign(seat, trial, steps)) is not None:
                return end
        return None

    def _assign(self, seat: Seat, trial: Trial, steps: int | None) -> SearchEnd | None:
        """Continue a trial on a worker; returns why this is not possible, or None."""
        if not self._search.reserve(trial):
            if not self._busy:
                self._next = None
                self._search.change(trial, TrialState.STOPPED, TrialEnd(EndReason.BUDGET))
            return self._search.steps.spent_on(trial)
        self._next, self._search.current = None, trial
        run = self._search.runs.get(trial.number)
        if run is None:
            self._search.runs[trial.number] = run = seat.worker.start(trial, seat.account)
        else:
            seat.worker.take_over(run, seat.account)
        if trial.state is not TrialState.RUNNING:
            self._search.change(trial, TrialState.RUNNING)
        seat.trial, seat.left = trial, steps
        self._advance(seat, trial)
        return None

    def _advance(self, seat: Seat, trial: Trial) -> None:
        seat.account.enter(Purpose.TRAINING, trial.number)
        self._stepper.advance(seat, self._search.runs[trial.number])

    def _settle(self, seat: Seat, outcome: Outcome) -> SearchEnd | None:
        """Record a step that has ended, and let its trial continue or leave; returns the end of the search, if
        it ends.
        """
        trial, left, seat.trial = seat.trial, seat.left, None
        assert trial is not None, "only steps of seated trials end"
        self._search.current = trial
        if not self._search.take(trial, outcome):
            return None
        left = None if left is None else left - 1
        if self._search.reached or seat.account.recalled:
            why = EndReason.TARGET if self._search.reached else self._search.cut
            self._search.change(trial, TrialState.STOPPED, TrialEnd(why))
        elif left == 0:
            seat.worker.suspend(self._search.runs[trial.number])
            self._search.change(trial, TrialState.SUSPENDED)
        elif self._search.reserve(trial):
            seat.trial, seat.left = trial, left
            self._advance(seat, trial)
        else:
            self._search.change(trial, TrialState.STOPPED, TrialEnd(EndReason.BUDGET))
            return None if self._busy or self._search.decisions.can_go_on else self._search.steps.spent_on(trial)
        return None

    def _recall(self, why: EndReason) -> None:
        """Let every training end at its next check of the budget."""
        self._search.cut = why
        for seat in self._stepper.seats:
            seat.account.recalled = True

    def _drain(self) -> None:
        """After an error or an interruption: charge and stop what is running."""
        while self._busy:
            for seat, outcome in self._stepper.ended():
                with suppress(EcomlError):
                    self._settle(seat, outcome)
