"""Tables of experiments, for page and terminal alike."""

from __future__ import annotations

from collections.abc import Sequence

from ecoml.report.page.document import Table

NOTHING = "–"
"""A cell without a figure."""


def table_of(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> Table:
    """A table whose first columns name the rows and whose others hold figures, but for that of their source."""
    figures = [index for index, title in enumerate(header) if index >= names and title != "Source"]
    return Table(caption, tuple(header), tuple(map(tuple, rows)), figures, names)


def print_tables(*tables: Table) -> None:
    """Show tables in the terminal."""
    from ecoml.report.terminal.summary import print_table

    for table in tables:
        print(table.caption)
        print_table(table.header, table.rows, numeric=table.numeric)
        print()
