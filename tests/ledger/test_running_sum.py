"""A sum that changes term by term is the sum of its current terms, to the last bit, however long it changes."""

from __future__ import annotations

import math
import random

from ecoml.ledger.open_steps import OpenSteps
from ecoml.ledger.running_sum import RunningSum


def test_it_never_drifts():
    chance, total, terms = random.Random(0), RunningSum(), dict[int, float]()
    for _ in range(5000):
        key = chance.randrange(40)
        terms[key] = chance.choice([0.0, chance.random(), 10 ** chance.uniform(-300, 300)])
        total.set(key, terms[key])
        assert total.total() == math.fsum(terms.values())
        assert total.total(without=key) == math.fsum(term for other, term in terms.items() if other != key)
    for key in terms:
        total.set(key, 0.0)
    assert total.total() == 0.0


def test_what_is_charged_to_a_step_is_no_longer_open():
    steps = OpenSteps()
    steps.hold(1, 10.0)
    steps.hold(2, 5.0)
    steps.charge(1, 4.0)
    assert (steps.total_j(), steps.total_j(without=1), steps.open_j(1)) == (11.0, 5.0, 6.0)
    steps.charge(1, 7.0)
    assert (steps.total_j(), steps.open_j(1)) == (5.0, 0.0), "a step that takes more than it holds frees nothing"
    steps.settle(1)
    assert steps.total_j() == 15.0
    steps.release(1)
    steps.charge(1, 3.0)
    assert steps.total_j() == 5.0, "a step that is not under way holds nothing"
