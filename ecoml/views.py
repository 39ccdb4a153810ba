"""Values that show themselves: the way from a value to what draws it, in a room above it, imported when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HTML, _CHART = "ecoml.notebook.html", "ecoml.notebook.plots"


def html_of(value: Any) -> str:
    """What a notebook shows of a `Result`, `Trial`, `Space` or `EnergyAccount`: an HTML fragment."""
    shown: str = import_module(_HTML).html(value)
    return shown


def chart_of(result: Any, what: str) -> Any:
    """A chart of a `Result`; see `ecoml.notebook.plots.plot`."""
    return import_module(_CHART).plot(result, what)
