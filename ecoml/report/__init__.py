"""Reports: the page of one run, and the comparison of many."""

from __future__ import annotations

from ecoml.report.compare import gather, run_comparison
from ecoml.report.comparison import Comparison
from ecoml.report.comparison_files import write_comparison
from ecoml.report.comparison_plan import Cell, ComparisonPlan, plan_comparison
from ecoml.report.page import write_report
from ecoml.report.task import Task

__all__ = [
    "Cell",
    "Comparison",
    "ComparisonPlan",
    "Task",
    "gather",
    "plan_comparison",
    "run_comparison",
    "write_comparison",
    "write_report",
]
