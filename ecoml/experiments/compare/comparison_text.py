"""A comparison in a terminal."""

from __future__ import annotations

from pathlib import Path

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.comparison_files import NO_PARQUET
from ecoml.experiments.compare.comparison_notes import notes
from ecoml.experiments.compare.comparison_tables import (
    energy_table,
    means_table,
    quality_table,
    ranks_table,
    sweep_table,
)
from ecoml.experiments.compare.searches import can_write_parquet
from ecoml.report.terminal.summary import print_table


def print_comparison(comparison: Comparison, page: Path) -> None:
    """Tables, notes, and where the rest is: over several problems, what was found for how much is on the page only."""
    problems = comparison.problems
    tables = [energy_table(problems)]
    if len(comparison.targets) > 1:
        tables += [sweep_table(problem, comparison.targets) for problem in problems]
    if len(problems) == 1:
        tables.append(quality_table(problems))
    else:
        tables += [means_table(comparison), *filter(None, [ranks_table(comparison)])]
    for table in tables:
        print(table.caption)
        print_table(table.header, table.rows, numeric=range(table.names, len(table.header)))
        print()
    for note in notes(comparison):
        print(note)
    if not can_write_parquet():
        print(NO_PARQUET)
    print(f"Page, figures and numbers: {page.parent}/")
