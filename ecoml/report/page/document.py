"""The self-contained HTML document: shell, style, tables and charts. Text is escaped unless it is `Html` already.

The document's content security policy forbids every request, so it stays complete on its own wherever it is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ecoml.report.charts.figures import chart_json, chart_library, script_json

if TYPE_CHECKING:
    from ecoml.report.charts.drawing import Drawing

_STYLE = Path(__file__).with_name("style.css")
_SCRIPT = Path(__file__).with_name("page.js")

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'"
)


class Html(str):
    """Markup, as opposed to text that still has to be escaped."""

    __slots__ = ()


class Sortable(NamedTuple):
    """A figure in a table that sorts: what is shown, and the number it stands for (None: below all numbers)."""

    shown: str | Html | None
    value: float | None


Cell = str | Html | Sortable | None


def text(value: Cell) -> Html:
    """Markup of a value: text is escaped, nothing is a dash."""
    if isinstance(value, Sortable):
        return text(value.shown)
    if isinstance(value, Html):
        return value
    return Html(escape(value)) if value else Html('<span class="none">–</span>')


def join(parts: Iterable[Cell], separator: str = "\n") -> Html:
    """Parts one after the other; empty ones are left out."""
    return Html(separator.join(text(part) for part in parts if part))


def element(tag: str, content: Cell, css: str = "") -> Html:
    """`<tag class="css">content</tag>`."""
    attributes = f' class="{escape(css)}"' if css else ""
    return Html(f"<{tag}{attributes}>{text(content)}</{tag}>")


def section(identifier: str, title: str, *content: Cell) -> Html:
    """A part of the document under a heading of the second order."""
    heading = Html(f'<h2 id="{identifier}-title">{escape(title)}</h2>')

    body = join([heading, *content])
    return Html(f'<section id="{identifier}" aria-labelledby="{identifier}-title">\n{body}\n</section>')


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    caption: str,
    numeric: Iterable[int] = (),
    names: int = 1,
    sortable: bool = False,
) -> Html:
    """A table whose first columns name the rows.

    Args:
        header: One title a column.
        rows: As many cells each.
        caption: What the table shows.
        numeric: Indices of the columns that hold figures.
        names: How many columns name the rows.
        sortable: Whether the reader can sort it by any column: by `Sortable.value`, or as text.
    """
    right = set(numeric)

    def css(column: int) -> str:
        return ' class="figure"' if column in right else ""

    def cell(column: int, value: Cell) -> str:
        key = f' data-value="{value.value!r}"' if isinstance(value, Sortable) and value.value is not None else ""
        tag, scope = ("th", ' scope="row"') if column < names else ("td", "")
        return f"<{tag}{scope}{css(column)}{key}>{text(value)}</{tag}>"

    head = "".join(f'<th scope="col"{css(column)}>{escape(title)}</th>' for column, title in enumerate(header))
    body = "\n".join(
        "<tr>" + "".join(cell(column, value) for column, value in enumerate(row)) + "</tr>" for row in rows
    )
    return Html(
        f'<p class="caption" aria-hidden="true">{escape(caption)}</p>\n'  # the table may be scrolled, this may not
        f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0">'
        f'<table{" data-sortable" if sortable else ""}>\n<caption class="spoken">{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def facts(pairs: Iterable[tuple[str, Cell]], *, dense: bool = False) -> Html:
    """Names and values, as a description list; in columns if they are short."""
    items = "\n".join(f"<div><dt>{escape(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs)
    return Html(f'<dl class="facts{" dense" if dense else ""}">\n{items}\n</dl>')


def chart(
    identifier: str,
    drawing: Drawing,
    *,
    label: str,
    caption: Cell,
    figures: Html | None = None,
    walk: Sequence[Mapping[str, object]] = (),
    tips: Mapping[str, str] | None = None,
) -> Html:
    """An interactive chart.

    Args:
        identifier: Unique in the document.
        drawing: The chart.
        label: What it shows, for who cannot see it.
        caption: Shown below it.
        figures: A table of what is drawn, to be opened by who would rather read it; None: it stands elsewhere.
        walk: The points that can be gone through one by one, in order. The drawing then has a parameter `chosen`; a
            click on any point chooses that one.
        tips: What is told of a chosen point: field → title.
    """
    table = f"<details><summary>The figures of this chart</summary>{figures}</details>" if figures else ""
    picker = _picker(identifier, walk, tips or {}) if walk else ""
    return Html(
        f'<figure><div class="chart" id="{identifier}-chart" role="img" aria-label="{escape(label)}"></div>'
        f"{picker}<figcaption>{text(caption)}</figcaption>{table}"
        f'<script type="application/json" data-chart="{identifier}-chart">{chart_json(drawing)}</script></figure>'
    )


def _picker(identifier: str, walk: Sequence[Mapping[str, object]], tips: Mapping[str, str]) -> str:
    """Buttons that go from point to point, and a place that tells of the chosen one, aloud too."""
    content = script_json({"points": list(walk), "tips": dict(tips)})
    return (
        f'<div class="picker" data-picks="{identifier}-chart" role="group" aria-label="Points of the chart, one by one"'
        f' hidden><button type="button" data-step="-1" aria-label="Previous point">←</button>'
        f'<button type="button" data-step="1" aria-label="Next point">→</button>'
        f'<div class="picked" role="status" aria-live="polite">Click a point, or go through them with the arrows.</div>'
        f'<script type="application/json">{content}</script></div>'
    )


def percent(share: float, decimals: int = 1) -> str:
    """A share for a reader: `97.8 %`."""
    return f"{100 * share:.{decimals}f} %"


def document(title: str, body: Html) -> str:
    """The whole file. The chart library is in it once, and only if there is a chart."""
    library = f"<script>{chart_library()}</script>\n" if "data-chart=" in body else ""
    scripts = f"{library}<script>{_SCRIPT.read_text(encoding='utf-8')}</script>\n"
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        '<noscript><p class="note">The charts need JavaScript; their figures are in the tables too.</p></noscript>\n'
        f"{scripts}</body>\n</html>\n"
    )
