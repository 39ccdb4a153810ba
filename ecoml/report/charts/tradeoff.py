"""What accuracy costs within one run: half the energy for how many points, the cheapest within one point and two.

All of it is about trainings, not about the search: the front's points, each a training that was cut there. E+ and E−
are the dearer and the cheaper half of all trainings, as a study of a factor would have them
(`ecoml.experiments.effects.effects`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from ecoml.energy import Provenance, format_energy
from ecoml.report.format import source_of
from ecoml.run.result import Result
from ecoml.trial import Trial

WITHIN_POINTS = (1, 2)
"""Percentage points that a reader may be ready to give up."""


@dataclass(frozen=True, slots=True)
class Saving:
    """A point of the front that is cheaper than the most accurate one.

    Attributes:
        trial: Its number.
        step: How long it was trained.
        energy_j: Joules of its training.
        score: Its validation accuracy.
        saved: Share of the most accurate one's energy that it saves.
        lost: What it is less accurate, as a share.
    """

    trial: int
    step: int
    energy_j: float
    score: float
    saved: float
    lost: float


@dataclass(frozen=True, slots=True)
class Half:
    """One half of the trainings by energy: how many, mean joules, mean and best accuracy."""

    trainings: int
    energy_j: float
    score: float
    best: float


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """What accuracy costs.

    Attributes:
        best: The most accurate point.
        within: Points given up → the cheapest within them.
        half: The most accurate point for at most half the energy of the best; None if there is none.
        cheaper: E−, the cheaper half of the trainings; None for fewer than four.
        dearer: E+, likewise.
        provenance: Source of the energies.
        step_name: What a step of a training is called.
    """

    best: Saving
    within: dict[int, Saving]
    half: Saving | None
    cheaper: Half | None
    dearer: Half | None
    provenance: Provenance
    step_name: str = "step"

    def which(self, choice: Saving) -> str:
        """`trial 3 after 2 epochs`."""
        return f"trial {choice.trial} after {choice.step} {self.step_name}{'' if choice.step == 1 else 's'}"


def tradeoff_of(result: Result) -> Tradeoff | None:
    """The trade-off of a run; None without a measurement."""
    if not result.front:
        return None
    front = result.front
    best = front[-1]
    within = {points: _choice(_cheapest(front, points / 100), best) for points in WITHIN_POINTS}
    halves = [trial for trial in front if trial.energy_j <= best.energy_j / 2]
    ended = sorted((t for t in result.trials if t.curve and t.curve[-1].energy_j > 0), key=lambda t: t.energy_j)
    middle = len(ended) // 2
    cheaper, dearer = (_half(ended[:middle]), _half(ended[-middle:])) if middle >= 2 else (None, None)
    half = _choice(halves[-1], best) if halves else None
    return Tradeoff(_choice(best, best), within, half, cheaper, dearer, Provenance(source_of(front)), result.step_name)


def advice(tradeoff: Tradeoff) -> Iterator[str]:
    """The trade-off in sentences."""
    best, source = tradeoff.best, tradeoff.provenance
    yield (
        f"The most accurate training, {tradeoff.which(best)}, reaches {_percent(best.score)} for"
        f" {format_energy(best.energy_j)} ({source})."
    )
    told: Saving | None = None
    for points, choice in tradeoff.within.items():
        what = f"Within {points} percentage point{'s' if points > 1 else ''} of it"
        if (choice.trial, choice.step) == (best.trial, best.step):
            yield f"{what} nothing is cheaper."
        elif choice == told:
            yield f"{what} nothing is cheaper than that."
        else:
            yield (
                f"{what} the cheapest is {tradeoff.which(choice)}: {_percent(choice.score)} for"
                f" {format_energy(choice.energy_j)}, {choice.saved:.0%} less."
            )
        told = choice
    if tradeoff.half is None:
        yield "No training got by with half of its energy."
    else:
        half = tradeoff.half
        yield (
            f"Half the energy costs {100 * half.lost:.2f} points: {tradeoff.which(half)} reaches"
            f" {_percent(half.score)}"
            f" for {format_energy(half.energy_j)}."
        )
    if tradeoff.cheaper is not None and tradeoff.dearer is not None:
        yield (
            f"The dearer half of the trainings (E+) took {format_energy(tradeoff.dearer.energy_j)} each at"
            f" {_percent(tradeoff.dearer.score)} on average, the cheaper half (E−)"
            f" {format_energy(tradeoff.cheaper.energy_j)} at {_percent(tradeoff.cheaper.score)} ({source})."
        )


def tradeoff_dict(tradeoff: Tradeoff) -> dict[str, Any]:
    """For JSON."""
    return asdict(tradeoff) | {"provenance": tradeoff.provenance.value, "advice": list(advice(tradeoff))}


def _cheapest(front: Sequence[Trial], below: float) -> Trial:
    enough = (front[-1].score or 0.0) - below - 1e-12
    return next(trial for trial in front if (trial.score or 0.0) >= enough)


def _choice(trial: Trial, best: Trial) -> Saving:
    score, most = trial.score or 0.0, best.score or 0.0
    saved = 1 - trial.energy_j / best.energy_j if best.energy_j else 0.0
    return Saving(trial.number, trial.step, trial.energy_j, score, saved, most - score)


def _half(trials: Sequence[Trial]) -> Half:
    scores = [trial.curve[-1].score for trial in trials]
    return Half(len(trials), fmean(trial.energy_j for trial in trials), fmean(scores), max(scores))


def _percent(score: float) -> str:
    return f"{100 * score:.2f} %"
