"""How each strategy did on one problem: its energies to the target, their median, its ratio to the reference.

    Notation: E is a search's energy to target in joules: what the *whole* search had spent (training, evaluation, the
optimiser, idling) when a measurement first reached the target accuracy. A search that never did is censored at its
horizon: its budget, or what it spent where no budget is known or it was cut off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from ecoml.energy import Provenance, weakest
from ecoml.experiments.compare.hypervolumes import Frame
from ecoml.experiments.compare.searches import SearchRecord
from ecoml.experiments.compare.significance import a12, holm, log_ratios, signed_rank_p
from ecoml.report.charts.curves import held
from ecoml.report.statistics import (
    ENOUGH_SEEDS,
    Ratio,
    bootstrap_median,
    censored_median,
    energy_ratio,
    lower_bound,
    median_seed,
)

SHARES_OF_BUDGET = (0.25, 0.5, 1.0)
"""Where hypervolume is told."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Whether a strategy's difference to the reference can be told from chance; only from enough seeds.

    Attributes:
        a12: Probability that it needs less energy than the reference, of two searches drawn at random.
        p: p-value of the paired signed-rank test, adjusted for the number of strategies; None without paired seeds.
        pairs: Number of seeds that both have.
    """

    a12: float
    p: float | None
    pairs: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How one strategy did on one problem, for one target.

    Attributes:
        strategy: Its name.
        seeds: Its seeds, ascending.
        energies_j: E of each seed, inf for a miss.
        horizons_j: Where each seed is censored.
        energy_j: The median of E, inf if that is a miss.
        at_least_j: What the median is at least, with each miss at its horizon.
        interval_j: Bootstrap interval of the median; None from too few seeds.
        ratio: Times less energy than the reference; None for the reference itself and where nothing can be said.
        effect: Against the reference; None for the reference itself and from too few seeds.
    """

    strategy: str
    seeds: tuple[int, ...]
    energies_j: tuple[float, ...]
    horizons_j: tuple[float, ...]
    energy_j: float
    at_least_j: float
    interval_j: tuple[float, float] | None
    ratio: Ratio | None
    effect: Effect | None

    @property
    def reached(self) -> int:
        """How many seeds reached the target."""
        return sum(map(math.isfinite, self.energies_j))


@dataclass(frozen=True, slots=True)
class Quality:
    """What a strategy found on one problem, whatever the target.

    Attributes:
        best: Median over seeds of the best accuracy.
        hypervolumes: Median hypervolume at each of `SHARES_OF_BUDGET`; empty where there is no frame.
        hypervolume_interval: Bootstrap interval of the last of them; None from too few seeds.
        optimiser_share: Median over seeds of the optimiser's share of the energy, None where it was not charged.
        provenance: Source of the energies.
    """

    best: float
    hypervolumes: tuple[float, ...]
    hypervolume_interval: tuple[float, float] | None
    optimiser_share: float | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class ProblemComparison:
    """The strategies on one problem.

    Attributes:
        name: What was trained.
        target: The accuracy to reach.
        target_from: Where the target comes from, in words.
        reference: The strategy that the others are measured against.
        standings: One a strategy, the reference first, then by energy.
        quality: By strategy.
        frame: In which hypervolume is counted; None where the measurements span none.
        searches: Everything it rests on.
    """

    name: str
    target: float
    target_from: str
    reference: str
    standings: tuple[Standing, ...]
    quality: Mapping[str, Quality]
    frame: Frame | None
    searches: tuple[SearchRecord, ...] = field(repr=False)

    @property
    def provenance(self) -> Provenance:
        """Source of the energies: that of the weakest search."""
        return weakest(search.provenance for search in self.searches)

    @property
    def horizon_j(self) -> float:
        """The largest horizon of its searches."""
        return max(search.horizon_j for search in self.searches)

    @property
    def common_j(self) -> float:
        """The energy up to which all its searches are known: with equal budgets, the budget."""
        return min(search.horizon_j for search in self.searches)

    def of(self, strategy: str) -> list[SearchRecord]:
        """The searches of a strategy, by seed."""
        return [search for search in self.searches if search.strategy == strategy]

    def at(self, target: float) -> tuple[Standing, ...]:
        """The standings for another target, in the same order."""
        return _standings({s.strategy: self.of(s.strategy) for s in self.standings}, self.reference, target)


