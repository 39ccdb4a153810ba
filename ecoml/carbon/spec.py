"""The argument of `--grid-intensity`."""

from __future__ import annotations

from pathlib import Path

from ecoml.carbon.grid import Grid, Stated
from ecoml.carbon.providers import PROVIDERS, Provider
from ecoml.carbon.table import IntensityTable
from ecoml.errors import UsageError


def grid_of(given: float | str | Path | None) -> Grid | None:
    """The grid of an argument; None for None. No request is sent before the grid is started.

    Args:
        given: A number of g/kWh, the path of a CSV, `electricitymaps:ZONE` or `watttime:REGION`.

    Raises:
        UsageError: It is none of these.
    """
    if given is None:
        return None
    if isinstance(given, bool):
        raise UsageError(f"the grid intensity is {given!r}; give a number of g/kWh, a CSV or a provider")
    if isinstance(given, int | float):
        return Stated(given)
    text = str(given).strip()
    if names_provider(text):
        return Provider(text)
    try:
        number = float(text)
    except ValueError:
        return IntensityTable.read(Path(text))
    return Stated(number)


def names_provider(given: float | str | Path | None) -> bool:
    """Whether an argument of `grid_of` names a provider; its key is not looked for."""
    return isinstance(given, str) and given.strip().partition(":")[0] in PROVIDERS
