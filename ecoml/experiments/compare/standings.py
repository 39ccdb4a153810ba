"""The results of each strategy on one problem: its energies to the target, their median, its ratio to the reference.

Notation: E is a search's energy to target in joules: the energy that the *entire* search had spent (training,
evaluation, the optimiser, idling) when a measurement first reached the target. A search that never did is censored at
its horizon: its budget, or the energy it spent if no budget is known or it was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ecoml.energy import Provenance, weakest
from ecoml.errors import UsageError
from ecoml.experiments.compare.quality import Frame, Quality, quality_of
from ecoml.experiments.compare.searches import SearchRecord
from ecoml.experiments.compare.significance import a12, holm, log_ratios, signed_rank_p
from ecoml.limits import Limits
from ecoml.metric import Metric
from ecoml.report.statistics import (
    ENOUGH_SEEDS,
    Ratio,
    bootstrap_median,
    censored_median,
    energy_ratio,
    lower_bound,
    median_seed,
)


@dataclass(frozen=True, slots=True)
class Effect:
    """Whether a strategy's difference to the reference is significant; only with enough seeds.

    Attributes:
        a12: Probability that it needs less energy than the reference, for two searches drawn at random.
        p: p-value of the paired signed-rank test, adjusted for the number of strategies; None without paired seeds.
        pairs: Number of seeds that both have.
    """

    a12: float
    p: float | None
    pairs: int


@dataclass(frozen=True, slots=True)
class Standing:
    """The result of one strategy on one problem, for one target.

    Attributes:
        strategy: Its name.
        seeds: Its seeds, ascending.
        reached: Number of seeds that reached the target.
        energies_j: E of each seed, inf for a miss.
        horizons_j: The horizon of each seed.
        energy_j: The median of E, inf if that is a miss.
        at_least_j: A lower bound of the median, with each miss at its horizon.
        interval_j: Bootstrap interval of the median; None for too few seeds.
        ratio: Times less energy than the reference; None for the reference itself and if it is unknown.
        effect: Compared with the reference; None for the reference itself, for too few seeds, and if the reference
            determined the target, which it then reaches by construction, so that no test holds.
    """

    strategy: str
    seeds: tuple[int, ...]
    reached: int
    energies_j: tuple[float, ...]
    horizons_j: tuple[float, ...]
    energy_j: float
    at_least_j: float
    interval_j: tuple[float, float] | None
    ratio: Ratio | None
    effect: Effect | None


@dataclass(frozen=True, slots=True)
class ProblemComparison:
    """The strategies on one problem.

    Attributes:
        name: Name of the training.
        metric: The metric of the scores.
        target: The score to reach.
        given: Whether the target was given; otherwise it is the reference's best of its median seed.
        reference: The strategy with which the others are compared.
        provenance: Provenance of the energies: that of the weakest search.
        budget_j: The energy up to which all its searches are known: with equal budgets, the budget.
        frame: The frame of the hypervolume; None if the measurements do not span one.
        standings: One per strategy, the reference first, then by energy.
        quality: The results without a target, by strategy.
        searches: All searches on this problem.
    """

    name: str
    metric: Metric
    target: float
    given: bool
    reference: str
    provenance: Provenance
    budget_j: float
    frame: Frame | None
    standings: tuple[Standing, ...]
    quality: Mapping[str, Quality]
    searches: tuple[SearchRecord, ...] = field(repr=False)

    @property
    def horizon_j(self) -> float:
        """The largest horizon of its searches."""
        return max(search.horizon_j for search in self.searches)

    @property
    def fewest_seeds(self) -> int:
        """The smallest number of seeds of a strategy."""
        return min(len(standing.seeds) for standing in self.standings)

    def of(self, strategy: str) -> list[SearchRecord]:
        """The searches of a strategy, by seed."""
        return [search for search in self.searches if search.strategy == strategy]

    def at(self, target: float) -> tuple[Standing, ...]:
        """The standings for another given target, in the same order."""
        return _standings({s.strategy: self.of(s.strategy) for s in self.standings}, self.reference, target, given=True)


def compare_on_problem(
    name: str, searches: Sequence[SearchRecord], target: float | None, reference: str | None
) -> ProblemComparison:
    """Compare searches on one problem.

    Args:
        name: The problem.
        searches: At least one, all on this problem.
        target: The score to reach; None: the reference's best of the median seed.
        reference: The strategy to compare with; if it is None, or measured nothing here: `random`, else the first
            baseline.

    Raises:
        UsageError: A search appears twice, metrics differ, the target is impossible, or nothing was measured.
    """
    metric = _metric(name, searches)
    by_strategy: dict[str, list[SearchRecord]] = {}
    for search in sorted(searches, key=lambda search: search.seed):
        found = by_strategy.setdefault(search.strategy, [])
        if found and found[-1].seed == search.seed:
            raise UsageError(
                f"{search.strategy} with seed {search.seed} on {name} appears twice; leave one of them out"
            )
        found.append(search)
    order = list(dict.fromkeys(search.strategy for search in searches))
    bests = {strategy: median_seed([search.best for search in of]) for strategy, of in by_strategy.items()}
    measured = [strategy for strategy in order if math.isfinite(bests[strategy])]
    chosen = reference if reference in measured else _reference(measured or order)
    given = target is not None
    if target is None:
        if not measured:
            raise UsageError(f"{name}: no search measured anything, so there is nothing to compare")
        target = metric.utility(bests[chosen])
    standings = sorted(
        _standings({strategy: by_strategy[strategy] for strategy in order}, chosen, target, given=given),
        key=lambda s: (s.strategy != chosen, s.energy_j, s.at_least_j),
    )
    frame = Frame.around((entry for search in searches for entry in search.progress), metric)
    budget_j = min(search.horizon_j for search in searches)
    return ProblemComparison(
        name=name,
        metric=metric,
        target=target,
        given=given,
        reference=chosen,
        provenance=weakest(search.provenance for search in searches),
        budget_j=budget_j,
        frame=frame,
        standings=tuple(standings),
        quality={strategy: quality_of(found, frame, budget_j) for strategy, found in by_strategy.items()},
        searches=tuple(search for standing in standings for search in by_strategy[standing.strategy]),
    )


def check_target(target: float, metric: Metric) -> None:
    """Refuse a target that the metric cannot reach, or that every score reaches.

    Raises:
        UsageError: The target cannot be used.
    """
    Limits(target=target).check_target(metric)


def _metric(name: str, searches: Sequence[SearchRecord]) -> Metric:
    """The metric of all searches."""
    metrics = {(search.metric.name, search.metric.minimize): search.metric for search in searches}
    if len(metrics) > 1:
        told = [f"{metric} ({'lower' if minimize else 'higher'} is better)" for metric, minimize in metrics]
        raise UsageError(
            f"{name}: the searches measure {' and '.join(told)}, which cannot be compared; name searches of one metric"
        )
    return next(iter(metrics.values()))


def _reference(strategies: Sequence[str]) -> str:
    if "random" in strategies:
        return "random"
    return next((name for name in strategies if name != "bayes"), strategies[0])


def _standings(
    by_strategy: Mapping[str, list[SearchRecord]], reference: str, target: float, *, given: bool
) -> tuple[Standing, ...]:
    against = by_strategy[reference]
    found = [_standing(searches, against, target, given=given) for searches in by_strategy.values()]
    p_values = {s.strategy: s.effect.p for s in found if s.effect is not None and s.effect.p is not None}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return tuple(
        replace(s, effect=replace(s.effect, p=adjusted[s.strategy])) if s.effect and s.strategy in adjusted else s
        for s in found
    )


def _standing(
    searches: Sequence[SearchRecord], reference: Sequence[SearchRecord], target: float, *, given: bool
) -> Standing:
    energies_j, horizons_j = _columns(searches, target)
    seeds = tuple(search.seed for search in searches)
    ratio = effect = None
    if searches is not reference:
        reference_j, reference_h_j = _columns(reference, target)
        paired = seeds == tuple(search.seed for search in reference)
        ratio = energy_ratio(reference_j, energies_j, reference_h_j, horizons_j, paired=paired)
        effect = _effect(searches, reference, target) if given else None
    return Standing(
        strategy=searches[0].strategy,
        seeds=seeds,
        reached=sum(map(math.isfinite, energies_j)),
        energies_j=tuple(energies_j),
        horizons_j=tuple(horizons_j),
        energy_j=censored_median(energies_j),
        at_least_j=lower_bound(energies_j, horizons_j),
        interval_j=bootstrap_median(energies_j),
        ratio=ratio,
        effect=effect,
    )


def _effect(searches: Sequence[SearchRecord], reference: Sequence[SearchRecord], target: float) -> Effect | None:
    if min(len(searches), len(reference)) < ENOUGH_SEEDS:
        return None
    (reference_j, reference_h_j), (strategy_j, strategy_h_j) = _columns(reference, target), _columns(searches, target)
    size = a12(reference_j, strategy_j, reference_h_j, strategy_h_j)
    by_seed = {search.seed: search for search in reference}
    both = [search for search in searches if search.seed in by_seed]
    if len(both) < ENOUGH_SEEDS:
        return Effect(size, None, len(both))
    reference_j, reference_h_j = _columns([by_seed[search.seed] for search in both], target)
    strategy_j, strategy_h_j = _columns(both, target)
    return Effect(size, signed_rank_p(log_ratios(reference_j, strategy_j, reference_h_j, strategy_h_j)), len(both))


def _columns(searches: Sequence[SearchRecord], target: float) -> tuple[list[float], list[float]]:
    """E and the horizon of each search."""
    return [search.energy_to(target) for search in searches], [search.horizon_j for search in searches]
