"""The results of the trials, as two objectives to be maximised.

Notation
    V   n×2   raw objectives: utility and −log energy_j
    Y   n×2   V standardised, with failures filled in: the data of the surrogate
    S   n×2   variance of Y from the uncertainty of the joules (`energy_noise`); 0 for utilities and failures
    r   (2,)  reference point, on the scale of Y: hypervolume counts from here

Nothing here depends on a problem's range: multiplying energies or utilities by a constant gives the same Y and r, and
therefore the same proposals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecoml.pareto import front_indices
from ecoml.strategies.energy_noise import log_energy_variance
from ecoml.trial import Trial, TrialState

Array = NDArray[np.float64]

_REACH = 3.0
"""Utilities are clipped this many times as far below the median as the best is above it: differences between bad
trainings are not useful, and one that stayed at chance level would compress the differences between good ones.
"""

_ROUNDING = 1e-12
"""Objectives that vary by at most this share are considered equal."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """The results, in the order of the trials.

    Attributes:
        measured: Trials that ended with a result.
        failed: Trials that failed.
        pending: Trials that may still give a result.
        y: Y (n, 2), the measured ones first, then the failed ones.
        variance: S (n, 2).
        reference: r (2,).
        incumbents: Indices into `measured`: its front and its best few.
    """

    measured: tuple[Trial, ...]
    failed: tuple[Trial, ...]
    pending: tuple[Trial, ...]
    y: Array
    variance: Array
    reference: Array
    incumbents: NDArray[np.intp]


def is_measured(trial: Trial) -> bool:
    """Whether a trial has ended with a usable utility and energy."""
    return (
        trial.state in (TrialState.FINISHED, TrialState.STOPPED)
        and bool(trial.curve)
        and math.isfinite(trial.curve[-1].utility)
        and trial.curve[-1].energy_j > 0
    )


def objectives_of(trials: Sequence[Trial], initial: int) -> Objectives | None:
    """The objectives of the trials; None if no trial has a result.

    The last point of each curve counts. A failed trial is filled in with the worst utility (after `_REACH`) and the
    median energy: the model then expects little around it, and learns nothing wrong about energy. Its own joules are
    not used, because a trial that crashes at once would look cheap.

    The reference point is the best utility and the highest energy of the first `initial` results. It does not change
    during the search, because hypervolumes of different times must be comparable. A cheaper configuration with a
    utility below it is no gain, and the range of a task is not known beforehand.
    """
    measured = tuple(trial for trial in trials if is_measured(trial))
    if not measured:
        return None
    # A trial stopped before its first point tells nothing; one that ended on a useless point tells that it failed.
    failed = tuple(
        t for t in trials if t.state is TrialState.FAILED or (t.state.ended and t.curve and not is_measured(t))
    )
    pending = tuple(t for t in trials if not t.state.ended)
    v = np.array([[t.curve[-1].utility, -math.log(t.curve[-1].energy_j)] for t in measured])
    first = v[:initial]
    reference = np.array([first[:, 0].max(), first[:, 1].min()])

    score = v[:, 0]
    incumbents = np.union1d(front_indices(score, -v[:, 1]), np.argsort(-score, kind="stable")[:3])
    median = float(np.median(score))
    clipped = np.column_stack([np.maximum(score, median - _REACH * (score.max() - median)), v[:, 1]])
    centre, spread = clipped.mean(axis=0), clipped.std(axis=0)
    spread[spread <= _ROUNDING * np.abs(clipped).max(axis=0)] = 1.0
    y = (clipped - centre) / spread
    filled = np.array([y[:, 0].min(), np.median(y[:, 1])])
    y = np.concatenate([y, np.tile(filled, (len(failed), 1))])
    variance = np.zeros_like(y)
    variance[: len(measured), 1] = log_energy_variance(measured) / spread[1] ** 2
    return Objectives(measured, failed, pending, y, variance, (reference - centre) / spread, incumbents)


def most_telling(known: Objectives, count: int) -> NDArray[np.intp]:
    """Indices (at most about `count`) of the most informative rows of Y: the incumbents, the best by utility up to half
    of `count`, and an even sample of the rest.
    """
    n = len(known.y)
    if n <= count:
        return np.arange(n)
    order = np.argsort(-known.y[:, 0], kind="stable")
    best, rest = order[: count // 2], order[count // 2 :]
    sample = rest[np.linspace(0, len(rest) - 1, count - len(best)).round().astype(int)]
    return np.union1d(known.incumbents, np.concatenate([best, sample]))
