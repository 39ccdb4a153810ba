"""Conformance suite for executors, as checks to call from a test.

    @pytest.mark.parametrize("check", EXECUTOR_CHECKS, ids=lambda check: check.__name__)
    def test_mine(check):
        check(MyExecutor, space, config)

Each check takes a function that makes an executor, a space it can train, and a configuration that gives at least three
measurements in a few seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted
from ecoml.metric import ACCURACY
from ecoml.space import Space
from ecoml.training.base import Declares, Executor, Run
from ecoml.trial import Config, Measurement, Trial


class RecordingAccount:
    """An account that records an executor's calls; its budget ends after a number of checks.

    Attributes:
        checks: Number of budget checks.
        purposes: The purposes entered, in order.
    """

    def __init__(self, checks_allowed: int | None = None) -> None:
        self.checks = 0
        self.purposes: list[Purpose] = []
        self._allowed = checks_allowed

    def check_budget(self) -> None:
        """Count, and raise `BudgetExhausted` once the checks are used up."""
        self.checks += 1
        if self._allowed is not None and self.checks > self._allowed:
            raise BudgetExhausted

    def enter(self, purpose: Purpose) -> None:
        """Record the purpose."""
        self.purposes.append(purpose)


def _prepared(create: Callable[[], Executor], space: Space) -> Executor:
    executor = create()
    executor.prepare(space)
    return executor


def _scores(run: Run, count: int) -> list[float]:
    measurements = [next(run) for _ in range(count)]
    assert all(isinstance(measurement, Measurement) for measurement in measurements)
    return [measurement.score for measurement in measurements]


def check_scores_are_in_range(create: Callable[[], Executor], space: Space, config: Config) -> None:
    """A run yields measurements whose scores are within the bounds of the executor's metric."""
    executor = _prepared(create, space)
    metric = executor.metric if isinstance(executor, Declares) else ACCURACY
    run = executor.start(Trial(0, config), RecordingAccount())
    assert all(metric.allows(score) for score in _scores(run, 3))
    run.close()


def check_a_run_may_be_closed_at_any_time(create: Callable[[], Executor], space: Space, config: Config) -> None:
    """A run may be closed before its first step, in the middle, and twice."""
    executor = _prepared(create, space)
    for steps in (0, 1):
        run = executor.start(Trial(steps, config), RecordingAccount())
        _scores(run, steps)
        run.close()
        run.close()


def check_suspending_changes_nothing(create: Callable[[], Executor], space: Space, config: Config) -> None:
    """Runs that take turns give the same curves as runs one after the other."""
    whole = _prepared(create, space)
    expected = []
    for number in (0, 1):
        run = whole.start(Trial(number, config), RecordingAccount())
        expected.append(_scores(run, 3))
        run.close()
    taking_turns = _prepared(create, space)
    runs = [taking_turns.start(Trial(number, config), RecordingAccount()) for number in (0, 1)]
    found: list[list[float]] = [[], []]
    for _ in range(3):
        for run, curve in zip(runs, found, strict=True):
            curve += _scores(run, 1)
    for run in runs:
        run.close()
    assert found == expected


def check_closing_a_run_leaves_others_alone(create: Callable[[], Executor], space: Space, config: Config) -> None:
    """A suspended run is not affected when another run is closed."""
    executor = _prepared(create, space)
    alone = executor.start(Trial(0, config), RecordingAccount())
    expected = _scores(alone, 3)
    alone.close()
    left = executor.start(Trial(0, config), RecordingAccount())
    found = _scores(left, 1)
    for steps in (0, 1):
        other = executor.start(Trial(1, config), RecordingAccount())
        _scores(other, steps)
        other.close()
        found += _scores(left, 1)
    left.close()
    assert found == expected


def check_the_budget_ends_a_run(create: Callable[[], Executor], space: Space, config: Config) -> None:
    """An executor that checks the budget does not catch `BudgetExhausted`."""
    executor = _prepared(create, space)
    account = RecordingAccount()
    run = executor.start(Trial(0, config), account)
    _scores(run, 1)
    run.close()
    if not account.checks:
        return  # as a user's function does not
    allowed = account.checks // 2
    cut = RecordingAccount(allowed)
    run = executor.start(Trial(0, config), cut)
    try:
        next(run)
    except BudgetExhausted:
        assert cut.checks == allowed + 1
    else:
        raise AssertionError("the run went on although the budget was spent")
    run.close()


def check_a_description_is_plain(create: Callable[[], Executor], space: Space, config: Config) -> None:
    """`describe` names a kind, and can be stored as TOML."""
    import tomllib

    import tomli_w

    del config
    described = dict(_prepared(create, space).describe())
    assert isinstance(described["kind"], str)
    assert tomllib.loads(tomli_w.dumps(described)) == described


EXECUTOR_CHECKS = (
    check_scores_are_in_range,
    check_a_run_may_be_closed_at_any_time,
    check_suspending_changes_nothing,
    check_closing_a_run_leaves_others_alone,
    check_the_budget_ends_a_run,
    check_a_description_is_plain,
)
