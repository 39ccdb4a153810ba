"""What the trials say, as two objectives to be maximised.

    Notation
        V   n×2   raw objectives: utility and −log energy_j
        Y   n×2   V standardised, with failures filled in: what the surrogate is fitted to
        S   n×2   variance of Y by how well the joules are known (`energy_noise`); 0 for utilities and failures
        r   (2,)  reference point, on the scale of Y: hypervolume counts from here

Nothing here depends on a benchmark's range: energies times a constant and utilities times a constant give the same Y
and r, and with them the same proposals.
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
"""Utilities further below the median than this many times the way from there to the best count as that far below: how
badly a training went is of no use, and one that stayed at chance would squeeze all good ones together."""

_ROUNDING = 1e-12
"""Objectives that spread by no more than this share of them are all the same."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """What is known, in the order in which it was given.

    Attributes:
        measured: Trials that ended with a result.
        failed: Trials that failed.
        pending: Trials that may still bring a result.
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
    """Whether a trial has ended with a utility and an energy that can be learnt from."""
    return (
        trial.state in (TrialState.FINISHED, TrialState.STOPPED)
        and bool(trial.curve)
        and math.isfinite(trial.curve[-1].utility)
        and trial.curve[-1].energy_j > 0
    )


def objectives_of(trials: Sequence[Trial], initial: int) -> Objectives | None:
    """The objectives of the trials, None as long as no trial has a result.

    The last point of each curve counts. A failed trial is filled in with the worst utility (after `_REACH`) and the
    median energy: the model then expects little around it, and learns nothing untrue about energy; its own joules are
    no guide, since one that crashes at once would look cheap.

    The reference point is the best utility and the highest energy of the first `initial` results. It stays where it is
    while the search goes on, or else hypervolumes of different moments would be mixed. A cheaper and worse
    configuration than that utility is no gain to a user, and where the range of a task lies is not known beforehand.
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
    """Indices (at most about `count`) of the rows of Y worth learning from: the incumbents, the better half of what is
    allowed by utility, and an even sample of the rest.
    """
    n = len(known.y)
    if n <= count:
        return np.arange(n)
    order = np.argsort(-known.y[:, 0], kind="stable")
    best, rest = order[: count // 2], order[count // 2 :]
    sample = rest[np.linspace(0, len(rest) - 1, count - len(best)).round().astype(int)]
    return np.union1d(known.incumbents, np.concatenate([best, sample]))
