"""Conformance suite for strategies.

    @pytest.mark.parametrize("check", STRATEGY_CHECKS)
    def test_conformance(check):
        check(MyStrategy)

Each check takes a function `create(space, seed) -> Strategy` and raises an error with a sentence that says what was
expected. The searches are those of a real `Searcher`, on trainings that are a formula and report their own joules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ecoml.metric import ACCURACY, Metric
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.base import Decision, End, Learns, Pursues, Start, Strategy
from ecoml.strategies.random import RandomSearch
from ecoml.testing.recorder import Recorder, point, record_search
from ecoml.training.function import TrainFunction
from ecoml.trial import Config, Measurement, Point, Trial, TrialState

CreateStrategy = Callable[[Space, int], Strategy]

STEPS = 3
"""Measurements of a full training in these checks."""

TRIALS = 10
"""Number of decisions in most searches here, enough to leave the initial design of a strategy that has one."""


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


def outcome(config: Config, step: int) -> Point:
    """A synthetic training: score and energy rise with steps and with size; a medium learning rate is best."""
    size = float(config.get("width", 8)) * float(config.get("depth", 1))
    rate = abs(1.0 - 1e2 * float(config.get("learning_rate", 1e-2))) / (1.0 + 1e2 * config.get("learning_rate", 1e-2))
    score = 0.95 * (1.0 - 0.5**step) * size / (size + 8.0) * (1.0 - 0.5 * rate)
    return point(step, score, step * (5.0 + size))


def train(config: Config) -> Iterator[Measurement]:
    """The synthetic training as a training function."""
    before_j = 0.0
    for step in range(1, STEPS + 1):
        made_up = outcome(config, step)
        yield Measurement(made_up.score, made_up.energy_j - before_j)
        before_j = made_up.energy_j


METRICS: dict[Metric, Callable[[float], float]] = {
    ACCURACY: lambda share: share,
    Metric("validation loss", minimize=True): lambda share: -math.log(share),
    Metric("R²", high=1.0): lambda share: 2.0 - 1.0 / share,
}
"""Metrics of the synthetic training, each with its score as a function of the accuracy."""


def train_for(tell: Callable[[float], float], diverged: float | None = None) -> TrainFunction:
    """The synthetic training with another score. `diverged`: the score of trainings that fail, or NaN."""

    def train_and_tell(config: Config) -> Iterator[Measurement]:
        for measured in train(config):
            if diverged is None or not fails(config):
                yield Measurement(tell(measured.score), measured.energy_j)
            else:
                yield Measurement(math.nan if config["depth"] == 2 else diverged, measured.energy_j)

    return train_and_tell


def train_or_fail(config: Config) -> Iterator[Measurement]:
    """The synthetic training; it fails where `fails` says so."""
    if fails(config):
        raise MemoryError(str(config))
    yield from train(config)


def fails(config: Config) -> bool:
    """The region in which trainings fail, in all checks with failing trainings."""
    return int(config.get("depth", 1)) % 2 == 0


def check_configurations_are_valid(create: CreateStrategy) -> None:
    """Every proposed configuration belongs to the space."""
    for space in (mixed_space(), finite_space()):
        for config in _started(record_search(create(space, 0), space, train, decisions=TRIALS)):
            space.validate(config)


def check_finite_space_is_searched_without_repeats(create: CreateStrategy) -> None:
    """No configuration of a finite space is proposed twice, and the search ends when all are known."""
    space = finite_space()
    size = space.size
    assert size is not None
    for seed in range(2):
        search = record_search(create(space, seed), space, train, decisions=size * (STEPS + 2) + 1)
        started = _started(search)
        repeats = [c for i, c in enumerate(started) if c in started[:i]]
        assert not repeats, f"proposed twice: {repeats}"
        assert isinstance(search.decisions[-1], End), f"all {size} configurations were tried, yet the search continued"


def check_same_seed_same_decisions(create: CreateStrategy) -> None:
    """Two instances with the same seed and the same results make the same decisions."""
    space = mixed_space()
    first, second = (record_search(create(space, 7), space, train, decisions=TRIALS).decisions for _ in range(2))
    assert first == second, "the same seed gave two different searches"


def check_interrupted_search_resumes(create: CreateStrategy) -> None:
    """A new instance that is told each trial of an interrupted search once makes the decisions of the old one."""
    space = mixed_space()
    for training, cut in ((train, 1), (train, TRIALS), (train_or_fail, TRIALS)):
        _interrupt_and_resume(create, space, 3, training, cut)


def check_failed_trials_are_tolerated(create: CreateStrategy) -> None:
    """Failed trials, even if all trials fail, neither stop a strategy nor are proposed again."""
    for space in (mixed_space(), Space({"depth": Choice([2, 4, 6, 8]), "rate": Float(0.0, 1.0)})):
        search = record_search(create(space, 1), space, train_or_fail, decisions=TRIALS)
        configs = _started(search)
        assert all(config not in configs[:i] for i, config in enumerate(configs)), "a failed trial was proposed again"
        assert configs, "the search ended before it began"


def check_any_metric_is_searched(create: CreateStrategy) -> None:
    """With any metric, and with diverging trainings: configurations are valid and new, and a search resumes."""
    space = mixed_space()
    for metric, tell in METRICS.items():
        diverged = 0.0 if metric is ACCURACY else -metric.utility(1e3)
        configs = _started(_interrupt_and_resume(create, space, 6, train_for(tell, diverged), TRIALS, metric=metric))
        repeats = [config for i, config in enumerate(configs) if config in configs[:i]]
        assert not repeats, f"{metric.name}: proposed twice: {repeats}"


def check_scale_makes_no_difference(create: CreateStrategy) -> None:
    """A loss that falls as a score rises, on another scale and without bounds, leads to the same search as the score.

    Leave this check out for a strategy that depends on the size of a score.
    """
    space = mixed_space()
    score, loss = (
        record_search(create(space, 8), space, train_for(tell), decisions=TRIALS, metric=metric).decisions
        for metric, tell in (
            (Metric("score"), lambda share: share),
            (Metric("loss", minimize=True), lambda share: 3.0 - 4.0 * share),
        )
    )
    same = len(score) == len(loss) and all(map(_nearly_equal, score, loss))
    assert same, f"the score and the loss led to different searches: {score} and {loss}"


def check_running_trials_are_tolerated(create: CreateStrategy) -> None:
    """Trials that are running or suspended, with or without a measurement, are not proposed again."""
    space = mixed_space()
    strategy = create(space, 2)
    trials = list(record_search(strategy, space, train, decisions=TRIALS).trials.values())
    for state, steps in ((TrialState.RUNNING, 0), (TrialState.RUNNING, 1), (TrialState.SUSPENDED, 2)):
        decision = strategy.ask()
        if not isinstance(decision, Start):
            continue
        assert decision.config not in [trial.config for trial in trials], f"{decision.config} is being tried already"
        curve = [outcome(decision.config, step) for step in range(1, steps + 1)]
        trials.append(Trial(len(trials), decision.config, state, curve))
        strategy.tell(trials[-1])


def check_end_is_final(create: CreateStrategy) -> None:
    """A strategy that has returned `End` returns it again, and gives a reason."""
    space = Space({"block": Choice(["plain", "residual"])})
    strategy = create(space, 0)
    decision = record_search(strategy, space, train, decisions=2 * (STEPS + 1) + 1).decisions[-1]
    assert isinstance(decision, End), "the search did not end after two configurations"
    assert decision.reason, "an end needs a reason"
    assert isinstance(strategy.ask(), End), "the search continued after its end"


def check_goal_is_pursued(create: CreateStrategy) -> None:
    """Nothing infeasible is proposed, and all that is feasible is tried. Passes for strategies without `pursue`."""
    space = mixed_space()
    if not isinstance(create(space, 4), Pursues):
        return
    size: dict[str, Any] = {"max_parameters": 1, "parameters": lambda config: 1 if small(config) else 2}
    goals: tuple[dict[str, Any], ...] = ({"max_energy_per_training_j": 60.0, "spend_all": True}, {"target": 0.9})
    for limits in goals:
        proposed = _started(_interrupt_and_resume(create, space, 4, train, TRIALS, **size, **limits))
        infeasible = [config for config in proposed if not small(config)]
        assert not infeasible, f"proposed and infeasible: {infeasible}"
    space = finite_space()
    search = record_search(create(space, 4), space, train, decisions=9 * (STEPS + 2) + 1, spend_all=True, **size)
    assert isinstance(search.decisions[-1], End), "nothing feasible was left, yet the search continued"
    tried = _started(search)
    assert all(map(small, tried)), f"proposed, some infeasible: {tried}"
    assert len(tried) == SMALL_OF_FINITE, f"of {SMALL_OF_FINITE} feasible ones {len(tried)} were tried"


def check_earlier_run_is_learnt_from(create: CreateStrategy) -> None:
    """An earlier run gives the same decisions in every process; its configurations may be proposed again.

    Passes for strategies that cannot learn.
    """
    for space in (mixed_space(), finite_space()):
        if not isinstance(create(space, 5), Learns):
            return
        with TemporaryDirectory() as folder:
            earlier = Path(folder) / "earlier"
            record_search(RandomSearch(space, 11), space, train, decisions=2 * TRIALS, directory=earlier)
            first, second = (
                record_search(create(space, 5), space, train, decisions=2 * STEPS, warm_start=earlier).decisions
                for _ in range(2)
            )
            assert first == second, "the same seed and the same earlier run gave two different searches"
            assert isinstance(first[0], Start), f"the first decision is {first[0]}; no trial of this search exists"
            _interrupt_and_resume(create, space, 5, train, 2 * STEPS, warm_start=earlier)


def small(config: Config) -> bool:
    """The size limit of these checks."""
    return int(config.get("width", 8)) * int(config["depth"]) <= 24 and config["depth"] != 1


SMALL_OF_FINITE = 6
"""Configurations of `finite_space` that are small."""


def _started(search: Recorder) -> list[Config]:
    return [decision.config for decision in search.decisions if isinstance(decision, Start)]


def _nearly_equal(one: Decision, other: Decision) -> bool:
    """Whether two decisions are equal, up to rounding."""
    if not isinstance(one, Start) or not isinstance(other, Start):
        return one == other
    values = [(one.config[name], other.config.get(name)) for name in one.config]
    return (one.steps, one.config.keys()) == (other.steps, other.config.keys()) and all(
        math.isclose(a, b, rel_tol=1e-6) if isinstance(a, float) and isinstance(b, float) else a == b for a, b in values
    )


def _interrupt_and_resume(
    create: CreateStrategy, space: Space, seed: int, train: TrainFunction, cut: int, **settings: Any
) -> Recorder:
    """A search that ends after `cut` decisions. A new strategy continues it twice, and must make the decisions that the
    old one would have made.
    """
    with TemporaryDirectory() as folder:
        path, old = Path(folder) / "run", create(space, seed)
        search = record_search(old, space, train, decisions=cut, directory=path, **settings)
        known = search.trials.keys()
        for _ in range(2):
            expected = old.ask()
            resumed = record_search(create(space, seed), space, train, decisions=1, directory=path, **settings)
            assert resumed.decisions == [expected], f"after {cut}: {resumed.decisions} instead of {[expected]}"
            for number in resumed.trials.keys() - known:
                old.tell(resumed.trials[number])
            known = resumed.trials.keys()
    return search


STRATEGY_CHECKS: tuple[Callable[[CreateStrategy], None], ...] = (
    check_configurations_are_valid,
    check_finite_space_is_searched_without_repeats,
    check_same_seed_same_decisions,
    check_interrupted_search_resumes,
    check_failed_trials_are_tolerated,
    check_any_metric_is_searched,
    check_scale_makes_no_difference,
    check_running_trials_are_tolerated,
    check_end_is_final,
    check_goal_is_pursued,
    check_earlier_run_is_learnt_from,
)
"""All checks; each takes `create(space, seed)`."""
