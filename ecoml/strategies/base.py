"""The contract of a search strategy.

A strategy decides; it knows nothing of training or meters, and of the budget what is left. The searcher's loop is:

    decision = strategy.ask()
    Start(config)     → a new trial is started and advanced by `steps` measurements (None: to its end)
    Continue(number)  → a suspended trial is advanced by `steps` measurements (None: to its end)
    End(reason)       → the search is over
    strategy.tell(trial)   after every measurement, and whenever a trial's state changes

After a crash a fresh strategy is told every stored trial once, in order of their numbers, before it is asked again.
Same seed and same tells give the same decisions, in another process too: draw random numbers from (seed, number of
trials told), never from a generator that remembers more than that.

Two methods are optional, and are called before all others, after a crash too: `pursue(goal)` says what the search is
for, `learn(trials)` gives the trials of another run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from ecoml.endings import StopReason
from ecoml.limits import Limits
from ecoml.metric import ACCURACY, Metric
from ecoml.trial import Config, Trial


@dataclass(frozen=True, slots=True)
class Start:
    """Start a new trial and advance it by `steps` measurements, None: to its end."""

    config: Config
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """Advance a suspended trial by `steps` measurements, None: to its end."""

    number: int
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Nothing is left that would be worth its energy.

    Attributes:
        reason: One of the reasons that are known, or the strategy's own, which completes "the search ended: …".
        details: The numbers that belong to a known reason (see `StopReason`).
    """

    reason: StopReason | str
    details: Mapping[str, float] = field(default_factory=dict)


Decision = Start | Continue | End


@runtime_checkable
class Strategy(Protocol):
    """What proposes configurations."""

    def ask(self) -> Decision:
        """The next thing to do."""

    def tell(self, trial: Trial) -> None:
        """What has become of a trial. Called again with the same `trial.number` whenever it has changed."""


def any_config(config: Config) -> bool:  # noqa: ARG001 - the predicate that allows everything
    """Whether a configuration may be started where nothing is forbidden: it may."""
    return True


BY_ARITHMETIC = 0.5
"""The power of its arithmetic with which the energy of a small network's training grows, until more is known: much of
it (loading, launching, measuring) is the same for all."""


def no_end() -> float:
    """What is left where nothing limits it."""
    return math.inf


@dataclass(frozen=True, slots=True)
class Goal:
    """What a search is for, beyond the best for its budget.

    Attributes:
        limits: The target, the most that a training may take, whether all is to be spent.
        metric: What the scores are. `Point.utility` is what is to be maximised, whatever the metric.
        feasible: Whether a configuration may be started. Fast, and always the same for the same configuration.
        left_j: Joules that steps may still take, beside those that are under way.
        steps: Measurements of a whole training of a configuration; None: that is not known beforehand.
        floor_j: The least joules of the first so many steps of a training, by its arithmetic: a measure of its size.
            None, or None of a configuration: that is not known.
        cost_hint: About proportional to the joules of a step, where the training knows that of a configuration.
    """

    limits: Limits = field(default_factory=Limits)
    metric: Metric = ACCURACY
    feasible: Callable[[Config], bool] = any_config
    left_j: Callable[[], float] = no_end
    steps: Callable[[Config], int] | None = None
    floor_j: Callable[[Config, int], float | None] | None = None
    cost_hint: Callable[[Config], float] | None = None

    @property
    def target(self) -> float | None:
        """The utility at which the search ends; None: there is no such end."""
        return None if self.limits.target is None else self.metric.utility(self.limits.target)


def worst_utility(metric: Metric, trials: Iterable[Trial]) -> float | None:
    """What a failure is worth: the lowest utility there can be, or the lowest that these trials have where there is no
    such bound; None: they have none."""
    bound = metric.high if metric.minimize else metric.low
    if bound is not None:
        return metric.utility(bound)
    return min((point.utility for trial in trials for point in trial.curve), default=None)


@runtime_checkable
class Pursues(Protocol):
    """A strategy that wants to know what the search is for."""

    def pursue(self, goal: Goal) -> None:
        """Called once, before anything else. It proposes no configuration that is not feasible from here on.

        Without this method a strategy is asked again until it proposes a feasible one. That suits those that walk down
        a list, and not those whose decisions depend on how often they were asked: a resumed search would differ.
        """


@runtime_checkable
class Learns(Protocol):
    """A strategy that can use what another run found out."""

    def learn(self, trials: Sequence[Trial]) -> None:
        """Called once, before anything is told: the trials of an earlier run on the same parameters.

        All have ended. They are numbered from -len(trials) to -1 and are no trials of this search: they cannot be
        continued, they are on no front of this search, and their configurations may be proposed again.
        """


_PATIENCE = 10_000
_REPEATS = 10  # of the same proposal in a row: who decides from what was told alone will never propose another


def ask_feasible(strategy: Strategy, feasible: Callable[[Config], bool]) -> Decision:
    """The strategy's next decision that starts nothing infeasible, asked for as often as it takes; `End` in the end."""
    last, repeats = None, 0
    for _ in range(_PATIENCE):
        decision = strategy.ask()
        if not isinstance(decision, Start) or feasible(decision.config):
            return decision
        last, repeats = decision, repeats + 1 if decision == last else 0
        if repeats == _REPEATS:
            break
    return End(StopReason.NOTHING_FEASIBLE)
