"""Comparisons: many searches on the same work, energy to target, and what can be told apart."""

from __future__ import annotations

from ecoml.experiments.compare.compare import gather, run_comparison
from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.compare.comparison_files import write_comparison
from ecoml.experiments.compare.comparison_plan import Cell, ComparisonPlan, plan_comparison
from ecoml.experiments.compare.task import Task

__all__ = [
    "Cell",
    "Comparison",
    "ComparisonPlan",
    "Task",
    "gather",
    "plan_comparison",
    "run_comparison",
    "write_comparison",
]
