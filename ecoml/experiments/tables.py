"""Tables of experiments, for page and terminal alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from ecoml.report.page.document import Table

NOTHING = "–"
"""A cell without a figure."""

_GLUE = "\u00a0"


def table_of(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> Table:
    """A table whose first columns name the rows and whose others hold figures, except a column of sources."""
    figures = [index for index, title in enumerate(header) if index >= names and title != "Source"]
    return Table(caption, tuple(header), tuple(map(tuple, rows)), figures, names)


def print_tables(*tables: Table) -> None:
    """Print tables in the terminal; a table wider than the terminal becomes a list, so that no value is cut."""
    from ecoml.report.terminal.summary import console, print_table

    width = console().width
    for table in tables:
        print(table.caption)
        columns = zip(table.header, *table.rows, strict=True)
        if sum(2 + max(len(str(cell)) for cell in column) for column in columns) <= width:
            print_table(table.header, table.rows, numeric=table.numeric)
        else:
            print("\n".join(_listed(table, width)))
        print()


def _listed(table: Table, width: int) -> Iterator[str]:
    """One block per row: its names, then each figure beside its title."""
    for row in table.rows:
        cells = [f"{title} {cell}".replace(" ", _GLUE) for title, cell in zip(table.header, row, strict=True) if cell]
        names, figures = cells[: table.names], cells[table.names :]
        yield ", ".join(names).replace(_GLUE, " ")
        for line in wrap("; ".join(figures), width, initial_indent="  ", subsequent_indent="  "):
            yield line.replace(_GLUE, " ")
