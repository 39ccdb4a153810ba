"""How much CO2e a search saves by pausing while the grid is dirty, on a recorded year of two grids.

    python benchmarks/clean_waiting.py                                      the table of docs/results/waiting.md
    python benchmarks/clean_waiting.py docs/figures/clean-waiting.png       and the figure, in 15 s

The tables are `docs/data/grid-*-2019.csv`: hourly g/kWh of the California ISO and of Duke Energy Carolinas.
`benchmarks/grid_year.py` made them and states their sources. A search begins every seventh hour of the year, so that
every hour of the day is equally frequent; searches that would end after the year are left out. A search follows the
rule of `--when-clean`: it waits while the grid is above the limit, until its deadline. The limit is the median of the
year, or the median or the lower quartile of the 24 hours before the search. `ecoml.carbon.plan` says what is summed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecoml.carbon.grid import HOUR_S, Stretch
from ecoml.carbon.plan import Waiting, wait_for_clean
from ecoml.carbon.table import IntensityTable

DATA = Path(__file__).parents[1] / "docs/data"

GRIDS = {"California": 230.0, "Carolinas": 310.0}
"""Name → a limit in g/kWh, below which the grid is in about half of the year's hours."""

Limit = Callable[[Sequence[float]], float]
"""From the intensities of the day before a search, in g/kWh."""

LENGTHS = ((1, 24), (8, 24), (48, 96))
"""Hours of work, and hours after which a search waits no longer."""

BEGIN_EVERY_H = 7
DAY_H = 24
IDLE_SHARES = (0.0, 0.1, 0.3)
DRAWN_LIMITS = tuple(range(120, 401, 20))
LEAST_AND_MOST_DRAWN = (-0.3, 0.15)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Means over the searches of a year: intensities of the work in g/kWh; `waiting_g_per_kwh` as in `Waiting`."""

    straight_g_per_kwh: float
    clean_g_per_kwh: float
    waiting_g_per_kwh: float
    waited_h: float

    def saved(self, idle_share: float) -> float:
        """The saved share of the CO2e, if idling draws this share of the power of work."""
        return 1 - (self.clean_g_per_kwh + idle_share * self.waiting_g_per_kwh) / self.straight_g_per_kwh


def year_of(grid: str) -> list[Stretch]:
    """A grid's year, hour by hour."""
    table = IntensityTable.read(DATA / f"grid-{grid.lower()}-2019.csv")
    return table.course(table.series.times_s[0], table.series.end_s)


def outcome(year: list[Stretch], hours: int, within_h: int, limit: Limit) -> Outcome:
    """Simulate the searches of the year."""
    found = list(_searches(year, hours, within_h, limit))
    return Outcome(
        statistics.fmean(one.straight_g_per_kwh for one in found),
        statistics.fmean(one.clean_g_per_kwh for one in found),
        statistics.fmean(one.waiting_g_per_kwh for one in found),
        statistics.fmean(one.waited_s for one in found) / HOUR_S,
    )


def _searches(year: list[Stretch], hours: int, within_h: int, limit: Limit) -> Iterator[Waiting]:
    for begin in range(DAY_H, len(year) - within_h - hours + 1, BEGIN_EVERY_H):
        course = year[begin : begin + within_h + hours]
        limit_g_per_kwh = limit([intensity for _, _, intensity in year[begin - DAY_H : begin]])
        found = wait_for_clean(course, hours, limit_g_per_kwh, course[0][0] + within_h * HOUR_S)
        assert found is not None, "its end is recorded"
        yield found


def constant(g_per_kwh: float) -> Limit:
    """The same limit for all days."""
    return lambda _day: g_per_kwh


def reached_by(share: float) -> Limit:
    """The intensity that this share of the hours of the day before did not exceed."""
    return lambda day: sorted(day)[round(share * len(day)) - 1]


def draw(path: Path) -> None:
    """The figure: saved CO2e against the limit; a row for each grid, a column for each length of work, a line for each
    share of idling.
    """
    import altair as alt

    from ecoml.report.charts.drawing import PRINT, finish

    records = []
    for grid in GRIDS:
        year = year_of(grid)
        for hours, within_h in LENGTHS:
            for limit in DRAWN_LIMITS:
                one = outcome(year, hours, within_h, constant(limit))
                drawn = {"grid": grid, "work": f"{hours} h of work, within {within_h + hours} h", "limit": limit}
                records += [drawn | {"idling": f"{share:.0%}", "saved": one.saved(share)} for share in IDLE_SHARES]
    shares = [f"{share:.0%}" for share in IDLE_SHARES]
    colour = alt.Color(
        "idling:N",
        title="Power while idling",
        scale=alt.Scale(domain=shares, range=list(PRINT.series[: len(shares)])),
        legend=alt.Legend(orient="top"),
    )
    x = alt.X("limit:Q", title="Pausing above, g/kWh", scale=alt.Scale(domain=[DRAWN_LIMITS[0], DRAWN_LIMITS[-1]]))
    y = alt.Y("saved:Q", title="CO2e saved", scale=alt.Scale(domain=LEAST_AND_MOST_DRAWN), axis=alt.Axis(format="%"))
    layers = [
        alt.Chart().mark_rule(color=PRINT.muted, strokeDash=[3, 3]).encode(y=alt.datum(0)),
        alt.Chart().mark_line(strokeWidth=2, clip=True).encode(x=x, y=y, color=colour),
    ]
    panel = finish(layers, PRINT, height=130).properties(width=180)
    config, panel.config = panel.config, alt.Undefined
    panel.facet(
        data=alt.InlineData(values=records),
        row=alt.Row("grid:N", title=None),
        column=alt.Column("work:N", title=None, sort=[record["work"] for record in records]),
    ).properties(config=config).save(str(path), ppi=144)


def main(figures: Sequence[str] = ()) -> None:
    """Print the table of docs/results/waiting.md, and draw its figure if a path is given."""
    shares = " | ".join(f"saved, idling at {share:.0%}" if share else "saved, no idling" for share in IDLE_SHARES)
    print(f"| grid | work | limit, g/kWh | at once | waiting | waited | {shares} |")
    print("|---|---|---|---|---|---|" + "---|" * len(IDLE_SHARES))
    for grid, median in GRIDS.items():
        year = year_of(grid)
        limits = {
            f"{median:g} all year": constant(median),
            "the day's half": reached_by(0.5),
            "the day's quarter": reached_by(0.25),
        }
        for hours, within_h in LENGTHS:
            for told_limit, limit in limits.items():
                one = outcome(year, hours, within_h, limit)
                told = " | ".join(f"{one.saved(share):.0%}".replace("-", "−") for share in IDLE_SHARES)
                print(
                    f"| {grid} | {hours} h, within {within_h + hours} h | {told_limit} | {one.straight_g_per_kwh:.0f}"
                    f" | {one.clean_g_per_kwh:.0f} | {one.waited_h:.1f} h | {told} |"
                )
    for path in figures:
        draw(Path(path))


if __name__ == "__main__":
    main(sys.argv[1:])
