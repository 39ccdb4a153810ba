"""The outcome of a comparison in a sentence, and notes that a reader needs before drawing conclusions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ecoml.carbon.footprint import Footprint
from ecoml.energy import Provenance, add_up
from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.significance import SIGNIFICANT, least_p, seeds_needed
from ecoml.experiments.compare.standings import ProblemComparison, Standing
from ecoml.format import describe_footprint, format_energy, format_p, named_score, plural
from ecoml.report.statistics import ENOUGH_SEEDS

_UNTESTED = "There is no test over all problems: give a --target, and at least two seeds per strategy."


def headline(comparison: Comparison) -> str:
    """The outcome in one or two sentences. It names a winner only if a test distinguishes it from the reference."""
    if len(comparison.problems) == 1:
        return _of_one(comparison.problems[0])
    count = len(comparison.problems)
    ranks = comparison.ranks
    references = {problem.reference for problem in comparison.problems}
    if ranks is not None and ranks.p < SIGNIFICANT and len(references) == 1:
        reference = references.pop()
        against = ranks.pairwise_p[ranks.strategies.index(reference)] if reference in ranks.strategies else ()
        best, p = ranks.strategies[0], against[0] if against else 1.0
        if best != reference and p < SIGNIFICANT:
            return f"Over {count} problems {best} needs less energy than {reference} (Nemenyi's p = {format_p(p)})."
    return f"Over {count} problems no strategy needs significantly less energy than another."


def footprint_sentence(comparison: Comparison, footprint: Footprint | None) -> str:
    """The energy of all searches, and its CO2e if a grid was named."""
    spent = add_up([search.spent for search in comparison.searches])
    return f"{plural(len(comparison.searches), 'search')}: {describe_footprint(spent, footprint)}"


def notes(comparison: Comparison) -> tuple[str, ...]:
    """All notes that apply."""
    told = dict.fromkeys(note for problem in comparison.problems for note in _of_problem(problem))
    if len(comparison.problems) > 1 and len(comparison.strategies) > 2 and comparison.ranks is None:
        told[_UNTESTED] = None
    return tuple(told)


def _of_one(problem: ProblemComparison) -> str:
    goal = named_score(problem.metric, problem.target)
    reference, *others = problem.standings
    reached = [standing for standing in problem.standings if math.isfinite(standing.energy_j)]
    if not reached:
        return f"No strategy reaches {goal} with its median seed."
    if not others:
        return f"{reference.strategy} reaches {goal} for {format_energy(reference.energy_j)} ({problem.provenance})."
    span = _span(reached, problem.provenance)
    missed = len(problem.standings) - len(reached)
    span += f", and {missed} of them {'does' if missed == 1 else 'do'} not reach it" if missed else ""
    told = [s for s in others if s.effect is not None and s.effect.p is not None and s.effect.p < SIGNIFICANT]
    better = [s for s in told if s.effect is not None and s.effect.a12 > 0.5 and math.isfinite(s.energy_j)]
    if better:
        best = min(better, key=lambda standing: standing.energy_j)
        assert best.effect is not None, "it was told apart"
        assert best.effect.p is not None, "it was told apart"
        needs = (
            f"{reference.strategy} needs {format_energy(reference.energy_j)}"
            if math.isfinite(reference.energy_j)
            else f"{reference.strategy} does not reach it within {format_energy(reference.at_least_j)}"
        )
        return (
            f"{best.strategy} reaches {goal} for {format_energy(best.energy_j)} ({problem.provenance}); {needs}"
            f" (p = {format_p(best.effect.p)})."
        )
    if told:
        return f"No strategy needs significantly less energy than {reference.strategy}: {goal} takes {span}."
    return f"No test distinguishes {plural(len(problem.standings), 'strategy')}: {goal} takes {span}."


def _span(reached: Sequence[Standing], source: Provenance) -> str:
    """The least and the most energy of those that reached the target."""
    energies_j = sorted(standing.energy_j for standing in reached)
    ends = dict.fromkeys(format_energy(energy_j) for energy_j in (energies_j[0], energies_j[-1]))
    return f"{' to '.join(ends)} ({source})"


def _of_problem(problem: ProblemComparison) -> Iterator[str]:
    fewest = problem.fewest_seeds
    others = len(problem.standings) - 1
    target = "" if problem.given else " and a --target"
    if fewest < ENOUGH_SEEDS:
        seeds = "one seed" if fewest == 1 else f"{fewest} seeds"
        yield (
            f"With {seeds} a strategy, differences cannot be told from chance: which strategy is better on a problem,"
            f" by how much, and whether at all stays open. Give {ENOUGH_SEEDS} seeds or more for intervals,"
            f" {max(ENOUGH_SEEDS, seeds_needed(max(1, others)))}{target} for tests."
        )
    elif others and not problem.given:
        yield (
            f"The target is the best that {problem.reference} itself reached, so that it reaches it by construction and"
            " no test of a difference holds. Give a --target for tests."
        )
    elif others and least_p(fewest, others) >= SIGNIFICANT:
        yield (
            f"With {fewest} seeds and {plural(others, 'comparison')} no p-value can be below"
            f" {least_p(fewest, others):.2g}, however large the difference: give {seeds_needed(others)} seeds for that."
        )
    if len({standing.seeds for standing in problem.standings}) > 1:
        yield f"{problem.name}: the strategies have different seeds; pairs are formed only of seeds that both have."
    sources = sorted({search.provenance for search in problem.searches}, key=lambda source: source.rank)
    if len(sources) > 1:
        yield f"{problem.name}: energies are {' and '.join(sources)}; figures from different sources do not compare."
    if len({search.budget_j for search in problem.searches}) > 1:
        yield f"{problem.name}: the searches had different budgets."
    unfinished = sum(not search.complete for search in problem.searches)
    if unfinished:
        yield (
            f"{problem.name}: {unfinished} of {len(problem.searches)} searches have not come to their end; where such a"
            " one has not reached the target, it counts up to where it stands."
        )
    if not others:
        yield f"{problem.name}: there is only one strategy, so there is nothing to compare it with."
    elif all(standing.reached == 0 for standing in problem.standings):
        easier = "higher" if problem.metric.minimize else "lower"
        yield f"{problem.name}: no search reached the target; choose a {easier} one with --target to tell them apart."
