"""Slow starters: when to train configurations to their end without judging their first steps.

Where curves begin with a plateau, or cross, good configurations look bad after a screening. A search that trusts
screenings would never learn that they are good. Therefore a share of the energy goes to complete trainings, chosen by a
model of complete trainings alone (`Learner.ends`). If screenings mislead, because they ranked the best training among
the worst, all configurations are trained to their end.

Most problems have no slow starters, so the share is small, and it begins late: on the replayed curves of LCBench a
search has usually found what it looks for by then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecoml.strategies.bayes.observations import is_complete, is_usable
from ecoml.trial import Trial, TrialState

_AFTER = 8.0  # whole trainings, of which the energy is spent before
_SHARE = 0.15  # of the energy spent since
_EVERY = 8  # the numbers of these trials are multiples of it, by which a resumed search knows them
_WORSE = 0.2  # share of the trials that the best training beat after its screening: with less, it was no help
_WHOLE = 3  # complete trainings, before the best of them says anything


def is_due(trials: Sequence[Trial], number: int, first: int, length: int, whole_j: float) -> bool:
    """Whether the next new trial is to be trained to its end.

    Args:
        trials: All trials of this run.
        number: The number of the next one.
        first: The number of the first one after the initial design.
        length: Steps of a complete training.
        whole_j: Approximate joules of a complete training.
    """
    if number < first or number % _EVERY:
        return False
    later_j = sum(trial.energy_j for trial in trials) - _AFTER * whole_j
    earlier = (trial for trial in trials if trial.number >= first and trial.number % _EVERY == 0)
    taken_j = sum(t.energy_j for t in earlier if t.state is not TrialState.SUSPENDED or t.step >= length)
    return later_j > 0 and taken_j <= _SHARE * later_j


def screening_misleads(trials: Sequence[Trial], screening: int, length: int, whole_j: float) -> bool:
    """Whether hardly a trial was worse than the best complete training at the end of the screening, and more were
    better.

    Args:
        trials: All trials of this run.
        screening: Steps of a screening.
        length: Steps of a complete training.
        whole_j: Approximate joules of a complete training.
    """
    long = [trial for trial in trials if len(trial.curve) >= screening]
    whole = [trial for trial in long if is_complete(trial, length) and is_usable(trial)]
    if len(whole) < _WHOLE or sum(trial.energy_j for trial in trials) < _AFTER * whole_j:
        return False
    best = max(whole, key=lambda trial: trial.curve[-1].utility)
    screened = np.array([trial.curve[screening - 1].utility for trial in long])
    ahead = screened - best.curve[screening - 1].utility
    worse, better = float(np.mean(ahead < 0)), float(np.mean(ahead > 0))
    return worse < min(_WORSE, better)  # of many equal ones, nothing is known
