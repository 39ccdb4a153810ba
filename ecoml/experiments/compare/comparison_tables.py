"""The tables of a comparison as text, the same for terminal and page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.comparison_notes import p_text
from ecoml.experiments.compare.significance import SIGNIFICANT
from ecoml.experiments.compare.standings import SHARES_OF_BUDGET, ProblemComparison, Standing
from ecoml.format import format_energy, percent
from ecoml.report.statistics import Ratio

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table.

    Attributes:
        caption: What it shows.
        header: One title a column.
        rows: As many cells each, names first.
        names: How many columns at the left hold names and not figures.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1


def energy_table(problems: Sequence[ProblemComparison]) -> TextTable:
    """Energy to target, strategy by strategy; with the problem in front where there are several."""
    header = ("Strategy", "Reached", "Energy to target", "95 % interval", "Times less", "p", "A12", "Source")
    rows = [(problem.name, *_energy_cells(problem, s)) for problem in problems for s in problem.standings]
    return _table(_until(problems), ("Problem", *header), rows, problems)


def quality_table(problems: Sequence[ProblemComparison]) -> TextTable:
    """What was found for how much, whatever the target."""
    at = [f"HV {share:.0%}" for share in SHARES_OF_BUDGET]
    header = ("Strategy", "Seeds", "Best accuracy", *at, "95 % interval", "Optimiser")
    rows = []
    for problem in problems:
        for standing in problem.standings:
            quality = problem.quality[standing.strategy]
            volumes = [f"{volume:.3f}" for volume in quality.hypervolumes] or [NOTHING] * len(SHARES_OF_BUDGET)
            interval = quality.hypervolume_interval
            rows.append(
                (
                    problem.name,
                    standing.strategy,
                    str(len(standing.seeds)),
                    percent(quality.best, 1),
                    *volumes,
                    NOTHING if interval is None else f"{interval[0]:.3f} – {interval[1]:.3f}",
                    NOTHING if quality.optimiser_share is None else percent(quality.optimiser_share, 1),
                )
            )
    caption = (
        "What was found, median over seeds; HV is hypervolume as a share of its frame, after so much of the budget,"
        " with the interval of the last one"
    )
    return _table(caption, ("Problem", *header), rows, problems)


def sweep_table(problem: ProblemComparison, targets: Sequence[float]) -> TextTable:
    """Median energy to each of several targets."""
    header = ("Target", *(standing.strategy for standing in problem.standings))
    rows = tuple(
        (percent(target, 2), *(f"{energy_text(s)} ({s.reached}/{len(s.seeds)})" for s in problem.at(target)))
        for target in sorted(targets)
    )
    return TextTable(f"Energy to each target, and how many seeds reached it ({problem.provenance})", header, rows)


def means_table(comparison: Comparison) -> TextTable:
    """Times less energy than the reference, over all problems."""
    rows = tuple(
        (
            mean.strategy,
            ratio_words(mean.overall),
            f"{mean.problems} of {mean.of}",
            ratio_text(mean.value) if mean.problems else NOTHING,
            f"{ratio_text(mean.low)} to {ratio_text(mean.high)}" if mean.problems else NOTHING,
        )
        for mean in comparison.means
    )
    header = ("Strategy", "Times less, all problems", "Reached", "Times less, where reached", "Range")
    return TextTable(
        "Energy to target against the reference, geometric means; over all problems a miss counts at its bound",
        header,
        rows,
    )


def ranks_table(comparison: Comparison) -> TextTable | None:
    """Mean ranks, with Nemenyi's p-values between all pairs; None where there is no test."""
    ranks = comparison.ranks
    if ranks is None:
        return None
    rows = []
    for name, rank, row in zip(ranks.strategies, ranks.mean_ranks, ranks.pairwise_p, strict=True):
        others = zip(ranks.strategies, row, strict=True)
        rows.append((name, f"{rank:.2f}", *(NOTHING if other == name else p_text(p) for other, p in others)))
    told = (
        f"two that are more than {ranks.critical_difference:.2f} apart differ significantly (Nemenyi's p between pairs)"
        if ranks.p < SIGNIFICANT
        else "they cannot be told apart, whatever Nemenyi's p between pairs"
    )
    caption = (
        f"Mean ranks over {ranks.problems} problems, 1 is the least energy. Friedman's test: p = {p_text(ranks.p)};"
        f" {told}"
    )
    return TextTable(caption, ("Strategy", "Mean rank", *(f"p to {name}" for name in ranks.strategies)), tuple(rows))


def energy_text(standing: Standing) -> str:
    """The median energy to target, or its bound."""
    if math.isfinite(standing.energy_j):
        return format_energy(standing.energy_j)
    return f"> {format_energy(standing.at_least_j)}"


def ratio_text(value: float) -> str:
    """A ratio for a reader: `5.12×`."""
    return "∞" if math.isinf(value) else f"{value:.2f}×" if value < 10 else f"{value:.1f}×"


def ratio_words(ratio: Ratio | None) -> str:
    """A ratio, or a bound of one: `> 5.12×`."""
    if ratio is None:
        return NOTHING
    return f"{'' if ratio.relation == '=' else ratio.relation + ' '}{ratio_text(ratio.value)}"


def _energy_cells(problem: ProblemComparison, standing: Standing) -> Iterator[str]:
    yield standing.strategy
    yield f"{standing.reached} of {len(standing.seeds)}"
    yield energy_text(standing)
    yield NOTHING if standing.interval_j is None else _interval(standing.interval_j)
    if standing.strategy == problem.reference:
        yield "reference"
    else:
        ratio = standing.ratio
        span = f" ({_bare(ratio.interval[0])}–{_bare(ratio.interval[1])})" if ratio and ratio.interval else ""
        yield ratio_words(ratio) + span
    effect = standing.effect
    yield NOTHING if effect is None or effect.p is None else p_text(effect.p)
    yield NOTHING if effect is None else f"{effect.a12:.2f}"
    yield problem.quality[standing.strategy].provenance.value


def _interval(interval_j: tuple[float, float]) -> str:
    ends = [format_energy(end_j) if math.isfinite(end_j) else "∞" for end_j in interval_j]
    return " – ".join(dict.fromkeys(ends))


def _bare(value: float) -> str:
    return ratio_text(value).removesuffix("×")


def _until(problems: Sequence[ProblemComparison]) -> str:
    if len(problems) > 1:
        return "Energy until the target, problem by problem"
    (problem,) = problems
    return f"Energy until {percent(problem.target, 2)} accuracy, {problem.target_from} ({problem.provenance})"


def _table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], problems: Sequence[ProblemComparison]
) -> TextTable:
    """Without the problem where there is only one, and without columns in which no row has anything."""
    rows = list(rows)
    several = len(problems) > 1
    kept = [
        column for column in range(len(header)) if (column or several) and any(row[column] != NOTHING for row in rows)
    ]
    return TextTable(
        caption,
        tuple(header[column] for column in kept),
        tuple(tuple(row[column] for column in kept) for row in rows),
        names=2 if several else 1,
    )
