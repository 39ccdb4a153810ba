"""The interface of a search strategy.

A strategy decides; it knows nothing of training or meters, and of the budget only what is left. The searcher's loop is:

    decision = strategy.ask()
    Start(config)     → a new trial is started and advanced by `steps` measurements (None: to its end)
    Continue(number)  → a suspended trial is advanced by `steps` measurements (None: to its end)
    End(reason)       → the search ends
    strategy.tell(trial)   after every measurement, and whenever a trial's state changes

After a crash a new strategy is told every stored trial once, in order of their numbers, before it is asked again. The
same seed and the same tells must give the same decisions, in another process too: draw random numbers from (seed,
number of trials told), never from a generator with further state.

Three methods are optional, and are called before all others, also after a crash: `import_libraries()` imports what is
large, `pursue(goal)` describes the goal of the search, `learn(trials)` gives the trials of an earlier run.
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
    """Start a new trial and advance it by `steps` measurements; None: to its end."""

    config: Config
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """Advance a suspended trial by `steps` measurements; None: to its end."""

    number: int
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """End the search, because no further training is worth its energy.

    Attributes:
        reason: A known reason, or the strategy's own text, which completes "the search ended: …".
        details: The numbers that belong to a known reason (see `StopReason`).
    """

    reason: StopReason | str
    details: Mapping[str, float] = field(default_factory=dict)


Decision = Start | Continue | End


@runtime_checkable
class Strategy(Protocol):
    """Proposes configurations."""

    def ask(self) -> Decision:
        """The next decision."""

    def tell(self, trial: Trial) -> None:
        """Process the state of a trial. Called again with the same `trial.number` whenever the trial has changed."""


BY_ARITHMETIC = 0.5
"""Exponent with which the energy of a small network's training grows with its arithmetic, until it is learnt: much of
the energy (loading, launching, measuring) is the same for all networks.
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a search beyond the best result for its budget.

    Attributes:
        limits: The target, the largest energy of a training, whether to spend the entire budget.
        metric: The metric of the scores. Strategies maximise `Point.utility`, whatever the metric.
        feasible: Whether a configuration may be started. Fast; always the same answer for a configuration. Default: all
            may.
        left_j: Joules that further steps may take, without those reserved for current steps. Default: no limit.
        steps: Number of measurements of a complete training of a configuration; None: not known beforehand.
        floor_j: The least joules of the first steps of a training, by its arithmetic: a measure of its size. None (for
            all or for a configuration): unknown.
        cost_hint: A number roughly proportional to the joules of a configuration's step, if the training knows it.
    """

    limits: Limits = field(default_factory=Limits)
    metric: Metric = ACCURACY
    feasible: Callable[[Config], bool] = lambda _: True
    left_j: Callable[[], float] = lambda: math.inf
    steps: Callable[[Config], int] | None = None
    floor_j: Callable[[Config, int], float | None] | None = None
    cost_hint: Callable[[Config], float] | None = None

    @property
    def target(self) -> float | None:
        """The utility at which the search ends; None: there is no target."""
        return None if self.limits.target is None else self.metric.utility(self.limits.target)


def worst_utility(metric: Metric, trials: Iterable[Trial]) -> float | None:
    """The utility of a failure: the lowest possible utility, or without such a bound the lowest of these trials; None
    if they have none.
    """
    bound = metric.high if metric.minimize else metric.low
    if bound is not None:
        return metric.utility(bound)
    return min((point.utility for trial in trials for point in trial.curve), default=None)


@runtime_checkable
class Pursues(Protocol):
    """A strategy that uses the goal of the search."""

    def pursue(self, goal: Goal) -> None:
        """Called once, before anything else. From then on the strategy must propose only feasible configurations.

        A strategy without this method is asked again until it proposes a feasible configuration. This suits a strategy
        that walks down a list, but not one whose decisions depend on the number of calls: a resumed search would then
        differ.
        """


@runtime_checkable
class NeedsLibraries(Protocol):
    """A strategy that needs large libraries."""

    def import_libraries(self) -> None:
        """Import what it needs, and decide nothing. Called at most once, in a thread of its own, while a GPU is
        prepared: it does not have to wait for the imports later.
        """


@runtime_checkable
class Learns(Protocol):
    """A strategy that can use the results of another run."""

    def learn(self, trials: Sequence[Trial]) -> None:
        """Called once, before anything is told, with the trials of an earlier run on the same parameters.

        All of them have ended. They are numbered from -len(trials) to -1 and do not belong to this search: they cannot
        be continued, they are not on its front, and their configurations may be proposed again.
        """


_PATIENCE = 10_000
_REPEATS = 10  # of the same proposal in a row: who decides from what was told alone will never propose another


def ask_feasible(strategy: Strategy, feasible: Callable[[Config], bool]) -> Decision:
    """The strategy's next decision that starts nothing infeasible, asking as often as necessary; `End` in the end."""
    last, repeats = None, 0
    for _ in range(_PATIENCE):
        decision = strategy.ask()
        if not isinstance(decision, Start) or feasible(decision.config):
            return decision
        last, repeats = decision, repeats + 1 if decision == last else 0
        if repeats == _REPEATS:
            break
    return End(StopReason.NOTHING_FEASIBLE)
