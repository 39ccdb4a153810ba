"""Repetitions: every configuration is trained several times, each time as a trial of its own, and told as one round.

The inner strategy sees one trial per round, with the mean utility and the mean energy of its repetitions. All
repetitions are stored as ordinary trials; their numbers determine their initial weights and order of images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge

from ecoml.energy import Energy, weakest
from ecoml.errors import UsageError
from ecoml.strategies.base import Decision, End, Goal, Pursues, Start, Strategy, worst_utility
from ecoml.trial import Config, Point, Trial, TrialState


@dataclass(slots=True)
class Round:
    """The trials of one configuration.

    Attributes:
        config: The configuration.
        trials: Its repetitions in order, including interrupted ones.
    """

    config: Config
    trials: list[Trial] = field(default_factory=list)

    @property
    def counted(self) -> list[Trial]:
        """The repetitions that ended on their own, successfully or not; those stopped by an interruption or a limit do
        not count.
        """
        return [trial for trial in self.trials if trial.state in (TrialState.FINISHED, TrialState.FAILED)]

    def complete(self, times: int) -> bool:
        """Whether it needs no further repetition. After twice as many interruptions as repetitions it counts as
        complete.
        """
        return len(self.counted) >= times or (len(self.trials) >= 2 * times and all(t.state.ended for t in self.trials))

    def utilities(self, worst: float | None, *, count_failures: bool) -> list[float]:
        """Final utility of each counted repetition; a failed one has the worst utility, or is left out (all, for
        None).
        """
        ended = [trial for trial in self.counted if count_failures or trial.state is not TrialState.FAILED]
        found = [worst if trial.state is TrialState.FAILED else trial.utility for trial in ended]
        return [utility for utility in found if utility is not None]

    def energies_j(self, *, count_failures: bool) -> list[float]:
        """Joules of each counted repetition."""
        return [t.energy_j for t in self.counted if count_failures or t.state is not TrialState.FAILED]


def rounds_of(trials: Sequence[Trial], times: int) -> list[Round]:
    """Trials in order, as rounds of one configuration each."""
    rounds: list[Round] = []
    for trial in trials:
        if not rounds or dict(rounds[-1].config) != dict(trial.config) or rounds[-1].complete(times):
            rounds.append(Round(trial.config))
        rounds[-1].trials.append(trial)
    return rounds


class Repeated:
    """Trains each configuration of another strategy several times.

    Args:
        strategy: The inner strategy; complete trainings only.
        times: Repetitions of each configuration.
        rounds: End after this many configurations; None: when the strategy ends.
        count_failures: Whether a failed repetition counts as the worst possible score (without a bound: the worst
            measured so far); otherwise it is left out of the mean.
    """

    def __init__(
        self,
        strategy: Strategy,
        times: Annotated[int, Ge(1)],
        rounds: Annotated[int, Ge(1)] | None = None,
        *,
        count_failures: bool = True,
    ) -> None:
        self._strategy = strategy
        self._times = times
        self._most = rounds
        self._count_failures = count_failures
        self._trials: dict[int, Trial] = {}
        self._told = 0
        self._goal = Goal()

    def pursue(self, goal: Goal) -> None:
        """Pass the goal of the search on to the inner strategy."""
        self._goal = goal
        if isinstance(self._strategy, Pursues):
            self._strategy.pursue(goal)

    def tell(self, trial: Trial) -> None:
        """Store the trial; the inner strategy is told a round when it is complete."""
        self._trials[trial.number] = trial

    def ask(self) -> Decision:
        """The same configuration until it has been trained often enough; then the next one."""
        rounds = rounds_of([self._trials[number] for number in sorted(self._trials)], self._times)
        for number in range(self._told, len(rounds)):
            if rounds[number].complete(self._times):
                made = [trial for of in rounds[: number + 1] for trial in of.trials]
                self._strategy.tell(self._as_trial(number, rounds[number], made))
                self._told = number + 1
        if rounds and not rounds[-1].complete(self._times):
            return Start(rounds[-1].config)
        if self._most is not None and len(rounds) >= self._most:
            return End(f"all {self._most} rounds were made")
        decision = self._strategy.ask()
        if isinstance(decision, End) or (isinstance(decision, Start) and decision.steps is None):
            return decision
        raise UsageError(
            f"{type(self._strategy).__name__} trains step by step, and [repeat] repeats whole trainings; leave it out"
        )

    def _as_trial(self, number: int, of: Round, made: Sequence[Trial]) -> Trial:
        """A round as a trial of the inner strategy; `made`: all repetitions up to its end, whenever it is told."""
        worst = worst_utility(self._goal.metric, made)
        utilities = of.utilities(worst, count_failures=self._count_failures)
        if not utilities:
            end = next((trial.end for trial in of.counted if trial.end is not None), None)
            return Trial(number, of.config, TrialState.FAILED, end=end)
        energies_j = of.energies_j(count_failures=self._count_failures)
        mean_j = math.fsum(energies_j) / len(energies_j)
        source = weakest(trial.energy.provenance for trial in of.counted)
        utility = math.fsum(utilities) / len(utilities)
        point = Point(1, self._goal.metric.utility(utility), Energy(mean_j, 0.0, source), utility)
        return Trial(number, of.config, TrialState.FINISHED, [point])
