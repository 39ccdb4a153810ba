"""What RQ1 gave: its searches, by network and space."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ecoml.experiments.compare.comparison import Comparison
from ecoml.experiments.paper.rounds import RoundSearch, middle
from ecoml.experiments.paper.study import Study


@dataclass(frozen=True, slots=True)
class Setting:
    """One network and one space.

    Attributes:
        network: One of `FAMILIES`.
        parameters: How many are searched.
        problem: Its name in a comparison.
        searches: Strategy → its searches, by seed.
    """

    network: str
    parameters: int
    problem: str
    searches: dict[str, list[RoundSearch]] = field(repr=False)

    @property
    def medians(self) -> dict[str, RoundSearch]:
        """Of each strategy the search of the median seed."""
        return {name: middle(found) for name, found in self.searches.items()}


@dataclass(frozen=True, slots=True)
class Rq1:
    """What came of it.

    Attributes:
        study: What it was run with.
        settings: One a network and space.
        comparison: All of them, by energy to target.
        page: The comparison's page.
    """

    study: Study
    settings: tuple[Setting, ...]
    comparison: Comparison
    page: Path
