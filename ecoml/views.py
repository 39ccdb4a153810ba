"""How values show themselves in a notebook. The drawing code lies in packages above this one, so it is imported
on use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HTML, _CHART = "ecoml.notebook.html", "ecoml.notebook.plots"


def html_of(value: Any) -> str:
    """The HTML fragment that a notebook shows for a `Result`, `Trial`, `Space` or `EnergyAccount`."""
    shown: str = import_module(_HTML).html(value)
    return shown


def chart_of(result: Any, what: str) -> Any:
    """A chart of a `Result`; see `ecoml.notebook.plots.plot`."""
    return import_module(_CHART).plot(result, what)
