"""The observations for the surrogate: one row for each point of each learning curve.

Notation
    m distinct configurations, n observations (rows), each of one configuration at one step
    y   (n,)  utilities, transformed, centred and scaled: nothing depends on a metric's range

Transformed: arsinh of the distance to the best, in units of the distance of the good trials (the best fifth). Near the
best this is linear. Far below, differences count less and less; otherwise a training that stayed at chance level, and
the many that were stopped early, would compress the differences between good ones.

A curve is thinned to points at steps that grow by a constant factor, because neighbouring points contain the same
information. A trial whose curve is identical to another's is its duplicate: the training maps several configurations to
one (a table look-up, a rounded parameter). A duplicate adds no information and is not continued, and the distance
between duplicates determines how close to a known configuration no new one is useful.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecoml.trial import Trial, TrialState

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_GOOD = 0.2  # share of the trials behind the best that are good: the worst of them sets the unit of bent utilities
_ROUNDING = 1e-12  # utilities that differ by less than this share of them are the same
_FAILED = 1.0  # a failure is worse than the worst by this much, once bent; its joules say nothing about energy

_DUPLICATE_STEPS = 2  # a coincidence over so many points of a curve that moves is none
_COMPARED = 50  # trials with the same first point that each is compared with: of a constant there may be thousands
_DUPLICATE_SHARE = 1.0  # of the median distance between duplicates; nearer to what is known is not looked
_DUPLICATE_MOST = 0.3  # that distance is at most this share of the cube's diagonal


@dataclass(frozen=True, slots=True)
class Observations:
    """The observations so far.

    Attributes:
        measured: Trials with a usable point, without duplicates.
        failed: Trials that failed; m in all.
        owner: Index into `trials` of each observation (n,).
        step: Its step (n,), from 1.
        y: Its utility, scaled (n,).
        best: The best utility.
        unit: Distance of the good trials to it: utilities are transformed as arsinh((utility − best) / unit).
        centre: The value subtracted from them afterwards.
        spread: The divisor afterwards.
        length: Steps of a complete training; None before one is complete.
    """

    measured: tuple[Trial, ...]
    failed: tuple[Trial, ...]
    owner: Indices
    step: Indices
    y: Array
    best: float
    unit: float
    centre: float
    spread: float
    length: int | None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The measured trials, then the failed ones."""
        return self.measured + self.failed

    @property
    def suspended(self) -> list[int]:
        """Indices of the trials that can be continued."""
        return [i for i, t in enumerate(self.measured) if t.state is TrialState.SUSPENDED and t.step < self.horizon]

    @property
    def step_j(self) -> Array:
        """Joules per step of the measured trials (len(measured),)."""
        return np.array([trial.curve[-1].energy_j / trial.step for trial in self.measured])

    def scaled(self, utility: float) -> float:
        """A utility on the surrogate's scale."""
        return float((np.arcsinh((utility - self.best) / self.unit) - self.centre) / self.spread)

    @property
    def bend(self) -> float:
        """The utility of one unit of y near the best."""
        return self.unit * self.spread

    @property
    def horizon(self) -> int:
        """The step for which ends are predicted: the end of a training, or twice the largest step so far."""
        return self.length or 2 * max(trial.step for trial in self.measured)


def is_usable(trial: Trial) -> bool:
    """Whether a trial has points from which the models can learn."""
    return bool(trial.curve) and trial.state is not TrialState.FAILED and trial.curve[-1].energy_j > 0


def is_complete(trial: Trial, length: int) -> bool:
    """Whether a trial is completely trained; trainings may end by themselves after fewer than `length` steps."""
    return trial.step >= length or trial.state is TrialState.FINISHED


