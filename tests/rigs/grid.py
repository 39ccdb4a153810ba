"""Grids whose intensities a test sets."""

import time
from datetime import UTC, datetime

from ecoml.carbon.grid import HOUR_S, GridProvenance, Series

__all__ = ["HOUR_S", "FakeGrid", "table_file"]


class FakeGrid:
    """Intensities by the hour of a clock; fulfils `Grid`."""

    spec, name, varies = "test.csv", "test.csv", True
    provenance = GridProvenance.TABLE

    def __init__(self, hours, start_s=0.0):
        self.series = Series([start_s + HOUR_S * n for n in range(len(hours))], hours)
        self.at, self.course = self.series.at, self.series.course
        self.known = True

    def knows(self, at_s):
        return self.known

    def start(self):
        pass

    def news(self):
        return []

    def close(self):
        pass


def table_file(folder, *values, begins_s=None, step_s=HOUR_S, lasts=False):
    begins_s = time.time() - 60 if begins_s is None else begins_s
    path = folder / "grid.csv"
    times = [datetime.fromtimestamp(begins_s + step_s * n, UTC).isoformat() for n in range(len(values))]
    if lasts:
        times, values = [*times, datetime.fromtimestamp(begins_s + 3600, UTC).isoformat()], (*values, values[-1])
    path.write_text("time,g/kWh\n" + "".join(f"{at},{v}\n" for at, v in zip(times, values, strict=True)))
    return path
