"""A comparison as JSON values. What is not known, or infinite because of misses, is null."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ecoml.experiments.compare.comparison import Comparison, MeanRatio
from ecoml.experiments.compare.comparison_notes import notes
from ecoml.experiments.compare.significance import Ranks
from ecoml.experiments.compare.standings import SHARES_OF_BUDGET, ProblemComparison, Quality, Standing
from ecoml.report.statistics import Ratio


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """For `compare.json`."""
    return {
        "problems": [_problem(problem, comparison.targets[1:]) for problem in comparison.problems],
        "geometric_means": [_mean(mean) for mean in comparison.means],
        "ranks": _ranks(comparison.ranks),
        "notes": list(notes(comparison)),
    }


def _problem(problem: ProblemComparison, further: Iterable[float]) -> dict[str, Any]:
    return {
        "problem": problem.name,
        "target": problem.target,
        "target_from": problem.target_from,
        "reference": problem.reference,
        "provenance": problem.provenance.value,
        "hypervolume": None
        if problem.frame is None
        else {
            "reference_point": {"accuracy": 0.0, "energy_j": problem.frame.high_j},
            "ideal_point": {"accuracy": 1.0, "energy_j": problem.frame.low_j},
            "energy_scale": "log",
            "budget_j": problem.common_j,
            "provenance": problem.provenance.value,
        },
        "strategies": [
            {**_standing(standing), **_quality(problem.quality[standing.strategy])} for standing in problem.standings
        ],
        "further_targets": [
            {
                "target": target,
                "strategies": [
                    {**_standing(standing), "provenance": problem.quality[standing.strategy].provenance.value}
                    for standing in problem.at(target)
                ],
            }
            for target in further
        ],
    }


def _standing(standing: Standing) -> dict[str, Any]:
    effect = standing.effect
    return {
        "strategy": standing.strategy,
        "seeds": list(standing.seeds),
        "reached": standing.reached,
        "energy_to_target_j": _finite(standing.energy_j),
        "at_least_j": standing.at_least_j,
        "interval_j": _interval(standing.interval_j),
        "energies_to_target_j": [_finite(energy_j) for energy_j in standing.energies_j],
        "censored_at_j": list(standing.horizons_j),
        "times_less_energy": _ratio(standing.ratio),
        "a12": None if effect is None else effect.a12,
        "p_holm": None if effect is None else effect.p,
        "pairs": None if effect is None else effect.pairs,
    }


def _quality(quality: Quality) -> dict[str, Any]:
    return {
        "best_accuracy": quality.best,
        "hypervolume": {
            f"{share:.0%}": volume for share, volume in zip(SHARES_OF_BUDGET, quality.hypervolumes, strict=False)
        },
        "hypervolume_interval": _interval(quality.hypervolume_interval),
        "optimiser_share": quality.optimiser_share,
        "provenance": quality.provenance.value,
    }


def _mean(mean: MeanRatio) -> dict[str, Any]:
    return {
        "strategy": mean.strategy,
        "times_less_energy": _finite(mean.value),
        "problems": mean.problems,
        "of": mean.of,
        "low": _finite(mean.low),
        "high": _finite(mean.high),
        "overall": _ratio(mean.overall),
    }


def _ranks(ranks: Ranks | None) -> dict[str, Any] | None:
    if ranks is None:
        return None
    return {
        "mean_ranks": dict(zip(ranks.strategies, ranks.mean_ranks, strict=True)),
        "problems": ranks.problems,
        "friedman_p": ranks.p,
        "critical_difference": ranks.critical_difference,
        "nemenyi_p": {
            name: dict(zip(ranks.strategies, row, strict=True))
            for name, row in zip(ranks.strategies, ranks.pairwise_p, strict=True)
        },
    }


def _ratio(ratio: Ratio | None) -> dict[str, Any] | None:
    if ratio is None:
        return None
    return {"value": _finite(ratio.value), "relation": ratio.relation, "interval": _interval(ratio.interval)}


def _interval(interval: tuple[float, float] | None) -> list[float | None] | None:
    return None if interval is None else [_finite(end) for end in interval]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
