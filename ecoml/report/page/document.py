"""Pages: self-contained HTML from Jinja2 templates, which escape whatever they are given.

A page is a template that extends ours, in a folder of its own room:

    {% extends "base.html.j2" %}
    {% import "macros.html.j2" as m %}
    {% block main %}
    <header><h1>{{ headline }}</h1></header>
    {% call m.section("energy", "Energy to target") %}{{ m.chart(drawn) }}{{ m.table(figures) }}{% endcall %}
    {% endblock %}

    render(Path(__file__).with_name("templates") / "comparison.html.j2", title=…, headline=…, drawn=Chart(…), …)

The macros are `section`, `text`, `table`, `facts`, `paragraphs`, `warning`, `sources` and `chart`. Python computes
values: plain text, `Cell`, `Table` and `Chart`; markup stands in templates alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ecoml.format import MEANING, capitalised
from ecoml.report.charts.figures import chart_library

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table that is more than its text.

    Attributes:
        shown: Its text; None for a dash.
        value: The number it stands for, where the table sorts; None: below all numbers.
        css: Classes of the text.
        id: Where an address within the page leads.
        share: Length of a bar before it, in [0, 1].
    """

    shown: str | None
    value: float | None = None
    css: str = ""
    id: str = ""
    share: float | None = None


Row = Sequence[str | Cell | None]
"""Of a table; None is a dash."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first columns name the rows.

    Attributes:
        caption: What it shows.
        header: One title a column.
        rows: As many cells each.
        numeric: Indices of the columns that hold figures.
        names: How many columns name the rows.
        sortable: Whether the reader can sort it by any column: by `Cell.value`, or as text.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Row]
    numeric: Collection[int] = ()
    names: int = 1
    sortable: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """An interactive chart.

    Attributes:
        identifier: Unique in the document.
        drawing: The chart.
        label: What it shows, for who cannot see it.
        caption: Shown below it.
        figures: A table of what is drawn, to be opened by who would rather read it; None: it stands elsewhere.
        walk: The points that can be gone through one by one, in order. The drawing then has a parameter `chosen`; a
            click on any point chooses that one.
        tips: What is told of a chosen point: field → title.
    """

    identifier: str
    drawing: Drawing
    label: str
    caption: str
    figures: Table | None = None
    walk: Sequence[Mapping[str, object]] = ()
    tips: Mapping[str, str] = field(default_factory=dict)


def render(template: Path, **context: Any) -> str:
    """The page that a template makes of its context, `title` among it."""
    return _environment(template.parent).get_template(template.name).render(**context)


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters["capitalised"] = capitalised
    environment.globals |= {
        "chart_library": lambda: Markup(chart_library()),  # noqa: S704 - files of ours and of vega
        "meaning": MEANING,
        "script": lambda: Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),  # noqa: S704
        "style": lambda: Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704
    }
    return environment
