"""The task of a comparison: what every search of it is given, whatever its strategy and its seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ecoml.errors import UsageError
from ecoml.searcher.settings import Settings
from ecoml.space import Space
from ecoml.training.base import Executor


@dataclass(frozen=True, slots=True)
class Task:
    """What every search of a comparison is given.

    Attributes:
        space: What to search.
        executor: What trains.
        budget_j: Joules of each search.
        max_parameters: The most trainable numbers that a network may have; None: any number.
        max_energy_per_training_j: The most joules that one training may take; None: any number.
        spend_all: Each search goes on to the end of its budget, even where its strategy expects no more of the rest.

    Raises:
        UsageError: No budget, or a limit that makes no sense.
    """

    space: Space
    executor: Executor
    budget_j: float
    max_parameters: int | None = None
    max_energy_per_training_j: float | None = None
    spend_all: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.budget_j < float("inf"):
            raise UsageError(f"the energy budget is {self.budget_j} J; give a positive, finite number")
        Settings(self.space, "random", 0, **self.limits)  # refuses what no search could be given

    @property
    def limits(self) -> dict[str, Any]:
        """Those that are set, under the names that `Searcher` and `run.toml` have for them."""
        limits = {
            "max_parameters": self.max_parameters,
            "max_energy_per_training_j": self.max_energy_per_training_j,
            "spend_all": self.spend_all or None,
        }
        return {name: value for name, value in limits.items() if value is not None}
