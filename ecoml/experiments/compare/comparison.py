"""Comparison: searches of several strategies, and who needed how much energy to the target, over all problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ecoml.errors import UsageError
from ecoml.experiments.compare.searches import SearchRecord
from ecoml.experiments.compare.significance import Ranks, rank_over_problems
from ecoml.experiments.compare.standings import ProblemComparison, compare_on_problem
from ecoml.report.statistics import Ratio, geometric_mean, mean_ratio


@dataclass(frozen=True, slots=True)
class MeanRatio:
    """Times less energy than the reference, over problems.

    `value` leaves out the problems on which the strategy missed, so a strategy that solves few problems can look good
    in it. `overall` counts every problem, with a miss at its bound.

    Attributes:
        strategy: The strategy.
        value: Geometric mean over the problems on which both medians are known; not a number for none.
        problems: On how many that was.
        of: How many problems it was tried on.
        low: The smallest ratio among them.
        high: The largest.
        overall: Geometric mean over all problems; `<` or `>` where misses make it a bound; None where there is none.
    """

    strategy: str
    value: float
    problems: int
    of: int
    low: float
    high: float
    overall: Ratio | None


@dataclass(frozen=True)
class Comparison:
    """Searches of several strategies, compared by their energy to the target.

    Attributes:
        problems: One a problem.
        targets: All accuracies asked for, the one of `problems` first; empty where the reference gave it.
    """

    problems: tuple[ProblemComparison, ...]
    targets: tuple[float, ...] = ()

    @property
    def means(self) -> tuple[MeanRatio, ...]:
        """One a strategy other than the reference, over all problems."""
        names = dict.fromkeys(
            standing.strategy
            for problem in self.problems
            for standing in problem.standings
            if standing.strategy != problem.reference
        )
        return tuple(self._mean(name) for name in names)

    @cached_property
    def ranks(self) -> Ranks | None:
        """The strategies that ran on every problem, ranked; None for fewer than three of them, or two problems."""
        energies_j = [{s.strategy: s.energy_j for s in problem.standings} for problem in self.problems]
        everywhere = [name for name in self.strategies if all(name in by_name for by_name in energies_j)]
        return rank_over_problems(everywhere, [[by_name[name] for name in everywhere] for by_name in energies_j])

    @property
    def strategies(self) -> tuple[str, ...]:
        """All strategies, references first."""
        references = [problem.reference for problem in self.problems]
        others = [standing.strategy for problem in self.problems for standing in problem.standings]
        return tuple(dict.fromkeys(references + others))

    def _mean(self, strategy: str) -> MeanRatio:
        ratios = [s.ratio for problem in self.problems for s in problem.standings if s.strategy == strategy]
        known = [ratio.value for ratio in ratios if ratio is not None and ratio.relation == "="]
        return MeanRatio(
            strategy,
            geometric_mean(known),
            len(known),
            len(ratios),
            min(known, default=math.nan),
            max(known, default=math.nan),
            mean_ratio(ratios),
        )


def compare_searches(
    searches: Iterable[SearchRecord], *, targets: Sequence[float] = (), reference: str | None = None
) -> Comparison:
    """Compare searches, problem by problem.

    Args:
        searches: At least one.
        targets: Accuracies to reach. The first is what the comparison is about, further ones are told beside it. None:
            the reference's best of the median seed, problem by problem.
        reference: The strategy to measure against; None: `random` if there, else the first baseline (not `bayes`).

    Raises:
        UsageError: Nobody ran the reference, or a target is no accuracy.
    """
    searches = list(searches)
    known = dict.fromkeys(search.strategy for search in searches)
    if reference is not None and reference not in known:
        raise UsageError(f"the reference {reference!r} is not among the strategies; use one of {', '.join(known)}")
    for target in targets:
        check_target(target)
    main = targets[0] if targets else None
    by_problem: dict[str, list[SearchRecord]] = {}
    for search in searches:
        by_problem.setdefault(search.problem, []).append(search)
    problems = tuple(compare_on_problem(name, found, main, reference) for name, found in by_problem.items())
    return Comparison(problems, tuple(dict.fromkeys(targets)))


def check_target(target: float) -> None:
    """Refuse a target that is no accuracy."""
    if not 0 < target <= 1:
        raise UsageError(f"the target accuracy is {target}; give a share in (0, 1], such as 0.95")
