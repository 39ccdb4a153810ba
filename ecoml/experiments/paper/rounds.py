"""Searches as the study counted them: a round is one configuration, and its accuracy the mean over its repetitions."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from statistics import fmean, median_low

from ecoml.energy import Energy, weakest
from ecoml.experiments.compare.searches import SearchRecord, search_of
from ecoml.run.result import Result
from ecoml.run.storage.snapshot import Progress
from ecoml.strategies.repeated import Round, rounds_of
from ecoml.trial import Point

TOLERANCE = 0.005
"""The plateau starts with the first round whose best so far is at most this far below the last one's."""


@dataclass(frozen=True, slots=True)
class RoundSearch:
    """One search, round by round.

    Attributes:
        search: The search for a comparison: one measurement per round.
        rounds: The trials of each round.
    """

    search: SearchRecord
    rounds: tuple[Round, ...] = field(repr=False)

    @property
    def best_so_far(self) -> list[float]:
        """The best mean accuracy after each round."""
        return list(accumulate((entry.point.score for entry in self.search.progress), max))

    @property
    def best(self) -> float:
        """Best mean accuracy of all rounds; 0.0 without any."""
        return max(self.best_so_far, default=0.0)

    @property
    def best_round(self) -> int:
        """Number of the round with the best accuracy, counted from 1; 0 without any."""
        best = self.best_so_far
        return best.index(best[-1]) + 1 if best else 0

    @property
    def plateau_round(self) -> int:
        """Number of the first round of the plateau, counted from 1; 0 without any round."""
        best = self.best_so_far
        return next((n for n, value in enumerate(best, start=1) if value >= best[-1] - TOLERANCE), 0)

    def spent_j(self, number: int) -> float:
        """Joules by the end of a round."""
        return self.search.progress[number - 1].point.spent_j if number else 0.0


def in_rounds(result: Result, strategy: str, problem: str, times: int, *, as_published: bool) -> RoundSearch:
    """A run folder's search, round by round.

    Joules are those of the entire search, with repetitions, evaluation and optimiser, and a failed repetition has
    accuracy 0. As published, they are those of one training per round, and failed repetitions are left out.
    """
    rounds = tuple(of for of in rounds_of(result.trials, times) if of.complete(times))
    by_trial = {entry.trial: entry.point.spent_j for entry in result.progress}  # of its last measurement
    whole = search_of(result, strategy)
    progress: list[Progress] = []
    kept: list[Round] = []
    spent_j = 0.0
    for of in rounds:
        scores = of.utilities(0.0, count_failures=not as_published)
        if not scores:
            continue
        mean_j = fmean(of.energies_j(count_failures=not as_published))
        known_j = max((by_trial[trial.number] for trial in of.trials if trial.number in by_trial), default=spent_j)
        spent_j = spent_j + mean_j if as_published else max(spent_j, known_j)
        energy = Energy(mean_j, 0.0, weakest(trial.energy.provenance for trial in of.counted))
        point = Point(1, fmean(scores), energy, fmean(scores), spent_j=spent_j)
        progress.append(Progress(len(progress), point))
        kept.append(of)
    search = replace(
        whole,
        problem=problem,
        progress=tuple(progress),
        spent=Energy(spent_j, 0.0, whole.provenance) if as_published else whole.spent,
        budget_j=None,
        optimiser=None if as_published else whole.optimiser,
    )
    return RoundSearch(search, tuple(kept))


def middle(searches: Sequence[RoundSearch]) -> RoundSearch:
    """The search of the median seed by its best accuracy; of an even number the lower one."""
    bests = [search.best for search in searches]
    return searches[bests.index(median_low(bests))]


def write_repetitions(searches: Iterable[RoundSearch], path: Path) -> None:
    """Every training of every round as a tidy CSV."""
    rows = list(_rows(searches))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _rows(searches: Iterable[RoundSearch]) -> Iterator[dict[str, object]]:
    for found in searches:
        varied = {
            name for of in found.rounds for name in of.config if of.config[name] != found.rounds[0].config.get(name)
        }
        for number, of in enumerate(found.rounds, start=1):
            for repetition, trial in enumerate(of.trials, start=1):
                yield {
                    "problem": found.search.problem,
                    "strategy": found.search.strategy,
                    "seed": found.search.seed,
                    "round": number,
                    "repetition": repetition,
                    "state": trial.state.value,
                    "accuracy": trial.score,
                    "energy_j": trial.energy_j,
                    "provenance": trial.energy.provenance.value,
                    **{name: value for name, value in of.config.items() if name in varied},
                }
