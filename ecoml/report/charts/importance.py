"""Which parameters decide score and energy, estimated from a search's own trials.

A random forest (Breiman 2001) is fitted to four fifths of the trials. In the remaining fifth one parameter at a time is
shuffled. Half of the mean squared change of the forest's prediction is the parameter's total effect (Jansen 1999): the
share of the variance that is lost without it, interactions included. Each fifth is left out once. The result holds for
the trials of this search: a parameter that the search hardly varied cannot be important in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecoml.format import percent
from ecoml.metric import Metric
from ecoml.report.charts.records import thin, varying
from ecoml.trial import Point, Trial

LEAST_TRIALS = 20
"""With fewer trials, or fewer than three per parameter, there is no result."""

LEAST_EXPLAINED = 0.1
"""A forest that explains less of the variance of unseen trials is not used."""

MOST_TRIALS = 500
"""A larger search is thinned evenly: more trials make the forest slower, and do not change the order of the
parameters.
"""

_FOLDS = 5
_TREES = 30
_SHUFFLES = 5


@dataclass(frozen=True, slots=True)
class Importance:
    """The importance of the parameters for one outcome of the trials.

    Attributes:
        shares: Parameter → total effect, as a share of the variance; with interactions they sum to more than 1.
        spread: Parameter → standard error of that share over the fifths.
        explained: Share of the variance of unseen trials that all parameters together explain.
        trials: Number of trials used.
    """

    shares: Mapping[str, float]
    spread: Mapping[str, float]
    explained: float
    trials: int


@dataclass(frozen=True, slots=True)
class Untold:
    """Why there is no result, in a clause."""

    why: str


def importances(trials: Sequence[Trial], steps: str) -> tuple[Importance | Untold, Importance | Untold]:
    """The importance for the score and for the logarithm of the energy, both at each trial's last measurement.

    Args:
        trials: All trials of a search; those without a usable measurement are ignored.
        steps: Name of the length of a training, which counts as a parameter if it varies.
    """
    measured = thin([trial for trial in trials if trial.curve and _usable(trial.curve[-1])], MOST_TRIALS)
    names = [name for name in varying(measured) if len({repr(trial.config.get(name)) for trial in measured}) > 1]
    columns = {name: _column([trial.config.get(name) for trial in measured]) for name in names}
    if len({trial.step for trial in measured}) > 1:
        columns[steps] = np.array([trial.step for trial in measured], dtype=float)
    if not columns:
        nothing = Untold("no parameter differs between the trials")
        return nothing, nothing
    least = max(LEAST_TRIALS, 3 * len(columns))
    if len(measured) < least:
        few = Untold(f"{len(measured)} measured trials are too few for {len(columns)} parameters: {least} are needed")
        return few, few
    scores = np.array([trial.curve[-1].score for trial in measured])
    energies = np.array([math.log(trial.curve[-1].energy_j) for trial in measured])
    return _importance(columns, scores), _importance(columns, energies)


def outcome_names(metric: Metric) -> tuple[str, str]:
    """What score and energy are called beside each other, also if the metric is called energy itself."""
    return metric.name, "energy of training" if metric.name == "energy" else "energy"


def _importance(columns: Mapping[str, NDArray[np.float64]], outcome: NDArray[np.float64]) -> Importance | Untold:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold

    variance = float(outcome.var())
    if variance <= 1e-12:
        return Untold("all trials have the same")
    x = np.column_stack(list(columns.values()))
    effects = []
    predicted = np.empty_like(outcome)
    rng = np.random.default_rng(0)
    for fitted, left_out in KFold(_FOLDS, shuffle=True, random_state=0).split(x):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
        forest.fit(x[fitted], outcome[fitted])
        shuffled = _shuffled(x[left_out], rng)
        told = forest.predict(np.concatenate((x[left_out], shuffled.reshape(-1, x.shape[1]))))
        predicted[left_out] = told[: len(left_out)]
        changes = told[len(left_out) :].reshape(shuffled.shape[:3]) - predicted[left_out]
        effects.append((changes**2).mean(axis=(1, 2)) / 2 / variance)
    known = float(r2_score(outcome, predicted))
    if known < LEAST_EXPLAINED:
        return Untold(
            f"the parameters of the {len(outcome)} measured trials do not explain it"
            f" ({percent(max(0.0, known), 0)} of its variance in unseen trials)"
        )
    shares, spread = np.mean(effects, axis=0), np.std(effects, axis=0, ddof=1) / math.sqrt(len(effects))
    order = np.argsort(-shares, kind="stable")
    names = list(columns)
    return Importance(
        shares={names[index]: float(shares[index]) for index in order},
        spread={names[index]: float(spread[index]) for index in order},
        explained=known,
        trials=len(outcome),
    )


def _shuffled(x: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(parameters, _SHUFFLES, n, parameters): copies of x (n, parameters), each with one shuffled column."""
    count = x.shape[1]
    copies = np.broadcast_to(x, (count, _SHUFFLES, *x.shape)).copy()
    for column in range(count):
        for copy in copies[column]:
            copy[:, column] = rng.permutation(copy[:, column])
    return copies


def _column(values: Sequence[Any]) -> NDArray[np.float64]:
    """The ranks of values among all values that occur: a tree uses only the order of numbers, and can separate options.

    A trial without this conditional parameter comes before all others.
    """
    numbers = all(isinstance(value, int | float) for value in values if value is not None)
    known = {value if numbers else str(value) for value in values if value is not None}
    places = {value: place for place, value in enumerate(sorted(known))}
    return np.array([-1.0 if v is None else float(places[v if numbers else str(v)]) for v in values])


def _usable(point: Point) -> bool:
    return math.isfinite(point.score) and point.energy_j > 0
