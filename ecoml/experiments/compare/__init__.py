"""Comparisons: many searches on the same task, their energy to target, and the significance of differences."""

from __future__ import annotations

from ecoml.experiments.compare.comparison import Comparison, gather
from ecoml.experiments.compare.files import write_comparison
from ecoml.experiments.compare.plan import ComparisonPlan, PlannedSearch, Task, plan_comparison
from ecoml.experiments.compare.running import run_comparison

__all__ = [
    "Comparison",
    "ComparisonPlan",
    "PlannedSearch",
    "Task",
    "gather",
    "plan_comparison",
    "run_comparison",
    "write_comparison",
]
