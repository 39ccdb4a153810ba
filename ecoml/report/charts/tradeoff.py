"""The energy cost of the score within one run: the loss at half the energy, and the cheapest training within a small
loss.

These figures are about single trainings, not about the search: the points of the front, each a training that ended
there. E+ and E− are the half of all trainings with the larger and with the smaller energy, as in a study of a factor
(`ecoml.experiments.effects.effects`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from ecoml.energy import Provenance, weakest
from ecoml.format import format_energy, format_gain, named_score, percent, plural
from ecoml.metric import Metric
from ecoml.run.result import Result, tolerance
from ecoml.trial import Trial

WITHIN_TOLERANCES = (1, 2)
"""Losses for which the cheapest training is named, in units of `tolerance`: percentage points if the score is a
share.
"""


@dataclass(frozen=True, slots=True)
class EnergySaving:
    """A point of the front that is cheaper than the best one.

    Attributes:
        trial: Its number.
        step: Length of its training.
        energy_j: Joules of its training.
        score: Its score.
        saved: Saved share of the best point's energy.
        lost: How much worse its score is, ≥ 0.
    """

    trial: int
    step: int
    energy_j: float
    score: float
    saved: float
    lost: float


@dataclass(frozen=True, slots=True)
class Half:
    """One half of the trainings by energy: number, mean joules, mean and best score."""

    trainings: int
    energy_j: float
    score: float
    best: float


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """The energy cost of the score.

    Attributes:
        best: The best point.
        within: Loss in tolerances → the cheapest point within it.
        half: The best point with at most half the energy of the best; None if there is none.
        cheaper: E−, the half of the trainings with the smaller energy; None for fewer than four trainings.
        dearer: E+, the other half.
        provenance: Provenance of the energies.
        metric: The metric of the scores.
        tolerance: How much worse a score may be and still count as good as the best.
    """

    best: EnergySaving
    within: dict[int, EnergySaving]
    half: EnergySaving | None
    cheaper: Half | None
    dearer: Half | None
    provenance: Provenance
    metric: Metric
    tolerance: float


def tradeoff_of(result: Result) -> Tradeoff | None:
    """The trade-off of a run; None without a measurement."""
    front, metric = result.front, result.metric
    if not front:
        return None
    best, enough = front[-1], tolerance(front, metric)
    within = {times: _saving(_cheapest(front, times * enough), best) for times in WITHIN_TOLERANCES}
    halves = [trial for trial in front if trial.energy_j <= best.energy_j / 2]
    ended = sorted((t for t in result.trials if t.curve and t.curve[-1].energy_j > 0), key=lambda t: t.energy_j)
    middle = len(ended) // 2
    cheaper, dearer = (_half(ended[:middle], metric), _half(ended[-middle:], metric)) if middle >= 2 else (None, None)
    half = _saving(halves[-1], best) if halves else None
    source = weakest(trial.energy.provenance for trial in front)
    return Tradeoff(_saving(best, best), within, half, cheaper, dearer, source, metric, enough)


def advice(tradeoff: Tradeoff) -> Iterator[str]:
    """The trade-off as sentences."""
    best, source, metric = tradeoff.best, tradeoff.provenance, tradeoff.metric

    def which(choice: EnergySaving) -> str:
        return f"trial {choice.trial} after {plural(choice.step, metric.step)}"

    yield (
        f"Of all trainings, {which(best)} measured best: {named_score(metric, best.score)} for"
        f" {format_energy(best.energy_j)} ({source})."
    )
    told: EnergySaving | None = None
    for times, choice in tradeoff.within.items() if tradeoff.tolerance else ():
        gain = format_gain(metric, times * tradeoff.tolerance)
        if (choice.trial, choice.step) == (best.trial, best.step):
            yield f"No training within {gain} of it is cheaper."
        elif choice == told:
            yield f"None within {gain} is cheaper than that."
        else:
            yield (
                f"Within {gain} of it the cheapest is {which(choice)}: {named_score(metric, choice.score)} for"
                f" {format_energy(choice.energy_j)}, {percent(choice.saved, 0)} less."
            )
        told = choice
    if (half := tradeoff.half) is None:
        yield "No training took at most half of its energy."
    else:
        yield (
            f"Half the energy costs {format_gain(metric, half.lost)} of {metric.name}: {which(half)} reaches"
            f" {named_score(metric, half.score)} for {format_energy(half.energy_j)}."
        )
    if tradeoff.cheaper is not None and tradeoff.dearer is not None:
        cheaper, dearer = tradeoff.cheaper, tradeoff.dearer
        yield (
            f"The dearer half of the trainings (E+) took {format_energy(dearer.energy_j)} each at"
            f" {named_score(metric, dearer.score)} on average, the cheaper half (E−) {format_energy(cheaper.energy_j)}"
            f" at {named_score(metric, cheaper.score)} ({source})."
        )


def tradeoff_dict(tradeoff: Tradeoff) -> dict[str, Any]:
    """The trade-off as a JSON object."""
    return asdict(tradeoff) | {"metric": tradeoff.metric.to_dict(), "advice": list(advice(tradeoff))}


def _cheapest(front: Sequence[Trial], below: float) -> Trial:
    enough = front[-1].curve[-1].utility - below - 1e-12
    return next(trial for trial in front if trial.curve[-1].utility >= enough)


def _saving(trial: Trial, best: Trial) -> EnergySaving:
    point, most = trial.curve[-1], best.curve[-1]
    saved = 1 - point.energy_j / most.energy_j if most.energy_j else 0.0
    return EnergySaving(trial.number, trial.step, point.energy_j, point.score, saved, most.utility - point.utility)


def _half(trials: Sequence[Trial], metric: Metric) -> Half:
    scores = [trial.curve[-1].score for trial in trials]
    best = max(scores, key=metric.utility)
    return Half(len(trials), fmean(trial.energy_j for trial in trials), fmean(scores), best)
