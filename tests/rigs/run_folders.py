"""Run folders, and rows of tidy CSV files, written without any training, as the tests want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecoml.endings import EndReason, FailureKind, SearchEnd, StopReason, TrialEnd
from ecoml.energy import Energy, EnergyByDomain, Provenance, Purpose
from ecoml.metric import ACCURACY, Metric
from ecoml.run.folder import RunFolder
from ecoml.run.storage.store import Store
from ecoml.trial import Trial, TrialState, next_point


@dataclass(frozen=True)
class Course:
    """What happened to one trial: (score, joules of the step) at each measurement."""

    steps: Sequence[tuple[float, float]]
    config: dict[str, Any] = field(default_factory=lambda: {"learning_rate": 0.01, "width": 16})
    state: TrialState = TrialState.FINISHED
    end: TrialEnd | None = None
    tail_j: float = 0.0
    test: float | None = None


def failed(message: str) -> TrialEnd:
    """A training that raised an error."""
    return TrialEnd(FailureKind.ERROR, {"message": message})


LEFT = TrialEnd(EndReason.SEARCH_ENDED)
"""Suspended, and never taken up again."""


SPENT = SearchEnd(StopReason.BUDGET_SPENT)


def write_run(
    path: Path,
    courses: Sequence[Course],
    *,
    problem: str = "digits",
    strategy: str = "random",
    seed: int = 0,
    budget_j: float = 1000.0,
    optimiser_j: float = 0.0,
    overhead_j: float = 0.0,
    provenance: Provenance = Provenance.ESTIMATED,
    domain: str = "cpu",
    uncertainty: float = 0.0,
    ended: SearchEnd | None = SPENT,
    gaps: Sequence[str] = (),
    shared: Sequence[tuple[str, int, str, float]] = (),
    metric: Metric = ACCURACY,
    space: dict[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    kind: str = "cnn",
    thinking_cpu_s: float = 0.0,
) -> Path:
    """A run folder in which the trials were trained one after the other."""

    def energy(energy_j: float) -> EnergyByDomain:
        return EnergyByDomain({domain: Energy(energy_j, uncertainty * energy_j, provenance)})

    folder = RunFolder.create(
        path,
        {
            "run": {"problem": problem, "strategy": strategy, "seed": seed, "budget_j": budget_j},
            "metric": metric.to_dict(),
            "space": space or {"parameters": {"width": {"type": "int", "low": 4, "high": 64}}},
            "executor": {"kind": kind, "data": problem},
            "limits": limits or {},
        },
    )
    store = Store(folder.ledger, create=False)
    with store.transaction():
        store.set("budget_j", budget_j)
        store.set("ended", None if ended is None else ended.to_dict())
        store.set("overshoot_bound_j", 0.25)
        store.set("thinking_cpu_s", thinking_cpu_s)
        spent_j = optimiser_j
        store.enter({(Purpose.OPTIMISER, None): energy(optimiser_j)} if optimiser_j else {})
        for number, course in enumerate(courses):
            trial = Trial(number, course.config, course.state, end=course.end)
            store.add_trial(trial)
            for score, step_j in course.steps:
                spent_j += step_j
                taken = energy(step_j)
                trial.curve.append(next_point(trial.curve, score, taken.total, metric, spent_j=spent_j))
                store.add_measurement(number, trial.curve[-1], taken.total)
                store.enter({(Purpose.TRAINING, number): taken})
            if course.tail_j:
                store.enter({(Purpose.TRAINING, number): energy(course.tail_j)})
                spent_j += course.tail_j
            store.set_state(trial)
            if course.test is not None:
                store.add_test(number, len(course.steps), course.test)
        store.enter({(Purpose.OVERHEAD, None): energy(overhead_j)} if overhead_j else {})
        for gap in gaps:
            store.add_gap(gap)
        for use in shared:
            store.add_shared(*use)
    store.close()
    folder.close()
    return path


HEAD = "problem,strategy,seed,trial,energy_j,accuracy\n"


def courses(energy_j, *scores):
    return [Course([(score, energy_j)]) for score in scores]


def rows_of(problem: str, strategy: str, seeds: int, energy_j: float, score: float = 0.9) -> str:
    return "".join(f"{problem},{strategy},{seed},0,{energy_j + seed},{score}\n" for seed in range(seeds))
