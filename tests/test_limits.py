"""What limits accept, and what of them is stored."""

from __future__ import annotations

import pytest
from rigs.scripts import CONFIG, Script, curve, why

import ecoml
from ecoml.endings import StopReason
from ecoml.limits import Limits

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
