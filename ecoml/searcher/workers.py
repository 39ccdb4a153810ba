"""Crew: the loop of a search on several GPUs, a trial on each.

What decides, records and tells is the one thread that runs it, as with one device; only the steps of trainings run in
threads beside it. Strategies see running trials as such, and propose none of them again. Where there is nothing to
propose while trials run (`End`, or no budget for a further one beside them), the strategy is asked again when one of
them has left its lane. The order in which steps end is the GPUs', so that two searches with one seed may differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass

from ecoml.energy import Purpose
from ecoml.errors import EcomlError, SearchFailed
from ecoml.run.lane import Lane
from ecoml.searcher.loop import Loop
from ecoml.strategies import Continue
from ecoml.training.base import Part, Run
from ecoml.trial import Measurement, Trial, TrialState

SIDE_BY_SIDE = (
    "trials ran side by side, each on a GPU of its own: what they shared (processor, memory) is divided equally among"
    " them, and how it was really divided is part of their uncertainty"
)


@dataclass(slots=True)
class _Task:
    """What is under way in a lane.

    Attributes:
        trial: The trial.
        run: Its run.
        left: Steps after which it is suspended; None: at its end.
        step: The step that is under way.
    """

    trial: Trial
    run: Run
    left: int | None
    step: Future[Measurement]


class ParallelRunner:
    """Trains up to one trial on each part of an executor at a time."""

    def __init__(self, search: Loop, parts: Sequence[Part], domains: Sequence[str]) -> None:
        self._search = search
        self._parts = parts
        self._lanes: list[Lane] = [search.ledger.lane(number) for number in range(len(parts))]
        self._tasks: dict[int, _Task] = {}
        self._next: tuple[Trial, int | None] | None = None  # decided, and waiting for room in the budget
        search.ledger.open_lanes(domains)
        search.ledger.note(SIDE_BY_SIDE)

    def run(self) -> str:
        """Search until something ends it; why it ended."""
        with ThreadPoolExecutor(len(self._parts), "ecoml-lane") as pool:
            try:
                while True:
                    reason = self._fill(pool)
                    if not self._tasks:
                        return reason
                    while not self._one_left(pool):
                        pass
            except BaseException:
                self._recall("interrupted")
                self._drain()
                raise

    def _fill(self, pool: ThreadPoolExecutor) -> str:
        """Give every idle lane a trial, as far as there is one; why the last one was not given any."""
        search, reason = self._search, ""
        while not reason and (idle := [lane for lane in range(len(self._parts)) if lane not in self._tasks]):
            if self._next is None or search.reached:
                decision = search.decide()
                if isinstance(decision, str):
                    reason = decision
                    break
                if isinstance(decision, Continue) and search.trials[decision.number].state is TrialState.RUNNING:
                    raise SearchFailed(f"the strategy wants to go on with trial {decision.number}, which is running")
                trial = search.trials[decision.number] if isinstance(decision, Continue) else search.begin(decision)
                self._next = trial, decision.steps
            reason = self._assign(pool, idle[0], *self._next)
        return reason

    def _assign(self, pool: ThreadPoolExecutor, lane: int, trial: Trial, steps: int | None) -> str:
        """Let a trial go on in a lane; why it cannot, if it cannot."""
        search, part, account = self._search, self._parts[lane], self._lanes[lane]
        if not search.reserve(trial, lane):
            if not self._tasks:
                self._next = None
                search.change(trial, TrialState.STOPPED, search.cut)
            return search.spent_on(trial)
        self._next, search.current = None, trial
        run = search.runs.get(trial.number)
        if run is None:
            run = search.runs[trial.number] = part.start(trial, account)
        else:
            part.take_over(run, account)
        if trial.state is not TrialState.RUNNING:
            search.change(trial, TrialState.RUNNING)
        self._tasks[lane] = _Task(trial, run, steps, self._step(pool, lane, trial, run))
        return ""

    def _step(self, pool: ThreadPoolExecutor, lane: int, trial: Trial, run: Run) -> Future[Measurement]:
        self._lanes[lane].enter(Purpose.TRAINING, trial.number)
        return pool.submit(run.__next__)

    def _one_left(self, pool: ThreadPoolExecutor) -> bool:
        """Wait for steps to end and go on with their trials; whether one has left its lane."""
        search = self._search
        search.wait(lambda: wait([task.step for task in self._tasks.values()], return_when=FIRST_COMPLETED))
        left = False
        for lane in [lane for lane, task in sorted(self._tasks.items()) if task.step.done()]:
            task = self._tasks[lane]
            if self._settled(lane, task):
                task.step = self._step(pool, lane, task.trial, task.run)
            else:
                del self._tasks[lane]
                search.ledger.release(lane)
                left = True
        if search.reached:
            self._recall("the target was reached")
        return left

    def _settled(self, lane: int, task: _Task) -> bool:
        """Record a step that has ended; whether its trial goes on with the next."""
        search, trial = self._search, task.trial
        search.current = trial
        if not search.take(trial, task.step.result):
            return False
        task.left = None if task.left is None else task.left - 1
        if self._lanes[lane].recalled or search.reached:
            search.change(trial, TrialState.STOPPED, "the target was reached" if search.reached else search.cut)
        elif task.left == 0:
            self._parts[lane].leave(task.run)
            search.change(trial, TrialState.SUSPENDED)
        elif not search.reserve(trial, lane):
            search.change(trial, TrialState.STOPPED, search.cut)
        else:
            return True
        return False

    def _recall(self, why: str) -> None:
        """Let every training end at its next look at the budget."""
        self._search.cut = why
        for lane in self._lanes:
            lane.recalled = True

    def _drain(self) -> None:
        """After an error or an interruption: what is under way is charged, and stopped."""
        while self._tasks:
            lane, task = self._tasks.popitem()
            wait([task.step])
            with suppress(EcomlError):
                self._settled(lane, task)