def observations_of(
    trials: Sequence[Trial], milestones: Sequence[int], most: int, span: float | None = 1.0
) -> Observations | None:
    """The observations of trials (without duplicates); None if no trial has a usable point.

    Args:
        trials: In the order of their numbers.
        milestones: Steps at which curves are used, ascending; the last point of each is always used.
        most: Approximate largest number of observations: beyond it, worse curves are thinned to their last point, then
            left out.
        span: Distance between the lowest and the highest possible utility; None without bounds.
    """
    measured = [trial for trial in trials if is_usable(trial)]
    if not measured:
        return None
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    peaks = np.array([max(point.utility for point in trial.curve) for trial in measured])
    best = float(peaks.max())
    behind = (best - peaks)[best - peaks > _ROUNDING * np.abs(peaks).max()]
    length = max((trial.step for trial in measured if trial.state is TrialState.FINISHED), default=None)

    order = np.argsort(-peaks, kind="stable")
    steps: dict[int, list[int]] = {}
    room = most
    for rank, i in enumerate(order):
        trial = measured[i]
        taken = [step for step in milestones if step < trial.step] + [trial.step]
        if len(taken) + len(order) - rank - 1 > room:
            taken = taken[-1:]
        if room > 0:
            steps[int(i)] = taken
            room -= len(taken)
    kept = sorted(steps)
    measured = [measured[i] for i in kept]
    observed = [(row, step) for row, i in enumerate(kept) for step in steps[i]]
    values = np.array([measured[row].curve[step - 1].utility for row, step in observed])
    unit = float(np.quantile(behind, _GOOD)) if len(behind) else span or float(np.ptp(values)) or 1.0
    far = length or max(trial.step for trial in measured)
    failed = failed[: max(1, most // 4)]
    observed += [(len(measured) + row, far) for row in range(len(failed))]
    y = np.arcsinh((values - best) / unit)
    y = np.r_[y, np.full(len(failed), y.min() - _FAILED)]
    centre, spread = float(y.mean()), float(y.std())
    spread = spread if spread > 1e-12 else 1.0
    owner, step = np.array(observed, dtype=np.intp).T
    y = (y - centre) / spread
    return Observations(tuple(measured), tuple(failed), owner, step, y, best, unit, centre, spread, length)


def evenly(trials: Sequence[Trial], milestones: Sequence[int], most: int) -> list[Trial]:
    """All failed trials, and a part of the others with about `most` points, evenly over their ranks.

    The best ones alone are similar to each other, and would suggest that their common values make no difference. The
    best and the worst are always included.
    """
    measured = [trial for trial in trials if is_usable(trial)]
    points = sum(sum(step < trial.step for step in milestones) + 1 for trial in measured)
    if points <= most:
        return list(trials)
    peaks = np.array([max(point.utility for point in trial.curve) for trial in measured])
    ranked = np.argsort(-peaks, kind="stable")
    ranks = np.linspace(0, len(measured) - 1, max(2, most * len(measured) // points)).round().astype(int)
    chosen = {measured[i].number for i in ranked[ranks]}
    return [trial for trial in trials if trial.number in chosen or trial.state is TrialState.FAILED]


def milestones(factor: float, until: int) -> list[int]:
    """Steps 1, … that grow by about `factor`, up to `until`."""
    found, at = [1], 1.0
    while True:
        at = max(at * factor, found[-1] + 1.0)
        if round(at) > until:
            return found
        found.append(round(at))


def duplicates(trials: Sequence[Trial], u: Array) -> tuple[set[int], float]:
    """Numbers of the trials that duplicate another with a longer (or earlier) curve, and the distance that trials must
    keep.

    Args:
        trials: All of them, in order.
        u: Their points of the unit cube (len(trials), d).
    """
    repeats: set[int] = set()
    distances: list[float] = []
    alike: dict[tuple[float, float], list[int]] = {}  # by their first points
    for i, trial in enumerate(trials):
        if not is_usable(trial):
            continue
        others = alike.setdefault((trial.curve[0].utility, trial.curve[0].energy_j), [])
        for j in others[:_COMPARED]:
            other = trials[j]
            if other.number not in repeats and _same(trial, other):
                repeats.add(trial.number if trial.step <= other.step else other.number)
                distances.append(float(np.linalg.norm(u[i] - u[j])))
                break
        others.append(i)
    if not distances:
        return repeats, 0.0
    return repeats, min(_DUPLICATE_SHARE * float(np.median(distances)), _DUPLICATE_MOST * math.sqrt(u.shape[1]))


def _same(one: Trial, other: Trial) -> bool:
    common = min(one.step, other.step)
    pairs = list(zip(one.curve[:common], other.curve[:common], strict=True))
    if any(a.utility != b.utility or a.energy_j != b.energy_j for a, b in pairs):
        return False
    if one.state is TrialState.FINISHED and other.state is TrialState.FINISHED:
        return one.step == other.step
    return common >= _DUPLICATE_STEPS and len({a.utility for a, _ in pairs}) > 1
