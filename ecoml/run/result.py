"""Result: what a search found, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecoml.pareto import front_indices
from ecoml.run.folder import read_settings
from ecoml.run.outcome import EnergyAccount, account_of
from ecoml.run.snapshot import Progress, Snapshot, read_snapshot
from ecoml.trial import Trial

__all__ = ["WITHIN", "EnergyAccount", "Result", "front_of", "recommend", "result_of", "within"]

WITHIN = 0.01
"""The recommended trial is the cheapest whose accuracy is at most this far below the best."""


GOAL = ("target_accuracy", "max_parameters", "max_energy_per_training_j", "spend_all")
"""Keys of `run.toml` that say what was asked for beyond the best for the budget."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a search found.

    Attributes:
        trials: Every trial, in order.
        front: The trials, each as if ended at one point of its curve, that no other beats on both accuracy and energy;
            cheapest first. A trial may stand here more than once, with different `step`. None took more than
            `max_energy_per_training_j`.
        recommended: The cheapest on the front within one percentage point of the best validation accuracy.
        energy: The account.
        progress: Every measurement in the order of the search, with what the search had spent by then.
        ended: Why the search is over, in words; empty while it runs.
        settings: What `run.toml` holds.
        directory: The run folder.
    """

    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    recommended: Trial | None
    energy: EnergyAccount
    progress: tuple[Progress, ...] = field(repr=False)
    ended: str
    settings: Mapping[str, Any] = field(repr=False)
    directory: Path

    @classmethod
    def load(cls, directory: str | Path) -> Result:
        """The result of a run folder, finished or still being written.

        Raises:
            RunFolderError: It is not a run folder, or a newer one.
        """
        path = Path(directory)
        settings = read_settings(path)
        return result_of(read_snapshot(path / "ledger.sqlite"), settings, path)

    @property
    def problem(self) -> str:
        """What was trained, in short."""
        return str(self.settings["run"]["problem"])

    @property
    def strategy(self) -> str:
        """The strategy's name."""
        return str(self.settings["run"]["strategy"])

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.settings["run"]["seed"])

    @property
    def step_name(self) -> str:
        """What a step of a curve is: an epoch of the built-in training, a measurement of one's own."""
        return "epoch" if self.settings.get("executor", {}).get("kind") == "cnn" else "step"

    @property
    def fixed(self) -> frozenset[str]:
        """Names of the parameters that were not searched."""
        parameters = self.settings["space"].get("parameters", {})
        fixed = {name for name, table in parameters.items() if table["type"] == "fixed"}
        return frozenset(fixed | set(self.settings["space"].get("fixed", {})))

    def floor_j(self, trial: Trial) -> float | None:
        """The least energy of a trial's epochs (`ecoml.training.images.network.floor`); None where it is not known."""
        if "floor" not in self.settings:
            return None
        from ecoml.training.images.network.floor import Floor

        return Floor.of(self.settings["floor"]).energy_j(trial)

    def efficiency(self, *trials: Trial) -> float | None:
        """`floor_j` of these trials (of all without one) as a share of what their epochs took; None if not known."""
        begun = [trial for trial in trials or self.trials if trial.curve]
        floors_j = [self.floor_j(trial) for trial in begun]
        taken_j = math.fsum(trial.curve[-1].energy_j for trial in begun)
        if not begun or taken_j <= 0 or None in floors_j:
            return None
        return math.fsum(floor_j for floor_j in floors_j if floor_j is not None) / taken_j

    @property
    def max_energy_per_training_j(self) -> float | None:
        """The most joules that a training might take; None: any number."""
        return _most_j(self.settings)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        run = self.settings["run"]
        return {
            "directory": str(self.directory),
            "problem": self.problem,
            "strategy": self.strategy,
            "seed": self.seed,
            "goal": {key: run[key] for key in GOAL if key in run},
            "warm_start": self.settings.get("warm_start"),
            "ended": self.ended,
            "energy": self.energy.to_dict(),
            "efficiency": self.efficiency(),
            "recommended": self._trial_dict(self.recommended) if self.recommended else None,
            "front": [self._trial_dict(trial) for trial in self.front],
            "trials": [
                {
                    **self._trial_dict(trial),
                    "state": trial.state.value,
                    "failure": trial.failure,
                    "curve": _curve(trial),
                }
                for trial in self.trials
            ],
        }

    def _trial_dict(self, trial: Trial) -> dict[str, Any]:
        return {**_trial_dict(trial), "efficiency": self.efficiency(trial)}


def result_of(snapshot: Snapshot, settings: Mapping[str, Any], directory: Path) -> Result:
    """The result that a ledger's content amounts to."""
    front = front_of(snapshot.trials, _most_j(settings))
    for trial in front:
        trial.test_score = snapshot.tests.get((trial.number, trial.step))
    return Result(
        trials=tuple(snapshot.trials),
        front=front,
        recommended=recommend(front),
        energy=account_of(snapshot),
        progress=tuple(snapshot.progress),
        ended=snapshot.settings.get("ended", ""),
        settings=settings,
        directory=directory,
    )


def front_of(trials: Sequence[Trial], most_j: float | None = None) -> tuple[Trial, ...]:
    """The points of all curves that none beats on both accuracy and energy, cheapest first, as trials cut there.

    Points of more than `most_j` joules do not count.
    """
    points = [(trial, point) for trial in trials for point in trial.curve if within(point.energy_j, most_j)]
    chosen = front_indices([point.score for _, point in points], [point.energy_j for _, point in points])
    front = [points[index][0].at(points[index][1].step) for index in chosen]
    return tuple(sorted(front, key=lambda trial: trial.energy_j))


def within(energy_j: float, most_j: float | None) -> bool:
    """Whether joules are at most so many, to rounding."""
    return most_j is None or energy_j <= most_j * (1 + 1e-9)


def recommend(front: Sequence[Trial]) -> Trial | None:
    """The cheapest within one percentage point of the best validation accuracy; None for an empty front."""
    scores = [trial.score for trial in front if trial.score is not None]
    if not scores:
        return None
    enough = max(scores) - WITHIN
    return next(trial for trial in front if trial.score is not None and trial.score >= enough - 1e-12)


def _most_j(settings: Mapping[str, Any]) -> float | None:
    most_j = settings["run"].get("max_energy_per_training_j")
    return None if most_j is None else float(most_j)


def _trial_dict(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "step": trial.step,
        "accuracy": trial.score,
        "test_accuracy": trial.test_score,
        "energy_j": trial.energy_j,
        "uncertainty_j": trial.uncertainty_j,
        "provenance": trial.provenance.value,
        "config": dict(trial.config),
    }


def _curve(trial: Trial) -> list[dict[str, Any]]:
    return [
        {
            "step": point.step,
            "accuracy": point.score,
            "energy_j": point.energy_j,
            "uncertainty_j": point.uncertainty_j,
            "provenance": point.provenance.value,
        }
        for point in trial.curve
    ]
