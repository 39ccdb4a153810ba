"""Compute ratios to random search, their intervals and misses from the rows of searches; write table, CSV and figure.

For one problem and seed, a strategy's ratio is random search's joules to the goal (for `typical`: all its joules),
divided by the strategy's. A miss counts with the strategy's budget. It would have needed at least that, so its ratio is
an upper bound. The mean of a strategy is geometric, over problems and seeds. Its interval resamples the seeds of each
problem (percentile bootstrap), so it applies to these problems only.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from strategy_real import Row, with_goals

from ecoml.report.statistics import LEVEL

GOALS = {goal: f"to_{goal}_j" for goal in ("typical", "target", "hypervolume")}
RESAMPLES = 2000


@dataclass(frozen=True)
class Standing:
    """The result of a strategy for a goal on a family of problems.

    Attributes:
        family: As `strategies.Cell` names it.
        goal: `typical`, `target` or `hypervolume`.
        strategy: Its name.
        searches: Number of searches with a counterpart of random search.
        problems: Number of problems.
        misses: Number of searches that did not reach the goal.
        mean: Geometric mean of the ratios; with misses it is an upper bound.
        low: Lower end of its interval.
        high: Upper end.
        median: Median of the ratios.
        median_low: Lower end of its interval.
        median_high: Upper end.
        optimiser_s: Median CPU seconds of the optimiser per trial; NaN if they were not measured.
    """

    family: str
    goal: str
    strategy: str
    searches: int
    problems: int
    misses: int
    mean: float
    low: float
    high: float
    median: float
    median_low: float
    median_high: float
    optimiser_s: float


def standings(rows: Sequence[Mapping[str, Any]]) -> list[Standing]:
    """Every strategy, family and goal, with the best mean first."""
    found = []
    for family in sorted({row["family"] for row in rows}):
        for goal, column in GOALS.items():
            own = [row for row in rows if row["family"] == family and column in row]
            spent = "budget_j" if goal == "typical" else column
            random = {(r["task"], r["seed"]): r[spent] for r in own if r["strategy"] == "random"}
            group = []
            for strategy in sorted({row["strategy"] for row in own}):
                paired = [
                    r for r in own if r["strategy"] == strategy and random.get((r["task"], r["seed"])) is not None
                ]
                if paired:
                    group.append(_standing(family, goal, strategy, paired, random, column))
            found += sorted(group, key=lambda standing: -standing.mean)
    return found


def _standing(
    family: str,
    goal: str,
    strategy: str,
    rows: Sequence[Mapping[str, Any]],
    random: Mapping[tuple[str, int], float],
    column: str,
) -> Standing:
    logs = defaultdict(list)  # problem → log ratios
    for row in rows:
        spent_j = row["budget_j"] if row[column] is None else row[column]
        logs[row["task"]].append(math.log(random[row["task"], row["seed"]] / spent_j))
    mean, median, (low, high), (median_low, median_high) = bootstrap(list(logs.values()))
    thinking = [row["optimiser_s"] / row["trials"] for row in rows if "optimiser_s" in row and row["trials"]]
    return Standing(
        *(family, goal, strategy, len(rows), len(logs)),
        sum(row[column] is None for row in rows),
        *(mean, low, high, median, median_low, median_high),
        float(np.median(thinking)) if thinking else math.nan,
    )


def bootstrap(
    problems: Sequence[Sequence[float]], seed: int = 0
) -> tuple[float, float, tuple[float, float], tuple[float, float]]:
    """Geometric mean and median of ratios, and their percentile intervals.

    Args:
        problems: Log ratios, grouped by problem.
        seed: Seed of the resampling.

    Returns:
        Mean, median, interval of the mean, interval of the median; the intervals are NaN if no problem has two seeds.
    """
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(logs, dtype=float) for logs in problems]
    drawn = np.concatenate([logs[rng.integers(len(logs), size=(RESAMPLES, len(logs)))] for logs in arrays], axis=1)
    every = np.concatenate(arrays)
    if max(map(len, arrays)) == 1:
        nowhere = (math.nan, math.nan)
        return math.exp(every.mean()), math.exp(float(np.median(every))), nowhere, nowhere
    ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    mean_low, mean_high = np.exp(np.quantile(drawn.mean(axis=1), ends)).tolist()
    median_low, median_high = np.exp(np.quantile(np.median(drawn, axis=1), ends)).tolist()
    return math.exp(every.mean()), math.exp(float(np.median(every))), (mean_low, mean_high), (median_low, median_high)


def markdown(found: Sequence[Standing]) -> str:
    """A table for each family."""
    parts = []
    for family in dict.fromkeys(standing.family for standing in found):
        of = {goal: {s.strategy: s for s in found if (s.family, s.goal) == (family, goal)} for goal in GOALS}
        shown = [goal for goal in GOALS if of[goal]]
        first = of[shown[0]]
        lines = [
            f"{family}: {max(s.problems for s in first.values())} problems,"
            f" {max(s.searches for s in first.values())} searches a strategy",
            "",
            "| strategy | " + "".join(f"× less energy to {goal} | misses | " for goal in shown) + "CPU s a trial |",
            "|---|" + "---|---|" * len(shown) + "---|",
        ]
        for strategy, standing in first.items():
            cells = "".join(_cells(of[goal].get(strategy)) for goal in shown)
            thinking = "–" if math.isnan(standing.optimiser_s) else f"{standing.optimiser_s:.3f}"
            lines.append(f"| {strategy} | {cells}{thinking} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cells(standing: Standing | None) -> str:
    return "– | – | " if standing is None else f"{_mean(standing)} | {standing.misses} of {standing.searches} | "


def _mean(standing: Standing) -> str:
    bound = "≤ " if standing.misses else ""
    return f"{bound}{standing.mean:.2f}{_interval(standing.low, standing.high)}"


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f" ({low:.2f}–{high:.2f})"


def publish(rows: Sequence[Row], out: Path) -> str:
    """Write table.md, table.csv, searches.csv and the figure; returns the table."""
    complete = with_goals(rows)
    found = standings(complete)
    text = markdown(found)
    (out / "table.md").write_text(text + "\n", encoding="utf-8")
    _write_csv(out / "table.csv", [asdict(standing) for standing in found])
    _write_csv(out / "searches.csv", [{k: v for k, v in row.items() if k != "points"} for row in complete])
    for format_ in ("svg", "png"):
        _draw(found, out / f"figure.{format_}")
    return text


def _write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for record in records for key in record))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)


def _draw(found: Sequence[Standing], path: Path) -> None:
    """Ratios to random search with their intervals, a point for each strategy and family; hollow if searches missed."""
    import altair as alt

    from ecoml.report.charts.drawing import PRINT, finish, layer_of

    records = [
        asdict(s) | {"missed": "some missed" if s.misses else "all reached it"} for s in found if s.goal == "typical"
    ]
    if not records:
        return
    families = list(dict.fromkeys(record["family"] for record in records))
    colour = alt.Color(
        "family:N", title=None, scale=alt.Scale(domain=families, range=[*PRINT.series, PRINT.ink][: len(families)])
    )
    y = alt.Y("strategy:N", title=None, sort=alt.EncodingSortField("mean", op="mean", order="descending"))
    offset = alt.YOffset("family:N", scale=alt.Scale(domain=families))
    x = alt.X(
        "low:Q",
        title="Times less energy than 64 random trainings, to what they typically reach",
        scale=alt.Scale(type="log"),
    )
    data = layer_of(records)
    filled = alt.condition("datum.misses > 0", alt.value("white"), colour)
    finish(
        [
            layer_of([record for record in records if record["low"] == record["low"]])
            .mark_rule(strokeWidth=1.5)
            .encode(y=y, yOffset=offset, x=x, x2="high:Q", color=colour),
            data.mark_point(size=45, filled=True, strokeWidth=1.5, opacity=1).encode(
                y=y, yOffset=offset, x="mean:Q", fill=filled, stroke=colour
            ),
            layer_of([{"low": 1.0}]).mark_rule(color=PRINT.muted, strokeDash=[3, 3]).encode(x=x),
        ],
        PRINT,
        height=28 * len({record["strategy"] for record in records}) + 10 * len(families),
    ).save(str(path), ppi=144 if path.suffix == ".png" else None)
