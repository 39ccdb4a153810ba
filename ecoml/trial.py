"""Trial: one configuration and all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ecoml.energy import Energy, Provenance, figure_of, weakest

Config = Mapping[str, Any]
"""A configuration: parameter name → float, int or str. Inactive conditional parameters are absent."""


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"  # being advanced
    SUSPENDED = "suspended"  # left after a measurement; it can be advanced again
    FINISHED = "finished"  # its run came to its own end
    STOPPED = "stopped"  # closed before its end (budget, target, interruption); its points stand
    FAILED = "failed"  # diverged, crashed or ran out of memory; its joules are charged

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self in (TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a run yields: the validation accuracy now, and the energy since the measurement before.

    Attributes:
        score: Share of correct predictions, in [0, 1]. Not a number means that the training diverged.
        energy_j: Joules since the measurement before, > 0, where the caller brings them; None: ecoml meters them.
        uncertainty_j: Half-width of `energy_j` in joules.
    """

    score: float
    energy_j: float | None = None
    uncertainty_j: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a learning curve, as the ledger keeps it.

    Attributes:
        step: 1 for the first measurement (an epoch, with the built-in training).
        score: Validation accuracy in [0, 1].
        energy_j: Joules of this trial up to here: training and evaluation, from its first batch.
        uncertainty_j: Half-width of `energy_j` in joules.
        provenance: Source of `energy_j`.
        evaluation_j: Joules of this step's evaluation alone, part of `energy_j`; 0.0 where it was not told apart.
        edge_j: The part of `uncertainty_j` that is independent from step to step (see `ecoml.energy.total`).
    """

    step: int
    score: float
    energy_j: float
    uncertainty_j: float
    provenance: Provenance
    evaluation_j: float = 0.0
    edge_j: float = 0.0

    @property
    def energy(self) -> Energy:
        """Its energy with all that is known of its error."""
        return figure_of(self.energy_j, self.uncertainty_j, self.provenance, self.edge_j)


def next_point(curve: Sequence[Point], score: float, step: Energy, evaluation_j: float = 0.0) -> Point:
    """The point that a step of so much energy adds to `curve`."""
    so_far = curve[-1].energy + step if curve else step
    return Point(
        len(curve) + 1,
        score,
        so_far.energy_j,
        so_far.uncertainty_j,
        so_far.provenance,
        evaluation_j,
        so_far.edge_j,
    )


@dataclass(slots=True)
class Trial:
    """One configuration and all that is known of it. Strategies read it and never write to it.

    Attributes:
        number: 0 for the first of a search.
        config: The configuration.
        state: Where it stands.
        curve: Its measurements, oldest first.
        tail_j: Joules charged to it since its last point (an epoch that was cut, a crash).
        tail_uncertainty_j: Half-width of `tail_j` in joules.
        tail_provenance: Source of `tail_j`; None where there is none.
        failure: Why it failed, in one line.
        test_score: Accuracy on the test set; only for the front, only after the search.
    """

    number: int
    config: Config
    state: TrialState = TrialState.RUNNING
    curve: list[Point] = field(default_factory=list)
    tail_j: float = 0.0
    failure: str | None = None
    test_score: float | None = None
    tail_uncertainty_j: float = 0.0
    tail_provenance: Provenance | None = None

    @property
    def score(self) -> float | None:
        """Validation accuracy at its last point, None before the first."""
        return self.curve[-1].score if self.curve else None

    @property
    def energy_j(self) -> float:
        """All joules charged to it so far."""
        return (self.curve[-1].energy_j if self.curve else 0.0) + self.tail_j

    @property
    def uncertainty_j(self) -> float:
        """Half-width of `energy_j` in joules."""
        return (self.curve[-1].uncertainty_j if self.curve else 0.0) + self.tail_uncertainty_j

    @property
    def step(self) -> int:
        """Number of measurements so far."""
        return len(self.curve)

    @property
    def provenance(self) -> Provenance:
        """Source of its energy: that of its weakest part."""
        sources = [point.provenance for point in self.curve]
        return weakest(sources if self.tail_provenance is None else [*sources, self.tail_provenance])

    def at(self, step: int) -> Trial:
        """This trial as if its training had ended after `step` measurements: a candidate for the front."""
        curve = self.curve[:step]
        return replace(self, curve=curve, tail_j=0.0, tail_uncertainty_j=0.0, tail_provenance=None)
