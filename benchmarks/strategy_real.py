"""Searches with real trainings: `ecoml.Searcher` on digits or a part of FashionMNIST, on the host's meter.

The goals are known only after random search with the same seed has spent its budget. A row therefore stores every
measurement, and `with_goals` adds the rest.
"""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from strategy_replay import Goal, Reached

import ecoml
from ecoml.energy import Purpose
from ecoml.errors import UsageError
from ecoml.pareto import hypervolume
from ecoml.training.images.data.dataset import LabelledImages

Row = dict[str, Any]

_VALIDATION = 1000  # validation images of a part of the data: one standard deviation is 1 percentage point at 88 %
_TEST = 5000  # largest number of test images then


def search(task: str, strategy: str, seed: int, budget_kwh: float, out: Path) -> Row:
    """One complete search; `points` are (joules spent by the search, accuracy, joules of the trial)."""
    directory = out / "real" / f"{task}-{strategy}-{seed}"
    if directory.exists():
        shutil.rmtree(directory)  # an interrupted search, which has no row
    directory.parent.mkdir(parents=True, exist_ok=True)
    training = ecoml.CnnTraining(data_file(task, out), threads=1)
    space = ecoml.load_space("cnn-small")
    training.prepare(space)  # not charged to the strategy
    result = ecoml.Searcher(
        *(space, training),
        budget_kwh=budget_kwh,
        strategy=strategy,
        seed=seed,
        directory=directory,
    ).run()
    points = [(entry.point.spent_j, entry.point.score, entry.point.energy_j) for entry in result.progress]
    return {
        "budget_j": result.energy.budget_j,
        "spent_j": result.energy.total_j,
        "provenance": str(result.energy.provenance),
        "trials": len(result.trials),
        "optimiser_j": result.energy.by_purpose[Purpose.OPTIMISER].energy_j,
        "points": points,
        "ended": None if result.ended is None else result.ended.reason.value,
    }


def with_goals(rows: Sequence[Row]) -> list[Row]:
    """The rows; those of real searches with the goals that random search with the same seed sets."""
    random = {
        (row["task"], row["seed"]): row for row in rows if row["family"] == "real" and row["strategy"] == "random"
    }
    found = []
    for row in rows:
        if row["family"] != "real":
            found.append(row)
        elif (reference := random.get((row["task"], row["seed"]))) is not None:
            typical = statistics.median(_best(other) for (task, _), other in random.items() if task == row["task"])
            found.append(row | _reached(row, _goal(reference, typical)))
    return found


def _best(row: Mapping[str, Any]) -> float:
    return max(float(score) for _, score, _ in row["points"])


def _goal(row: Mapping[str, Any], typical: float) -> Goal:
    points = [(score, math.log(joules)) for _, score, joules in row["points"]]
    reference = (min(score for score, _ in points), max(joules for _, joules in points))
    return Goal(typical, _best(row), hypervolume(points, reference), reference, row["budget_j"])


def _reached(row: Mapping[str, Any], goal: Goal) -> Row:
    reached, best = Reached(goal), 0.0
    for spent_j, score, joules in row["points"]:
        best = max(best, score)
        if reached(spent_j, best, score, joules):
            break
    return {"typical_utility": goal.typical, "target_utility": goal.utility} | reached.row()


def data_file(task: str, out: Path) -> str | Path:
    """`digits`, a name or path that ecoml reads, or NAME-N: N of its training images, and others for validation."""
    name, _, count = task.rpartition("-")
    if not count.isdigit():
        return task
    from ecoml.training.images.data.loader import load

    file = out / f"{Path(task).name}.npz"
    if not file.is_file():
        data = load(name)
        size = int(count)
        if len(data.train) < size + _VALIDATION:
            most = len(data.train) - _VALIDATION
            raise UsageError(f"{task}: {name} has only {most} training images beside {_VALIDATION}; name fewer")
        train, held_out = (data.train[part] for part in np.split(_order(data.train)[: size + _VALIDATION], [size]))
        test = data.test[_order(data.test)[:_TEST]]
        np.savez(
            file,
            x=train.images,
            y=train.labels,
            x_val=held_out.images,
            y_val=held_out.labels,
            x_test=test.images,
            y_test=test.labels,
        )
    return file


def _order(images: LabelledImages) -> npt.NDArray[np.intp]:
    """The training images in their order, or in random order if they are sorted by class, as in a folder."""
    order = np.arange(len(images))
    return np.random.default_rng(0).permutation(order) if (np.diff(images.labels) >= 0).all() else order