def compare_on_problem(
    name: str, searches: Sequence[SearchRecord], target: float | None, reference: str | None
) -> ProblemComparison:
    """Compare searches on one problem.

    Args:
        name: The problem.
        searches: At least one, all on it.
        target: The accuracy to reach; None: the reference's best of the median seed.
        reference: The strategy to measure against; None, or nobody ran it here: `random`, else the first baseline.
    """
    by_strategy: dict[str, list[SearchRecord]] = {}
    for search in sorted(searches, key=lambda search: search.seed):
        by_strategy.setdefault(search.strategy, []).append(search)
    order = list(dict.fromkeys(search.strategy for search in searches))
    chosen = reference if reference is not None and reference in by_strategy else _reference(order)
    origin = "as given"
    if target is None:
        bests = [search.best for search in by_strategy[chosen]]
        target = median_seed(bests)
        origin = f"the best that {chosen} reached" + (", median seed" if len(bests) > 1 else "")
    standings = sorted(
        _standings({strategy: by_strategy[strategy] for strategy in order}, chosen, target),
        key=lambda s: (s.strategy != chosen, s.energy_j, s.at_least_j),
    )
    frame = Frame.around(entry for search in searches for entry in search.progress)
    common_j = min(search.horizon_j for search in searches)
    return ProblemComparison(
        name=name,
        target=target,
        target_from=origin,
        reference=chosen,
        standings=tuple(standings),
        quality={strategy: _quality(found, frame, common_j) for strategy, found in by_strategy.items()},
        frame=frame,
        searches=tuple(search for standing in standings for search in by_strategy[standing.strategy]),
    )


def _reference(strategies: Sequence[str]) -> str:
    if "random" in strategies:
        return "random"
    return next((name for name in strategies if name != "bayes"), strategies[0])


def _standings(by_strategy: Mapping[str, list[SearchRecord]], reference: str, target: float) -> tuple[Standing, ...]:
    against = by_strategy[reference]
    found = [_standing(searches, against, target) for searches in by_strategy.values()]
    tested = [s for s in found if s.effect is not None and s.effect.p is not None]
    adjusted = holm([s.effect.p for s in tested if s.effect is not None and s.effect.p is not None])
    by_name = dict(zip((s.strategy for s in tested), adjusted, strict=True))
    return tuple(
        replace(s, effect=replace(s.effect, p=by_name[s.strategy])) if s.effect and s.strategy in by_name else s
        for s in found
    )


def _standing(searches: Sequence[SearchRecord], reference: Sequence[SearchRecord], target: float) -> Standing:
    energies_j = [search.energy_to(target) for search in searches]
    horizons_j = [search.horizon_j for search in searches]
    seeds = tuple(search.seed for search in searches)
    ratio = effect = None
    if searches is not reference:
        reference_j = [search.energy_to(target) for search in reference]
        reference_h_j = [search.horizon_j for search in reference]
        paired = seeds == tuple(search.seed for search in reference)
        ratio = energy_ratio(reference_j, energies_j, reference_h_j, horizons_j, paired=paired)
        effect = _effect(searches, reference, target)
    return Standing(
        strategy=searches[0].strategy,
        seeds=seeds,
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

    def columns(of: Sequence[SearchRecord]) -> tuple[list[float], list[float]]:
        return [search.energy_to(target) for search in of], [search.horizon_j for search in of]

    (reference_j, reference_h_j), (strategy_j, strategy_h_j) = columns(reference), columns(searches)
    size = a12(reference_j, strategy_j, reference_h_j, strategy_h_j)
    by_seed = {search.seed: search for search in reference}
    both = [search for search in searches if search.seed in by_seed]
    if len(both) < ENOUGH_SEEDS:
        return Effect(size, None, len(both))
    (reference_j, reference_h_j), (strategy_j, strategy_h_j) = columns([by_seed[s.seed] for s in both]), columns(both)
    p = signed_rank_p(log_ratios(reference_j, strategy_j, reference_h_j, strategy_h_j))
    return Effect(size, p, len(both))


def _quality(searches: Sequence[SearchRecord], frame: Frame | None, common_j: float) -> Quality:
    shares = [
        search.optimiser_j / search.spent_j
        for search in searches
        if search.optimiser_j is not None and search.spent_j > 0
    ]
    hypervolumes: tuple[float, ...] = ()
    interval = None
    if frame is not None:
        at_j = [share * common_j for share in SHARES_OF_BUDGET]
        values = held([frame.course(search.progress) for search in searches], at_j, before=0.0)
        hypervolumes = tuple(median(column) for column in values.T.tolist())
        interval = bootstrap_median(values[:, -1].tolist())
    return Quality(
        best=median(search.best for search in searches),
        hypervolumes=hypervolumes,
        hypervolume_interval=interval,
        optimiser_share=median(shares) if shares else None,
        provenance=weakest(search.provenance for search in searches),
    )
