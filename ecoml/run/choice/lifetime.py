"""The model with the least energy over its life: its training, and N predictions, one image at a time.

    lifetime(trial, N) = training energy + N × energy of one inference

Only models with measured predictions are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ecoml.energy import Energy
from ecoml.metric import Metric
from ecoml.pareto import front_indices
from ecoml.run.choice.recommendation import tolerance
from ecoml.run.result import Result
from ecoml.trial import Trial


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The comparison of a run's models by the energy of their life.

    Attributes:
        inferences: N.
        front: The trials that no other beats on both score and energy of a life, cheapest first, with that energy.
        recommended: The one with the least energy that is as good as the best, within the metric's tolerance.
    """

    inferences: float
    front: tuple[tuple[Trial, Energy], ...]
    recommended: Trial

    def to_dict(self) -> dict[str, Any]:
        """The comparison as a JSON object."""
        return {
            "inferences": self.inferences,
            "recommended": {"trial": self.recommended.number, "step": self.recommended.step},
            "front": [
                {"trial": trial.number, "step": trial.step, "score": trial.score, **energy.to_dict()}
                for trial, energy in self.front
            ],
        }


def used(result: Result) -> list[Trial]:
    """The trials to choose from with measured predictions, cheapest training first."""
    return [trial for trial in result.choices if trial.usage is not None]


def lifetime_energy(trial: Trial, inferences: float) -> Energy:
    """Energy of a training and this many predictions, one image at a time."""
    assert trial.usage is not None, "only models that were measured have one"
    return trial.energy + trial.usage.single.energy.times(inferences)


def lifetime_of(result: Result, inferences: float) -> Lifetime | None:
    """The comparison; None if no model's predictions were measured."""
    trials = used(result)
    if not trials:
        return None
    energies = [lifetime_energy(trial, inferences) for trial in trials]
    utilities = [trial.curve[-1].utility for trial in trials]
    chosen = front_indices(utilities, [energy.energy_j for energy in energies])
    front = tuple((trials[index], energies[index]) for index in chosen)
    best = choices([trial for trial, _ in front], result.metric)[0]
    return Lifetime(inferences, front, best)


def trial_to_use(result: Result) -> Trial | None:
    """The trial whose model is used where none is named: the recommended one; if there is a number of predictions, the
    one with the least energy including them.
    """
    many = result.limits.inferences
    life = None if many is None else lifetime_of(result, many)
    return result.recommended if life is None else life.recommended


def choices(trials: Sequence[Trial], metric: Metric) -> list[Trial]:
    """The trials as good as the best, within the metric's tolerance; among them the energy of a life decides."""
    if not trials:
        return []
    enough = max(trial.curve[-1].utility for trial in trials) - tolerance(trials, metric) - 1e-12
    return [trial for trial in trials if trial.curve[-1].utility >= enough]


def flips(trials: Sequence[Trial], metric: Metric) -> list[tuple[float, Trial]]:
    """The numbers of predictions from which each trial is the best choice, starting with 0.

    They are the lower envelope of the lines training + N × prediction, for the trials as good as the best.
    """
    lines = choices(trials, metric)
    if not lines:
        return []
    choice = min(lines, key=lambda trial: (trial.energy_j, _each_j(trial)))
    found = [(0.0, choice)]
    while flatter := [trial for trial in lines if _each_j(trial) < _each_j(choice)]:

        def meets(trial: Trial, choice: Trial = choice) -> float:
            return (trial.energy_j - choice.energy_j) / (_each_j(choice) - _each_j(trial))

        after = min(flatter, key=lambda trial: (meets(trial), _each_j(trial)))
        found.append((meets(after), after))
        choice = after
    return found


def _each_j(trial: Trial) -> float:
    assert trial.usage is not None, "only models that were measured are compared"
    return trial.usage.single.energy.energy_j
