"""What a reader must know before concluding anything from a comparison, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.significance import SIGNIFICANT, least_p, seeds_needed
from ecoml.experiments.compare.standings import ProblemComparison
from ecoml.report.statistics import ENOUGH_SEEDS


def notes(comparison: Comparison) -> tuple[str, ...]:
    """All that applies."""
    return tuple(dict.fromkeys(note for problem in comparison.problems for note in _of_problem(problem)))


def _of_problem(problem: ProblemComparison) -> Iterator[str]:
    fewest = min(len(standing.seeds) for standing in problem.standings)
    others = len(problem.standings) - 1
    if fewest < ENOUGH_SEEDS:
        seeds = "one seed" if fewest == 1 else f"{fewest} seeds"
        yield (
            f"With {seeds} a strategy, differences cannot be told from chance: which strategy is better on a problem,"
            f" by how much, and whether at all stays open. Give {ENOUGH_SEEDS} seeds or more for intervals,"
            f" {max(ENOUGH_SEEDS, seeds_needed(max(1, others)))} for tests."
        )
    elif others and least_p(fewest, others) >= SIGNIFICANT:
        yield (
            f"With {fewest} seeds and {others} {'comparison' if others == 1 else 'comparisons'} no p-value can be below"
            f" {least_p(fewest, others):.2g}, however large the difference: give {seeds_needed(others)} seeds for that."
        )
    if len({standing.seeds for standing in problem.standings}) > 1:
        yield f"{problem.name}: the strategies have different seeds; pairs are formed only of seeds that both have."
    sources = sorted({search.provenance for search in problem.searches}, key=lambda source: source.rank)
    if len(sources) > 1:
        yield f"{problem.name}: energies are {' and '.join(sources)}; figures from different sources do not compare."
    budgets = {search.budget_j for search in problem.searches}
    if len(budgets) > 1:
        yield f"{problem.name}: the searches had different budgets."
    unfinished = sum(not search.complete for search in problem.searches)
    if unfinished:
        yield (
            f"{problem.name}: {unfinished} of {len(problem.searches)} searches have not come to their end; where such a"
            " one has not reached the target, it counts up to where it stands."
        )
    if len(problem.standings) == 1:
        yield f"{problem.name}: there is only one strategy, so there is nothing to compare it with."
    elif all(standing.reached == 0 for standing in problem.standings):
        yield f"{problem.name}: no search reached the target; choose a lower one with --target to tell them apart."


def p_text(p: float) -> str:
    """A p-value for a reader."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
