"""Conformance suite: what every strategy must do, whoever wrote it.

    @pytest.mark.parametrize("check", STRATEGY_CHECKS)
    def test_conformance(check):
        check(MyStrategy)

Each check takes a function `create(space, seed) -> Strategy` and raises AssertionError with a sentence that says what
was expected. Nothing is trained: accuracies and energies come from a formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy

from ecoml.endings import FailureKind, TrialEnd
from ecoml.energy import Energy, Provenance
from ecoml.limits import Limits
from ecoml.metric import ACCURACY, Metric
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.base import Continue, Decision, End, Goal, Learns, Pursues, Start, Strategy
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Config, Point, Trial, TrialState

CreateStrategy = Callable[[Space, int], Strategy]

STEPS = 3
"""Measurements of a full training in these checks."""

TRIALS = 10
"""Decisions of most searches here: past the initial design of a strategy that has one."""


def mixed_space() -> Space:
    """Every kind of parameter: log and linear, whole and real, a choice, a condition, a fixed value."""
    return Space(
        {
            "optimizer": Choice(["sgd", "adamw"]),
            "learning_rate": Float(1e-4, 1.0, log=True),
            "momentum": Float(0.0, 0.99, when={"optimizer": ["sgd"]}),
            "width": Int(4, 64, log=True),
            "depth": Int(1, 4),
            "epochs": STEPS,
        }
    )


def finite_space() -> Space:
    """Nine configurations; one parameter is conditional."""
    return Space(
        {
            "block": Choice(["plain", "residual"]),
            "depth": Int(1, 3),
            "skip": Choice(["add", "concatenate"], when={"block": ["residual"]}),
        }
    )


def point(
    step: int,
    score: float,
    energy_j: float,
    uncertainty_j: float = 0.0,
    provenance: Provenance = Provenance.REPORTED,
    metric: Metric = ACCURACY,
) -> Point:
    """A point of a learning curve, whose trial took so many joules up to there."""
    return Point(step, score, Energy(energy_j, uncertainty_j, provenance), metric.utility(score))


def outcome(config: Config, step: int) -> Point:
    """A made-up training: better and dearer with every step and with size, best at a middling learning rate."""
    size = float(config.get("width", 8)) * float(config.get("depth", 1))
    rate = abs(1.0 - 1e2 * float(config.get("learning_rate", 1e-2))) / (1.0 + 1e2 * config.get("learning_rate", 1e-2))
    score = 0.95 * (1.0 - 0.5**step) * size / (size + 8.0) * (1.0 - 0.5 * rate)
    return point(step, score, step * (5.0 + size))


def fails(config: Config) -> bool:
    """A region in which every training of these checks that lets trainings fail does so."""
    return int(config.get("depth", 1)) % 2 == 0


class Session:
    """A searcher in small: does what a strategy decides, on the made-up training.

    Args:
        strategy: Who decides.
        may_fail: Whether trials fail where `fails` says so.
        told: Trials of an interrupted search; the strategy is told them.
    """

    def __init__(self, strategy: Strategy, *, may_fail: bool = False, told: Iterable[Trial] = ()) -> None:
        self.strategy = strategy
        self.may_fail = may_fail
        self.trials = {trial.number: deepcopy(trial) for trial in told}
        for number in sorted(self.trials):
            strategy.tell(self.trials[number])

    def run(self, decisions: int) -> list[Decision]:
        """Up to so many decisions, fewer if the strategy ends the search."""
        made: list[Decision] = []
        while len(made) < decisions:
            decision = self.strategy.ask()
            made.append(decision)
            if isinstance(decision, End):
                break
            self._advance(self._begin(decision), decision.steps)
        return made

    def _begin(self, decision: Start | Continue) -> Trial:
        if isinstance(decision, Continue):
            trial = self.trials.get(decision.number)
            assert trial is not None, f"{decision}: there is no such trial"
            assert trial.state is TrialState.SUSPENDED, f"{decision}: this trial is {trial.state}"
            return trial
        number = len(self.trials)
        return self.trials.setdefault(number, Trial(number, decision.config))

    def _advance(self, trial: Trial, steps: int | None) -> None:
        assert steps is None or steps >= 1, f"a trial is advanced by at least one step, not {steps}"
        trial.state = TrialState.RUNNING
        if self.may_fail and fails(trial.config):
            trial.state, trial.end = TrialState.FAILED, TrialEnd(FailureKind.OUT_OF_MEMORY)
            trial.tail = Energy(7.0, 0.0, Provenance.REPORTED)
            self.strategy.tell(trial)
            return
        last = STEPS if steps is None else min(STEPS, trial.step + steps)
        while trial.step < last:
            trial.curve.append(outcome(trial.config, trial.step + 1))
            self.strategy.tell(trial)
        trial.state = TrialState.FINISHED if trial.step == STEPS else TrialState.SUSPENDED
        self.strategy.tell(trial)


def check_configurations_are_valid(create: CreateStrategy) -> None:
    """Every configuration proposed belongs to the space."""
    for space in (mixed_space(), finite_space()):
        for decision in Session(create(space, 0)).run(TRIALS):
            if isinstance(decision, Start):
                space.validate(decision.config)


def check_finite_space_is_searched_without_repeats(create: CreateStrategy) -> None:
    """No configuration of a finite space is proposed twice, and the search ends when all are known."""
    space = finite_space()
    size = space.size
    assert size is not None
    for seed in range(2):
        decisions = Session(create(space, seed)).run(size * (STEPS + 1) + 1)
        started = [d.config for d in decisions if isinstance(d, Start)]
        repeats = [c for i, c in enumerate(started) if c in started[:i]]
        assert not repeats, f"proposed twice: {repeats}"
        assert isinstance(decisions[-1], End), f"nothing was left of {size} configurations, yet the search went on"


def check_same_seed_same_decisions(create: CreateStrategy) -> None:
    """Two instances with the same seed that are told the same decide the same."""
    first, second = (Session(create(mixed_space(), 7)).run(TRIALS) for _ in range(2))
    assert first == second, "the same seed gave two different searches"


def check_interrupted_search_resumes(create: CreateStrategy) -> None:
    """A fresh instance, told each trial of an interrupted search once, decides as the old one would have."""
    for may_fail, cut in ((False, 1), (False, TRIALS), (True, TRIALS)):
        begun = Session(create(mixed_space(), 3), may_fail=may_fail)
        begun.run(cut)
        resumed = Session(create(mixed_space(), 3), may_fail=may_fail, told=begun.trials.values())
        expected, found = begun.run(2), resumed.run(2)
        assert found == expected, f"interrupted after {cut} decisions: {found} instead of {expected}"


def check_failed_trials_are_tolerated(create: CreateStrategy) -> None:
    """Failed trials, even if nothing else ever happens, neither stop a strategy nor are proposed again."""
    for space in (mixed_space(), Space({"depth": Choice([2, 4, 6, 8]), "rate": Float(0.0, 1.0)})):
        decisions = Session(create(space, 1), may_fail=True).run(TRIALS)
        configs = [d.config for d in decisions if isinstance(d, Start)]
        assert all(config not in configs[:i] for i, config in enumerate(configs)), "a failed trial was proposed again"
        assert not isinstance(decisions[0], End), "the search ended before it began"


def check_running_trials_are_tolerated(create: CreateStrategy) -> None:
    """Trials told of while they run or wait, with or without a measurement, are not proposed again."""
    space = mixed_space()
    session = Session(create(space, 2))
    session.run(TRIALS)
    strategy = session.strategy
    for state, steps in ((TrialState.RUNNING, 0), (TrialState.RUNNING, 1), (TrialState.SUSPENDED, 2)):
        decision = strategy.ask()
        if not isinstance(decision, Start):
            continue
        known = [trial.config for trial in session.trials.values()]
        assert decision.config not in known, f"{decision.config} is being tried already"
        trial = Trial(len(session.trials), decision.config, state)
        trial.curve.extend(outcome(trial.config, step) for step in range(1, steps + 1))
        session.trials[trial.number] = trial
        strategy.tell(trial)


def check_end_is_final(create: CreateStrategy) -> None:
    """Who has said `End` says it again, and gives a reason."""
    strategy = create(Space({"block": Choice(["plain", "residual"])}), 0)
    decision = Session(strategy).run(2 * STEPS + 1)[-1]
    assert isinstance(decision, End), "two configurations are not two without end"
    assert decision.reason, "an end needs a reason"
    assert isinstance(strategy.ask(), End), "the search went on after its end"


def check_goal_is_pursued(create: CreateStrategy) -> None:
    """A strategy that pursues a goal proposes nothing infeasible, tries all that is feasible of a finite space, and
    resumes. Passes for strategies that pursue none: a search asks them again."""
    if not isinstance(create(mixed_space(), 4), Pursues):
        return

    def begin(space: Space, goal: Goal) -> Strategy:
        strategy = create(space, 4)
        assert isinstance(strategy, Pursues)
        strategy.pursue(goal)
        return strategy

    for goal in (
        Goal(Limits(max_energy_per_training_j=60.0, spend_all=True), feasible=small),
        Goal(Limits(target=0.9), feasible=small),
    ):
        begun = Session(begin(mixed_space(), goal))
        proposed = [decision.config for decision in begun.run(TRIALS) if isinstance(decision, Start)]
        infeasible = [config for config in proposed if not small(config)]
        assert not infeasible, f"proposed and infeasible: {infeasible}"
        resumed = Session(begin(mixed_space(), goal), told=begun.trials.values())
        expected, found = begun.run(2), resumed.run(2)
        assert found == expected, f"{goal}, interrupted: {found} instead of {expected}"
    decisions = Session(begin(finite_space(), Goal(Limits(spend_all=True), feasible=small))).run(9 * (STEPS + 1) + 1)
    assert isinstance(decisions[-1], End), "nothing feasible was left, yet the search went on"
    tried = [decision.config for decision in decisions if isinstance(decision, Start)]
    assert all(map(small, tried)), f"proposed, some infeasible: {tried}"
    assert len(tried) == SMALL_OF_FINITE, f"of {SMALL_OF_FINITE} feasible ones {len(tried)} were tried"


def check_earlier_run_is_learnt_from(create: CreateStrategy) -> None:
    """A strategy that learns from an earlier run decides the same in every process, resumes, starts trials of its own
    only, and may propose again what the earlier run had. Passes for strategies that cannot learn."""
    for space in (mixed_space(), finite_space()):
        if not isinstance(create(space, 5), Learns):
            return
        earlier = _earlier_trials(space)

        def begin(space: Space = space, earlier: Sequence[Trial] = earlier) -> Strategy:
            strategy = create(space, 5)
            assert isinstance(strategy, Learns)
            strategy.learn(deepcopy(earlier))
            return strategy

        begun, again = Session(begin()), Session(begin())
        decisions = begun.run(STEPS * 2)
        assert decisions == again.run(STEPS * 2), "the same seed and the same earlier run gave two different searches"
        assert isinstance(decisions[0], Start), f"the first decision is {decisions[0]}; no trial of this search exists"
        resumed = Session(begin(), told=begun.trials.values())
        expected, found = begun.run(2), resumed.run(2)
        assert found == expected, f"interrupted: {found} instead of {expected}"


def small(config: Config) -> bool:
    """The size limit of these checks."""
    return int(config.get("width", 8)) * int(config["depth"]) <= 24 and config["depth"] != 1


SMALL_OF_FINITE = 6
"""Configurations of `finite_space` that are small."""


def _earlier_trials(space: Space) -> list[Trial]:
    """What random search finds in a run before: all of a finite space, numbered as a search hands them over."""
    session = Session(RandomSearch(space, 11))
    session.run(2 * TRIALS)
    trials = list(session.trials.values())
    for number, trial in enumerate(trials, start=-len(trials)):
        trial.number = number
    return trials


STRATEGY_CHECKS: tuple[Callable[[CreateStrategy], None], ...] = (
    check_configurations_are_valid,
    check_finite_space_is_searched_without_repeats,
    check_same_seed_same_decisions,
    check_interrupted_search_resumes,
    check_failed_trials_are_tolerated,
    check_running_trials_are_tolerated,
    check_end_is_final,
    check_goal_is_pursued,
    check_earlier_run_is_learnt_from,
)
"""All checks; each takes `create(space, seed)`."""
