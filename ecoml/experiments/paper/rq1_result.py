"""The result of RQ1: its searches, by network and space."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.paper.rounds import RoundSearch, middle
from ecoml.experiments.paper.study import Study


@dataclass(frozen=True, slots=True)
class Setting:
    """One network with one space.

    Attributes:
        network: One of `FAMILIES`.
        parameters: Number of searched parameters.
        problem: Its name in a comparison.
        searches: Strategy → its searches, by seed.
    """

    network: str
    parameters: int
    problem: str
    searches: dict[str, list[RoundSearch]] = field(repr=False)

    @property
    def medians(self) -> dict[str, RoundSearch]:
        """For each strategy, the search of the median seed."""
        return {name: middle(found) for name, found in self.searches.items()}


@dataclass(frozen=True, slots=True)
class Rq1:
    """The result.

    Attributes:
        study: Data, scale and training.
        settings: One per network and space.
        comparison: All of them, by energy to target.
        page: The comparison's page.
    """

    study: Study
    settings: tuple[Setting, ...]
    comparison: Comparison
    page: Path
