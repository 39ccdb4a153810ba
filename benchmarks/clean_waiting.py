"""What pausing while the grid is dirty saves, on four recorded weeks of California's grid.

    python benchmarks/clean_waiting.py

The table is `docs/data/grid-california-2022.csv`: hourly g/kWh of the California ISO in one week of each season of
2022, computed from the generation by fuel that the U.S. Energy Information Administration publishes (Form EIA-930), as
the data of HewlettPackard/dc-rl have it (`data/CarbonIntensity/CA_NG_&_avgCI.csv`, column `avg_CI`), rounded to whole
grams. An hour without a value (2022-01-05 10:00) is as the one before.

A search begins at each hour of each week from which its course is known to its end and its deadline, with the rule of
`--when-clean`: it waits while the grid is above the limit, until its deadline. `ecoml.carbon.plan` says what is summed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from ecoml.carbon.grid import Stretch
from ecoml.carbon.plan import HOUR_S, Waiting, wait_for_clean
from ecoml.carbon.table import Table

TABLE = Path(__file__).parents[1] / "docs/data/grid-california-2022.csv"

LENGTHS = ((1.0, 24.0), (8.0, 24.0), (48.0, 96.0))
"""Hours of work, and hours until it waits no more."""

LIMITS_G_PER_KWH = (150.0, 200.0, 250.0)
IDLE_SHARES = (0.0, 0.1, 0.3)


def weeks(table: Table) -> Iterator[list[Stretch]]:
    """The recorded weeks, each a course without a hole of more than two hours."""
    series = table.series
    starts = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(series.times_s)) if b - a > 2 * HOUR_S)]
    for first, last in pairwise([*starts, len(series.times_s)]):
        yield table.course(series.times_s[first], series.times_s[last - 1] + HOUR_S)


def searches(table: Table, hours: float, within_h: float, limit: float, idle_share: float) -> Iterator[Waiting]:
    """A search from each hour of each week, as long as its end is recorded."""
    for week in weeks(table):
        end_s = week[-1][1]
        for number, (begin_s, _, _) in enumerate(week):
            if begin_s + (within_h + hours) * HOUR_S > end_s:
                break
            found = wait_for_clean(week[number:], hours, limit, begin_s + within_h * HOUR_S, idle_share)
            if found is not None:
                yield found


def main() -> None:
    """Print the table of docs/guides/carbon.md."""
    table = Table.read(TABLE)
    shares = " | ".join(f"saved, idling at {share:.0%}" if share else "saved, no idling" for share in IDLE_SHARES)
    print(f"| work | limit, g/kWh | searches | straight on | waiting | waited | {shares} |")
    print("|---|---|---|---|---|---|" + "---|" * len(IDLE_SHARES))
    for hours, within_h in LENGTHS:
        for limit in LIMITS_G_PER_KWH:
            by_share = [list(searches(table, hours, within_h, limit, share)) for share in IDLE_SHARES]
            free = by_share[0]
            straight = statistics.fmean(one.straight_g_per_kwh for one in free)
            clean = statistics.fmean(one.clean_g_per_kwh for one in free)
            waited_h = statistics.fmean(one.waited_s for one in free) / HOUR_S
            saved = (
                1 - statistics.fmean(one.clean_g_per_kwh + one.idle_g_per_kwh for one in found) / straight
                for found in by_share
            )
            told = " | ".join(f"{share:.0%}".replace("-", "−") for share in saved)
            print(
                f"| {hours:g} h, within {within_h + hours:g} h | {limit:g} | {len(free)} | {straight:.0f} | {clean:.0f}"
                f" | {waited_h:.1f} h | {told} |"
            )


if __name__ == "__main__":
    main()
