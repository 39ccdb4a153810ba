"""Pages: self-contained HTML from Jinja2 templates, which escape all values.

A page is a template that extends the base template, in a folder of its own package:

    {% extends "base.html.j2" %}
    {% import "macros.html.j2" as m %}
    {% block main %}
    <header><h1>{{ headline }}</h1></header>
    {% call m.section("energy", "Energy to target") %}{{ m.chart(drawn) }}{{ m.table(figures) }}{% endcall %}
    {% endblock %}

    render(Path(__file__).with_name("templates") / "comparison.html.j2", title=…, headline=…, drawn=Chart(…), …)

The macros are `section`, `text`, `table`, `facts`, `paragraphs`, `warning`, `sources` and `chart`. Python computes
values: plain text, `Cell`, `Table` and `Chart`; only templates contain markup.
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
    """A table cell with more than a text.

    Attributes:
        shown: Its text; None for a dash.
        value: The number by which the table sorts; None: below all numbers.
        css: CSS classes of the text.
        id: Anchor of the cell for links within the page.
        share: Length of a bar in front of it, in [0, 1].
    """

    shown: str | None
    value: float | None = None
    css: str = ""
    id: str = ""
    share: float | None = None


Row = Sequence[str | Cell | None]
"""The values of a table's cells; None is a dash."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first columns name the rows.

    Attributes:
        caption: Its caption.
        header: One title per column.
        rows: Rows with one cell per column.
        numeric: Indices of the columns that hold figures.
        names: Number of columns that name the rows.
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
        label: Its content in words, for readers who cannot see it.
        caption: Shown below it.
        figures: A table of the data that the reader can open; None: the table is elsewhere on the page.
        walk: The points that the reader can step through, in order. The drawing then has a parameter `chosen`; a click
            on a point chooses it.
        tips: Details of a chosen point: field → title.
    """

    identifier: str
    drawing: Drawing
    label: str
    caption: str
    figures: Table | None = None
    walk: Sequence[Mapping[str, object]] = ()
    tips: Mapping[str, str] = field(default_factory=dict)


def render(template: Path, **context: Any) -> str:
    """The page of a template and its context; the context contains `title`."""
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
