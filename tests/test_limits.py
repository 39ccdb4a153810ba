"""What limits accept, and what of them is stored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from rigs.scripts import CONFIG, Script, curve, why

import ecoml
from ecoml.endings import StopReason
from ecoml.errors import BudgetError, UsageError
from ecoml.limits import Limits, budget_in_joules

R2 = ecoml.Metric("R²", high=1)


@pytest.mark.parametrize("limit", ["target", "inferences"])
def test_a_limit_of_zero_is_stored(limit):
    limits = Limits.of({limit: 0})
    assert limits.to_dict() == {limit: 0.0}
    assert Limits.of(limits.to_dict()) == limits
    assert Limits().to_dict() == {}


def test_a_target_of_zero_ends_a_continued_search(space, reported, run_folder):
    """A score that often starts below zero, such as R², has 0 as a sensible target."""
    script = Script([ecoml.Start(CONFIG, steps=1)])
    wishes = {**reported, "strategy": script, "metric": R2, "target": 0}
    ecoml.Searcher(space, curve([-0.5]), budget_j=100, **wishes).run()
    again = Script([ecoml.Start({**CONFIG, "width": width}) for width in (8, 9, 10)])
    result = ecoml.Searcher.resume(run_folder, curve([0.5]), strategy=again).run()
    assert result.limits.target == 0
    assert why(result).reason is StopReason.TARGET_REACHED


@pytest.mark.parametrize("name", ["spend_all", "require_measured"])
@pytest.mark.parametrize("value", ["no", 1, None, math.nan])
def test_a_switch_is_true_or_false(name, value):
    with pytest.raises(UsageError, match=f"{name} is .*; give True or False"):
        Limits.of({name: value})


def test_a_switch_of_numpy_is_one():
    assert Limits.of({"spend_all": np.True_}).spend_all is True
    assert Limits.of({"spend_all": np.False_}).to_dict() == {}
    with pytest.raises(UsageError, match="whole number"):
        Limits.of({"max_trials": np.True_})


@pytest.mark.parametrize("budget", [10**400, "2", True, None, 1e308])
def test_a_budget_beyond_all_numbers_is_refused(budget):
    with pytest.raises(BudgetError, match="budget"):
        budget_in_joules(budget, None)


def test_budgets_of_other_libraries_are_numbers():
    number: Any = np.float32(2)
    assert budget_in_joules(None, number) == 2.0
