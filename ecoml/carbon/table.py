"""A grid's intensity from a CSV of time and g/kWh, as operators and Electricity Maps offer it for download."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ecoml.carbon.grid import GridProvenance, Series, Stretch, check_intensity
from ecoml.errors import UsageError

_OTHER_UNIT = re.compile(r"\b(kg|t|lbs?)\W?(co\W?[2₂]e?q?)?\W?(/|per)\W?kwh|\blbs?\b", re.IGNORECASE)
"""Units in a heading: kg/kWh and lb/MWh are off by a factor; kg/MWh and t/GWh equal g/kWh."""

_SHAPE = (
    "give a CSV of two columns, with a comma between: time (2026-11-27T14:00, in UTC unless it says otherwise) and"
    " g/kWh"
)

_LAST_S = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""A later time has no valid date."""


class IntensityTable:
    """Intensities from a file. Each row holds from its time to that of the next; the last one holds for the median
    step.

    Later energy counts at the last row's intensity; one message says so.

    Args:
        text: The file's content.
        spec: Its name, as given by the user.
        clock: Returns Unix seconds.

    Raises:
        UsageError: It is not such a table.

    Attributes:
        clock: As given.
        text: The file's content, for the run folder.
        series: The intensities.
    """

    provenance = GridProvenance.TABLE
    varies = True

    def __init__(self, text: str, spec: str, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.text = text
        self.spec = spec
        self.name = Path(spec).name
        self.series = _parse(text, spec)
        self._told = False

    @classmethod
    def read(cls, path: Path) -> IntensityTable:
        """The table in a file.

        Raises:
            UsageError: The file cannot be read, or is not such a table.
        """
        try:
            return cls(path.read_text(encoding="utf-8-sig"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise UsageError(
                f"--grid-intensity {path}: cannot be read ({why}); give a number of g/kWh, a CSV, electricitymaps:ZONE"
                " or watttime:REGION"
            ) from None

    def at(self, at_s: float) -> float:
        """The row that holds at a time; before the first and after the last row, the nearest."""
        return self.series.at(at_s)

    def knows(self, at_s: float) -> bool:
        """Whether a row holds at a time."""
        return self.series.times_s[0] <= at_s < self.series.end_s

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """The rows within a time span."""
        return self.series.course(from_s, until_s)

    def start(self) -> None:
        """Refuse to start outside the table's times.

        Raises:
            UsageError: The table does not contain the current time.
        """
        now_s = self.clock()
        if not self.knows(now_s):
            first, last = (_iso(at_s) for at_s in (self.series.times_s[0], self.series.end_s))
            raise UsageError(
                f"--grid-intensity {self.spec}: it reaches from {first} to {last}, and now is {_iso(now_s)}; give a"
                " table that holds the hours of the search"
            )

    def news(self) -> list[str]:
        """The message that the table has ended, once."""
        if self._told or self.clock() < self.series.end_s:
            return []
        self._told = True
        last = f"its last intensity, {self.series.values[-1]:g} g/kWh,"
        return [f"{self.name} ends at {_iso(self.series.end_s)}: {last} is used from then on"]

    def close(self) -> None:
        """Do nothing: the file is already closed."""


def _iso(at_s: float) -> str:
    if at_s >= _LAST_S:
        return "the end of time"
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _parse(text: str, spec: str) -> Series:
    def refuse(number: int, why: str) -> UsageError:
        return UsageError(f"--grid-intensity {spec}: line {number}{why}; {_SHAPE}")

    reader = csv.reader(text.splitlines())
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise refuse(reader.line_num, f" is none of a CSV ({error})") from None
    if not rows:
        raise UsageError(f"--grid-intensity {spec}: it is empty; {_SHAPE}")
    number, first = rows[0]
    at, of, width = 0, 1, 2
    if _time(first[0]) is None:
        if len(first) > 1 and _is_number(first[1]):
            raise refuse(number, f": {first[0]!r} is no time")
        at, of = _columns(first)
        width = len(first)
        if of < len(first) and _OTHER_UNIT.search(first[of]):
            raise refuse(number, f": {first[of].strip()!r} is in another unit")
        del rows[0]
    found: dict[float, float] = {}
    for number, row in rows:
        if len(row) <= max(at, of):
            raise refuse(number, f" has {len(row)} column{'s' * (len(row) != 1)}")
        if any(cell.strip() for cell in row[width:]):  # 100,5 is two of them
            raise refuse(number, f" has {len(row)} columns, and not {width}")
        at_s, value = _time(row[at]), row[of].strip()
        if at_s is None:
            raise refuse(number, f": {row[at]!r} is no time")
        if not value:  # an hour nobody measured: the one before holds
            continue
        try:
            intensity = check_intensity(float(value), least=0.0)
        except ValueError:
            raise refuse(number, f": {value!r} is no number") from None
        except UsageError as error:
            raise UsageError(f"--grid-intensity {spec}: line {number}: {error}") from None
        if found.setdefault(at_s, intensity) != intensity:
            raise refuse(number, f": {row[at].strip()!r} has two intensities, {found[at_s]:g} and {intensity:g} g/kWh")
    if not found:
        raise UsageError(f"--grid-intensity {spec}: there is no intensity in it; {_SHAPE}")
    times_s = sorted(found)
    return Series(times_s, [found[at_s] for at_s in times_s])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _columns(header: Sequence[str]) -> tuple[int, int]:
    """The columns of the time and the intensity; of several intensities, that of the life cycle."""
    names = [cell.strip().lower() for cell in header]
    times = [index for index, name in enumerate(names) if "time" in name or "date" in name]
    values = [i for i, name in enumerate(names) if "intensity" in name or "g/kwh" in name or "g_per_kwh" in name]
    cycle = [index for index in values if "life" in names[index]]
    return (times or [0])[0], (cycle or values or [1])[0]


def _time(cell: str) -> float | None:
    try:
        at = datetime.fromisoformat(cell.strip())
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
